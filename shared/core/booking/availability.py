"""The first times at which something can be booked, and if there are none, which rule is why.

Among alternatives the one that lags behind goes on, and no further than the next: a resource that
is free tomorrow does not wait for one that is full for weeks. If many could begin at the same time,
one look at what is booked around it tells which of them do; only those that do not, and are still
needed, are searched by themselves.
"""

import datetime
import heapq
from collections import Counter
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
Places = Mapping[str, tuple[Resource, ...]]


class Answer(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        slots: The earliest first. Of those that begin together first the one whose resources have
            the fewest bookings on that local day, then by the name of the option. Slots of one
            option follow each other without overlap.
        limits: If there are none: which rule is why, for each resource. In any case which there are
            not: what they are part of was left out.
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
    places, missing = _places(options, resources)
    if not places:
        return Answer((), missing)
    options = {option: options[option] for option in places} if missing else options
    search = _Search(wish, options, places, busy, now_ms, many or OneByOne(busy))
    slots = tuple(islice(search.slots(), most))
    limits = () if slots else _limits(wish, options, resources, busy, now_ms)
    return Answer(slots, (*missing, *limits))


def _places(options: Options, resources: Resources) -> tuple[Places, tuple[Reason, ...]]:
    """Return the resources of each option, and which there are not."""
    found: dict[str, tuple[Resource, ...]] = {}
    missing: set[str] = set()
    for option, names in options.items():
        try:
            found[option] = tuple([resources[name] for name in names])
        except KeyError:
            missing.update(name for name in names if name not in resources)
    return found, tuple(unknown(name) for name in sorted(missing))


class _Search:
    """The slots of all options, the best first, as far as they are asked for."""

    def __init__(
        self, wish: Wish, options: Options, places: Places, busy: Busy, now_ms: int, many: Many
    ) -> None:
        self._wish = wish
        self._options = options
        self._places = places
        self._earliest = Earliest(wish, now_ms)
        self._busy = busy
        self._now_ms = now_ms
        self._many = many
        # Options by an instant before which they cannot begin: many of them begin together.
        self._waiting: dict[int, list[str]] = {}
        self._instants: list[int] = []  # of those; a heap
        self._found: list[tuple[int, int, str]] = []  # start, bookings on that day, option; a heap
        self._searches: dict[str, Together | None] = {}  # of those that are searched by themselves
        self._glances: Counter[str] = Counter()  # how often one of the others was not free

    def slots(self) -> Iterator[Slot]:
        """Yield them."""
        found, instants, length_ms = self._found, self._instants, self._wish.length_ms
        self._begin()
        while found or instants:
            # Not before all that may begin then were looked at: the one with the fewest bookings
            # comes first.
            if found and (not instants or found[0][0] < instants[0]):
                start, _, option = heapq.heappop(found)
                yield Slot(self._options[option], start, start + length_ms)
                self._go_on(option, start + length_ms)
            else:
                start = heapq.heappop(instants)
                self._look(self._waiting.pop(start), start)

    def _begin(self) -> None:
        after, waiting = self._wish.after_ms, self._waiting
        # A booking that moves is not in its own way; a glance does not know which that is.
        if len(self._options) < GLANCE_MIN or self._wish.ignore is not None:
            for option in self._options:
                waiting.setdefault(self._together(option, after).start_ms, []).append(option)
        else:
            for option in self._options:
                waiting.setdefault(self._opens(option, after), []).append(option)
            waiting.pop(earliest.NEVER, None)
        self._instants += waiting
        heapq.heapify(self._instants)

    def _wait(self, option: str, start: int) -> None:
        """Have an option looked at when the search has come to an instant."""
        there = self._waiting.get(start)
        if there is None:
            there = self._waiting[start] = []
            heapq.heappush(self._instants, start)
        there.append(option)

    def _look(self, options: Sequence[str], start: int) -> None:
        """Find which of some options can begin at an instant, or when they may."""
        alone = [option for option in options if option in self._searches]
        alike = [option for option in options if option not in self._searches] if alone else options
        found = {start: self._glance(self._open(alike, start), start)} if alike else {}
        limit = start if len(options) > 1 else self._next()
        for option in alone:
            if self._seek(option, start, limit):
                found.setdefault(self._together(option, start).start_ms, []).append(option)
        for begin, fitting in found.items():
            self._rank(fitting, begin)

    def _next(self) -> int:
        """Return the earliest start of all others."""
        waiting = self._instants[0] if self._instants else TIME_MS_MAX
        return min(waiting, self._found[0][0]) if self._found else waiting

    def _open(self, alike: Sequence[str], start: int) -> list[str]:
        """Return those that are open then; the others wait until they are."""
        found = []
        for option in alike:
            # Before the first glance that was asked; but several need not be open when the last is.
            is_known = option not in self._glances and len(self._places[option]) == 1
            opens = start if is_known else self._opens(option, start)
            if opens == start:
                found.append(option)
            elif opens != earliest.NEVER:
                self._wait(option, opens)
        return found

    def _opens(self, option: str, start: int) -> int:
        """Return an instant from a start on before which an option cannot begin; itself: it can."""
        of, places = self._earliest.of, self._places[option]
        if len(places) == 1:
            return of(places[0], start)
        return max([of(place, start) for place in places])

    def _go_on(self, option: str, start: int) -> None:
        """Have an option searched by itself from an instant on, if its turn comes."""
        search = self._searches.setdefault(option, None)
        if search is not None:
            start = search.start_ms = max(search.start_ms, start)
        self._wait(option, start)

    def _seek(self, option: str, start: int, limit: int) -> bool:
        """Go on in the search of an option; say whether a start was found up to a limit."""
        search = self._together(option, start)
        if not search.seek(limit):
            return False
        if search.start_ms > limit:
            self._wait(option, search.start_ms)
            return False
        return True

    def _together(self, option: str, start: int) -> Together:
        """Return the search of an option; a new one begins at an instant."""
        search = self._searches.get(option)
        if search is None:
            wish = msgspec.structs.replace(self._wish, after_ms=start)
            search = self._searches[option] = Together(
                [Track(place, wish, self._busy, self._now_ms) for place in self._places[option]]
            )
        return search

    def _glance(self, alike: Sequence[str], start: int) -> list[str]:
        """Look at what is booked around an instant; return what is free of those open then."""
        taken_until = self._taken_until(alike, start)
        fitting = []
        for option in alike:
            names = self._options[option]
            begin = taken_until.get(names[0], start)
            if len(names) > 1:
                begin = max([taken_until.get(name, start) for name in names])
            if begin == start:
                fitting.append(option)
                continue
            self._glances[option] += 1
            if begin == UNCLEAR or self._glances[option] == GLANCES_MAX:
                self._searches[option] = None
            self._wait(option, start if begin == UNCLEAR else begin)
        return fitting

    def _taken_until(self, alike: Sequence[str], start: int) -> dict[str, int]:
        """Return when those that are taken at an instant may begin at the earliest."""
        by_limits: dict[int, list[str]] = {}
        alike_limits: dict[tuple[int, bool], list[str]] = {}
        for option in alike:
            for place in self._places[option]:
                names = by_limits.get(id(place.limits))
                if names is None:
                    reach_ms, is_single = _reach_ms(place.limits), place.limits.capacity == 1
                    names = alike_limits.setdefault((reach_ms, is_single), [])
                    by_limits[id(place.limits)] = names
                names.append(place.id)
        found: dict[str, int] = {}
        for (reach_ms, is_single), names in alike_limits.items():
            end = start + self._wish.length_ms + reach_ms
            for name, until in self._many.until(names, start - reach_ms, end).items():
                found[name] = until + reach_ms if is_single else UNCLEAR
        return found

    def _rank(self, options: Sequence[str], start: int) -> None:
        """Note that options can begin, and how much else their resources have to do that day."""
        loads = self._loads(options, start) if len(self._options) > 1 else {}
        for option in options:
            load = sum([loads.get(name, 0) for name in self._options[option]])
            heapq.heappush(self._found, (start, load, option))

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


def _reach_ms(limits: Limits) -> int:
    """Return how far apart two bookings are at least: both buffers are kept."""
    return (limits.before_s + limits.after_s) * SECOND_MS


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
