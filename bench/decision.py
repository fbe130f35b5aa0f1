"""A hundred thousand waiting tasks on one device: a decision, why one waits, the first start.

Decision and why: the pure core, as the dispatcher calls it, in virtual time. Each decision starts
what may start; the next sees that end. Counted in time of our own thread: at fractions of a
millisecond the clock on the wall shows whose turn the processor gave. The start: the real program
on a data folder that has them all, from its exec until the first start lasts.
"""

import asyncio
import gc
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from random import Random
from statistics import median, quantiles
from time import perf_counter, thread_time

import msgspec

from agent import limits as rates
from agent import room as rooms
from agent import schedule
from agent.backlog import Backlog
from agent.limits import Limits, Rate
from agent.room import Room
from agent.schedule import Decision
from bench import programs, waiting
from bench.figures import Figure, Target, figure
from bench.polling import until
from bench.programs import running
from bench.sizes import Sizes
from shared import system
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.store import database

CAPACITY = 4
AGING_MS = 900_000
STEP_MS = 500  # between two decisions: thousands of tasks rise by a level meanwhile
LIMITS = {
    waiting.TYPES[0]: Limits(concurrency=1),
    waiting.TYPES[1]: Limits(rate=Rate(count=10, per_s=60)),
}
PAUSED = {("demo", waiting.TYPES[2]): "lunch"}
FIRST_START = "SELECT count(*) FROM attempts"
GIVE_UP_S = 60.0

MILLISECONDS = Target(5, at_most=True)
START = Target(3, at_most=True)


class Times(msgspec.Struct, frozen=True):
    """Milliseconds of each decision, and of each why."""

    decisions: list[float]
    whys: list[float]


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure the pure core, then the program."""
    found = [_decide_on(sizes, number) for number in range(sizes.repetitions)]
    start_s = await _starts(sizes, folder)
    count = f"{sizes.waiting:,} wait"
    return [
        *_figures(f"decision, {count}", [one.decisions for one in found]),
        *_figures(f"why one waits, {count}", [one.whys for one in found]),
        figure("decision", f"exec to first start, {count}", "s", start_s, target=START),
    ]


def _figures(name: str, samples: Iterable[list[float]]) -> list[Figure]:
    runs = list(samples)
    late = [quantiles(one, n=100)[98] for one in runs]
    return [
        figure("decision", name, "ms", [median(one) for one in runs], target=MILLISECONDS),
        figure("decision", f"{name}, 99th of 100", "ms", late, target=MILLISECONDS),
    ]


# ------------------------------------------------------------------ the pure core


def _decide_on(sizes: Sizes, seed: int) -> Times:
    chance = Random(seed)
    desk = _Desk(list(waiting.tasks(chance, sizes.waiting, system.now_ms())))
    decisions, whys = [], []
    asked = chance.choices(list(desk.tasks.values()), k=sizes.decisions)
    gc.collect()
    for task in asked:
        start = thread_time()
        desk.decide()
        middle = thread_time()
        desk.why(task)
        decisions.append((middle - start) * 1000)
        whys.append((thread_time() - middle) * 1000)
        desk.go_on()
    return Times(decisions, whys)


class _Desk:
    """What the dispatcher keeps, without a journal."""

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = {task.id: task for task in tasks}
        self._now_ms = max(task.created_ms for task in tasks)
        self._backlog = Backlog(AGING_MS)
        self._running: dict[str, Task] = {}
        self._starts = rates.Starts(LIMITS)
        self._decision: Decision | None = None
        for task in tasks:
            self._backlog.put(task, self._now_ms, {})
        self._room = self._taken()

    def decide(self) -> None:
        """Decide as a turn of the dispatcher does."""
        self._room = self._taken()
        candidates = self._backlog.candidates(self._now_ms, self._room)
        self._decision = schedule.decide(
            self._now_ms,
            candidates,
            self._room,
            status_of=self._backlog.status_of,
            ahead=self._backlog.groups.ahead,
            aging_ms=AGING_MS,
        )
        for task in candidates:
            self._backlog.restore(task.id, self._now_ms)

    def why(self, task: Task) -> None:
        """Explain one as the API does."""
        schedule.explain(
            task,
            self._now_ms,
            self._room,
            status_of=self._backlog.status_of,
            ahead=self._backlog.groups.ahead,
            is_ours=lambda _: True,
            device="robot-1",
        )

    def go_on(self) -> None:
        """Do what was decided, end the oldest run, let time pass."""
        assert self._decision is not None
        for task_id in self._decision.start:
            self._running[task_id] = self.tasks[task_id]
            self._starts.note(self.tasks[task_id].spec.type, self._now_ms)
            self._backlog.remove(task_id)
        for task_id in (*self._decision.doomed, *self._decision.expired):
            self._backlog.remove(task_id)
        for task_id in self._decision.ask:
            task = self.tasks[task_id]
            asked = msgspec.structs.replace(task, start_asked=task.next_claim)
            self._backlog.put(asked, self._now_ms, {})
        for task_id in list(self._running)[:1]:
            del self._running[task_id]
            self._backlog.heard(task_id, Status.SUCCEEDED, self._now_ms)
        self._now_ms += STEP_MS

    def _taken(self) -> Room:
        room = Room(
            capacity=CAPACITY,
            asked=self._backlog.asked,
            paused=PAUSED,
            limits=LIMITS,
            starts=self._starts.by_wall(self._now_ms, self._now_ms),
        )
        return rooms.with_runs(room, self._running.values())


# ------------------------------------------------------------------ the program


async def _starts(sizes: Sizes, folder: Path) -> list[float]:
    """Start the agent several times, each time on a new copy: it changes what it starts on."""
    made = folder / "made"
    waiting.write(made, sizes.waiting)
    found = []
    for number in range(sizes.repetitions):
        place = folder / str(number)
        port, hub_port = programs.free_port(), programs.free_port()
        settings = programs.write_agent_settings(place, port, hub_port)
        await asyncio.to_thread(_copy, made, place / "agent")
        async with running(place / "agent.log", "agent", "run", "--config", settings) as agent:
            found.append(await _first_start_s(place / "agent" / database.FILE, agent.started_s))
    return found


def _copy(made: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in made.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())


async def _first_start_s(path: Path, started_s: float) -> float:
    """Return the seconds from exec until a start is in the journal for whoever reads it."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:

        async def is_there() -> bool:
            ((count,),) = db.execute(FIRST_START).fetchall()
            return bool(count)

        await until(is_there, GIVE_UP_S)
        return perf_counter() - started_s
    finally:
        db.close()
