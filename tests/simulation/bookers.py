"""People who book: they create, hold, confirm, move, cancel and miss, at the hub and at agents."""

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec

from agent import booking_routes as agent_routes
from hub import resource_rules
from shared.api.booking_input import BookingChange, NewBooking, NewStatus
from shared.api.bookings import RemoveBooking
from shared.api.conditional import Precondition
from shared.core import instants
from shared.core import record as records
from shared.core.booking.booking import Ask, Cancel, Confirm, Create, Miss
from shared.core.booking.groups import Group
from shared.core.booking.hours import Week
from shared.core.booking.rules import Anchor, Grid, Hours, Limits
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.ids import uuid7
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.core.vector import Vector
from tests.simulation.clerk import Clerk
from tests.simulation.node import Node
from tests.simulation.timeline import START_MS

PERSON_MS = 2_000  # between two acts of people
BOOKINGS_MAX = 70
LAST_MOMENT_MS = (-500, 2_500)  # before and after a hold runs out, as the hub said it would
LOOK_MS, LOOKS_MAX = 2_000, 10  # between two looks whether a hold was given, and how many
HOLD_S_MAX = 25
MINUTE_MS = 60_000
DAY_MS = 86_400_000
FAR_MS = 35 * DAY_MS  # when a booking comes near enough for everybody to hear of it
GROUP, ALL, NOWHERE = "team", "everything", "nowhere"
ALWAYS = Week(*(("00:00-24:00",),) * 7)
OFFICE = Week(*(("08:00-12:00", "13:00-17:00"),) * 7)

Write = Callable[..., None]


