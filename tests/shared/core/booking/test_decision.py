"""Decisions over batches: the order, all or nothing, holds, moves, cancels. Promise 3."""

from collections.abc import Iterable
from itertools import permutations, product
from random import Random
from typing import Any

import msgspec
import pytest

from shared.core.booking.booking import (
    Ask,
    Booking,
    Cancel,
    Confirm,
    Create,
    Decision,
    Miss,
    Move,
    Request,
)
from shared.core.booking.decision import World, decide, given_back
from shared.core.booking.groups import Group
from shared.core.booking.reason import Rule
from shared.core.booking.resource import Resource
from shared.core.booking.rules import Limits
from shared.core.booking.slot import Slot
from shared.core.booking.status import MOVES, Signal, Status, move
from shared.core.booking.taken import Taken
from shared.core.event import Dot
from shared.core.ids import uuid7
from tests.shared.core.booking.making import (
    ALWAYS,
    HOUR_MS,
    MINUTE_MS,
    YEARS_S,
    a_resource,
    at,
)

NOW = at("2026-12-01T06:00")
NINE = at("2026-12-01T09:00")
SEEN = Dot("hub.1", 1)


def slot(start_ms: int = NINE, minutes: int = 60, *names: str) -> Slot:
    return Slot(names or ("strange",), start_ms, start_ms + minutes * MINUTE_MS)


class Store:
    """Bookings as a hub stores them."""

    def __init__(self, *bookings: Booking, capacity: int = 1, now_ms: int = NOW) -> None:
        self.bookings = {booking.id: booking for booking in bookings}
        self.now_ms = now_ms
        limits = Limits(capacity=capacity, horizon_s=YEARS_S)
        names = ("strange", "who", "room-2")
        self.resources: dict[str, Resource] = {
            name: a_resource(ALWAYS, name=name, limits=limits) for name in names
        }

    def busy(self, name: str, start_ms: int, end_ms: int) -> Iterable[Taken]:
        return sorted(
            (b.slot.start_ms, b.slot.end_ms, b.id)
            for b in self.bookings.values()
            if b.slot and b.blocks(self.now_ms) and name in b.slot.resources
            if b.slot.start_ms < end_ms and start_ms < b.slot.end_ms
        )

    @property
    def world(self) -> World:
        groups = {"surgery": Group(("strange", "room-2")), "ring": Group(("ring",))}
        return World(self.resources, groups, self.bookings.get, self.busy, self.now_ms)

    def decide(self, *requests: Request) -> tuple[Decision, ...]:
        decided = decide(requests, self.world)
        self.bookings.update((d.booking.id, d.booking) for d in decided)
        return decided

    def one(self, booking: str, ask: Ask, at: int = 1) -> Decision:
        (decided,) = self.decide(request(booking, ask, at))
        return decided


def request(booking: str, ask: Ask, at: int = 1, origin: str = "tablet.1", seq: int = 9) -> Request:
    return Request(at, Dot(origin, seq), booking, ask)


def confirmed(name: str, where: Slot | None = None) -> Booking:
    return Booking(name, Status.CONFIRMED, where or slot(), None, SEEN)


def held(name: str, until_ms: int, where: Slot | None = None) -> Booking:
    return Booking(name, Status.HELD, where or slot(), until_ms, SEEN)


def rules(decided: Decision) -> list[Rule]:
    return [reason.rule for reason in decided.reasons]


# ------------------------------------------------------------------ statuses


def test_every_status_and_signal_is_in_the_table_or_is_no_move() -> None:
    for status, signal in product(Status, Signal):
        assert move(status, signal) is MOVES.get((status, signal))
    final = {Status.REFUSED, Status.CANCELLED, Status.EXPIRED, Status.NO_SHOW}
    assert not any(status in final for status, _ in MOVES)


@pytest.mark.parametrize(
    ("status", "until_ms", "blocks"),
    [
        (Status.CONFIRMED, None, True),
        (Status.HELD, NOW + 1, True),
        (Status.HELD, NOW, False),
        (Status.HELD, None, False),
        (Status.REQUESTED, None, False),
        (Status.REFUSED, None, False),
        (Status.CANCELLED, None, False),
        (Status.EXPIRED, None, False),
        (Status.NO_SHOW, None, False),
    ],
)
def test_only_confirmed_bookings_and_live_holds_block(
    status: Status, until_ms: int | None, blocks: bool
) -> None:
    store = Store(Booking("old", status, slot(), until_ms, SEEN))
    decided = store.one("new", Create(slot()))
    assert decided.accepted is not blocks


