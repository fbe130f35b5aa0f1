"""What is booked already, as rules ask for it, and when that leaves no place.

What counts is the running maximum: how many bookings are on at the *same instant*. Three short
bookings one after the other touch a long one without ever being more than two at once.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from shared.core.booking.interval import Interval
from shared.core.booking.local_time import SECOND_MS
from shared.core.booking.rules import Limits

Taken = tuple[int, int, str]  # start and end of a booking, Unix ms, without buffers; its id

# Gives the bookings of a resource that block it (confirmed, or held and alive) and overlap
# [start, end), in the order of their starts. May be asked for years and left after one answer, so
# it should read as it goes.
Busy = Callable[[str, int, int], Iterable[Taken]]


class Many(Protocol):
    """The same bookings, of many resources in one question: for a search among a thousand."""

    def until(self, names: Sequence[str], start_ms: int, end_ms: int, /) -> Mapping[str, int]:
        """Return when the last that overlaps [start, end) ends, of those that have any."""

    def counts(self, names: Sequence[str], start_ms: int, end_ms: int, /) -> Mapping[str, int]:
        """Return how many overlap [start, end), of those that have any."""


class OneByOne:
    """``Many``, where there is no better way than to ask for one after the other."""

    def __init__(self, busy: Busy) -> None:
        self._busy = busy

    def until(self, names: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, int]:
        """Return when the last that overlaps [start, end) ends."""
        ends = {name: [e for _, e, _ in self._busy(name, start_ms, end_ms)] for name in names}
        return {name: max(found) for name, found in ends.items() if found}

    def counts(self, names: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, int]:
        """Return how many overlap [start, end)."""
        return {name: sum(1 for _ in self._busy(name, start_ms, end_ms)) for name in names}


def nothing(_resource: str, _start_ms: int, _end_ms: int) -> Iterable[Taken]:
    """Return no booking: what could be had if nobody had booked."""
    return ()


def occupied(limits: Limits, start_ms: int, end_ms: int) -> Interval:
    """Return what a booking occupies: itself and its buffers."""
    return Interval(start_ms - limits.before_s * SECOND_MS, end_ms + limits.after_s * SECOND_MS)


def occupying(
    resource: str, limits: Limits, busy: Busy, window: Interval, ignore: str | None = None
) -> Iterator[tuple[Interval, str]]:
    """Yield what bookings occupy of a window, lazily, in the order of their starts.

    Args:
        resource: Its name.
        limits: Its limits.
        busy: Its bookings.
        window: Bookings whose buffers alone reach into it are found too.
        ignore: Id of a booking that is left out: the one that moves.
    """
    # A booking that begins after the window may occupy its end, by its preparation.
    start = window.start_ms - limits.after_s * SECOND_MS
    end = window.end_ms + limits.before_s * SECOND_MS
    for start_ms, end_ms, booking in busy(resource, start, end):
        if booking != ignore:
            yield occupied(limits, start_ms, end_ms), booking


def full(occupations: Iterable[Interval], capacity: int) -> Iterator[Interval]:
    """Yield when there is no place left, lazily.

    Args:
        occupations: In the order of their starts.
        capacity: How many there may be at once; there may be more already.

    Yields:
        In the order of their starts; they may touch or overlap, and no end is before an earlier
        one.
    """
    ends: list[int] = []
    for occupation in occupations:
        while ends and ends[0] <= occupation.start_ms:
            heapq.heappop(ends)
        heapq.heappush(ends, occupation.end_ms)
        excess = len(ends) - capacity
        if excess == 0:
            yield Interval(occupation.start_ms, ends[0])
        elif excess > 0:  # overbooked: a place is free once all but capacity - 1 have ended
            yield Interval(occupation.start_ms, heapq.nsmallest(excess + 1, ends)[-1])


def crowd(occupations: Iterable[tuple[Interval, str]], capacity: int) -> frozenset[str]:
    """Return the bookings that are on at any instant which has no place left."""
    now: list[tuple[int, str]] = []  # ends and ids
    found: set[str] = set()
    for occupation, booking in occupations:
        while now and now[0][0] <= occupation.start_ms:
            heapq.heappop(now)
        heapq.heappush(now, (occupation.end_ms, booking))
        if len(now) >= capacity:
            found.update(other for _, other in now)
    return frozenset(found)


def overlay(busy: Busy, changed: Mapping[str, Mapping[str, Interval | None]]) -> Busy:
    """Return bookings as they are after changes that are not stored yet.

    Args:
        busy: As stored.
        changed: By resource and booking, when it is on now; None: no longer.
    """

    def after(resource: str, start_ms: int, end_ms: int) -> Iterable[Taken]:
        changes = changed.get(resource)
        stored = busy(resource, start_ms, end_ms)
        if not changes:
            return stored
        window = Interval(start_ms, end_ms)
        new = sorted(
            (slot.start_ms, slot.end_ms, booking)
            for booking, slot in changes.items()
            if slot is not None and slot.overlaps(window)
        )
        return heapq.merge((taken for taken in stored if taken[2] not in changes), new)

    return after
