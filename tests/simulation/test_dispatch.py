"""The fleet at work under seeded faults, and the proof that left-out rules are noticed."""

import pytest

from tests.simulation.dispatch_bugs import DISPATCH_BUGS, DispatchBug
from tests.simulation.dispatch_world import simulate

SEEDS = 24
PARTS = 4  # of the seeds, so that workers share them
SEEDS_PER_PART = SEEDS // PARTS


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_exclusive_runs_twice_and_no_order_is_broken(part: int) -> None:
    """Promise 3, and 6: everything comes to an end once people settle what only they can."""
    first = part * SEEDS_PER_PART
    reports = [simulate(seed) for seed in range(first, first + SEEDS_PER_PART)]
    assert [report.failure for report in reports if report.failure is not None] == []
    assert sum(report.starts for report in reports) > 10 * SEEDS_PER_PART
    assert sum(report.crashes for report in reports) > SEEDS_PER_PART


@pytest.mark.parametrize("bug", DISPATCH_BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_rule_left_out_is_noticed(bug: DispatchBug) -> None:
    """By the comparison that is there for it."""
    for seed in range(bug.first, bug.first + SEEDS):
        report = simulate(seed, office=bug.office, manners=bug.manners, often=bug.often)
        if report.failure is not None:
            assert report.broken in bug.caught_by, f"seed {seed}: {report.failure}"
            return
    pytest.fail(f"{SEEDS} seeds did not notice that {bug.name}")


def test_a_seed_of_the_fleet_does_the_same_twice() -> None:
    assert simulate(2) == simulate(2)