def test_bodies_are_event_bodies_and_json() -> None:
    made = Store(confirmed("old")).one(uuid7(NOW, 1), Create(slot()))
    for body in (made, Create(slot()), Move(slot(), SEEN), Confirm(), Cancel("ill"), Miss()):
        json = msgspec.json.encode(body)
        assert msgspec.json.decode(json, type=type(body)) == body
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(body), type=type(body)) == body
    ask = msgspec.json.decode(b'{"ask": "cancel", "reason": "ill"}', type=Ask)
    assert ask == Cancel("ill")


# ------------------------------------------------------------------ creating


def test_what_fits_is_confirmed_and_what_does_not_names_what_is_in_the_way() -> None:
    store = Store()
    first = store.one("a", Create(slot()))
    assert (first.accepted, first.booking.status) == (True, Status.CONFIRMED)
    second = store.one("b", Create(slot(NINE + 30 * MINUTE_MS)))
    assert (second.accepted, second.booking.status) == (False, Status.REFUSED)
    assert second.reasons[0].bookings == ("a",)


def test_the_refused_get_alternatives_as_many_as_they_asked_for() -> None:
    store = Store(confirmed("a"))
    found = store.one("b", Create(slot(NINE, 30), alternatives=2)).alternatives
    assert [s.start_ms for s in found] == [NINE + HOUR_MS, NINE + 90 * MINUTE_MS]
    assert store.one("c", Create(slot(NINE, 30), alternatives=0)).alternatives == ()


def test_no_alternatives_to_what_is_no_time_or_of_nobody() -> None:
    store = Store()
    backwards = store.one("a", Create(Slot(("strange",), NINE, NINE)))
    nobody = store.one("b", Create(slot(NINE, 30, "loki")))
    ring = store.one("c", Create(slot(NINE, 30, "ring")))
    assert [rules(d) for d in (backwards, nobody, ring)] == [
        [Rule.SLOT],
        [Rule.UNKNOWN],
        [Rule.UNKNOWN],
    ]
    assert all(d.alternatives == () and not d.accepted for d in (backwards, nobody, ring))


def test_a_group_is_booked_whole_or_not_at_all() -> None:
    store = Store(confirmed("x", slot(NINE, 60, "room-2")))
    refused = store.one("a", Create(slot(NINE, 60, "surgery")))
    assert [reason.resource for reason in refused.reasons] == ["room-2"]
    assert store.one("b", Create(slot(NINE, 60, "strange"))).accepted
    both = store.one("c", Create(slot(NINE + HOUR_MS, 60, "surgery")))
    assert both.booking.slot == slot(NINE + HOUR_MS, 60, "room-2", "strange")
    assert not store.one("d", Create(slot(NINE + HOUR_MS, 60, "strange"))).accepted


def test_a_booking_is_created_once() -> None:
    store = Store(confirmed("a"))
    again = store.one("a", Create(slot(NINE + HOUR_MS)))
    assert rules(again) == [Rule.STATUS]
    assert again.booking == confirmed("a")


# ------------------------------------------------------------------ the order of a batch


def test_within_a_batch_the_earlier_corrected_time_wins_then_the_dot() -> None:
    asks = [
        request("late", Create(slot()), 7, "a.1", 1),
        request("early", Create(slot()), 5, "z.1", 9),
        request("same", Create(slot()), 5, "z.2", 1),
    ]
    for order in permutations(asks):
        decided = Store().decide(*order)
        assert [(d.booking.id, d.accepted) for d in decided] == [
            ("early", True),
            ("same", False),
            ("late", False),
        ]


def test_between_batches_the_first_to_arrive_wins_and_is_never_displaced() -> None:
    store = Store()
    assert store.one("late", Create(slot()), at=7).accepted
    assert not store.one("early", Create(slot()), at=5).accepted
    assert store.bookings["late"].status is Status.CONFIRMED


def test_a_request_that_is_there_twice_is_decided_once() -> None:
    asked = request("a", Create(slot()))
    (decided,) = Store().decide(asked, asked)
    assert decided.accepted


def test_a_place_given_up_in_a_batch_is_had_by_a_later_request_of_it() -> None:
    store = Store(confirmed("a"))
    decided = store.decide(
        request("b", Create(slot()), 3, seq=3),
        request("a", Cancel(), 2, seq=2),
        request("c", Create(slot()), 1, seq=1),
    )
    assert [(d.booking.id, d.accepted) for d in decided] == [("c", False), ("a", True), ("b", True)]


def test_a_hold_of_a_batch_blocks_within_it() -> None:
    decided = Store().decide(
        request("a", Create(slot(), hold_s=60), 1, seq=1), request("b", Create(slot()), 2, seq=2)
    )
    assert [d.booking.status for d in decided] == [Status.HELD, Status.REFUSED]


