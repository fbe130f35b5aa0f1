"""Weekly hours in local wall time, as people write them: ``08:00-12:00``, ``22:00-06:00``.

An interval belongs to the day on which it begins, also where it goes on over midnight. ``24:00``
is the end of a day.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Annotated

import msgspec

DAY_MIN = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPANS_MAX = 24  # of one day
_WEEKS_KEPT = 1024

_span = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", re.ASCII)

Spans = tuple[Annotated[str, msgspec.Meta(max_length=20)], ...]
Problem = tuple[str, str]  # a path, and what is wrong there and how to mend it


class Span(msgspec.Struct, frozen=True, order=True, gc=False):
    """``[start, end)``, minutes from the local midnight of its day; the end may be the next day."""

    start_min: int
    end_min: int


class Week(msgspec.Struct, frozen=True):
    """Hours by weekday; a day left out is closed."""

    mon: Spans = ()
    tue: Spans = ()
    wed: Spans = ()
    thu: Spans = ()
    fri: Spans = ()
    sat: Spans = ()
    sun: Spans = ()


def spans(day: Spans) -> tuple[Span, ...]:
    """Return a day's hours, sorted; they were checked."""
    return tuple(sorted(_read(words) for words in day))


@lru_cache(_WEEKS_KEPT)
def weekdays(week: Week) -> tuple[tuple[Span, ...], ...]:
    """Return the hours of Monday to Sunday; they were checked."""
    return tuple(spans(getattr(week, name)) for name in DAYS)


def text(span: Span) -> str:
    """Write hours as people do."""
    end = span.end_min if span.end_min <= DAY_MIN else span.end_min - DAY_MIN
    return f"{_clock(span.start_min)}-{_clock(end)}"


def day_problems(day: Spans, path: str) -> Iterator[Problem]:
    """Yield what is wrong with a day's hours: not times, over 24:00, no length, overlapping."""
    if len(day) > SPANS_MAX:
        yield path, f"more than {SPANS_MAX} intervals a day; join some"
    found: list[Span] = []
    for index, words in enumerate(day):
        problem = _problem(words)
        if problem is not None:
            yield f"{path}[{index}]", problem
        else:
            found.append(_read(words))
    for earlier, later in pairwise(sorted(found)):
        if later.start_min < earlier.end_min:
            yield path, f"{text(earlier)} and {text(later)} overlap; join them or move one"


def week_problems(week: Week, path: str) -> Iterator[Problem]:
    """Yield what is wrong with weekly hours, from one day into the next as well."""
    flaws = [
        problem for name in DAYS for problem in day_problems(getattr(week, name), f"{path}.{name}")
    ]
    # A week that cannot be read has no order to look at.
    yield from flaws or _overnight_problems(week, path)


def _overnight_problems(week: Week, path: str) -> Iterator[Problem]:
    days = weekdays(week)
    for number, name in enumerate(DAYS):
        evening, morning = days[number - 1], days[number]  # Sunday is before Monday
        if not (evening and morning):
            continue
        late, early = evening[-1], morning[0]
        if late.end_min - DAY_MIN > early.start_min:
            yield (
                f"{path}.{name}",
                f"{text(late)} of {DAYS[number - 1]} overlaps {text(early)} of {name}; "
                "end it earlier or begin later",
            )


def _minutes(words: str) -> tuple[int, int] | None:
    """Return start and end as written, minutes from midnight."""
    match = _span.fullmatch(words)
    if match is None:
        return None
    start_h, start_m, end_h, end_m = (int(digits) for digits in match.groups())
    return start_h * 60 + start_m, end_h * 60 + end_m


def _read(words: str) -> Span:
    found = _minutes(words)
    assert found is not None  # hours are read only once they were checked
    start, end = found
    return Span(start, end if end > start else end + DAY_MIN)


def _problem(words: str) -> str | None:
    found = _minutes(words)
    if found is None:
        return f"{words!r} is no interval; write 08:00-12:30, or 22:00-06:00 over midnight"
    start, end = found
    if end > DAY_MIN:
        return f"{words!r} ends after 24:00; write the next day's time, such as 22:00-06:00"
    if start >= DAY_MIN:
        return f"{words!r} begins after 23:59; write it on the next day"
    if start == end:
        return f"{words!r} has no length; a whole day is 00:00-24:00"
    return None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
