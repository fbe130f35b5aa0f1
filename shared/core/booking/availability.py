"""The first times at which something can be booked, and if there are none, which rule is why.

Among alternatives the one that lags behind goes on, and no further than the next: a resource that
is free tomorrow does not wait for one that is full for weeks. If many could begin at the same time,
one look at what is booked around it tells which of them do; only those that do not, and are still
needed, are searched by themselves.
"""

import datetime
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from shared.core.booking import earliest, local_time, taken
from shared.core.booking.admission import unknown
from shared.core.booking.earliest import Earliest
from shared.core.booking.local_time import DAY, MINUTE_MS, SECOND_MS
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.resource import Resource, Resources
from shared.core.booking.rules import Limits
from shared.core.booking.slot import TIME_MS_MAX, Slot
from shared.core.booking.taken import Busy, Many, OneByOne
from shared.core.booking.track import Together, Track, Wish, bounds

GLANCE_MIN = 8  # of fewer options, each is searched by itself
UNCLEAR = TIME_MS_MAX  # of several places some are taken
GLANCES_MAX = 4  # at one option; what is full for longer is read in order

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
    wish: Wish,
    options: Options,
    resources: Resources,
    busy: Busy,
    now_ms: int,
    *,
    most: int = 1,
    many: Many | None = None,
) -> Answer:
    """Return the first slots at which something can be booked.

    Args:
        wish: What is looked for; its times were checked.
        options: By the name of a resource or a group: any of them will do.
        resources: By name.
        busy: Their bookings; read lazily.
        now_ms: Wall clock, Unix ms.
        most: How many slots at most.
        many: Their bookings, of many resources at once; None: one after the other.
    """
    wanted = sorted({name for names in options.values() for name in names})
    missing = tuple(unknown(name) for name in wanted if name not in resources)
    if missing:
        return Answer((), missing)
    search = _Search(wish, options, resources, busy, now_ms, many or OneByOne(busy))
    slots = tuple(islice(search.slots(), most))
    return Answer(slots) if slots else Answer((), _limits(wish, options, resources, busy, now_ms))


