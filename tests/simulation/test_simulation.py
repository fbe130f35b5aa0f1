"""The engine under seeded faults, and the proof that the simulator notices planted bugs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.planted import BUGS, Bug
from tests.simulation.world import Report, simulate

ROOT = Path(__file__).parents[2]
SEEDS = 200
PARTS = 8  # of the seeds, so that two workers share them
SEEDS_PER_PART = SEEDS // PARTS


@pytest.mark.parametrize("part", range(PARTS))
def test_promises_hold_through_chaos(part: int) -> None:
    """All promises, for 200 seeds."""
    first = part * SEEDS_PER_PART
    reports = [simulate(seed) for seed in range(first, first + SEEDS_PER_PART)]
    assert [report.failure for report in reports if report.failure is not None] == []
    assert sum(report.crashes for report in reports) > SEEDS_PER_PART
    assert sum(report.partitions for report in reports) > SEEDS_PER_PART


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    """By the comparison that is there for it."""
    caught = _first_catch(bug)
    assert caught is not None, f"{SEEDS} seeds did not notice that {bug.name}"
    assert caught.broken in bug.caught_by, f"seed {caught.seed}: {caught.failure}"


def _first_catch(bug: Bug) -> Report | None:
    for seed in range(SEEDS):
        report = simulate(seed, rules=bug.rules())
        if report.failure is not None:
            return report
    return None


def test_a_seed_does_the_same_twice() -> None:
    first, second = simulate(7), simulate(7)
    assert first == second
    assert simulate(8).digest != first.digest


def test_the_command_prints_one_line_of_json() -> None:
    done = _simulate("--seeds", "2", "--first", "3", "--steps", "20")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["ok"], summary["seeds"], summary["first"]) == (True, 2, 3)
    assert summary["failed"] == []
    assert summary["events"] > 0


def test_one_seed_is_told_step_by_step() -> None:
    done = _simulate("--seed", "3", "--steps", "20")
    assert done.returncode == 0, done.stderr
    assert "world heals" in done.stderr
    assert len(done.stdout.splitlines()) == 1


def _simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
