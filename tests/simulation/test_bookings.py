"""Bookings under seeded faults, and the proof that left-out rules are noticed."""

import pytest

from tests.simulation.booking_bugs import BOOKING_BUGS, BookingBug
from tests.simulation.booking_world import simulate

SEEDS = 40
BUG_SEEDS = 24
PARTS = 4  # of the seeds, so that workers share them
SEEDS_PER_PART = SEEDS // PARTS


@pytest.mark.parametrize("part", range(PARTS))
def test_no_two_are_promised_one_place_and_all_are_told(part: int) -> None:
    """Promises 2, 3 and 4."""
    first = part * SEEDS_PER_PART
    reports = [simulate(seed) for seed in range(first, first + SEEDS_PER_PART)]
    assert [report.failure for report in reports if report.failure is not None] == []
    assert sum(report.decisions for report in reports) > 20 * SEEDS_PER_PART
    assert sum(report.crashes for report in reports) > SEEDS_PER_PART


@pytest.mark.parametrize("bug", BOOKING_BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_rule_left_out_is_noticed(bug: BookingBug) -> None:
    """By the comparison that is there for it."""
    for seed in range(bug.first, bug.first + BUG_SEEDS):
        report = simulate(seed, clerk=bug.clerk(), rules=bug.rules)
        if report.failure is not None:
            assert report.broken in bug.caught_by, f"seed {seed}: {report.failure}"
            return
    pytest.fail(f"{BUG_SEEDS} seeds did not notice that {bug.name}")


def test_a_seed_of_bookings_does_the_same_twice() -> None:
    assert simulate(2) == simulate(2)
