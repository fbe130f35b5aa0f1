"""Rules of bookings left out one at a time: the observer who reads the hub's journal must notice.

Each planted hub decides as production does, in the transaction in which a batch arrives, but for
one rule. What people at the hub itself ask for is decided as it should be.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from hub import deciding
from shared.api.booking_world import BOOKING, Busy, world
from shared.core import register as registers
from shared.core.booking import decision as decisions
from shared.core.booking.booking import Booking, Confirm, Create, Decision, Move, Request
from shared.core.booking.decision import World
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.booking.taken import Taken, occupied, occupying
from shared.core.event import Event, device_of
from shared.core.kinds import booking as bookings
from shared.store import feed
from shared.store.transaction import Reading
from shared.sync.pieces import Chunk
from tests.simulation.clerk import Clerk
from tests.simulation.node import Rules

Reasons = tuple[Reason, ...]
Ledger = decisions._Ledger
FOREVER_MS = 1 << 60
COPY_LAGS_MS = 60_000


class BookingBug(msgspec.Struct, frozen=True):
    """One rule left out.

    Attributes:
        name: What is wrong.
        clerk: The hub with that fault; made anew for each run, because some remember.
        rules: The engine.
        caught_by: Names of the comparisons that may notice first.
        first: Seed from which on it is looked for.
    """

    name: str
    clerk: Callable[[], Clerk]
    rules: Rules
    caught_by: frozenset[str]
    first: int


# ------------------------------------------------------------------ the hub, with a part replaced


def by_time(requests: Iterable[Request]) -> list[Request]:
    """Return requests in the order in which they have to be decided."""
    return sorted(requests, key=lambda r: (r.at, r.dot))


class Planted:
    """A hub that reacts as ``hub/deciding.py`` does, with other parts."""

    def __init__(
        self,
        ledger: type[Ledger] = Ledger,
        *,
        order: Callable[[Iterable[Request]], list[Request]] = by_time,
        seen: Callable[[World, Any], World] = lambda here, _: here,
        corrects: bool = True,
        expires: bool = True,
        after: Callable[[Any, str], None] = lambda _tx, _site: None,
    ) -> None:
        self._ledger = ledger
        self._order = order
        self._seen = seen
        self._corrects = corrects
        self._expires = expires
        self._after = after

    def react(self, tx: Any, applied: Sequence[Event], site: str) -> None:
        """Decide what arrived."""
        asking = {
            event.dot: event
            for event in applied
            if event.header.kind.startswith(f"{BOOKING}.")
            and bookings.is_request(event)
            and not deciding._is_decided(tx, event)
        }
        if not asking:
            return
        if self._expires:
            subjects = frozenset(event.header.subject for event in asking.values())
            deciding.expire_due(tx, but=subjects)
        offsets: dict[str, int] = {}
        requests = [self._request(tx, event, offsets) for event in asking.values()]
        ledger = self._ledger(self._seen(world(tx, site, tx.now_ms), tx))
        for request in self._order(requests):
            deciding.write(tx, asking[request.dot], ledger.decide(request), site)
        self._after(tx, site)

    def _request(self, tx: Any, event: Event, offsets: dict[str, int]) -> Request:
        request = deciding._request(tx, event, offsets)
        if self._corrects:
            return request
        return msgspec.structs.replace(request, at=event.header.at)


# ------------------------------------------------------------------ places


class HalfAGroup(Ledger):
    """Books what is free of a group."""

    def _judge(self, slot: Slot, booking: str) -> tuple[Slot, Reasons]:
        whole, reasons = super()._judge(slot, booking)
        lacking = {reason.resource for reason in reasons}
        left = tuple(name for name in whole.resources if name not in lacking)
        if not left or None in lacking:
            return whole, reasons
        return msgspec.structs.replace(whole, resources=left), ()


class OneTooMany(Ledger):
    """Gives one place more than there is."""

    def _judge(self, slot: Slot, booking: str) -> tuple[Slot, Reasons]:
        whole, reasons = super()._judge(slot, booking)
        return whole, tuple(r for r in reasons if r.rule is not Rule.CAPACITY or self._is_over(r))

    def _is_over(self, reason: Reason) -> bool:
        assert reason.resource is not None
        return len(reason.bookings) > self._world.resources[reason.resource].limits.capacity


class CountsTouched(Ledger):
    """Counts how many bookings a new one touches, not how many are on at once."""

    def _judge(self, slot: Slot, booking: str) -> tuple[Slot, Reasons]:
        whole, reasons = super()._judge(slot, booking)
        if reasons:
            return whole, reasons
        found = (self._full(name, whole, booking) for name in whole.resources)
        return whole, tuple(reason for reason in found if reason is not None)

    def _full(self, name: str, slot: Slot, booking: str) -> Reason | None:
        limits = self._world.resources[name].limits
        wanted = occupied(limits, slot.start_ms, slot.end_ms)
        there = [one for _, one in occupying(name, limits, self._busy, wanted, booking)]
        if len(there) < limits.capacity:
            return None
        return Reason(Rule.CAPACITY, "taken; choose another time", name, tuple(sorted(there)))


class Bare(dict[str, Any]):
    """Resources without buffers."""

    def __init__(self, real: Any) -> None:
        super().__init__()
        self._real = real

    def __contains__(self, name: object) -> bool:
        return name in self._real

    def __missing__(self, name: str) -> Any:
        found = self._real[name]
        limits = msgspec.structs.replace(found.limits, before_s=0, after_s=0)
        return msgspec.structs.replace(found, limits=limits)


def without_buffers(here: World, _tx: Any) -> World:
    """Forget what is kept free around bookings."""
    return msgspec.structs.replace(here, resources=Bare(here.resources))


def looking_at(now_ms: int) -> Callable[[World, Any], World]:
    """Return a look at bookings that takes it to be another time."""

    def seen(here: World, tx: Any) -> World:
        busy = Busy(tx, now_ms, and_requested=False)
        return msgspec.structs.replace(here, busy=busy, many=None)

    return seen


def an_older_copy(here: World, tx: Any) -> World:
    """Look at what was booked a minute ago, as another database would have it."""
    late_ms = tx.now_ms - COPY_LAGS_MS

    def is_old(booking: str) -> bool:
        asked = bookings.asked(tx.record(BOOKING, booking))
        return all(one.at_ms < late_ms for one in asked)

    def older(name: str, start_ms: int, end_ms: int) -> list[Taken]:
        return [one for one in here.busy(name, start_ms, end_ms) if is_old(one[2])]

    return msgspec.structs.replace(here, busy=older, many=None)


class Rash(Ledger):
    """Confirms a hold that ran out, whoever has its place by now."""

    def _confirm(self, request: Request, ask: Confirm, booking: Booking) -> Decision:
        decision = super()._confirm(request, ask, booking)
        if decision.booking.status is not Status.EXPIRED:
            return decision
        sure = decisions._changed(request, booking, status=Status.CONFIRMED, held_until_ms=None)
        return Decision(request.dot, True, sure)


# ------------------------------------------------------------------ once and for all


class DecidesAgain:
    """Decides what it refused once more, when a device's clock turns out to be another."""

    def __init__(self) -> None:
        self._clocks: dict[str, int] = {}

    def __call__(self, tx: Any, site: str) -> None:
        clocks = dict(tx.query("SELECT id, coalesce(clock_offset_ms, 0) FROM devices"))
        before, self._clocks = self._clocks, clocks
        moved = {name for name, ahead in clocks.items() if before.get(name, ahead) != ahead}
        for (booking_id,) in tx.query(REFUSED):
            first = bookings.created(tx.record(BOOKING, booking_id))
            if first is not None and device_of(first.header.origin) in moved:
                request = deciding._request(tx, first, {})
                here = world(tx, site, tx.now_ms)
                anew = msgspec.structs.replace(here, find=lambda _: None)
                (decision,) = decisions.decide((request,), anew)
                _write_over(tx, site, decision)