class Bookers:
    """Those who want the same few resources at the same few times."""

    def __init__(
        self, hub: Node, agents: list[Node], chance: Random, write: Write, clerk: Clerk
    ) -> None:
        self._hub = hub
        self._agents = agents
        self._chance = chance
        self._write = write
        self._clerk = clerk
        self._ids: list[str] = []
        self._count = 0
        self._names: list[str] = []
        self._is_sure = chance.choice((0.2, 0.5, 0.9))  # asks the hub whatever its agent thinks
        self._quarters = chance.choice((4, 10, 20))  # hours that they fight over, times four
        deeds: list[Callable[[Node], None]] = []
        deeds += [self._create] * 10 + [self._cancel] * 2 + [self._move] * 4
        deeds += [self._confirm] * 3 + [self._behind_another] * 2
        deeds += [self._miss, self._blindly] + [self._rules] * (chance.random() < 0.3)
        self._deeds = deeds

    def open_up(self) -> None:
        """Let somebody write down at the hub what can be booked."""
        if not self._hub.is_up:
            return
        chance = self._chance
        quarter = Grid(15, Anchor.MIDNIGHT)
        choices = {
            "strange": (OFFICE, Limits(grid=quarter)),
            "who": (ALWAYS, Limits(capacity=chance.choice((1, 2)), notice_s=120)),
            "room": (ALWAYS, Limits(chance.choice((1, 2, 3)), before_s=300, after_s=300)),
            "press": (ALWAYS, Limits(horizon_s=20 * 86_400)),
        }
        members = chance.sample(sorted(choices), chance.randint(2, 4))
        groups = {GROUP: tuple(members[:2]), ALL: (GROUP, members[-1])}

        def deed(tx: Any) -> None:
            for name, (week, limits) in choices.items():
                _append(tx, name, resources.Created(), Hours("Europe/Berlin", week), limits)
            for name, inside in groups.items():
                _append(tx, name, resources.Created(), Group(inside))

        self._names = sorted((*choices, *groups))
        self._write(self._hub, deed)

    def act(self) -> None:
        """Let somebody do something."""
        chance = self._chance
        node = self._hub if chance.random() < 0.25 else chance.choice(self._agents)
        if node.is_up and self._names:
            chance.choice(self._deeds)(node)

    # ------------------------------------------------------------------ by the routes

    def _create(self, node: Node) -> None:
        if len(self._ids) >= BOOKINGS_MAX:
            return
        chance = self._chance
        booking_id = self._new_id()
        start_ms, minutes = self._time()
        asked = NewBooking(
            resources=self._wanted(),
            start=instants.text(start_ms),
            minutes=minutes,
            hold_s=chance.choice((None, chance.randint(1, HOLD_S_MAX))),
            alternatives=chance.choice((0, 0, 3)),
            anyway=self._insists(),
        )
        create = self._clerk.create if node is self._hub else agent_routes._create
        call: Any = _call(booking_id)
        given = {"call": call, "asked": asked, "site": node.site, "booking_id": booking_id}
        self._write(node, lambda tx: create(tx, **given))
        if asked.hold_s is not None:
            watching = chance.choice(self._agents) if node is self._hub else node
            self._await_hold(watching, booking_id, LOOKS_MAX)

    def _cancel(self, node: Node) -> None:
        booking_id = self._known(node, Status.REQUESTED, Status.HELD, Status.CONFIRMED)
        if booking_id is not None:
            remove = self._clerk.remove if node is self._hub else agent_routes._remove
            call: Any = _call(booking_id)
            asked, known = RemoveBooking("no longer needed"), Precondition()
            self._write(node, lambda tx: remove(tx, call=call, asked=asked, known=known))

    def _confirm(self, node: Node) -> None:
        booking_id = self._known(node, Status.HELD, Status.REQUESTED)
        self._change(node, booking_id, BookingChange(status=NewStatus.CONFIRMED))

    def _miss(self, node: Node) -> None:
        booking_id = self._known(node, Status.CONFIRMED)
        self._change(node, booking_id, BookingChange(status=NewStatus.NO_SHOW))

    def _move(self, node: Node) -> None:
        booking_id = self._known(node, Status.REQUESTED, Status.HELD, Status.CONFIRMED)
        chance = self._chance
        start_ms, minutes = self._time()
        asked = BookingChange(
            resources=self._wanted() if chance.random() < 0.3 else None,
            start=instants.text(start_ms),
            minutes=chance.choice((None, minutes)),
            alternatives=1,
        )
        self._change(node, booking_id, asked)

    def _change(self, node: Node, booking_id: str | None, asked: BookingChange) -> None:
        if booking_id is None:
            return
        seen = None
        if self._chance.random() < 0.1:  # a page opened before anything was known of it
            seen = records.etag(records.Record("booking", booking_id))
        known = Precondition(seen=seen)
        asked = msgspec.structs.replace(asked, anyway=self._insists())
        change = self._clerk.change if node is self._hub else agent_routes._change
        call: Any = _call(booking_id)
        self._write(node, lambda tx: change(tx, call=call, asked=asked, known=known))

    # ------------------------------------------------------------------ past the routes

    def _await_hold(self, node: Node, booking_id: str, looks: int) -> None:
        """Wait until the hub gave a hold: from then on its time runs, not from the request."""
        if looks:
            node.after(LOOK_MS, "awaits", lambda: self._look_at_hold(node, booking_id, looks - 1))

    def _look_at_hold(self, node: Node, booking_id: str, looks: int) -> None:
        held = bookings.shown(node.reading().record("booking", booking_id))
        if held is None or held.status is Status.REQUESTED:
            self._await_hold(node, booking_id, looks)
        elif held.status is Status.HELD and held.held_until_ms is not None:
            left_ms = held.held_until_ms - self._hub.clock.now_ms()
            if left_ms > HOLD_S_MAX * 1000:  # the hub's clock was set back: nobody waits a day
                return
            late_ms = max(0, left_ms + self._chance.randint(*LAST_MOMENT_MS))
            node.after(late_ms, "confirms late", lambda: self._confirm_late(node, booking_id))

    def _confirm_late(self, node: Node, booking_id: str) -> None:
        """Confirm a hold as it runs out, just after a colleague asked for its time."""
        held = bookings.shown(node.reading().record("booking", booking_id))
        if held is None or held.status is not Status.HELD or held.slot is None:
            return
        theirs, body = self._new_id(), Create(held.slot, alternatives=0)
        self._write(node, lambda tx: _request(tx, theirs, body))
        self._write(node, lambda tx: _request(tx, booking_id, Confirm()))

    def _blindly(self, node: Node) -> None:
        """Ask of a booking that this agent may not know yet: somebody read its id elsewhere."""
        if node is self._hub or not self._ids:
            return
        booking_id = self._chance.choice(self._ids[-8:])
        body: Ask = self._chance.choice((Cancel("by telephone"), Cancel(), Confirm(), Miss()))
        self._write(node, lambda tx: _request(tx, booking_id, body))

    def _behind_another(self, node: Node) -> None:
        """Book after a look at another device, as a peer on the LAN would.

        The hub waits for what that one wrote, and decides both in one batch.
        """
        other = self._chance.choice(self._agents)
        if node is self._hub or other is node or not other.is_up:
            return
        origin = other.store.node.writes[other.site]
        head = other.store.node.logs[origin].head
        if head == 0 or len(self._ids) >= BOOKINGS_MAX:
            return
        booking_id = self._new_id()
        start_ms, minutes = self._time()
        slot = Slot(self._wanted(), start_ms, start_ms + minutes * MINUTE_MS)
        body = Create(slot, alternatives=0)
        self._write(node, lambda tx: _request(tx, booking_id, body, {origin: head}))

    def _rules(self, _node: Node) -> None:
        """Give a resource other rules, or take it out of use."""
        chance = self._chance
        name = chance.choice([name for name in self._names if name not in (GROUP, ALL)])
        hours = Hours("Europe/Berlin", chance.choice((ALWAYS, OFFICE)))
        limits = Limits(chance.choice((1, 2, 3)), after_s=chance.choice((0, 300, 900)))
        is_end = chance.random() < 0.1

        def deed(tx: Any) -> None:
            held = tx.record("resource", name)
            if resources.ready(held) is None:
                return
            given: Any = {"site": held.site, "name": name, "actor": "ada"}
            if is_end:
                resource_rules.retire(tx, cancel=True, **given)
            else:
                resource_rules.change(tx, hours=hours, limits=limits, **given)

        if self._hub.is_up:
            self._write(self._hub, deed)

    # ------------------------------------------------------------------ choices

    def _time(self) -> tuple[int, int]:
        """Return a start, Unix ms, and a length in minutes, by the hub's clock."""
        chance = self._chance
        now_ms = self._hub.clock.now_ms()
        kind = chance.random()
        if kind < 0.75:
            tomorrow = (now_ms // DAY_MS + 1) * DAY_MS
            start_ms = tomorrow + 9 * 60 * MINUTE_MS
            start_ms += chance.randint(0, self._quarters) * 15 * MINUTE_MS
            odd_ms = chance.choice((0,) * 7 + (5,)) * MINUTE_MS
            return start_ms + odd_ms, chance.choice((15, 30, 60))
        if kind < 0.9:
            soon_ms = (now_ms // MINUTE_MS + chance.randint(0, 4)) * MINUTE_MS
            return soon_ms, chance.choice((5, 15))
        far_ms = (now_ms + FAR_MS) // (5 * MINUTE_MS) * (5 * MINUTE_MS)
        return far_ms + chance.randint(0, 1) * 5 * MINUTE_MS, 30

    def _wanted(self) -> tuple[str, ...]:
        chance = self._chance
        if chance.random() < 0.03:
            return (NOWHERE, chance.choice(self._names))
        return tuple(sorted(chance.sample(self._names, chance.choice((1, 1, 1, 2)))))

    def _insists(self) -> bool:
        return self._chance.random() < self._is_sure

    def _known(self, node: Node, *statuses: Status) -> str | None:
        reading = node.reading()
        found = [
            one
            for one in self._ids
            if (booking := bookings.shown(reading.record("booking", one))) is not None
            and (booking.status in statuses or self._chance.random() < 0.05)
        ]
        return self._chance.choice(found[-10:]) if found else None

    def _new_id(self) -> str:
        self._count += 1
        self._ids.append(uuid7(START_MS + self._count, self._chance.getrandbits(74)))
        return self._ids[-1]


def _call(booking_id: str) -> Any:
    """Return what a route needs of a call."""
    return SimpleNamespace(id=booking_id, actor="ada")


def _append(tx: Any, name: str, *registers: msgspec.Struct) -> None:
    for body in registers:
        resource_rules.append(tx, site="demo", name=name, body=body, actor="ada")


def _request(tx: Any, booking_id: str, body: Ask, claims: Vector | None = None) -> None:
    register = bookings.ASKS[type(body)]
    kind = f"booking.{register}"
    if claims is None:
        tx.author.append(kind, booking_id, register, body)
    else:
        tx.author.append_raw(kind, booking_id, register, body, verdict=None, claims=claims)
