"""The hub's decisions over a batch of requests, in the transaction in which it arrives. Pure.

In the order of (corrected time, dot), each once, and against what the ones before it made of the
bookings. Between batches the order of arrival counts: a decision that was told is never undone by a
request that came late, however early it was made. Promise 3.
"""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

import msgspec

from shared.core.booking import admission, availability, taken
from shared.core.booking import groups as groups_of
from shared.core.booking.booking import (
    Booking,
    Cancel,
    Confirm,
    Create,
    Decision,
    Miss,
    Move,
    Request,
)
from shared.core.booking.groups import Groups
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import SECOND_MS
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.resource import Resources
from shared.core.booking.slot import Slot
from shared.core.booking.status import Signal, Status, move
from shared.core.booking.taken import Busy, Many
from shared.core.booking.track import LEEWAY_MS, Wish
from shared.errors import Refused

ALTERNATIVES = 3  # for whoever confirms a hold too late
# No other time would help; a search for one has nothing to look for.
_HOPELESS = frozenset((Rule.SLOT, Rule.UNKNOWN))
_STALE = Reason(Rule.STALE, "the booking was changed since; look at it and ask again")

Find = Callable[[str], Booking | None]  # a booking as stored; None: nothing of it was decided yet
Source = Callable[[str], str | None]  # the calendar whose busy time a booking is; None: of none


def of_none(_booking: str) -> str | None:
    """Say that somebody asked for a booking, or that whoever asks may change those of calendars."""
    return None


class World(msgspec.Struct, frozen=True):
    """What decisions are made against.

    Attributes:
        resources: By name; what does not exist is missing.
        groups: By name.
        find: Stored bookings.
        busy: Those of them that block at ``now_ms``.
        now_ms: Wall clock, Unix ms.
        many: The same of many resources at once; None: one after the other.
        source: Which of them are busy times of a calendar: a change here would be lost with the
            next import.
    """

    resources: Resources
    groups: Groups
    find: Find
    busy: Busy
    now_ms: int
    many: Many | None = None
    source: Source = of_none


def decide(requests: Iterable[Request], world: World) -> tuple[Decision, ...]:
    """Decide the requests of a batch, in the order of their corrected times and dots.

    Args:
        requests: None of them decided yet; one that is there twice is decided once.
        world: As stored before them.

    Returns:
        A decision for each, in the order in which they were made.
    """
    ledger = _Ledger(world)
    each = {request.dot: request for request in requests}.values()
    return tuple(ledger.decide(r) for r in sorted(each, key=lambda r: (r.at, r.dot)))


def given_back(booking: Booking, world: World) -> Booking:
    """Return a confirmed booking that an agent brings back to a restored hub.

    It was promised, so it stands; if the restored hub promised its place to another, it is marked,
    and a person decides.

    Args:
        booking: Confirmed, with its slot.
        world: The hub's, without it.
    """
    assert booking.slot is not None  # whoever was confirmed has a slot
    found = admission.reasons(
        booking.slot, world.resources, world.busy, world.now_ms, ignore=booking.id
    )
    is_over = any(reason.rule is Rule.CAPACITY for reason in found)
    return msgspec.structs.replace(booking, overbooked=is_over)