REFUSED = "SELECT id FROM bookings WHERE status = 'refused' ORDER BY id"


def displace(tx: Any, site: str) -> None:
    """Let whoever asked earlier have the place, and refuse who was told that it is theirs."""
    for (booking_id,) in tx.query(REFUSED):
        record = tx.record(BOOKING, booking_id)
        mine, known = bookings.created(record), bookings.asked(record)[0].decision
        in_the_way = {one for r in known.reasons for one in r.bookings} if known else ()
        for other_id in sorted(in_the_way):
            other = tx.record(BOOKING, other_id)
            theirs, booking = bookings.created(other), bookings.stands(other)
            if booking is None or booking.status is not Status.CONFIRMED:
                continue
            if mine is None or theirs is None or theirs.header.at < mine.header.at:
                continue
            lost = msgspec.structs.replace(booking, status=Status.REFUSED)
            why = Reason(Rule.CAPACITY, "somebody asked earlier; choose another time")
            _write_over(tx, site, Decision(theirs.dot, False, lost, (why,)))
            return


def _write_over(tx: Any, site: str, decision: Decision) -> None:
    tx.append(
        site=site,
        kind="booking.decided",
        subject=decision.booking.id,
        register=bookings.decision_register(bookings.REQUESTED, decision.request),
        body=decision,
        actor="hub",
    )


def shelve(_tx: Any, _applied: Sequence[Event], _site: str) -> None:
    """Leave what arrived for later."""


# ------------------------------------------------------------------ moves and cancels


class FreesFirst(Ledger):
    """Gives up the old time before it has the new one."""

    def _move(self, request: Request, ask: Move, booking: Booking) -> Decision:
        decision = super()._move(request, ask, booking)
        if all(reason.rule is not Rule.CAPACITY for reason in decision.reasons):
            return decision
        gone = msgspec.structs.replace(booking, slot=None, status=Status.CANCELLED)
        return msgspec.structs.replace(decision, booking=gone)


class MovesStale(Ledger):
    """Moves whatever is there, whatever the mover had seen."""

    def _move(self, request: Request, ask: Move, booking: Booking) -> Decision:
        if booking.changed_by is not None:
            ask = msgspec.structs.replace(ask, seen=booking.changed_by)
        return super()._move(request, ask, booking)


