"""What arrives from agents is decided with the batch that brings it, once and for all."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hub import calendar_import, deciding, resource_rules
from hub.booking_keeper import BookingKeeper
from shared.core.booking.booking import Ask, Booking, Cancel, Create, Decision, Move
from shared.core.booking.hours import Week
from shared.core.booking.interval import Interval
from shared.core.booking.rules import Hours, Limits
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.event import Dot, Event
from shared.core.ids import uuid7
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.core.kinds.kind import Lane
from shared.store import feed, up
from shared.store.judge import React, no_reaction
from shared.store.store import Store
from shared.store.transaction import Transaction
from shared.sync.frame import Stored, Up
from tests.api.nodes import SITE, START_MS, Clock, Node, hello, open_node
from tests.shared.store.derived import differences

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ALWAYS = Week(*(("00:00-24:00",),) * 7)
SLOT = Slot(("room",), START_MS + HOUR_MS, START_MS + 2 * HOUR_MS)
LATER = Slot(("room",), START_MS + HOUR_MS // 2 * 3, START_MS + 3 * HOUR_MS)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path, "hub", "hub", clock=Clock()) as node:
        await node.replica.write(a_room)
        yield node


@pytest.fixture
async def tablet(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path, "agent", "tablet") as node:
        yield node


@pytest.fixture
async def robot(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path, "agent", "robot") as node:
        yield node


def a_room(tx: Transaction, name: str = "room") -> None:
    for body in (resources.Created(), Hours("Europe/Berlin", ALWAYS), Limits()):
        resource_rules.append(tx, site=SITE, name=name, body=body, actor="ada")


async def ask(node: Node, booking_id: str, body: Ask) -> Event:
    """Let an agent write a request, as its routes do."""
    register = bookings.ASKS[type(body)]

    def write(tx: Transaction) -> Event:
        return tx.append(
            site=SITE,
            kind=f"booking.{register}",
            subject=booking_id,
            register=register,
            body=body,
            actor="nurse",
        )

    return await node.replica.write(write)


async def bring(agent: Node, hub: Node, react: React = deciding.react) -> None:
    """Bring an agent's log up to the hub, as a session does."""
    device = agent.replica.node.device
    log = agent.replica.node.logs[agent.replica.node.writes[SITE]]
    held = hub.replica.node.logs.get(log.name)
    stretch = await agent.replica.read(lambda r: up.read(r, log, held.head if held else 0))
    frame = Up(stretch.origin, stretch.first, stretch.previous, stretch.events)
    taken = await hub.replica.write(
        lambda tx: up.take(tx, frame, device=device, site=SITE, react=react)
    )
    assert isinstance(taken, Stored)


def an_id(number: int) -> str:
    return uuid7(START_MS, Random(number).getrandbits(74))


async def status(node: Node, booking_id: str) -> Status:
    booking = bookings.shown(await node.replica.record("booking", booking_id))
    assert booking is not None
    return booking.status


async def decisions(hub: Node, booking_id: str) -> list[Decision | None]:
    record = await hub.replica.record("booking", booking_id)
    return [asked.decision for asked in bookings.asked(record)]


async def test_a_batch_is_decided_in_the_transaction_that_stores_it(
    hub: Node, tablet: Node
) -> None:
    """Promise 3."""
    await ask(tablet, an_id(1), Create(SLOT))
    await ask(tablet, an_id(2), Create(LATER))
    await bring(tablet, hub)
    assert await status(hub, an_id(1)) is Status.CONFIRMED
    assert await status(hub, an_id(2)) is Status.REFUSED
    (refusal,) = await decisions(hub, an_id(2))
    assert refusal is not None
    assert [reason.bookings for reason in refusal.reasons] == [(an_id(1),)]
    assert refusal.alternatives


