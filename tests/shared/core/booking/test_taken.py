"""The running maximum, what buffers occupy, and what changes of a batch do to it."""

import itertools
from random import Random

from shared.core.booking import taken
from shared.core.booking.interval import Interval
from shared.core.booking.rules import Limits
from tests.shared.core.booking.making import bookings


def test_what_counts_is_how_many_there_are_at_once() -> None:
    row = [Interval(0, 10), Interval(10, 20), Interval(12, 15), Interval(20, 30)]
    assert list(taken.full(row, 3)) == []
    assert list(taken.full(row, 2)) == [Interval(12, 15)]


def test_full_times_are_those_of_every_instant() -> None:
    for seed in range(300):
        random = Random(seed)
        starts = sorted(random.randrange(40) for _ in range(random.randrange(12)))
        row = [Interval(start, start + random.randint(1, 15)) for start in starts]
        capacity = random.randint(1, 3)
        count = [sum(i.start_ms <= ms < i.end_ms for i in row) for ms in range(60)]
        found = list(taken.full(row, capacity))
        got = {ms for i in found for ms in range(i.start_ms, i.end_ms)}
        assert got == {ms for ms in range(60) if count[ms] >= capacity}, seed
        assert all(a.end_ms <= b.end_ms for a, b in itertools.pairwise(found)), seed
        crowd = taken.crowd(((i, str(n)) for n, i in enumerate(row)), capacity)
        at_full = {n for n, i in enumerate(row) for ms in got if i.start_ms <= ms < i.end_ms}
        assert crowd == {str(n) for n in at_full}, seed


def test_buffers_alone_reach_into_a_window() -> None:
    limits = Limits(before_s=60, after_s=120)
    busy = bookings({"a": [(0, 100_000, "early"), (400_000, 500_000, "late")]})
    window = Interval(219_999, 340_001)
    assert [b for _, b in taken.occupying("a", limits, busy, window)] == ["early", "late"]
    tight = Interval(220_000, 340_000)
    assert list(taken.occupying("a", limits, busy, tight)) == []


def test_a_booking_that_moves_is_left_out() -> None:
    busy = bookings({"a": [(0, 100, "mine"), (0, 100, "yours")]})
    found = taken.occupying("a", Limits(), busy, Interval(0, 100), "mine")
    assert [booking for _, booking in found] == ["yours"]


def test_changes_are_seen_over_what_is_stored() -> None:
    stored = bookings({"a": [(0, 10, "gone"), (5, 15, "moved"), (20, 30, "kept")], "b": []})
    changed = {"a": {"gone": None, "moved": Interval(25, 35), "new": Interval(1, 2)}}
    after = taken.overlay(stored, changed)
    assert list(after("a", 0, 100)) == [(1, 2, "new"), (20, 30, "kept"), (25, 35, "moved")]
    assert list(after("a", 0, 20)) == [(1, 2, "new")]
    assert list(after("b", 0, 100)) == []
    assert list(taken.nothing("a", 0, 100)) == []
