"""The days and times of questions, in the zone of what is asked about.

    day   today, tomorrow, the day after tomorrow, yesterday, in 3 days, in 2 weeks, Tuesday,
          next Tuesday, this week, next week, 3 December, December 3rd 2026, 3.12.2026, 2026-12-03;
          a weekday before a date has to be that date's
    part  morning (06:00-12:00), afternoon (12:00-18:00), evening (18:00-22:00)
    time  at TIME, from TIME to TIME; between TIME and TIME, after TIME, before TIME
    TIME  14:00, 14, 2 pm, 2:30 pm, noon; with an offset (02:30 +02:00) where it exists twice

``Tuesday`` is the first from tomorrow on that is one, and so is ``next Tuesday``: the answer says
the date. A date without a year is the next such. What has two meanings is refused: 3/12, at 3, and
the name of today's weekday.
"""

import datetime
import re
from collections.abc import Iterable

import msgspec
from dateutil import parser
from dateutil.relativedelta import relativedelta, weekday

from shared.core.booking import local_time
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import DAY
from shared.core.booking.phrases import Phrases
from shared.errors import Refused

Days = tuple[datetime.date, datetime.date]  # from one to before the other

PARTS = {"morning": (6, 12), "afternoon": (12, 18), "evening": (18, 22)}
_NEAR = {
    "the day after tomorrow": 2,
    "day after tomorrow": 2,
    "tomorrow": 1,
    "today": 0,
    "yesterday": -1,
}
_WORDS = parser.parserinfo()  # names of months and weekdays; its guesses at dates are not asked for


def _any(names: Iterable[tuple[str, ...]]) -> str:
    return "|".join(sorted((n.lower() for group in names for n in group), reverse=True))


_MONTH = f"(?P<month>{_any(parser.parserinfo.MONTHS)})"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?: (?P<year>\d{4}))?(?![\w:])"
_TIME = r"((?:\d{1,2}(?::\d{2})?(?: ?[ap]m)?(?: ?[+-]\d{2}:\d{2})?|noon)(?![\w:]))"

_near = re.compile(rf"\b({'|'.join(_NEAR)})\b")
_ahead = re.compile(r"\bin (\d{1,3}) (day|week)s?\b")
_week = re.compile(r"\b(this|next) week\b")
_weekday = re.compile(rf"\b(?:(next|this|coming) )?({_any(parser.parserinfo.WEEKDAYS)})\b")
_slashed = re.compile(r"\b\d{1,2}/\d{1,2}(?:/\d{2,4})?\b")
_dates = (
    re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b"),
    re.compile(r"\b(?P<day>\d{1,2})\.(?P<month>\d{1,2})(?:\.(?P<year>\d{4}))?(?![\w:])"),
    re.compile(rf"\b{_DAY}(?: of)? {_MONTH}{_YEAR}"),
    re.compile(rf"\b{_MONTH} {_DAY}{_YEAR}"),
)
_part = re.compile(rf"\b(?:in the )?({'|'.join(PARTS)})\b")
_times = (  # what the times of each are called; the first that fits is taken
    (re.compile(rf"\bbetween {_TIME} and {_TIME}"), ("after", "before")),
    (re.compile(rf"\bfrom {_TIME} (?:to|until|till) {_TIME}"), ("at", "to")),
    (re.compile(rf"\b(?:after|from) {_TIME}"), ("after",)),
    (re.compile(rf"\b(?:before|until|till|by) {_TIME}"), ("before",)),
    (re.compile(rf"\bat {_TIME}"), ("at",)),
)
_clock = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?: ?(?P<half>[ap])m)?"
    r"(?: ?(?P<offset>[+-]\d{2}:\d{2}))?"
)


class When(msgspec.Struct, frozen=True):
    """What a question says of time.

    Attributes:
        window: Of its days, parts and bounds; None: it names none.
        at_ms: The one instant that it names, Unix ms; None: none.
        to_ms: Until when, if it says ``from TIME to TIME``.
    """

    window: Interval | None
    at_ms: int | None = None
    to_ms: int | None = None


