"""What can be booked, and the rules for it: the bodies of a resource's registers.

``hours`` (when) and ``limits`` (how) are registers of their own, so that who extends the hours and
who raises the capacity at the same time do not get in each other's way.
"""

import datetime
import enum
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from shared.core import zones
from shared.core.booking import hours as hours_of
from shared.core.booking.hours import Problem, Spans, Week
from shared.errors import Refused

DAY_S = 24 * 3600
HORIZON_S_MAX = 5 * 366 * DAY_S  # what a search may have to look through
BUFFER_S_MAX = DAY_S
CAPACITY_MAX = 10_000
EXCEPTIONS_MAX = 1000
EXCEPTION_DAYS_MAX = 366
GRID_MIN_MAX = 24 * 60
ZONE_CHARS_MAX = 100
TEXT_MAX = 200


class Cause(enum.StrEnum):
    """Why a day differs. Stored and sent: never renamed."""

    HOLIDAY = "holiday"
    LEAVE = "leave"
    EXTRA = "extra"


class SpecialDays(msgspec.Struct, frozen=True):
    """Local days whose hours are not those of the week.

    It replaces what *begins* on those days: a night shift of the day before still ends on the
    first of them.

    Attributes:
        first: The first day.
        last: The last day; None: only the first.
        hours: What is open on each of them instead; none: closed.
        cause: Why.
        note: What to tell people.
    """

    first: datetime.date
    last: datetime.date | None = None
    hours: Spans = ()
    cause: Cause = Cause.LEAVE
    note: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] = ""

    @property
    def final(self) -> datetime.date:
        """The last day."""
        return self.last or self.first


class Region(msgspec.Struct, frozen=True):
    """Whose public holidays close a resource; the hub knows their dates.

    Attributes:
        country: ISO 3166-1 code, such as ``DE``.
        subdivision: ISO 3166-2 code without the country, such as ``BY``; None: nationwide ones.
    """

    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$(?!\n)")]
    subdivision: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{1,3}$(?!\n)")] | None = None


Holidays = Mapping[datetime.date, str]  # the dates of one region and their names


class Anchor(enum.StrEnum):
    """From where a grid is counted. Stored and sent: never renamed."""

    MIDNIGHT = "midnight"  # by the local clock, anew each day
    OPENING = "opening"  # in elapsed minutes


class Grid(msgspec.Struct, frozen=True):
    """When a booking may begin: every so many minutes."""

    minutes: int
    anchor: Anchor = Anchor.MIDNIGHT


class Hours(msgspec.Struct, frozen=True):
    """Body of ``resource.hours``: when it can be booked, in its own wall time.

    Attributes:
        timezone: IANA name.
        week: Weekly hours.
        exceptions: Days that differ; each day in one of them at most. They go before holidays.
        holidays: Whose public holidays close it; None: it is open on them.
    """

    timezone: Annotated[str, msgspec.Meta(max_length=ZONE_CHARS_MAX)]
    week: Week
    exceptions: Annotated[tuple[SpecialDays, ...], msgspec.Meta(max_length=EXCEPTIONS_MAX)] = ()
    holidays: Region | None = None


class Limits(msgspec.Struct, frozen=True):
    """Body of ``resource.limits``: how it can be booked.

    Attributes:
        capacity: Bookings that it bears at the same instant.
        before_s: Kept free before each booking, to prepare; may lie outside the hours.
        after_s: Kept free after each, to clean up. Between two bookings both are kept.
        notice_s: A booking begins no sooner than so long from now.
        horizon_s: A booking ends no later than so long from now.
        grid: When a booking may begin; None: at any time.
    """

    capacity: int = 1
    before_s: int = 0
    after_s: int = 0
    notice_s: int = 0
    horizon_s: int = 366 * DAY_S
    grid: Grid | None = None


def check(hours: Hours, limits: Limits) -> None:
    """Check a resource's rules.

    Raises:
        Refused: With every place at fault, and the remedy of each.
    """
    problems = (*_zone_problems(hours), *_hours_problems(hours), *_limits_problems(limits))
    if problems:
        detail = "; ".join(f"{path}: {message}" for path, message in problems)
        raise Refused(detail, tuple(problems))


def _zone_problems(hours: Hours) -> Iterator[Problem]:
    try:
        zones.find(hours.timezone)
    except Refused as error:
        yield "$.hours.timezone", error.detail


def _hours_problems(hours: Hours) -> Iterator[Problem]:
    yield from hours_of.week_problems(hours.week, "$.hours.week")
    for index, exception in enumerate(hours.exceptions):
        path = f"$.hours.exceptions[{index}]"
        yield from hours_of.day_problems(exception.hours, f"{path}.hours")
        days = (exception.final - exception.first).days
        if days < 0:
            yield f"{path}.last", "before the first day; exchange them"
        if days >= EXCEPTION_DAYS_MAX:
            yield f"{path}.last", f"more than {EXCEPTION_DAYS_MAX} days; change the week instead"
    yield from _twice(hours.exceptions)


def _twice(exceptions: tuple[SpecialDays, ...]) -> Iterator[Problem]:
    """Yield exceptions that say two things of one day; which one counts would be a guess."""
    latest: tuple[datetime.date, int] | None = None
    in_order = sorted((e.first, e.final, index) for index, e in enumerate(exceptions))
    for first, final, index in in_order:
        if latest is not None and first <= latest[0]:
            yield (
                f"$.hours.exceptions[{index}].first",
                f"{first} is in exception {latest[1]} already; shorten one of them",
            )
        if latest is None or final > latest[0]:
            latest = (final, index)


def _limits_problems(limits: Limits) -> Iterator[Problem]:
    grid_minutes = 1 if limits.grid is None else limits.grid.minutes
    bounds = (
        ("capacity", limits.capacity, 1, CAPACITY_MAX),
        ("before_s", limits.before_s, 0, BUFFER_S_MAX),
        ("after_s", limits.after_s, 0, BUFFER_S_MAX),
        ("notice_s", limits.notice_s, 0, HORIZON_S_MAX),
        ("horizon_s", limits.horizon_s, 1, HORIZON_S_MAX),
        ("grid.minutes", grid_minutes, 1, GRID_MIN_MAX),
    )
    for name, value, least, most in bounds:
        if not least <= value <= most:
            yield f"$.limits.{name}", f"{value} is not in {least} to {most}"
    if limits.notice_s >= limits.horizon_s:
        yield "$.limits.notice_s", "not below the horizon, so nothing could ever be booked"
