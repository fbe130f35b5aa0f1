"""Many seeds over two processes, and the one line that sums them up (SHAPES, Script)."""

import logging
import multiprocessing
import multiprocessing.pool
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType

import msgspec

from tests.simulation import booking_world, dispatch_world, world
from tests.simulation.world import Failure, Report

PROCESSES = 2  # what the smallest machine that builds this has
HOUR_MS = 3_600_000

WORLDS: Mapping[str, str] = MappingProxyType(
    {
        "sync": "anybody writes anything, anywhere, at any time",
        "fleet": "a hub deals tasks, robots run them, people interfere",
        "bookings": "people want the same few times everywhere, a hub decides",
    }
)
_SIMULATE: Mapping[str, Callable[..., Report]] = MappingProxyType(
    {
        "sync": world.simulate,
        "fleet": dispatch_world.simulate,
        "bookings": booking_world.simulate,
    }
)

Played = tuple[str, int]  # world, seed


class Summary(msgspec.Struct, frozen=True):
    """What ``./dev simulate`` prints last.

    Attributes:
        ok: Whether every promise was kept.
        seeds: How many, in each of the worlds.
        first: The first of them.
        worlds: Which.
        events: Written in all.
        starts: Of tasks, by robots.
        decisions: About bookings, by hubs.
        virtual_hours: How long it was for the fleets.
        seconds: How long it was for us.
    """

    ok: bool
    seeds: int
    first: int
    worlds: tuple[str, ...]
    events: int
    starts: int
    decisions: int
    crashes: int
    partitions: int
    virtual_hours: float
    seconds: float
    failed: list[Failure]


def play(
    played: Played, *, steps: int | None = None, narrate: Callable[[str], None] | None = None
) -> Report:
    """Run one seed in one world; ``steps``: as many as that world has by itself, if None."""
    name, seed = played
    given = {} if steps is None else {"steps": steps}
    return _SIMULATE[name](seed, narrate=narrate, **given)


def campaign(
    played: Iterable[Played], *, steps: int | None, told: Callable[[Report], None]
) -> tuple[Report, ...]:
    """Run seeds, each in one of the processes; reports come in the order given.

    Args:
        played: Which, in which world.
        steps: Of each; None: as its world has them.
        told: Called with each report as it comes.
    """
    reports = []
    with _processes() as pool:
        for report in pool.imap(partial(play, steps=steps), played):
            told(report)
            reports.append(report)
    return tuple(reports)


def summarise(
    reports: tuple[Report, ...], *, first: int, worlds: tuple[str, ...], seconds: float
) -> Summary:
    """Add reports up."""
    failed = [report.failure for report in reports if report.failure is not None]
    return Summary(
        ok=not failed,
        seeds=len({report.seed for report in reports}),
        first=first,
        worlds=worlds,
        events=sum(report.events for report in reports),
        starts=sum(report.starts for report in reports),
        decisions=sum(report.decisions for report in reports),
        crashes=sum(report.crashes for report in reports),
        partitions=sum(report.partitions for report in reports),
        virtual_hours=round(sum(report.virtual_ms for report in reports) / HOUR_MS, 1),
        seconds=round(seconds, 1),
        failed=failed,
    )


@contextmanager
def _processes() -> Iterator[multiprocessing.pool.Pool]:
    """Start fresh interpreters: nothing of this process leaks into a seed."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(PROCESSES, logging.disable, (logging.WARNING,)) as pool:
        yield pool
