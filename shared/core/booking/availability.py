"""The first times at which something can be booked, and if there are none, which rule is why.

Among alternatives the one that lags behind goes on, and no further than the next: a resource that
is free tomorrow does not wait for one that is full for weeks.
"""

import heapq
from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec

from shared.core.booking import local_time, taken
from shared.core.booking.admission import unknown
from shared.core.booking.local_time import DAY, MINUTE_MS
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.resource import Resource, Resources
from shared.core.booking.slot import TIME_MS_MAX, Slot
from shared.core.booking.taken import Busy
from shared.core.booking.track import Together, Track, Wish, bounds

Options = Mapping[str, tuple[str, ...]]  # any of these; each is all of some resources


class Answer(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        slots: The earliest first. Of those that begin together first the one whose resources have
            the fewest bookings on that local day, then by the name of the option. Slots of one
            option follow each other without overlap.
        limits: If there are none: which rule is why, for each resource.
    """

    slots: tuple[Slot, ...]
    limits: tuple[Reason, ...] = ()


def first(
    wish: Wish, options: Options, resources: Resources, busy: Busy, now_ms: int, *, most: int = 1
) -> Answer:
    """Return the first slots at which something can be booked.

    Args:
        wish: What is looked for; its times were checked.
        options: By the name of a resource or a group: any of them will do.
        resources: By name.
        busy: Their bookings; read lazily.
        now_ms: Wall clock, Unix ms.
        most: How many slots at most.
    """
    wanted = sorted({name for names in options.values() for name in names})
    missing = tuple(unknown(name) for name in wanted if name not in resources)
    if missing:
        return Answer((), missing)
    slots = tuple(islice(_slots(wish, options, resources, busy, now_ms), most))
    return Answer(slots) if slots else Answer((), _limits(wish, options, resources, busy, now_ms))


def _slots(
    wish: Wish, options: Options, resources: Resources, busy: Busy, now_ms: int
) -> Iterator[Slot]:
    """Yield the slots of all options, the best first, as far as they are asked for."""
    searches = {
        option: Together([Track(resources[name], wish, busy, now_ms) for name in names])
        for option, names in options.items()
    }
    # What is not yet sought (0) comes before what is found (1), so that of all that begin together
    # the number of bookings decides.
    heap = [(search.start_ms, 0, 0, option) for option, search in searches.items()]
    heapq.heapify(heap)
    while heap:
        start, found, _, option = heapq.heappop(heap)
        search, names = searches[option], options[option]
        if found:
            yield Slot(names, start, start + wish.length_ms)
            search.start_ms = start + wish.length_ms
            heapq.heappush(heap, (search.start_ms, 0, 0, option))
            continue
        limit = heap[0][0] if heap else TIME_MS_MAX
        if not search.seek(limit):
            continue
        if search.start_ms > limit:
            heapq.heappush(heap, (search.start_ms, 0, 0, option))
        else:
            load = _load(names, resources, busy, search.start_ms) if len(options) > 1 else 0
            heapq.heappush(heap, (search.start_ms, 1, load, option))


def _load(names: tuple[str, ...], resources: Resources, busy: Busy, at_ms: int) -> int:
    """Return how many bookings these resources have on the local day of an instant."""
    count = 0
    for name in names:
        zone = resources[name].calendar.zone
        date = local_time.day(at_ms, zone)
        begin, end = local_time.midnight(date, zone), local_time.midnight(date + DAY, zone)
        count += sum(1 for _ in busy(name, begin, end))
    return count


# ------------------------------------------------------------------ why there is none


def _limits(
    wish: Wish, options: Options, resources: Resources, busy: Busy, now_ms: int
) -> tuple[Reason, ...]:
    found: dict[str, Reason] = {}
    for option, names in options.items():
        alone = {name: _limit(wish, resources[name], busy, now_ms) for name in names}
        reasons = {name: reason for name, reason in alone.items() if reason is not None}
        found.update(reasons or {option: _never_together(option, names)})
    return tuple(found[name] for name in sorted(found))


def _never_together(option: str, names: tuple[str, ...]) -> Reason:
    text = (
        f"{option}: {', '.join(names)} are each free at times, but never together; "
        "ask for a shorter time or other resources"
    )
    return Reason(Rule.TOGETHER, text, option)


def _limit(wish: Wish, resource: Resource, busy: Busy, now_ms: int) -> Reason | None:
    """Return the rule without which a resource would have a slot; None: it has one.

    The rules are left out one after the other, bookings first: those can be moved.
    """
    if _has_slot(Track(resource, wish, busy, now_ms)):
        return None
    rule, text = (
        _too_narrow(wish, resource, now_ms)
        or _too_full(wish, resource, now_ms)
        or _too_short(wish, resource, now_ms)
    )
    return Reason(rule, f"{resource.id} {text}", resource.id)


def _has_slot(track: Track) -> bool:
    return track.seek(track.first_ms, TIME_MS_MAX) is not None


def _too_narrow(wish: Wish, resource: Resource, now_ms: int) -> tuple[Rule, str] | None:
    """Say whether already the bounds leave no room."""
    bookable, within = resource.bookable(now_ms), bounds(wish, resource, now_ms)
    if wish.before_ms is not None and wish.before_ms - wish.after_ms < wish.length_ms:
        return Rule.SLOT, "was asked for in a window shorter than the booking; widen it"
    if wish.after_ms + wish.length_ms > bookable.end_ms:
        until = local_time.text(bookable.end_ms, resource.calendar.zone)
        return Rule.HORIZON, f"can be booked until {until} so far; ask for an earlier time"
    if within.length_ms < wish.length_ms:
        since = local_time.text(bookable.start_ms, resource.calendar.zone)
        return Rule.NOTICE, f"can be booked from {since} on; ask for a later time"
    return None


def _too_full(wish: Wish, resource: Resource, now_ms: int) -> tuple[Rule, str] | None:
    if _has_slot(Track(resource, wish, taken.nothing, now_ms)):
        window = _window(wish, resource, now_ms)
        return Rule.CAPACITY, f"has no place free {window}; ask for a shorter time or another one"
    return None


def _too_short(wish: Wish, resource: Resource, now_ms: int) -> tuple[Rule, str]:
    window = _window(wish, resource, now_ms)
    if _has_slot(Track(resource, wish, taken.nothing, now_ms, on_grid=False)):
        return (
            Rule.GRID,
            f"has no start on its grid {window} that leaves room; ask for a shorter time",
        )
    minutes = -(-wish.length_ms // MINUTE_MS)
    return (
        Rule.HOURS,
        f"is never open for {minutes} minutes on end {window}; ask for less, or another one",
    )


def _window(wish: Wish, resource: Resource, now_ms: int) -> str:
    zone, within = resource.calendar.zone, bounds(wish, resource, now_ms)
    begin, end = (local_time.text(ms, zone) for ms in (within.start_ms, within.end_ms))
    return f"from {begin} to {end}"
