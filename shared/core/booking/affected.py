"""Bookings that new rules leave behind: told, never undone by themselves.

Hours are changed for what comes, and what was confirmed stays confirmed; so someone has to be told
whom to call.
"""

import heapq
from collections.abc import Iterable, Iterator

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


def affected(resource: Resource, taken: Iterable[Taken], now_ms: int) -> Iterator[Affected]:
    """Yield the bookings that lie outside new hours, or in excess of a new capacity.

    Args:
        resource: With its new rules.
        taken: Its bookings, in the order of their starts. Those that have begun are passed over.
        now_ms: Wall clock, Unix ms.

    Yields:
        A booking once for each rule that it breaks. Of bookings in excess of the capacity the
        later ones; buffers that no longer fit break nothing.
    """
    ends: list[int] = []
    for start_ms, end_ms, booking in taken:
        while ends and ends[0] <= start_ms:
            heapq.heappop(ends)
        heapq.heappush(ends, end_ms)
        if start_ms < now_ms:
            continue
        outside = admission.closed(resource, Interval(start_ms, end_ms))
        if outside is not None:
            yield Affected(booking, outside)
        capacity = resource.limits.capacity
        if len(ends) > capacity:
            when = local_time.text(start_ms, resource.calendar.zone)
            text = f"{resource.id}: {len(ends)} bookings at {when}, of {capacity}; move or cancel"
            yield Affected(booking, Reason(Rule.CAPACITY, text, resource.id))
