"""The occurrences of a series: a recurrence rule (RFC 5545) in the wall time of a resource.

``dateutil`` says which local times a rule names; when those are, this package says: one that does
not exist is moved forward to the change of the clock, one that exists twice is the first (see
``local_time``). A length is elapsed time: 45 minutes are 45 minutes in every night of the year.

Only the hub imports this file: ``dateutil`` is no part of an agent.
"""

import calendar
import datetime
import re
from collections.abc import Collection, Mapping
from itertools import islice, takewhile

from dateutil.rrule import rrulestr

from shared.core import instants
from shared.core.booking import local_time
from shared.core.booking.local_time import SECOND_MS
from shared.core.booking.series import OCCURRENCES_MAX, Moved, Occurrence, Series
from shared.errors import Refused

SPAN = datetime.timedelta(days=5 * 366)  # no horizon is longer
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_day = "|".join(WEEKDAYS)
_ordinal = r"[+-]?([1-9]|[1-4]\d|5[0-3])"

# The parts that a rule may have, the shape of each of their values, and an example. None is of a
# time of day: that is the start's. BYSETPOS, BYWEEKNO and BYYEARDAY are refused: nobody can tell by
# looking at such a rule when it is.
_shapes = {
    key: (re.compile(pattern, re.ASCII), example)
    for key, pattern, example in (
        ("FREQ", "DAILY|WEEKLY|MONTHLY|YEARLY", "WEEKLY"),
        ("INTERVAL", r"[1-9]\d{0,2}", "2"),
        ("COUNT", r"[1-9]\d{0,5}", "10"),
        ("UNTIL", r"\d{8}(T\d{6}Z?)?", "20261231"),
        ("BYDAY", rf"({_ordinal})?({_day})", "MO,TU"),
        ("BYMONTHDAY", r"-?([1-9]|[12]\d|3[01])", "1,-1"),
        ("BYMONTH", r"[1-9]|1[0-2]", "1,7"),
        ("WKST", _day, "MO"),
    )
}


def expand(series: Series, zone: datetime.tzinfo) -> tuple[Occurrence, ...]:
    """Return the occurrences of a series, in the order of the rule.

    Args:
        series: What is asked for.
        zone: Of its resources.

    Raises:
        Refused: The rule is none, has no end or too many occurrences, or an exception names a time
            that is no occurrence, or that does not exist.
    """
    walls = _walls(series, zone)
    left_out = _named(series.without, walls, "$.without")
    moved = {move.original: move for move in series.moved}
    _named([move.original for move in series.moved], walls, "$.moved")
    places = {move.original: index for index, move in enumerate(series.moved)}
    return tuple(
        _moved(moved[wall], zone, series.length_s, places[wall])
        if wall in moved
        else _occurrence(wall, zone, series.length_s)
        for wall in walls
        if wall not in left_out
    )


def _occurrence(wall: datetime.datetime, zone: datetime.tzinfo, length_s: int) -> Occurrence:
    start = local_time.by_rule(wall, zone)
    shifted = local_time.local(start, zone) != wall
    return Occurrence(wall, start, start + length_s * SECOND_MS, shifted)


def _moved(move: Moved, zone: datetime.tzinfo, length_s: int, index: int) -> Occurrence:
    offset = None if move.offset_min is None else datetime.timedelta(minutes=move.offset_min)
    start = local_time.by_person(move.start, zone, offset, f"$.moved[{index}].start")
    return Occurrence(move.original, start, start + length_s * SECOND_MS)


def _named(
    named: Collection[datetime.datetime], walls: Collection[datetime.datetime], path: str
) -> frozenset[datetime.datetime]:
    """Check that exceptions name occurrences: one that names none was meant for another."""
    for index, wall in enumerate(named):
        if wall not in walls:
            raise Refused(
                f"the series has no occurrence at {wall.isoformat(' ', 'minutes')}; "
                "name one by its local start, before any change",
                ((f"{path}[{index}]", "no occurrence"),),
            )
    return frozenset(named)


# ------------------------------------------------------------------ the rule


