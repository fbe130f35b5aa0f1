"""What the hub has decided, read from its journal alone, and whether it may decide so.

The observer of bookings. It reads every row as it becomes durable, also those that no table shows
yet, keeps its own list of bookings, and works out anew what each decision has to be. It calls no
code that decides, folds or searches.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.core import event as events
from shared.core.booking.booking import (
    Ask,
    Booking,
    Cancel,
    Confirm,
    Create,
    Decision,
    Miss,
    Move,
)
from shared.core.booking.groups import Group
from shared.core.booking.rules import Hours, Limits
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.event import Dot, Event, device_of
from shared.core.kinds.booking import Expired
from shared.core.kinds.resource import Retired
from shared.store.journal import Verdict
from tests.simulation.calendar_oracle import (
    Fault,
    Shelf,
    faults,
    fullest,
    is_taken,
    places,
)
from tests.simulation.node import Node
from tests.simulation.promises import demand

# What counts, in the order in which it began to: an event that was parked when it came does later.
ROWS = """SELECT max(entry, coalesce(verdict_at, 0)) AS position, verdict, received_at, header, body
    FROM journal WHERE entry > $1 OR verdict_at > $1 ORDER BY position"""
KEPT = "SELECT header, body FROM journal WHERE entry = $1"
OFFSETS = "SELECT id, coalesce(clock_offset_ms, 0) FROM devices"

NEAR_MS = 35 * 86_400_000  # whoever is at the site hears of a booking so long before it
KEPT_MS = 7 * 86_400_000  # and after
COUNTER_BITS = 16  # of a stamp
ASKS = {
    "booking.requested",
    "booking.confirm",
    "booking.move",
    "booking.cancel",
    "booking.miss",
}
ALLOWED = {
    Create: (Status.REQUESTED,),
    Confirm: (Status.HELD,),
    Move: (Status.HELD, Status.CONFIRMED),
    Cancel: (Status.REQUESTED, Status.HELD, Status.CONFIRMED),
    Miss: (Status.CONFIRMED,),
}

_ask = msgspec.msgpack.Decoder(Ask).decode
_decode = msgspec.msgpack.decode


class Due(msgspec.Struct, frozen=True):
    """What a decision has to be.

    Attributes:
        accepted: Whether it says yes.
        booking: As it leaves the booking.
        faults: Why not.
    """

    accepted: bool
    booking: Booking
    faults: frozenset[Fault] = frozenset()


class Diary:
    """The observer's list of bookings.

    Attributes:
        shelf: What can be booked.
        bookings: As they stand.
        decisions: By request.
        asked: Devices that asked for something, by booking.
    """

    def __init__(self) -> None:
        self.shelf = Shelf({}, {}, {}, set())
        self.bookings: dict[str, Booking] = {}
        self.decisions: dict[Dot, Decision] = {}
        self.asked: dict[str, set[str]] = {}
        self._position = 0
        self._requests: dict[Dot, Event] = {}
        self._waiting: dict[Dot, Event] = {}  # in the order of arrival
        self._order: list[list[Dot]] = []  # in which those that wait have to be decided
        self._rows: list[tuple[int, bytes, bytes]] = []  # of decisions
        self._offsets: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._was_changed: set[str] = set()  # resources that got other rules

    # ------------------------------------------------------------------ after every commit

    def committed(self, hub: Node) -> None:
        """Read what the last commit made durable, and compare."""
        self._offsets = (self._offsets[1], dict(hub.disk.execute(OFFSETS).fetchall()))
        rows = hub.disk.execute(ROWS, (self._position,)).fetchall()
        for position, verdict, received_ms, header, body in rows:
            self._position = position
            if verdict == Verdict.APPLIED:
                self._read(position, received_ms, events.read(header, body))
        left = ", ".join(f"{dot.origin}:{dot.seq}" for dot in self._waiting)
        demand(not left, 3, "decided at once", f"{left} arrived and were not decided")
        self._bears(hub.clock.now_ms())

    def kept(self, hub: Node) -> None:
        """After a restart every decision is there as it was."""
        for entry, header, body in self._rows:
            held = hub.disk.execute(KEPT, (entry,)).fetchone()
            told = f"the decision {events.read(header, body).dot} is another after a restart"
            demand(held == (header, body), 3, "decided once", told)

    def _read(self, position: int, now_ms: int, event: Event) -> None:
        header = event.header
        if header.kind in ASKS:
            demand(not self._order, 3, "decided at once", f"{event.dot} came between decisions")
            self._requests[event.dot] = self._waiting[event.dot] = event
            self.asked.setdefault(header.subject, set()).add(device_of(header.origin))
        elif header.kind == "booking.decided":
            self._rows.append((position, event.header_bytes, event.body_bytes))
            self._decided(now_ms, event)
        elif header.kind == "booking.expired":
            self._expired(now_ms, event)
        elif header.kind.startswith("resource."):
            self._wrote(event)

    def _wrote(self, event: Event) -> None:
        name, shelf = event.header.subject, self.shelf
        kinds: Mapping[str, tuple[Any, Any]] = {
            "resource.hours": (Hours, shelf.hours),
            "resource.limits": (Limits, shelf.limits),
            "resource.group": (Group, shelf.groups),
        }
        if event.header.kind == "resource.retired":
            assert _decode(event.body_bytes, type=Retired).retired
            shelf.retired.add(name)
        if event.header.kind not in kinds:
            return
        body, known = kinds[event.header.kind]
        if name in known:
            self._was_changed.add(name)
        decoded = _decode(event.body_bytes, type=body)
        known[name] = decoded.members if body is Group else decoded

    def _expired(self, now_ms: int, event: Event) -> None:
        name = event.header.subject
        booking = self.bookings[name]
        until = _decode(event.body_bytes, type=Expired).held_until_ms
        is_over = booking.status is Status.HELD and booking.held_until_ms == until <= now_ms
        demand(is_over, 3, "vanishes", f"{name} expires, though it is {booking} at {now_ms}")
        self.bookings[name] = msgspec.structs.replace(booking, status=Status.EXPIRED)

    # ------------------------------------------------------------------ a decision

    def _decided(self, now_ms: int, event: Event) -> None:
        decision = _decode(event.body_bytes, type=Decision)
        dot, name = decision.request, event.header.subject
        request = self._requests.get(dot)
        said = "accepted" if decision.accepted else "refused"
        told = f"{name}: {dot.origin}:{dot.seq} is {said} as {decision.booking}"
        demand(request is not None, 3, "vanishes", f"{told}, but nobody asked for that")
        assert request is not None
        demand(request.header.subject == name, 3, "vanishes", f"{told}, asked of another booking")
        demand(dot not in self.decisions, 3, "decided once", f"{told} once more")
        self._in_order(dot, told)
        before = self.bookings.get(name) or Booking(name, Status.REQUESTED)
        ask = _ask(request.body_bytes)
        due = self._due(dot, ask, before, now_ms)
        self._is_whole(decision, ask, told)
        self._compare(decision, before, due, told)
        self._offers(decision, now_ms, told)
        self.decisions[dot] = decision
        self.bookings[name] = decision.booking

    def _in_order(self, dot: Dot, told: str) -> None:
        """Within a batch by corrected time, then dot."""
        if not self._order:
            # A device may have told another time in the very transaction that brought its log.
            self._order = [self._sorted(offsets) for offsets in self._offsets]
        is_next = [order[:1] == [dot] for order in self._order]
        demand(any(is_next), 3, "batch order", f"{told}; due was {self._order[-1][:1]}")
        self._order = [order[1:] for order in self._order if order[:1] == [dot]]
        del self._waiting[dot]
        if not self._waiting:
            self._order = []

    def _sorted(self, offsets: Mapping[str, int]) -> list[Dot]:
        def when(event: Event) -> tuple[int, str, int]:
            ahead_ms = offsets.get(device_of(event.header.origin), 0)
            at = max(0, event.header.at - (ahead_ms << COUNTER_BITS))
            return at, event.header.origin, event.header.seq

        return [event.dot for event in sorted(self._waiting.values(), key=when)]

    def _is_whole(self, decision: Decision, ask: Ask, told: str) -> None:
        """All resources of a booking, and at the time that was asked for, or none."""
        if decision.accepted and isinstance(ask, Create | Move):
            wanted = self._whole(ask.slot)
            is_whole = decision.booking.slot == wanted
            demand(is_whole, 3, "all or none", f"{told}; asked was {wanted}")

    def _compare(self, decision: Decision, before: Booking, due: Due, told: str) -> None:
        after = decision.booking
        if decision.accepted:
            full = [name for rule, name in due.faults if rule == "capacity"]
            demand(not full, 3, "capacity", f"{told}, but {full} have no place left")
        else:
            demand(bool(decision.reasons), 4, "reasons", f"{told}, and nobody says why")
            wordless = [reason for reason in decision.reasons if not reason.text]
            demand(not wordless, 4, "reasons", f"{told}; {wordless} say nothing to people")
            is_kept = before.slot is None or after.slot == before.slot
            demand(is_kept, 3, "old slot", f"{told}, and has lost {before.slot}")
        is_cancelled = before.status is Status.CANCELLED or due.booking.status is Status.CANCELLED
        is_final = not is_cancelled or after.status is Status.CANCELLED
        demand(is_final, 3, "cancel is final", f"{told}, though somebody cancelled it")
        said = {(reason.rule.value, reason.resource) for reason in decision.reasons}
        told = f"{told} for {sorted(map(str, said))}; due was {due}"
        is_due = decision.accepted == due.accepted and said == due.faults
        demand(is_due, 3, "rules", told)
        demand(after == due.booking, 3, "outcome", told)

    def _due(self, dot: Dot, ask: Ask, before: Booking, now_ms: int) -> Due:
        """Work out what a decision has to be."""
        no = _not_from(ask, before, now_ms)
        if no is not None:
            return Due(False, before, frozenset((no,)))
        if isinstance(ask, Create):
            return self._created(dot, ask, before, now_ms)
        if isinstance(ask, Cancel):
            return Due(True, _changed(before, dot, Status.CANCELLED))
        if isinstance(ask, Miss):
            return Due(True, _changed(before, dot, Status.NO_SHOW))
        if isinstance(ask, Confirm):
            return self._confirmed(dot, before, now_ms)
        slot = self._whole(ask.slot)
        found = self._faults(slot, before.id, now_ms)
        moved = msgspec.structs.replace(before, slot=slot, changed_by=dot)
        return Due(not found, before if found else moved, found)

    def _created(self, dot: Dot, ask: Create, before: Booking, now_ms: int) -> Due:
        slot = self._whole(ask.slot)
        found = self._faults(slot, before.id, now_ms)
        if found:
            return Due(False, Booking(before.id, Status.REFUSED, slot, None, dot), found)
        if ask.hold_s is None:
            return Due(True, Booking(before.id, Status.CONFIRMED, slot, None, dot))
        until_ms = now_ms + ask.hold_s * 1000
        return Due(True, Booking(before.id, Status.HELD, slot, until_ms, dot))

    def _confirmed(self, dot: Dot, before: Booking, now_ms: int) -> Due:
        assert before.slot is not None
        if not is_taken(before, now_ms):
            found = self._faults(before.slot, before.id, now_ms)
            if found:
                lost = msgspec.structs.replace(before, status=Status.EXPIRED, changed_by=dot)
                return Due(False, lost, found)
        return Due(True, _changed(before, dot, Status.CONFIRMED))

    def _whole(self, slot: Slot) -> Slot:
        return msgspec.structs.replace(slot, resources=self.shelf.members(slot.resources))

    def _faults(self, slot: Slot, but: str, now_ms: int) -> frozenset[Fault]:
        return frozenset(faults(self.shelf, slot, self.bookings, now_ms, but))

    def _offers(self, decision: Decision, now_ms: int, told: str) -> None:
        """What is offered instead would do."""
        for slot in decision.alternatives:
            found = self._faults(slot, decision.booking.id, now_ms)
            demand(not found, 4, "alternatives", f"{told}, and offered {slot}: {found}")

    def _bears(self, now_ms: int) -> None:
        """No resource bears more than it can; of those with other rules, decisions alone say."""
        for name in self.shelf.limits.keys() - self._was_changed:
            most = fullest(places(self.shelf, name, self.bookings, now_ms))
            capacity = self.shelf.limits[name].capacity
            demand(most <= capacity, 3, "capacity", f"{name} has {most} at once, not {capacity}")

    # ------------------------------------------------------------------ who must know

    def concerns(self, devices: Iterable[str], now_ms: int) -> dict[tuple[str, str], set[str]]:
        """Return whom each booking concerns: who asked, and when it is near, everybody."""
        everybody = set(devices)
        found = {}
        for name, booking in self.bookings.items():
            slot = booking.slot
            is_near = slot and slot.start_ms - NEAR_MS <= now_ms < slot.end_ms + KEPT_MS
            found["booking", name] = everybody if is_near else self.asked[name] & everybody
        return found

    def requests_of(self, booking: str) -> list[Dot]:
        """Return what was asked of a booking."""
        return [dot for dot, event in self._requests.items() if event.header.subject == booking]


def _not_from(ask: Ask, before: Booking, now_ms: int) -> Fault | None:
    """Return why nothing of the kind can be asked of a booking as it is."""
    if before.status not in ALLOWED[type(ask)]:
        return ("unknown" if before.status is Status.REQUESTED else "status"), None
    if isinstance(ask, Confirm | Move) and ask.seen not in (None, before.changed_by):
        return "stale", None
    if isinstance(ask, Move) and not is_taken(before, now_ms):
        return "status", None
    if isinstance(ask, Miss) and before.slot and now_ms < before.slot.start_ms:
        return "status", None
    return None


def _changed(before: Booking, dot: Dot, status: Status) -> Booking:
    return msgspec.structs.replace(before, status=status, held_until_ms=None, changed_by=dot)