class ForgetsCancels(Ledger):
    """A cancel that comes before its booking is of nothing."""

    def _cancel(self, request: Request, booking: Booking) -> Decision:
        if booking.status is Status.REQUESTED:
            why = Reason(Rule.UNKNOWN, f"there is no booking {booking.id}; look at its id")
            return decisions._refusal(request, booking, why)
        return super()._cancel(request, booking)


class Revives(Ledger):
    """A booking that was cancelled can be made again."""

    def _create(self, request: Request, ask: Create, booking: Booking) -> Decision:
        if booking.status is Status.CANCELLED:
            booking = Booking(booking.id, Status.REQUESTED)
        return super()._create(request, ask, booking)


# ------------------------------------------------------------------ what is told


def read_without_refusals(reading: Reading, **given: Any) -> Chunk:
    """Do not tell of what was refused."""
    chunk = feed.read(reading, **given)
    told = [state for state in chunk.registers if not _is_refusal(state.name, state.state)]
    return msgspec.structs.replace(chunk, registers=told)


def _is_refusal(name: str, packed: bytes) -> bool:
    if not name.startswith(f"{bookings.DECIDED}."):
        return False
    (event,) = registers.unpack(packed).siblings
    return not msgspec.msgpack.decode(event.body_bytes, type=Decision).accepted


class Silent(Ledger):
    """Says no, and not why."""

    def decide(self, request: Request) -> Decision:
        return msgspec.structs.replace(super().decide(request), reasons=())


class OffersTaken(Ledger):
    """Offers the very time that it refused."""

    def _create(self, request: Request, ask: Create, booking: Booking) -> Decision:
        decision = super()._create(request, ask, booking)
        slot = decision.booking.slot
        if decision.accepted or booking.status is not Status.REQUESTED or slot is None:
            return decision
        return msgspec.structs.replace(decision, alternatives=(slot,))


# ------------------------------------------------------------------ the list


def _bug(
    name: str,
    *caught_by: str,
    planted: Callable[[], Planted] | None = None,
    clerk: Clerk | None = None,
    rules: Rules | None = None,
    first: int = 0,
) -> BookingBug:
    def made() -> Clerk:
        return Clerk(react=planted().react) if planted else clerk or Clerk()

    return BookingBug(name, made, rules or Rules(), frozenset(caught_by), first)


BOOKING_BUGS = (
    # Capacity at each instant, all or none
    _bug("one place too many is given", "capacity", "rules", planted=partial(Planted, OneTooMany)),
    _bug(
        "bookings that are touched count", "rules", planted=partial(Planted, CountsTouched), first=2
    ),
    _bug(
        "buffers are overlooked",
        "capacity",
        "rules",
        "alternatives",
        planted=partial(Planted, seen=without_buffers),
        first=4,
    ),
    _bug(
        "it looks at an older copy",
        "capacity",
        "rules",
        "alternatives",
        planted=partial(Planted, seen=an_older_copy),
    ),
    _bug("half a group is booked", "all or none", planted=partial(Planted, HalfAGroup)),
    # Holds
    _bug(
        "a hold that ran out still blocks",
        "rules",
        planted=partial(Planted, seen=looking_at(0), expires=False),
        first=3,
    ),
    _bug(
        "a live hold does not block",
        "capacity",
        "rules",
        "alternatives",
        planted=partial(Planted, seen=looking_at(FOREVER_MS)),
    ),
    _bug(
        "a late hold is confirmed unseen",
        "capacity",
        "rules",
        planted=partial(Planted, Rash),
        first=3,
    ),
    # Once and for all
    _bug(
        "it is decided again after a correction",
        "decided once",
        planted=lambda: Planted(after=DecidesAgain()),
    ),
    _bug("who asked earlier displaces", "decided once", planted=partial(Planted, after=displace)),
    _bug("it is decided a little later", "decided at once", clerk=Clerk(react=shelve)),
    # Moves and cancels
    _bug(
        "a move gives up the old time first",
        "old slot",
        planted=partial(Planted, FreesFirst),
        first=2,
    ),
    _bug("a stale move moves", "rules", planted=partial(Planted, MovesStale), first=4),
    _bug(
        "a cancel that came first is forgotten",
        "cancel is final",
        planted=partial(Planted, ForgetsCancels),
    ),
    _bug("a cancelled booking comes back", "cancel is final", planted=partial(Planted, Revives)),
    # Order
    _bug("a batch is decided as it arrived", "batch order", planted=partial(Planted, order=list)),
    _bug(
        "clocks are believed within a batch",
        "batch order",
        planted=partial(Planted, corrects=False),
    ),
    # What is told
    _bug(
        "a refusal is not told",
        "told",
        "cursor",
        "converged",
        "base and pending",
        rules=Rules(read_feed=read_without_refusals),
    ),
    _bug("a refusal gives no reasons", "reasons", planted=partial(Planted, Silent)),
    _bug("what is offered is taken", "alternatives", planted=partial(Planted, OffersTaken)),
    _bug(
        "what comes near is not told",
        "told",
        "converged",
        clerk=Clerk(turn=lambda _tx: False),
        first=1,
    ),
)