def read_when(phrases: Phrases, zone: datetime.tzinfo, now_ms: int) -> When:
    """Take the day and the times out of a question.

    Raises:
        Refused: They have two meanings or none; says what to write instead.
    """
    days = _days(phrases, local_time.day(now_ms, zone))
    times, part = _named_times(phrases), phrases.take(_part)
    if days is None:
        if times or part is not None:
            raise Refused("which day? Add one, such as tomorrow or 3 December")
        return When(None)
    first, last = days
    if (times or part is not None) and last - first > DAY:
        raise Refused("a time of which day of the week? Name that day")
    at = {word: _instant(text, first, zone) for word, text in times.items()}
    day = Interval(local_time.midnight(first, zone), local_time.midnight(last, zone))
    day = day if part is None else _part_of(first, part[1], zone)
    window = Interval(
        max(day.start_ms, at.get("after", day.start_ms)),
        min(day.end_ms, at.get("before", day.end_ms)),
    )
    if window.length_ms <= 0:
        raise Refused("these times leave nothing of the day; check which is the earlier")
    return When(window, at.get("at"), at.get("to"))


# ------------------------------------------------------------------ days


def _days(phrases: Phrases, today: datetime.date) -> Days | None:
    """Take out the day or the week."""
    if phrases.take(_slashed):
        raise Refused("a date with / may begin with the day or the month; write 3 December")
    if near := phrases.take(_near):
        return _one(today + _NEAR[near[1]] * DAY)
    if ahead := phrases.take(_ahead):
        return _one(today + int(ahead[1]) * (7 if ahead[2] == "week" else 1) * DAY)
    if week := phrases.take(_week):
        monday = today - today.weekday() * DAY + (7 if week[1] == "next" else 0) * DAY
        return monday, monday + 7 * DAY
    named = phrases.take(_weekday)
    found = (phrases.take(pattern) for pattern in _dates)
    written = next((match for match in found if match is not None), None)
    if written is not None:
        date = _date(written, today)
        if named is not None and _WORDS.weekday(named[2]) != date.weekday():
            raise Refused(f"{date} is a {date:%A}, no {named[2]}; check which is meant")
        return _one(date)
    if named is not None:
        return _one(_weekday_after(today, named[2], is_next=named[1] == "next"))
    return None


def _one(date: datetime.date) -> Days:
    return date, date + DAY


def _weekday_after(today: datetime.date, name: str, *, is_next: bool) -> datetime.date:
    number = _WORDS.weekday(name)
    assert number is not None  # the pattern is made of these names
    if number == today.weekday() and not is_next:
        raise Refused(f"today is {name}; write today, or next {name}")
    return today + relativedelta(days=1, weekday=weekday(number))


def _date(match: re.Match[str], today: datetime.date) -> datetime.date:
    """Return a date that is written out; without a year the next such."""
    month = match["month"] if match["month"].isdigit() else _WORDS.month(match["month"])
    year = int(match["year"] or today.year)
    try:
        date = datetime.date(year, int(month or 0), int(match["day"]))
        if match["year"] is None and date < today:
            date = date.replace(year=year + 1)
        if date.year not in local_time.YEARS:
            raise ValueError("not in this age")
    except ValueError as error:
        raise Refused(f"{match[0]} is no day ({error}); check it, and add the year") from error
    return date


# ------------------------------------------------------------------ times of a day


def _part_of(date: datetime.date, name: str, zone: datetime.tzinfo) -> Interval:
    start, end = (
        local_time.by_rule(datetime.datetime.combine(date, datetime.time(hour)), zone)
        for hour in PARTS[name]
    )
    return Interval(start, end)


def _named_times(phrases: Phrases) -> dict[str, str]:
    """Take out the times, by what they say: after, before, at, to."""
    found: dict[str, str] = {}
    for pattern, names in _times:
        if match := phrases.take(pattern):
            found.update(zip(names, match.groups(), strict=True))
    return found


def _instant(text: str, date: datetime.date, zone: datetime.tzinfo) -> int:
    """Return the instant of a time on a date, Unix ms; refuses what has two meanings, or none."""
    match = _clock.fullmatch(text.replace("noon", "12:00"))
    assert match is not None  # the patterns take out nothing else
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    if match["half"] is None and match["minute"] is None and hour <= 12:
        raise Refused(f"{hour} may be morning or afternoon; write {hour:02d}:00, or {hour} pm")
    if match["half"] is not None:
        if not 1 <= hour <= 12:
            raise Refused(f"{text} is no time; write {hour:02d}:00, or an hour from 1 to 12")
        hour = hour % 12 + (12 if match["half"] == "p" else 0)
    try:
        wall = datetime.datetime.combine(date, datetime.time(hour, minute))
    except ValueError as error:
        raise Refused(f"{text} is no time ({error}); write 14:00, or 2 pm") from error
    return local_time.by_person(wall, zone, _offset(match["offset"]))


def _offset(text: str | None) -> datetime.timedelta | None:
    if text is None:
        return None
    ahead = datetime.timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return -ahead if text[0] == "-" else ahead
