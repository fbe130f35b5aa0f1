"""The possible starts of a booking on one resource, or on several at once: forward only.

A track reads openings and bookings once, as far as it is asked and no further, so that the first
free hour of a resource which is full for weeks costs those weeks, and of any other nothing of the
kind. Resources that are wanted together push each other forward until all agree.
"""

from collections.abc import Sequence

import msgspec

from shared.core.booking import grid, taken
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import MINUTE_MS
from shared.core.booking.resource import Resource
from shared.core.booking.taken import Busy

LEEWAY_MS = MINUTE_MS  # for a person or program that is offered a time, and takes it


class Wish(msgspec.Struct, frozen=True):
    """What kind of time is looked for.

    Attributes:
        length_ms: How long.
        after_ms: Not to begin earlier, Unix ms.
        before_ms: Not to end later; None: the horizon of each resource.
        ignore: Id of a booking that will make room: the one that moves.
        leeway_ms: How long whoever is answered may take to book: what could only be had at this
            very instant is gone when they do. Then no start but a whole minute is the first.
    """

    length_ms: int
    after_ms: int
    before_ms: int | None = None
    ignore: str | None = None
    leeway_ms: int = 0


def bounds(wish: Wish, resource: Resource, now_ms: int) -> Interval:
    """Return within what a resource is searched; the end may be before the start."""
    bookable = resource.bookable(now_ms)
    end = bookable.end_ms if wish.before_ms is None else min(bookable.end_ms, wish.before_ms)
    first = bookable.start_ms
    if wish.leeway_ms:
        first = -(-(first + wish.leeway_ms) // MINUTE_MS) * MINUTE_MS
    return Interval(max(wish.after_ms, first), end)


class Track:
    """The possible starts on one resource.

    Attributes:
        first_ms: No start is before it.
        last_ms: Nor after it.
    """

    def __init__(
        self, resource: Resource, wish: Wish, busy: Busy, now_ms: int, *, on_grid: bool = True
    ) -> None:
        limits, within = resource.limits, bounds(wish, resource, now_ms)
        self.first_ms = within.start_ms
        self.last_ms = within.end_ms - wish.length_ms
        self._calendar = resource.calendar
        self._grid = limits.grid if on_grid else None
        self._length_ms = wish.length_ms
        end_ms = max(within.start_ms, within.end_ms)
        window = taken.occupied(limits, within.start_ms, end_ms)
        self._before_ms = within.start_ms - window.start_ms
        self._after_ms = window.end_ms - end_ms
        self._openings = resource.calendar.openings(within.start_ms, end_ms)
        self._open = next(self._openings, None)
        occupying = taken.occupying(resource.id, limits, busy, window, wish.ignore)
        self._fulls = taken.full((occupation for occupation, _ in occupying), limits.capacity)
        self._full = next(self._fulls, None)

    def seek(self, at_ms: int, limit_ms: int) -> int | None:
        """Return the first start at or after an instant.

        Args:
            at_ms: Not before that of an earlier call.
            limit_ms: Beyond this, the answer is merely one that no start is before.

        Returns:
            Unix ms; None: there is none up to the end.
        """
        start = max(at_ms, self.first_ms)
        while start <= limit_ms:
            later = self._step(start)
            if later is None or later > self.last_ms:
                return None
            if later == start:
                return start
            start = later
        return start

    def _step(self, start: int) -> int | None:
        """Return the same start if it is possible, or one that no possible start is before."""
        opened = self._opened(start)
        if opened is None or opened > start:
            return opened
        freed = self._freed(start)
        if freed > start:
            return freed
        return grid.following(self._grid, self._calendar, start)

    def _opened(self, start: int) -> int | None:
        """Return the first start at or after this one that is open for the whole length."""
        while self._open is not None:
            start = max(start, self._open.start_ms)
            if start + self._length_ms <= self._open.end_ms:
                return start
            following = next(self._openings, None)
            if following is not None and following.start_ms <= self._open.end_ms:
                end = max(self._open.end_ms, following.end_ms)
                following = Interval(self._open.start_ms, end)
            self._open = following
        return None

    def _freed(self, start: int) -> int:
        """Return this start, or the first after what is in its way."""
        while self._full is not None and self._full.end_ms <= start - self._before_ms:
            self._full = next(self._fulls, None)
        if self._full is None:
            return start
        if self._full.start_ms >= start + self._length_ms + self._after_ms:
            return start
        return self._full.end_ms + self._before_ms


class Together:
    """The possible starts on several resources at once; of one, its own.

    Attributes:
        start_ms: No start that was not told yet is before it.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.start_ms = max(track.first_ms for track in tracks)
        self._tracks = tracks

    def seek(self, limit_ms: int) -> bool:
        """Go forward to a start, or past the limit; say whether there may be one at all."""
        agreed = False
        while not agreed:
            agreed = True
            for track in self._tracks:
                start = track.seek(self.start_ms, limit_ms)
                if start is None:
                    return False
                agreed = agreed and start == self.start_ms
                self.start_ms = start
        return True