@pytest.mark.parametrize("capacity", [1, 2])
def test_whatever_is_asked_no_instant_holds_more_than_the_capacity(capacity: int) -> None:
    """Promise 3."""
    for seed in range(60):
        random, store = Random(seed), Store(capacity=capacity)
        ids = [f"b{n}" for n in range(12)]
        for batch in range(6):
            asked = [
                request(
                    random.choice(ids), some_ask(random, store, ids), random.randrange(9), seq=n
                )
                for n in range(random.randint(1, 8))
            ]
            told = {i: b for i, b in store.bookings.items() if b.status is Status.CONFIRMED}
            store.now_ms += random.choice((0, 20 * MINUTE_MS))
            store.decide(*asked)
            asked_of = {r.booking for r in asked}
            for name, before in told.items():  # who was told yes keeps it, unless it asks itself
                assert name in asked_of or store.bookings[name] == before, (seed, batch)
            for name in store.resources:
                for minute in range(NINE, NINE + 6 * HOUR_MS, 10 * MINUTE_MS):
                    there = list(store.busy(name, minute, minute + 1))
                    assert len(there) <= capacity, (seed, batch, there)


def some_ask(random: Random, store: Store, ids: list[str]) -> Ask:
    start = NINE + random.randrange(30) * 10 * MINUTE_MS
    names = random.choice((("strange",), ("room-2",), ("surgery",), ("strange", "who")))
    where = Slot(names, start, start + random.choice((10, 40, 90)) * MINUTE_MS)
    known = store.bookings.get(random.choice(ids))
    seen = known.changed_by if known and known.changed_by else SEEN
    return random.choice(
        (
            Create(where),
            Create(where),
            Create(where, hold_s=random.choice((600, 3600))),
            Move(where, seen),
            Confirm(),
            Cancel(),
            Miss(),
        )
    )


# ------------------------------------------------------------------ holds


def test_a_hold_lasts_so_long_and_no_longer() -> None:
    made = Store().one("a", Create(slot(), hold_s=60)).booking
    assert made.held_until_ms == NOW + 60_000
    assert made.blocks(NOW + 59_999)
    assert not made.blocks(NOW + 60_000)


def test_a_live_hold_is_confirmed_whatever_notice_says_by_now() -> None:
    store = Store(held("a", NOW + 1))
    limits = Limits(notice_s=24 * 3600, horizon_s=YEARS_S)
    store.resources["strange"] = a_resource(ALWAYS, limits=limits)
    decided = store.one("a", Confirm(seen=SEEN))
    assert decided.accepted
    assert (decided.booking.status, decided.booking.held_until_ms) == (Status.CONFIRMED, None)


def test_a_hold_that_ran_out_is_confirmed_only_if_its_place_is_still_free() -> None:
    assert Store(held("a", NOW)).one("a", Confirm()).accepted
    lost = Store(held("a", NOW), confirmed("b")).one("a", Confirm())
    assert (lost.accepted, lost.booking.status) == (False, Status.EXPIRED)
    assert rules(lost) == [Rule.CAPACITY]
    assert len(lost.alternatives) == 3


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.HELD, Status.REQUESTED)])
def test_only_a_hold_can_be_confirmed(status: Status) -> None:
    store = Store(Booking("a", status, slot(), None, SEEN))
    assert rules(store.one("a", Confirm())) == [Rule.STATUS]


def test_a_confirmation_that_has_not_seen_the_last_change_is_stale() -> None:
    stale = Store(held("a", NOW + 1)).one("a", Confirm(seen=Dot("tablet.1", 5)))
    assert rules(stale) == [Rule.STALE]


# ------------------------------------------------------------------ moving


def test_a_move_keeps_the_old_slot_until_it_has_the_new_one() -> None:
    store = Store(confirmed("a"), confirmed("b", slot(NINE + 2 * HOUR_MS)))
    refused = store.one("a", Move(slot(NINE + 90 * MINUTE_MS), SEEN))
    assert not refused.accepted
    assert refused.booking == confirmed("a")
    assert refused.reasons[0].bookings == ("b",)
    assert not store.one("c", Create(slot())).accepted


def test_a_move_overlaps_itself_and_leaves_its_old_place_free() -> None:
    store = Store(confirmed("a"))
    moved = store.one("a", Move(slot(NINE + 30 * MINUTE_MS, 60, "strange"), SEEN))
    assert moved.accepted
    assert moved.booking.changed_by == Dot("tablet.1", 9)
    assert store.one("b", Create(slot(NINE, 30))).accepted