class _Search:
    """The slots of all options, the best first, as far as they are asked for."""

    def __init__(
        self,
        wish: Wish,
        options: Options,
        resources: Resources,
        busy: Busy,
        now_ms: int,
        many: Many,
    ) -> None:
        self._wish = wish
        self._options = options
        self._places = {
            option: tuple([resources[name] for name in names]) for option, names in options.items()
        }
        self._earliest = Earliest(wish, now_ms)
        self._busy = busy
        self._now_ms = now_ms
        self._many = many
        self._searches: dict[str, Together] = {}  # of those that are searched by themselves
        self._glances: dict[str, int] = {}  # how often each of the others was looked at
        # Start, whether that is found, number of bookings on that day, option. What is not yet
        # sought (0) comes before what is found (1), so that of all that begin together the number
        # of bookings decides.
        self._heap: list[tuple[int, int, int, str]] = []

    def slots(self) -> Iterator[Slot]:
        """Yield them."""
        heap, length_ms = self._heap, self._wish.length_ms
        heap += self._begin()
        heapq.heapify(heap)
        while heap:
            start, found, _, option = heapq.heappop(heap)
            if found:
                yield Slot(self._options[option], start, start + length_ms)
                self._go_on(option, start + length_ms)
                continue
            if option in self._glances:
                self._glance(self._open([option, *self._alike(start)], start), start)
            else:
                self._seek(option, start)

    def _begin(self) -> Iterator[tuple[int, int, int, str]]:
        # A booking that moves is not in its own way; a glance does not know which that is.
        if len(self._options) < GLANCE_MIN or self._wish.ignore is not None:
            for option in self._options:
                yield self._together(option, self._wish.after_ms).start_ms, 0, 0, option
            return
        for option in self._options:
            start = self._opens(option, self._wish.after_ms)
            if start != earliest.NEVER:
                self._glances[option] = 0
                yield start, 0, 0, option

    def _alike(self, start: int) -> list[str]:
        """Take all others that may begin at this instant, if a glance would tell."""
        found, heap, glances = [], self._heap, self._glances
        while heap and heap[0][0] == start and not heap[0][1] and heap[0][3] in glances:
            found.append(heapq.heappop(heap)[3])
        return found

    def _open(self, alike: Sequence[str], start: int) -> list[str]:
        """Return those that are open then; the others wait until they are."""
        found = []
        for option in alike:
            # Before the first glance that was asked; but several need not be open when the last is.
            is_known = not self._glances[option] and len(self._places[option]) == 1
            opens = start if is_known else self._opens(option, start)
            if opens == start:
                found.append(option)
            elif opens != earliest.NEVER:
                heapq.heappush(self._heap, (opens, 0, 0, option))
        return found

    def _opens(self, option: str, start: int) -> int:
        """Return an instant from a start on before which an option cannot begin; itself: it can."""
        of, places = self._earliest.of, self._places[option]
        if len(places) == 1:
            return of(places[0], start)
        return max([of(place, start) for place in places])

    def _go_on(self, option: str, start: int) -> None:
        """Have an option searched by itself from an instant on, if its turn comes."""
        self._glances.pop(option, None)
        search = self._searches.get(option)
        if search is not None:
            start = search.start_ms = max(search.start_ms, start)
        heapq.heappush(self._heap, (start, 0, 0, option))

    def _seek(self, option: str, start: int) -> None:
        heap = self._heap
        search = self._together(option, start)
        limit = heap[0][0] if heap else TIME_MS_MAX
        if not search.seek(limit):
            return
        if search.start_ms > limit:
            heapq.heappush(heap, (search.start_ms, 0, 0, option))
        else:
            self._found([option], search.start_ms)

    def _together(self, option: str, start: int) -> Together:
        """Return the search of an option; a new one begins at an instant."""
        search = self._searches.get(option)
        if search is None:
            wish = msgspec.structs.replace(self._wish, after_ms=start)
            search = self._searches[option] = Together(
                [Track(place, wish, self._busy, self._now_ms) for place in self._places[option]]
            )
        return search

    def _glance(self, alike: Sequence[str], start: int) -> None:
        """Look at what is booked around an instant, of all that are open then."""
        taken_until = self._taken_until(alike, start)
        fitting = []
        for option in alike:
            begin = max([taken_until.get(name, start) for name in self._options[option]])
            if begin == start:
                fitting.append(option)
                continue
            self._glances[option] += 1
            if begin == UNCLEAR or self._glances[option] == GLANCES_MAX:
                del self._glances[option]
            heapq.heappush(self._heap, (start if begin == UNCLEAR else begin, 0, 0, option))
        if fitting:
            self._found(fitting, start)

    def _taken_until(self, alike: Sequence[str], start: int) -> dict[str, int]:
        """Return when those that are taken at an instant may begin at the earliest."""
        by_limits: dict[int, dict[str, Limits]] = {}
        for option in alike:
            for place in self._places[option]:
                limits = place.limits
                by_limits.setdefault(id(limits), {})[place.id] = limits
        by_reach: dict[int, dict[str, Limits]] = {}
        for places in by_limits.values():
            limits = next(iter(places.values()))
            # Between two bookings both buffers are kept.
            reach_ms = (limits.before_s + limits.after_s) * SECOND_MS
            by_reach.setdefault(reach_ms, {}).update(places)
        found: dict[str, int] = {}
        for reach_ms, places in by_reach.items():
            end = start + self._wish.length_ms + reach_ms
            for name, until in self._many.until([*places], start - reach_ms, end).items():
                found[name] = until + reach_ms if places[name].capacity == 1 else UNCLEAR
        return found

    def _found(self, options: Sequence[str], start: int) -> None:
        loads = self._loads(options, start) if len(self._options) > 1 else {}
        for option in options:
            load = sum(loads.get(name, 0) for name in self._options[option])
            heapq.heappush(self._heap, (start, 1, load, option))

    def _loads(self, options: Iterable[str], at_ms: int) -> dict[str, int]:
        """Return how many bookings the resources of these have on the local day of an instant."""
        by_zone: dict[datetime.tzinfo, set[str]] = {}
        for option in options:
            for place in self._places[option]:
                by_zone.setdefault(place.calendar.zone, set()).add(place.id)
        found: dict[str, int] = {}
        for zone, names in by_zone.items():
            date = local_time.day(at_ms, zone)
            begin, end = local_time.midnight(date, zone), local_time.midnight(date + DAY, zone)
            found.update(self._many.counts(sorted(names), begin, end))
        return found


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