async def test_whoever_arrives_first_stands_however_early_the_other_asked(
    hub: Node, tablet: Node, robot: Node
) -> None:
    """Promise 3."""
    await ask(robot, an_id(1), Create(SLOT))
    tablet.clock.ms += 1000
    await ask(tablet, an_id(2), Create(SLOT))
    await bring(tablet, hub)
    await bring(robot, hub)
    assert await status(hub, an_id(2)) is Status.CONFIRMED
    assert await status(hub, an_id(1)) is Status.REFUSED


@pytest.mark.parametrize(("ahead_ms", "first"), [(0, 1), (5000, 2)])
async def test_within_a_batch_the_corrected_time_counts(
    hub: Node, tablet: Node, robot: Node, ahead_ms: int, first: int
) -> None:
    """The tablet's clock is ahead by so much; by its own stamps the robot was always first."""
    robot.clock.ms = START_MS + 1000
    tablet.clock.ms = START_MS + 2000
    for device in ("robot", "tablet"):
        await hello(hub.replica, device)
    asked = [await ask(robot, an_id(1), Create(SLOT)), await ask(tablet, an_id(2), Create(SLOT))]
    for agent in (robot, tablet):
        await bring(agent, hub, no_reaction)

    def decide(tx: Transaction) -> None:
        tx.execute("UPDATE devices SET clock_offset_ms = $1 WHERE id = 'tablet'", ahead_ms)
        deciding.decide_events(tx, asked, SITE)

    await hub.replica.write(decide)
    assert await status(hub, an_id(first)) is Status.CONFIRMED
    assert await status(hub, an_id(3 - first)) is Status.REFUSED


async def test_what_arrives_again_is_not_decided_again(hub: Node, tablet: Node) -> None:
    event = await ask(tablet, an_id(1), Create(SLOT))
    await bring(tablet, hub)
    again: Callable[[Transaction], Any] = lambda tx: deciding.decide_events(tx, [event], SITE)  # noqa: E731
    assert await hub.replica.write(again) == ()
    assert len(await decisions(hub, an_id(1))) == 1


async def test_booked_moved_and_cancelled_in_one_batch(hub: Node, tablet: Node) -> None:
    made = await ask(tablet, an_id(1), Create(SLOT))
    await ask(tablet, an_id(1), Move(LATER, made.dot))
    await ask(tablet, an_id(1), Move(SLOT, Dot("nobody", 1)))  # covers the one before it
    await ask(tablet, an_id(2), Cancel())
    await ask(tablet, an_id(2), Create(SLOT))
    await bring(tablet, hub)
    told = await decisions(hub, an_id(1))
    assert [d.accepted if d else None for d in told] == [True, True, False]
    booking = bookings.stands(await hub.replica.record("booking", an_id(1)))
    assert booking is not None
    assert booking.slot == LATER
    assert await status(hub, an_id(2)) is Status.CANCELLED


async def test_the_tables_are_what_the_journals_say(hub: Node, tablet: Node) -> None:
    """Promise 2: rows of bookings, a row for each resource, counters, whom it concerns."""
    await hub.replica.write(partial(a_room, name="hall"))
    both = Slot(("hall", "room"), SLOT.start_ms, SLOT.end_ms)
    made = await ask(tablet, an_id(1), Create(both, hold_s=60))
    await ask(tablet, an_id(2), Create(LATER))
    await ask(tablet, an_id(1), Move(SLOT, made.dot))
    for node in (tablet, hub):
        assert await node.replica.run_on_writer(_differences) == []
        await bring(tablet, hub)
    hub.clock.ms += DAY_MS
    await BookingKeeper(hub.replica, hub.clock).tick()
    assert await status(hub, an_id(1)) is Status.EXPIRED
    assert await hub.replica.run_on_writer(_differences) == []
    rows = await hub.replica.read(
        lambda r: r.query(
            "SELECT resource, status FROM booking_places WHERE booking = $1", an_id(1)
        )
    )
    assert rows == [("room", "expired")]


def _differences(store: Store) -> list[str]:
    store.follow()
    return differences(store.reading().db)


