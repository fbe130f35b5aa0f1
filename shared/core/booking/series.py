"""Bookings that come again: what is asked for, and what is decided of it. Event and JSON bodies.

Once decided, each occurrence is a booking of its own, to be moved or cancelled like any other.
"""

import datetime
import enum
from typing import Annotated

import msgspec

from shared.core.booking.booking import ALTERNATIVES_MAX, Decision, Text
from shared.core.booking.slot import LENGTH_MS_MAX, RESOURCES_MAX
from shared.core.event import Dot
from shared.core.ids import Name

OCCURRENCES_MAX = 500
RULE_CHARS_MAX = 300

# Local time, of the zone that the resources share.
Wall = Annotated[datetime.datetime, msgspec.Meta(tz=False)]


class Policy(enum.StrEnum):
    """What becomes of a series of which some occurrences do not fit. Stored: never renamed."""

    ALL = "all"  # all or none
    SKIP = "skip"  # those that fit


class Moved(msgspec.Struct, frozen=True):
    """One occurrence at another time.

    Attributes:
        original: When the rule would have it.
        start: When it is instead.
        offset_min: Minutes ahead of UTC, of a start that exists twice.
    """

    original: Wall
    start: Wall
    offset_min: Annotated[int, msgspec.Meta(ge=-24 * 60, le=24 * 60)] | None = None


class Series(msgspec.Struct, frozen=True):
    """Body of ``series.requested``.

    Attributes:
        resources: Resources and groups, all in one zone.
        start: Of the first occurrence.
        length_s: Of each, elapsed seconds.
        rule: An RRULE with COUNT or UNTIL, such as ``FREQ=WEEKLY;BYDAY=TU;COUNT=10``.
        policy: What becomes of it if some occurrences do not fit.
        without: Occurrences that are left out (EXDATE).
        moved: Occurrences at other times.
        alternatives: How many other slots to name for each that does not fit.
        title: What it is for.
    """

    resources: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=RESOURCES_MAX)]
    start: Wall
    length_s: Annotated[int, msgspec.Meta(ge=1, le=LENGTH_MS_MAX // 1000)]
    rule: Annotated[str, msgspec.Meta(max_length=RULE_CHARS_MAX)]
    policy: Policy = Policy.ALL
    without: Annotated[tuple[Wall, ...], msgspec.Meta(max_length=OCCURRENCES_MAX)] = ()
    moved: Annotated[tuple[Moved, ...], msgspec.Meta(max_length=OCCURRENCES_MAX)] = ()
    alternatives: Annotated[int, msgspec.Meta(ge=0, le=ALTERNATIVES_MAX)] = 0
    title: Text = ""


class Occurrence(msgspec.Struct, frozen=True):
    """One time of a series.

    Attributes:
        original: When the rule has it, local time; names it for good.
        start_ms: When it is, Unix ms.
        end_ms: When it ends.
        shifted: Its local time does not exist, so it begins when the clock is changed.
    """

    original: Wall
    start_ms: int
    end_ms: int
    shifted: bool = False


class OccurrenceDecision(msgspec.Struct, frozen=True):
    """What became of one occurrence."""

    occurrence: Occurrence
    decision: Decision


class SeriesDecision(msgspec.Struct, frozen=True):
    """Body of ``series.decided``: what became of a series, occurrence by occurrence.

    Attributes:
        request: Which.
        accepted: Whether anything was booked.
        occurrences: All of them, in order.
    """

    request: Dot
    accepted: bool
    occurrences: tuple[OccurrenceDecision, ...]
