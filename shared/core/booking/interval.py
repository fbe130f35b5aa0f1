"""Half-open intervals ``[start, end)`` of Unix ms, and what can be made of sorted ones.

Half-open, so that a booking may begin in the very millisecond in which another ends.
"""

from collections.abc import Iterable, Iterator

import msgspec


class Interval(msgspec.Struct, frozen=True, order=True, gc=False):
    """``[start_ms, end_ms)``, Unix ms."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms

    def overlaps(self, other: "Interval") -> bool:
        """Say whether the two share an instant; touching is not sharing."""
        return self.start_ms < other.end_ms and other.start_ms < self.end_ms

    def covers(self, other: "Interval") -> bool:
        """Say whether all of the other lies within this one."""
        return self.start_ms <= other.start_ms and other.end_ms <= self.end_ms


def merged(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """Join what overlaps or touches, lazily; empty ones vanish.

    Args:
        intervals: In the order of their starts.
    """
    start, end = 0, 0
    for interval in intervals:
        if interval.start_ms <= end and start < end:
            end = max(end, interval.end_ms)
            continue
        if start < end:
            yield Interval(start, end)
        start, end = interval.start_ms, interval.end_ms
    if start < end:
        yield Interval(start, end)


def common(left: Iterable[Interval], right: Iterable[Interval]) -> Iterator[Interval]:
    """Yield what two merged sequences share, lazily and in order."""
    rights = iter(right)
    theirs = next(rights, None)
    for ours in left:
        while theirs is not None and theirs.end_ms <= ours.start_ms:
            theirs = next(rights, None)
        while theirs is not None and theirs.start_ms < ours.end_ms:
            yield Interval(max(ours.start_ms, theirs.start_ms), min(ours.end_ms, theirs.end_ms))
            if theirs.end_ms >= ours.end_ms:
                break
            theirs = next(rights, None)


def without(intervals: Iterable[Interval], taken: Iterable[Interval]) -> Iterator[Interval]:
    """Yield what is left of merged intervals without others, lazily and in order.

    Args:
        intervals: Merged.
        taken: In the order of their starts; they may overlap if their ends never fall back.
    """
    takers = iter(taken)
    taker = next(takers, None)
    for interval in intervals:
        start = interval.start_ms
        while taker is not None and taker.start_ms < interval.end_ms:
            if start < taker.start_ms:
                yield Interval(start, taker.start_ms)
            start = max(start, taker.end_ms)
            if taker.end_ms > interval.end_ms:
                break
            taker = next(takers, None)
        if start < interval.end_ms:
            yield Interval(start, interval.end_ms)
