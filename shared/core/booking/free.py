"""All free intervals of a window, and all of a window as free, full or closed."""

import enum
from collections.abc import Iterator, Sequence

import msgspec

from shared.core.booking import taken
from shared.core.booking.interval import Interval, common, without
from shared.core.booking.resource import Resource
from shared.core.booking.taken import Busy


class State(enum.StrEnum):
    """What a resource is at an instant."""

    FREE = "free"
    FULL = "full"  # no place left, or kept free for a buffer
    CLOSED = "closed"


class Period(msgspec.Struct, frozen=True):
    """``[start_ms, end_ms)``, Unix ms, and what the resource is then."""

    start_ms: int
    end_ms: int
    state: State


def intervals(
    resource: Resource, busy: Busy, window: Interval, now_ms: int, *, ignore: str | None = None
) -> Iterator[Interval]:
    """Yield when a booking may lie, as far as hours, bookings, notice and horizon go.

    Any booking within one of these fits, if its start is on the grid; none outside does. Merged,
    in order, lazily.

    Args:
        resource: The resource.
        busy: Its bookings.
        window: At most so much is told.
        now_ms: Wall clock, Unix ms.
        ignore: Id of a booking that is left out: the one that moves.
    """
    bookable = resource.bookable(now_ms)
    start = max(window.start_ms, bookable.start_ms)
    end = min(window.end_ms, bookable.end_ms)
    if start < end:
        opened = resource.calendar.open(start, end)
        yield from without(opened, _full(resource, busy, Interval(start, end), ignore))


def together(
    resources: Sequence[Resource], busy: Busy, window: Interval, now_ms: int
) -> Iterator[Interval]:
    """Yield when a booking of all these resources may lie, at least one of them; as above."""
    found = intervals(resources[0], busy, window, now_ms)
    for resource in resources[1:]:
        found = common(found, intervals(resource, busy, window, now_ms))
    return found


def periods(resource: Resource, busy: Busy, window: Interval) -> Iterator[Period]:
    """Yield a window whole, each part with its state, whatever notice and horizon say."""
    reached = window.start_ms
    for opening in resource.calendar.open(window.start_ms, window.end_ms):
        if reached < opening.start_ms:
            yield Period(reached, opening.start_ms, State.CLOSED)
        yield from _open_periods(resource, busy, opening)
        reached = opening.end_ms
    if reached < window.end_ms:
        yield Period(reached, window.end_ms, State.CLOSED)


def _open_periods(resource: Resource, busy: Busy, opening: Interval) -> Iterator[Period]:
    reached = opening.start_ms
    for gap in without((opening,), _full(resource, busy, opening, None)):
        if reached < gap.start_ms:
            yield Period(reached, gap.start_ms, State.FULL)
        yield Period(gap.start_ms, gap.end_ms, State.FREE)
        reached = gap.end_ms
    if reached < opening.end_ms:
        yield Period(reached, opening.end_ms, State.FULL)


def _full(
    resource: Resource, busy: Busy, window: Interval, ignore: str | None
) -> Iterator[Interval]:
    """Yield when no booking may be on: no place is left, or its own buffers would need one."""
    limits = resource.limits
    around = taken.occupied(limits, window.start_ms, window.end_ms)
    before, after = window.start_ms - around.start_ms, around.end_ms - window.end_ms
    occupying = taken.occupying(resource.id, limits, busy, around, ignore)
    for no_place in taken.full((occupation for occupation, _ in occupying), limits.capacity):
        yield Interval(no_place.start_ms - after, no_place.end_ms + before)
