"""Many seeds over two processes, and the one line that sums them up (SHAPES, Script)."""

import multiprocessing
import multiprocessing.pool
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from tests.simulation.world import Failure, Report, simulate

PROCESSES = 2  # what the smallest machine that builds this has


class Summary(msgspec.Struct, frozen=True):
    """What ``./dev simulate`` prints last."""

    ok: bool
    seeds: int
    first: int
    events: int
    crashes: int
    partitions: int
    seconds: float
    failed: list[Failure]


def campaign(
    seeds: Iterable[int], *, steps: int, told: Callable[[Report], None]
) -> tuple[Report, ...]:
    """Run seeds, each in one of the processes; reports come in the order of the seeds.

    Args:
        seeds: Which.
        steps: Writes tried in each.
        told: Called with each report as it comes.
    """
    reports = []
    with _processes() as pool:
        for report in pool.imap(partial(simulate, steps=steps), seeds):
            told(report)
            reports.append(report)
    return tuple(reports)


def summarise(reports: tuple[Report, ...], *, first: int, seconds: float) -> Summary:
    """Add reports up."""
    failed = [report.failure for report in reports if report.failure is not None]
    return Summary(
        ok=not failed,
        seeds=len(reports),
        first=first,
        events=sum(report.events for report in reports),
        crashes=sum(report.crashes for report in reports),
        partitions=sum(report.partitions for report in reports),
        seconds=round(seconds, 1),
        failed=failed,
    )


@contextmanager
def _processes() -> Iterator[multiprocessing.pool.Pool]:
    """Start fresh interpreters: nothing of this process leaks into a seed."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        yield pool