class _Ledger:
    """Bookings as they become while a batch is decided."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._booked: dict[str, Booking] = {}
        self._changed: dict[str, dict[str, Interval | None]] = {}
        self._busy = taken.overlay(world.busy, self._changed)

    def decide(self, request: Request) -> Decision:
        """Decide one request and note what it made of its booking."""
        known = self._booked.get(request.booking) or self._world.find(request.booking)
        booking = known or Booking(request.booking, Status.REQUESTED)
        decision = self._decide(request, booking)
        self._note(booking, decision.booking)
        return decision

    def _decide(self, request: Request, booking: Booking) -> Decision:
        source = self._world.source(booking.id)
        if source is not None:
            text = f"it is busy time of the calendar {source}; change it there and import it again"
            return _refusal(request, booking, Reason(Rule.STATUS, text))
        match request.ask:
            case Create() as ask:
                return self._create(request, ask, booking)
            case Confirm() as ask:
                return self._confirm(request, ask, booking)
            case Move() as ask:
                return self._move(request, ask, booking)
            case Cancel():
                return self._cancel(request, booking)
            case Miss():
                return self._miss(request, booking)
            case _ as never:
                assert_never(never)

    def _create(self, request: Request, ask: Create, booking: Booking) -> Decision:
        if booking.status is not Status.REQUESTED:
            return _refusal(request, booking, _not_from(booking, "create"))
        slot, reasons = self._judge(ask.slot, booking.id)
        if reasons:
            refused = Booking(booking.id, Status.REFUSED, slot, changed_by=request.dot)
            others = self._alternatives(slot, reasons, ask.alternatives, booking.id)
            return Decision(request.dot, False, refused, reasons, others)
        held_until = None
        if ask.hold_s is not None:
            held_until = self._world.now_ms + ask.hold_s * SECOND_MS
        status = Status.CONFIRMED if held_until is None else Status.HELD
        made = Booking(booking.id, status, slot, held_until, request.dot)
        return Decision(request.dot, True, made)

    def _confirm(self, request: Request, ask: Confirm, booking: Booking) -> Decision:
        if booking.status is not Status.HELD or booking.slot is None:
            return _refusal(request, booking, _not_from(booking, "confirm"))
        if ask.seen is not None and ask.seen != booking.changed_by:
            return _refusal(request, booking, _STALE)
        if not booking.blocks(self._world.now_ms):
            # It ran out, but perhaps nobody took its place.
            _, reasons = self._judge(booking.slot, booking.id)
            if reasons:
                lost = _changed(request, booking, status=Status.EXPIRED)
                others = self._alternatives(booking.slot, reasons, ALTERNATIVES, booking.id)
                return Decision(request.dot, False, lost, reasons, others)
        sure = _changed(request, booking, status=Status.CONFIRMED, held_until_ms=None)
        return Decision(request.dot, True, sure)

    def _move(self, request: Request, ask: Move, booking: Booking) -> Decision:
        if move(booking.status, Signal.MOVE) is None:
            return _refusal(request, booking, _not_from(booking, "move"))
        if ask.seen != booking.changed_by:
            return _refusal(request, booking, _STALE)
        if not booking.blocks(self._world.now_ms):
            text = "the hold has run out; confirm it if its time is still free, or book anew"
            return _refusal(request, booking, Reason(Rule.STATUS, text))
        slot, reasons = self._judge(ask.slot, booking.id)
        if reasons:
            others = self._alternatives(slot, reasons, ask.alternatives, booking.id)
            return Decision(request.dot, False, booking, reasons, others)
        moved = _changed(request, booking, slot=slot, overbooked=False)
        return Decision(request.dot, True, moved)

    def _cancel(self, request: Request, booking: Booking) -> Decision:
        status = move(booking.status, Signal.CANCEL)
        if status is None:
            return _refusal(request, booking, _not_from(booking, "cancel"))
        gone = _changed(request, booking, status=status, held_until_ms=None, overbooked=False)
        return Decision(request.dot, True, gone)

    def _miss(self, request: Request, booking: Booking) -> Decision:
        status = move(booking.status, Signal.MISS)
        if status is None or booking.slot is None:
            return _refusal(request, booking, _not_from(booking, "mark as a no-show"))
        if self._world.now_ms < booking.slot.start_ms:
            text = "it has not begun, so nobody missed it; cancel it instead"
            return _refusal(request, booking, Reason(Rule.STATUS, text))
        return Decision(request.dot, True, _changed(request, booking, status=status))

    def _judge(self, slot: Slot, booking: str) -> tuple[Slot, tuple[Reason, ...]]:
        """Return a slot with its groups resolved, and why it cannot be had."""
        try:
            names = groups_of.resolve(slot.resources, self._world.groups)
        except Refused as error:
            return slot, (Reason(Rule.UNKNOWN, error.detail),)
        whole = msgspec.structs.replace(slot, resources=names)
        world = self._world
        reasons = admission.reasons(
            whole, world.resources, self._busy, world.now_ms, ignore=booking
        )
        return whole, reasons

    def _alternatives(
        self, slot: Slot, reasons: tuple[Reason, ...], most: int, booking: str
    ) -> tuple[Slot, ...]:
        if any(reason.rule in _HOPELESS for reason in reasons):
            return ()
        length_ms = slot.end_ms - slot.start_ms
        wish = Wish(length_ms, slot.start_ms, ignore=booking, leeway_ms=LEEWAY_MS)
        option = {"": slot.resources}
        world = self._world
        return availability.first(
            wish, option, world.resources, self._busy, world.now_ms, most=most
        ).slots

    def _note(self, before: Booking, after: Booking) -> None:
        """Let later decisions of the batch see what this one made of a booking."""
        self._booked[after.id] = after
        for name in before.slot.resources if before.slot else ():
            self._changed.setdefault(name, {})[after.id] = None
        if after.slot is not None and after.blocks(self._world.now_ms):
            for name in after.slot.resources:
                self._changed.setdefault(name, {})[after.id] = after.slot.interval


def _refusal(request: Request, booking: Booking, reason: Reason) -> Decision:
    return Decision(request.dot, False, booking, (reason,))


def _changed(request: Request, booking: Booking, **fields: Any) -> Booking:
    return msgspec.structs.replace(booking, changed_by=request.dot, **fields)


def _not_from(booking: Booking, verb: str) -> Reason:
    if booking.status is Status.REQUESTED:
        return Reason(Rule.UNKNOWN, f"there is no booking {booking.id} to {verb}; look at its id")
    if (booking.status, verb) == (Status.CONFIRMED, "confirm"):
        text = f"booking {booking.id} is confirmed already; there is nothing to do"
        return Reason(Rule.STATUS, text)
    text = f"booking {booking.id} is {booking.status}, too late to {verb}; make a new one"
    return Reason(Rule.STATUS, text)
