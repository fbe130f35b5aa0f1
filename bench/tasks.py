"""No-op tasks run to completion, from submission to the durable outcome, beside other queues."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import msgspec

from agent import boot
from agent.dispatcher import Dispatcher
from agent.handlers.handler import Output, Run
from bench import nodes, queue_peers
from bench.figures import Figure, Target, figure
from bench.polling import until
from bench.queue_huey import open_queue
from bench.reports import SITE
from bench.sizes import Sizes
from shared import system
from shared.api import task_submission
from shared.api.task_submission import Submission
from shared.replica import Replica

TOGETHER = 64  # callers, and tasks that run at once
PEER = "huey enqueue and run"
SUBMISSION = b'{"type": "noop", "payload": {}}'
SUCCEEDED = "SELECT count(*) FROM tasks WHERE status = 'succeeded'"
ATTEMPTS = "SELECT count(*) FROM attempts WHERE outcome = 'succeeded'"
GIVE_UP_S = 300.0

_decode = msgspec.json.Decoder(Submission).decode


class Noop:
    """Does nothing, and counts."""

    type = "noop"
    timeout_s = 60.0

    def __init__(self) -> None:
        self.runs = 0

    def check(self, payload: Mapping[str, Any]) -> None:
        """Take any payload."""

    async def run(self, run: Run) -> Output:
        """Do nothing."""
        self.runs += 1
        return {}


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure, each repetition all contenders one after the other, in new databases."""
    peer: list[float] = []
    others: dict[str, list[float]] = {"litequeue": [], "persist-queue": []}
    together: list[float] = []
    alone: list[float] = []
    for number in range(sizes.repetitions):
        with open_queue(folder / f"huey-{number}.db") as queue:
            peer.append(queue.completions_s(sizes.tasks))
        path = folder / f"litequeue-{number}.db"
        others["litequeue"].append(queue_peers.litequeue_s(path, sizes.tasks))
        path = folder / f"persist-queue-{number}"
        others["persist-queue"].append(queue_peers.persist_queue_s(path, sizes.tasks))
        place = folder / f"together-{number}"
        together.append(await _completions_s(place, sizes.tasks, at_once=TOGETHER))
        place = folder / f"alone-{number}"
        alone.append(await _completions_s(place, sizes.tasks_alone, at_once=1))
    beside = (PEER, peer)
    return [
        figure("tasks", PEER, "jobs/s", peer),
        *(
            figure("tasks", f"{name} put, take and acknowledge", "jobs/s", found)
            for name, found in others.items()
        ),
        figure(
            "tasks", f"{TOGETHER} at once", "tasks/s", together, beside=beside, target=Target(2, 4)
        ),
        figure("tasks", "1 at once", "tasks/s", alone, beside=beside),
    ]


async def _completions_s(folder: Path, tasks: int, *, at_once: int) -> float:
    """Return how many tasks a second are submitted, run and recorded.

    Args:
        folder: For a new agent.
        tasks: How many.
        at_once: Callers that submit one task after the other, and tasks that may run at once.
    """
    handler = Noop()
    async with nodes.open_agent(folder) as replica, asyncio.TaskGroup() as group:
        dispatcher = Dispatcher(
            replica,
            {handler.type: handler},
            folder=folder,
            boot=boot.mint(Random(1)),
            concurrency=at_once,
            now_ms=system.now_ms,
            boot_ms=system.boot_ms,
            chance=Random(1),
        )
        running = group.create_task(dispatcher.run(), name="dispatcher")
        start = perf_counter()
        await _submit_all(replica, dispatcher, tasks, at_once)
        await _until_done(replica, handler, tasks)
        elapsed = perf_counter() - start
        running.cancel()
    return tasks / elapsed


async def _submit_all(replica: Replica, dispatcher: Dispatcher, tasks: int, callers: int) -> None:
    mint = system.IdMint(Random(2))
    left = iter(range(tasks))

    async def submit_on() -> None:
        for _ in left:
            planned = task_submission.plan(_decode(SUBMISSION), "ada", system.now_ms(), mint)
            await replica.write(
                partial(
                    task_submission.submit, planned=planned, site=SITE, can_run=dispatcher.can_run
                )
            )

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(submit_on(), name=f"caller-{number}")


async def _until_done(replica: Replica, handler: Noop, tasks: int) -> None:
    """Return once every outcome lasts; the journal is asked only when all have run."""

    async def is_over() -> bool:
        return handler.runs >= tasks and await _counted(replica, SUCCEEDED) >= tasks

    await until(is_over, GIVE_UP_S)
    if handler.runs != tasks or await _counted(replica, ATTEMPTS) != tasks:
        raise RuntimeError(f"{tasks} tasks, {handler.runs} runs")


async def _counted(replica: Replica, question: str) -> int:
    ((found,),) = await replica.read(lambda reading: reading.query(question))
    return int(found)