def test_a_move_to_another_resource_frees_the_first() -> None:
    store = Store(confirmed("a"))
    assert store.one("a", Move(slot(NINE, 60, "who"), SEEN)).accepted
    assert store.one("b", Create(slot())).accepted


def test_alternatives_to_a_move_may_use_its_own_place() -> None:
    store = Store(confirmed("a"), confirmed("b", slot(NINE + HOUR_MS)))
    refused = store.one("a", Move(slot(NINE, 90), SEEN, alternatives=1))
    assert refused.alternatives == (slot(NINE + 2 * HOUR_MS, 90),)


def test_a_move_that_has_not_seen_the_last_change_is_stale() -> None:
    store = Store(confirmed("a"))
    decided = store.decide(
        request("a", Move(slot(NINE + HOUR_MS), SEEN), 1, seq=1),
        request("a", Move(slot(NINE + 2 * HOUR_MS), SEEN), 2, seq=2),
    )
    assert [rules(d) for d in decided] == [[], [Rule.STALE]]


def test_who_books_and_moves_while_offline_names_its_own_request() -> None:
    decided = Store().decide(
        request("a", Create(slot()), 1, seq=1),
        request("a", Move(slot(NINE + HOUR_MS), Dot("tablet.1", 1)), 2, seq=2),
    )
    assert [d.accepted for d in decided] == [True, True]


def test_a_hold_can_be_moved_while_it_lives() -> None:
    moved = Store(held("a", NOW + 1)).one("a", Move(slot(NINE + HOUR_MS), SEEN))
    assert (moved.accepted, moved.booking.status) == (True, Status.HELD)
    dead = Store(held("a", NOW)).one("a", Move(slot(NINE + HOUR_MS), SEEN))
    assert rules(dead) == [Rule.STATUS]
    assert "the hold has run out" in dead.reasons[0].text


# ------------------------------------------------------------------ cancelling, not coming


def test_a_cancel_is_final_also_if_it_comes_before_its_booking() -> None:
    store = Store()
    assert store.one("a", Cancel("ill")).booking.status is Status.CANCELLED
    late = store.one("a", Create(slot()))
    assert (late.accepted, rules(late)) == (False, [Rule.STATUS])
    assert store.one("b", Create(slot())).accepted


def test_a_cancelled_booking_frees_its_place_but_displaced_ones_stay_refused() -> None:
    store = Store(confirmed("a"))
    assert not store.one("b", Create(slot())).accepted
    assert store.one("a", Cancel()).accepted
    assert store.bookings["b"].status is Status.REFUSED
    assert store.one("c", Create(slot())).accepted


@pytest.mark.parametrize("ask", [Confirm(), Move(slot(), SEEN), Miss()])
def test_what_does_not_exist_cannot_be_changed(ask: Any) -> None:
    assert rules(Store().one("a", ask)) == [Rule.UNKNOWN]


@pytest.mark.parametrize(
    "status", [Status.REFUSED, Status.CANCELLED, Status.EXPIRED, Status.NO_SHOW]
)
@pytest.mark.parametrize("ask", [Cancel(), Move(slot(), SEEN), Miss(), Create(slot())])
def test_what_is_over_cannot_be_changed(status: Status, ask: Any) -> None:
    store = Store(Booking("a", status, slot(), None, SEEN))
    decided = store.one("a", ask)
    assert rules(decided) == [Rule.STATUS]
    assert decided.booking.status is status


def test_nobody_misses_what_has_not_begun() -> None:
    early = Store(confirmed("a"), now_ms=NINE - 1).one("a", Miss())
    assert rules(early) == [Rule.STATUS]
    assert "it has not begun" in early.reasons[0].text
    missed = Store(confirmed("a"), now_ms=NINE).one("a", Miss())
    assert missed.booking.status is Status.NO_SHOW


# ------------------------------------------------------------------ after a restore


def test_what_was_promised_twice_stands_and_is_marked() -> None:
    fits = given_back(confirmed("a"), Store().world)
    assert (fits.status, fits.overbooked) == (Status.CONFIRMED, False)
    over = given_back(confirmed("a"), Store(confirmed("b")).world)
    assert (over.status, over.overbooked) == (Status.CONFIRMED, True)


def test_an_overbooked_one_that_moves_to_a_free_place_is_none_any_more() -> None:
    over = msgspec.structs.replace(confirmed("a"), overbooked=True)
    store = Store(over, confirmed("b"))
    assert not store.one("a", Move(slot(NINE + HOUR_MS), SEEN)).booking.overbooked