async def test_only_the_hub_decides(hub: Node, tablet: Node) -> None:
    """Promise 5."""
    made = await ask(tablet, an_id(1), Create(SLOT))
    booking = Booking(an_id(1), Status.CONFIRMED, SLOT, changed_by=made.dot)

    def forge(tx: Transaction) -> None:
        tx.append(
            site=SITE,
            kind="booking.decided",
            subject=an_id(1),
            register=bookings.decision_register("requested", made.dot),
            body=Decision(made.dot, True, booking),
            actor="mallory",
        )
        resource_rules.append(tx, site=SITE, name="room", body=Limits(capacity=9), actor="mallory")

    await hub.replica.write(lambda tx: deciding.ask(
        tx, site=SITE, booking_id=an_id(9), body=Create(SLOT), actor="ada"
    ))  # fmt: skip
    await tablet.replica.write(forge)
    await bring(tablet, hub)
    assert await status(hub, an_id(1)) is Status.REFUSED
    room = resources.read(await hub.replica.record("resource", "room"))
    assert room is not None
    assert room.limits == Limits()


async def test_a_time_that_no_column_holds_is_refused_and_blocks_nothing(
    hub: Node, tablet: Node
) -> None:
    """Promise 6."""
    await ask(tablet, an_id(1), Create(Slot(("room",), 2**63, 2**64 - 1)))
    await ask(tablet, an_id(2), Create(Slot(("room",), 9, 3)))
    await ask(tablet, "no-uuid", Create(SLOT))
    await ask(tablet, an_id(3), Create(SLOT))
    await bring(tablet, hub)
    assert await status(hub, an_id(2)) is Status.REFUSED
    assert await status(hub, an_id(3)) is Status.CONFIRMED


async def test_what_a_fault_left_undecided_is_decided_later(hub: Node, tablet: Node) -> None:
    """Promise 6."""
    await ask(tablet, an_id(1), Create(SLOT))
    await bring(tablet, hub, no_reaction)
    assert await status(hub, an_id(1)) is Status.REQUESTED
    await BookingKeeper(hub.replica, hub.clock).tick()
    assert await status(hub, an_id(1)) is Status.CONFIRMED


async def test_a_booking_concerns_its_site_from_five_weeks_before_to_a_week_after(
    hub: Node,
) -> None:
    far = Slot(("room",), START_MS + 40 * DAY_MS, START_MS + 40 * DAY_MS + HOUR_MS)
    await hub.replica.write(lambda tx: deciding.ask(
        tx, site=SITE, booking_id=an_id(1), body=Create(far), actor="ada"
    ))  # fmt: skip
    keeper = BookingKeeper(hub.replica, hub.clock)
    cursor = 0

    async def news() -> set[str]:
        nonlocal cursor
        await keeper.tick()
        chunk = await hub.replica.read(
            lambda r: feed.read(r, device="robot", site=SITE, lane=Lane.CONTROL, cursor=cursor)
        )
        cursor = chunk.upto
        return {state.subject for state in chunk.registers if state.kind == "booking"}

    assert await news() == set()
    hub.clock.ms += 4 * DAY_MS
    assert await news() == set()
    hub.clock.ms += DAY_MS
    assert await news() == {an_id(1)}
    assert await news() == set()
    await hub.replica.write(lambda tx: deciding.ask(
        tx, site=SITE, booking_id=an_id(1), body=Cancel(), actor="ada"
    ))  # fmt: skip
    assert await news() == {an_id(1)}
    hub.clock.ms = far.end_ms + 8 * DAY_MS
    await keeper.tick()
    rows = await hub.replica.read(
        lambda r: r.query("SELECT count(*) FROM scope WHERE device LIKE '*%'")
    )
    assert rows == [(0,)]