def _walls(series: Series, zone: datetime.tzinfo) -> tuple[datetime.datetime, ...]:
    """Return the local times that the rule names."""
    parts = _parts(series.rule)
    if series.start.year not in local_time.YEARS:
        raise _refusal("the start is not in this age; check the year", "$.start")
    if not _is_named(series.start, parts):
        raise _refusal("the start is no occurrence of the rule; begin with one", "$.start")
    count = int(parts.pop("COUNT", OCCURRENCES_MAX + 1))
    until = parts.pop("UNTIL", None)
    last = series.start + SPAN if until is None else _end(until, zone)
    if last > series.start + SPAN:
        raise _refusal("UNTIL is more than five years after the start; end it earlier")
    text = ";".join(f"{key}={value}" for key, value in parts.items())
    # dateutil reads COUNT and UNTIL more loosely than we do, so it gets neither.
    named = iter(rrulestr(text, dtstart=series.start))
    walls = tuple(islice(takewhile(lambda w: w <= last, named), min(count, OCCURRENCES_MAX + 1)))
    if len(walls) > OCCURRENCES_MAX:
        raise _refusal(f"more than {OCCURRENCES_MAX} occurrences; split the series")
    if until is None and len(walls) < count:
        raise _refusal(f"fewer than {count} occurrences in five years; ask for fewer")
    if not walls:
        raise _refusal("it ends before it starts; check UNTIL")
    return walls


def _is_named(start: datetime.datetime, parts: Mapping[str, str]) -> bool:
    """Say whether a rule names its own start.

    It must: else the first booking is not when the caller thinks. And ``dateutil`` would walk to
    the year 9999 in search of a first day of a rule that fits none (30 February).
    """
    length = calendar.monthrange(start.year, start.month)[1]
    months, days = (_values(parts, key) for key in ("BYMONTH", "BYMONTHDAY"))
    return (
        (not months or str(start.month) in months)
        and (not days or bool({start.day, start.day - length - 1} & {int(d) for d in days}))
        and ("BYDAY" not in parts or _is_named_day(start, parts))
    )


def _is_named_day(start: datetime.datetime, parts: Mapping[str, str]) -> bool:
    """Say whether BYDAY names a day: any Tuesday, or the last of its month or year."""
    name = WEEKDAYS[start.weekday()]
    if parts["FREQ"] == "YEARLY" and "BYMONTH" not in parts:
        day = start.timetuple().tm_yday
        length = 365 + calendar.isleap(start.year)
    else:
        day, length = start.day, calendar.monthrange(start.year, start.month)[1]
    numbers = (0, (day - 1) // 7 + 1, -((length - day) // 7 + 1))
    return any(
        value.endswith(name) and int(value[:-2] or 0) in numbers
        for value in _values(parts, "BYDAY")
    )


def _values(parts: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(parts[key].split(",")) if key in parts else ()


def _parts(text: str) -> dict[str, str]:
    """Return the parts of a rule, each checked: ``dateutil`` passes over what it cannot mean."""
    pairs = [part.partition("=") for part in text.upper().removeprefix("RRULE:").split(";")]
    parts = {key: value for key, _, value in pairs}
    unknown = sorted(key for key in parts if key not in _shapes)
    if unknown or len(parts) < len(pairs):
        what = f"has {unknown[0] or 'an empty part'}" if unknown else "says something twice"
        raise _refusal(f"the rule {what}; it has {', '.join(_shapes)}, each once at most")
    for key, value in parts.items():
        pattern, example = _shapes[key]
        if not all(pattern.fullmatch(one) for one in value.split(",")):
            raise _refusal(f"{key} is not {value!r}; write {key}={example}")
    if "FREQ" not in parts:
        raise _refusal("a rule has FREQ; write FREQ=WEEKLY;BYDAY=TU;COUNT=10")
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise _refusal("a series needs an end, by COUNT or by UNTIL and not by both; add one")
    if parts["FREQ"] in ("DAILY", "WEEKLY") and re.search(r"\d", parts.get("BYDAY", "")):
        raise _refusal("BYDAY has numbers only with FREQ=MONTHLY or YEARLY; leave them out")
    return parts


def _end(text: str, zone: datetime.tzinfo) -> datetime.datetime:
    """Return the last local time that UNTIL allows: a day means all of it."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise _refusal(f"UNTIL is no date ({error}); write UNTIL=20261231") from error
    if moment.tzinfo is not None:
        return local_time.local(instants.ms(moment), zone)
    if "T" in text:
        return moment
    return datetime.datetime.combine(moment, datetime.time.max)


def _refusal(text: str, path: str = "$.rule") -> Refused:
    return Refused(text, ((path, text),))
