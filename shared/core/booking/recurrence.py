"""The occurrences of a series: a recurrence rule (RFC 5545) in the wall time of a resource.

``dateutil`` says which local times a rule names; when those are, this package says: one that does
not exist is moved forward to the change of the clock, one that exists twice is the first (see
``local_time``). A length is elapsed time: 45 minutes are 45 minutes in every night of the year.

Only the hub imports this file: ``dateutil`` is no part of an agent.
"""

import datetime
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from dateutil.rrule import rrule, rrulestr

from shared.core import instants
from shared.core.booking import local_time
from shared.core.booking.local_time import SECOND_MS
from shared.core.booking.series import OCCURRENCES_MAX, Moved, Occurrence, Series
from shared.errors import Refused

SPAN = datetime.timedelta(days=5 * 366)  # no horizon is longer
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
DAY_PARTS = ("BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST")
PARTS = frozenset(("FREQ", "INTERVAL", "COUNT", "UNTIL", *DAY_PARTS))  # none within a day
EXAMPLE = "write it as FREQ=WEEKLY;BYDAY=TU;COUNT=10"

_number = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_until = re.compile(r"\d{8}(T\d{6}Z?)?", re.ASCII)


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
    last = series.start + SPAN
    count = OCCURRENCES_MAX + 1
    if "COUNT" in parts:
        count = min(count, int(parts["COUNT"]))
    if "UNTIL" in parts:
        last = min(last, _end(parts["UNTIL"], zone))
    walls = tuple(islice(_endless(parts, series.start, last), count))
    if not walls or walls[0] != series.start:
        raise _refusal("the start is no occurrence of the rule; begin with one", "$.start")
    if len(walls) > OCCURRENCES_MAX:
        raise _refusal(f"more than {OCCURRENCES_MAX} occurrences; split the series")
    if "COUNT" in parts and len(walls) < int(parts["COUNT"]):
        raise _refusal(f"fewer than {parts['COUNT']} occurrences in five years; ask for fewer")
    return walls


def _endless(
    parts: Mapping[str, str], start: datetime.datetime, last: datetime.datetime
) -> Iterator[datetime.datetime]:
    """Yield the local times of a rule up to a last one, whatever its own end is.

    ``dateutil`` walks to the year 9999 for a rule that no day fits (30 February), so it always gets
    an end; and as it reads COUNT and UNTIL loosely, it gets neither.
    """
    text = ";".join(f"{key}={parts[key]}" for key in parts if key not in ("COUNT", "UNTIL"))
    try:
        rule = rrulestr(text, dtstart=start)
        assert isinstance(rule, rrule)  # one line is one rule, never a set of them
        yield from rule.replace(until=last)
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise _refusal(f"{text!r} is no recurrence rule ({error}); {EXAMPLE}") from error


def _parts(text: str) -> dict[str, str]:
    """Return the parts of a rule, checked as far as ``dateutil`` does not, or not by name."""
    pairs = [part.partition("=") for part in text.removeprefix("RRULE:").upper().split(";")]
    parts = {key: value for key, _, value in pairs}
    unknown = sorted(key for key in parts if key not in PARTS)
    if unknown or len(parts) < len(pairs):
        what = f"has {unknown[0]!r}" if unknown else "says something twice"
        raise _refusal(f"the rule {what}; {EXAMPLE}")
    if parts.get("FREQ") not in FREQUENCIES:
        raise _refusal(f"FREQ is one of {', '.join(FREQUENCIES)}; {EXAMPLE}")
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise _refusal("a series needs an end, by COUNT or by UNTIL and not by both; add one")
    for key in ("COUNT", "INTERVAL"):
        if not _number.fullmatch(parts.get(key, "1")):
            raise _refusal(f"{key} is a number from 1 on; {EXAMPLE}")
    return parts


def _end(text: str, zone: datetime.tzinfo) -> datetime.datetime:
    """Return the last local time that UNTIL allows: a day means all of it."""
    try:
        if not _until.fullmatch(text):
            raise ValueError(text)
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise _refusal("UNTIL is a date, such as 20261231 or 20261231T110000Z") from error
    if moment.tzinfo is not None:
        return local_time.local(instants.ms(moment), zone)
    if "T" in text:
        return moment
    return moment + local_time.DAY - datetime.timedelta(seconds=1)


def _refusal(text: str, path: str = "$.rule") -> Refused:
    return Refused(text, ((path, text),))
