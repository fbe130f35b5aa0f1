"""Bookings that new rules leave behind: told, never undone by themselves.

Hours are changed for what comes, and what was confirmed stays confirmed; so someone has to be told
whom to call.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator

import msgspec

from shared.core.booking import admission, local_time
from shared.core.booking.interval import Interval
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.resource import Resource
from shared.core.booking.taken import Taken


class Affected(msgspec.Struct, frozen=True):
    """A booking, and a new rule that it breaks."""

    booking: str
    reason: Reason


def none_stands(_booking: str) -> bool:
    """Say of every booking that it may have to make room."""
    return False


def affected(
    resource: Resource,
    taken: Iterable[Taken],
    now_ms: int,
    *,
    stands: Callable[[str], bool] = none_stands,
) -> Iterator[Affected]:
    """Yield the bookings that lie outside new hours, or in excess of the capacity.

    Args:
        resource: With its new rules.
        taken: Its bookings, in the order of their starts. Those that have begun are passed over.
        now_ms: Wall clock, Unix ms.
        stands: Which of them break no rule whatever it says, as busy times of a calendar: the
            others have to make room for them.

    Yields:
        A booking once for each rule that it breaks. Of bookings in excess of the capacity the
        later ones; buffers that no longer fit break nothing.
    """
    on: list[tuple[int, int, str]] = []  # end, start, id: a heap
    crowded: set[str] = set()
    for start_ms, end_ms, booking in taken:
        while on and on[0][0] <= start_ms:
            heapq.heappop(on)
        heapq.heappush(on, (end_ms, start_ms, booking))
        if start_ms >= now_ms and not stands(booking):
            outside = admission.closed(resource, Interval(start_ms, end_ms))
            if outside is not None:
                yield Affected(booking, outside)
        capacity = resource.limits.capacity
        if len(on) <= capacity:
            continue
        others = ((begun, one) for _, begun, one in on if begun >= now_ms and not stands(one))
        begun, last = max(others, default=(0, ""))
        if last and last not in crowded:
            crowded.add(last)
            when = local_time.text(max(begun, start_ms), resource.calendar.zone)
            text = f"{resource.id}: {len(on)} bookings at {when}, of {capacity}; move or cancel"
            yield Affected(last, Reason(Rule.CAPACITY, text, resource.id))
