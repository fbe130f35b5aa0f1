"""Durable writes: ``Replica.write`` beside raw sqlite3 and beside Huey's enqueue."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter

from bench import nodes, raw, reports
from bench.figures import Figure, Rate, Target, figure
from bench.queue_huey import HueyQueue, open_queue
from bench.reports import Given
from bench.sizes import Sizes
from shared.replica import Replica

WRITERS = (1, 64, 512)
SLICES = 5  # a sample is taken in turns with the others', so that the disk's moods hit all alike
TARGETS = {1: Target(0.7), 64: Target(6, 12)}
PEER = "huey enqueue"

Measure = Callable[[], Awaitable[Rate]]


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure all contenders in turns."""
    seconds = sizes.rate_s / SLICES
    given = reports.for_ever(Random(1))
    async with nodes.open_agent(folder / "agent") as replica:
        await reports.prepare(replica, given, reports.PIECES)
        rows = await raw.newest_rows(replica, reports.PIECES)
        floor = raw.open_table(folder / "raw.db")
        with open_queue(folder / "huey.db") as queue:
            try:
                measures = _measures(seconds, replica, given, queue)
                for count in WRITERS:
                    full = list(rows) * (1 + count // len(rows))
                    measures[_raw(count)] = partial(_insert_on, floor, full, count, seconds)
                samples = await _interleaved(measures, sizes.repetitions)
            finally:
                floor.close()
    return _figures(samples)


def _measures(
    seconds: float, replica: Replica, given: Iterator[Given], queue: HueyQueue
) -> dict[str, Measure]:
    payload = next(given).json.decode()

    async def enqueue() -> Rate:
        return queue.enqueue_on(payload, seconds)

    measures: dict[str, Measure] = {PEER: enqueue}
    for count in WRITERS:
        measures[_ours(count)] = partial(_write_on, replica, given, count, seconds)
    return measures


async def _interleaved(measures: dict[str, Measure], repetitions: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repetitions):
        sums = dict.fromkeys(measures, Rate(0, 0))
        for _ in range(SLICES):
            for name, measure in measures.items():
                sums[name] += await measure()
        for name, total in sums.items():
            samples[name].append(total.per_s)
    return samples


async def _write_on(replica: Replica, given: Iterator[Given], writers: int, seconds: float) -> Rate:
    count = 0
    start = perf_counter()

    async def write_on() -> None:
        nonlocal count
        while perf_counter() - start < seconds:
            await replica.write(partial(reports.write, given=next(given)))
            count += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(writers):
            tasks.create_task(write_on(), name=f"writer-{number}")
    return Rate(count, perf_counter() - start)


async def _insert_on(db: raw.Connection, rows: raw.Rows, group: int, seconds: float) -> Rate:
    return raw.insert_on(db, rows, group, seconds)


def _figures(samples: dict[str, list[float]]) -> list[Figure]:
    peer = (PEER, samples[PEER])
    found = [figure("writes", PEER, "jobs/s", samples[PEER])]
    for count in WRITERS:
        floor, ours = _raw(count), _ours(count)
        found.append(figure("writes", floor, "rows/s", samples[floor]))
        found.append(
            figure(
                "writes",
                ours,
                "writes/s",
                samples[ours],
                beside=peer,
                target=TARGETS.get(count),
            )
        )
        found.append(
            figure(
                "writes",
                f"{ours}, of raw",
                "writes/s",
                samples[ours],
                beside=(floor, samples[floor]),
            )
        )
    return found


def _ours(count: int) -> str:
    return f"{count} writer" if count == 1 else f"{count} writers"


def _raw(count: int) -> str:
    return f"raw sqlite3, {count} a commit"
