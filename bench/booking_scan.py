"""What one would write without Skerry: the bookings of a resource in one SELECT, and a loop.

Over the same table in the same database, without an index (``+``). It knows hours, buffers and the
grid, and resources of one place; it reads all that is still to come of each that is named.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from shared.core.booking import grid
from shared.core.booking.interval import Interval
from shared.core.booking.resource import Resource
from shared.core.booking.taken import occupied
from shared.core.booking.track import LEEWAY_MS, Wish, bounds
from shared.store.transaction import Reading

AHEAD = """SELECT resource, begins, ends FROM booking_places
    WHERE +resource IN ({names}) AND ends > $1 AND status IN ('held', 'confirmed')
    ORDER BY resource, begins"""
WINDOW = """SELECT begins, booking FROM booking_places
    WHERE +resource = $1 AND begins < $2 AND ends > $3 AND status IN ('held', 'confirmed')
    ORDER BY begins, booking LIMIT 50"""
IN_THE_WAY = """SELECT booking FROM booking_places
    WHERE +resource = $1 AND begins < $2 AND ends > $3 AND status IN ('held', 'confirmed')"""


def first(
    reading: Reading, resources: Mapping[str, Resource], after_ms: int, length_ms: int, now_ms: int
) -> int:
    """Return the first start with any of some resources, each of one place."""
    taken = _ahead(reading, tuple(resources), after_ms)
    found = (
        _first(resource, taken[name], _earliest(resource, after_ms, length_ms, now_ms), length_ms)
        for name, resource in resources.items()
    )
    return min(found)


def _earliest(resource: Resource, after_ms: int, length_ms: int, now_ms: int) -> int:
    return bounds(Wish(length_ms, after_ms, leeway_ms=LEEWAY_MS), resource, now_ms).start_ms


def first_of_all(
    reading: Reading, resources: Mapping[str, Resource], after_ms: int, length_ms: int, now_ms: int
) -> int:
    """Return the first start at which all of some resources are free."""
    taken = _ahead(reading, tuple(resources), after_ms)
    start = max(_earliest(r, after_ms, length_ms, now_ms) for r in resources.values())
    while True:
        starts = [_first(r, taken[name], start, length_ms) for name, r in resources.items()]
        if min(starts) == max(starts):
            return starts[0]
        start = max(starts)


def _ahead(
    reading: Reading, names: Sequence[str], after_ms: int
) -> defaultdict[str, list[tuple[int, int]]]:
    text = AHEAD.format(names=", ".join(f"${n + 2}" for n in range(len(names))))
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for name, begins, ends in reading.query(text, after_ms - 24 * 3600_000, *names):
        found[name].append((begins, ends))
    return found


def _first(
    resource: Resource, taken: Sequence[tuple[int, int]], after_ms: int, length_ms: int
) -> int:
    there = [occupied(resource.limits, *span) for span in taken]
    for opening in resource.calendar.openings(after_ms, after_ms + 366 * 24 * 3600_000):
        start = max(after_ms, opening.start_ms)
        while start + length_ms <= opening.end_ms:
            start = grid.following(resource.limits.grid, resource.calendar, start)
            wanted = occupied(resource.limits, start, start + length_ms)
            clash = _clash(there, wanted)
            if clash is None:
                if start + length_ms <= opening.end_ms:
                    return start
                break
            start = clash.end_ms + resource.limits.before_s * 1000
    raise LookupError(f"{resource.id} has no place in a year")


def _clash(there: Sequence[Interval], wanted: Interval) -> Interval | None:
    return next((one for one in there if one.overlaps(wanted)), None)


def window(reading: Reading, name: str, start_ms: int, end_ms: int) -> list[tuple[Any, ...]]:
    """Return the first fifty bookings of a resource in a window."""
    return reading.query(WINDOW, name, end_ms, start_ms)


def is_free(reading: Reading, name: str, start_ms: int, end_ms: int) -> bool:
    """Say whether nothing is booked of a resource."""
    return not reading.query(IN_THE_WAY, name, end_ms, start_ms)