async def test_whoever_asked_hears_of_it_however_far_ahead(hub: Node, tablet: Node) -> None:
    far = Slot(("room",), START_MS + 90 * DAY_MS, START_MS + 90 * DAY_MS + HOUR_MS)
    await ask(tablet, an_id(1), Create(far))
    await bring(tablet, hub)
    chunks = [
        await hub.replica.read(
            lambda r, name=name: feed.read(  # type: ignore[misc]
                r, device=name, site=SITE, lane=Lane.CONTROL, cursor=0
            )
        )
        for name in ("tablet", "robot")
    ]
    assert [bool(chunk.registers) for chunk in chunks] == [True, False]


async def test_what_the_hubs_own_people_ask_for_concerns_no_device_called_hub(hub: Node) -> None:
    """Its request is looked at before its decision is there, and may be written by then."""
    await hub.replica.write(
        lambda tx: deciding.ask(tx, site=SITE, booking_id=an_id(1), body=Create(SLOT), actor="ada")
    )
    rows = await hub.replica.read(lambda r: r.query("SELECT device FROM scope"))
    assert rows == [("*demo",)]
    assert await hub.replica.run_on_writer(_differences) == []


async def test_one_that_is_cancelled_in_the_batch_that_asks_for_it_leaves_nothing_behind(
    hub: Node, tablet: Node
) -> None:
    """What was requested for a moment may have been written as such: whom it concerns too."""
    await ask(tablet, an_id(1), Cancel())
    await ask(tablet, an_id(1), Create(SLOT))
    await bring(tablet, hub)
    assert await status(hub, an_id(1)) is Status.CANCELLED
    assert await hub.replica.run_on_writer(_differences) == []


async def test_a_hold_that_lost_its_place_is_not_alive_again_if_the_clock_is_set_back(
    hub: Node, tablet: Node
) -> None:
    """Promise 3, also if the batch that gave its place away asked something of it as well."""
    await ask(tablet, an_id(1), Create(SLOT, hold_s=10))
    await bring(tablet, hub)
    hub.clock.ms += 20_000
    await ask(tablet, an_id(2), Create(SLOT))
    await ask(tablet, an_id(1), Move(LATER, seen=Dot("nobody", 1)))
    await bring(tablet, hub)
    hub.clock.ms -= 15_000
    await hub.replica.write(deciding.decide_rest)
    assert await status(hub, an_id(2)) is Status.CONFIRMED
    assert await status(hub, an_id(1)) is Status.EXPIRED


async def test_an_agent_cannot_change_what_came_from_a_calendar(hub: Node, tablet: Node) -> None:
    def bring_in(tx: Transaction) -> None:
        room = resources.ready(tx.record("resource", "room"))
        assert room is not None
        calendar_import.replace(
            tx,
            site=SITE,
            resource=room,
            source="google",
            busy=[SLOT.interval],
            window=Interval(START_MS, START_MS + DAY_MS),
            actor="ada",
            new_id=lambda: an_id(1),
        )

    await hub.replica.write(bring_in)
    await ask(tablet, an_id(1), Cancel())
    await bring(tablet, hub)
    assert await status(hub, an_id(1)) is Status.CONFIRMED
    _, refusal = await decisions(hub, an_id(1))
    assert refusal is not None
    assert "calendar google" in refusal.reasons[0].text


async def test_a_refused_request_under_the_id_of_another_changes_nothing_of_it(
    hub: Node, tablet: Node
) -> None:
    """Promise 3."""
    await ask(tablet, an_id(1), Create(LATER, title="from the tablet"))
    hub.clock.ms += 1000
    mine = Create(SLOT, title="at the hub")
    made = partial(deciding.ask, site=SITE, booking_id=an_id(1), body=mine, actor="ada")
    await hub.replica.write(made)
    await bring(tablet, hub)
    record = await hub.replica.record("booking", an_id(1))
    first = bookings.created(record)
    assert first is not None
    assert (first.header.actor, bookings.title(record)) == ("ada", "at the hub")
    assert await hub.replica.read(lambda r: r.query("SELECT requester FROM bookings")) == [("ada",)]
