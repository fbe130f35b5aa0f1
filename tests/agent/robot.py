"""What the tests of the agent share: a real journal, a dispatcher on it, time that is moved."""

import asyncio
import contextlib
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from agent.checks import Checker
from agent.dispatcher import Dispatcher
from agent.handlers.handler import Handler, HandlerFailed, Output, Run
from agent.limits import Limits
from agent.pause import WaitFor, wait_for
from shared.core import ids
from shared.core.clock import ClockTrust
from shared.core.kinds import queue as queues
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import (
    REGISTER_OF,
    Allocation,
    Attempt,
    CancelRequest,
    Failure,
    Permit,
    RecallRequest,
    Seat,
)
from shared.core.kinds.task_spec import Edge, OnOrphan, Priority, Spec
from shared.core.lifecycle import Status
from shared.replica import Replica, open_replica
from shared.store.store import Identity
from shared.store.transaction import Reading, Transaction

WAIT_S = 20.0
SITE = "demo"
DEVICE = "robot-1"
START_MS = 1_790_000_000_000


class VirtualTime:
    """Both clocks, moved by the test; whoever waits for a time wakes when it is reached.

    Attributes:
        ms: What has gone by, and the wall clock while nobody sets it.
        set_back_ms: By how much somebody has set the wall clock back.
    """

    def __init__(self) -> None:
        self.ms = START_MS
        self.set_back_ms = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self.ms - self.set_back_ms

    def boot_ms(self) -> int:
        return self.ms - START_MS

    def advance(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        while self._sleepers and self._sleepers[0][0] <= self.ms:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    async def sleep(self, seconds: float) -> None:
        await self._woken(seconds)

    def _woken(self, seconds: float) -> asyncio.Future[None]:
        """Count from now, not from when the loop comes to it: the test may advance meanwhile."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.ms + seconds * 1000, next(self._order), woken))
        if seconds <= 0:
            self.advance(0)
        return woken

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> None:
        if timeout_s is None:
            await event.wait()
            return
        woken = self._woken(timeout_s)
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((waiting, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


class RealTime:
    """Both clocks of this machine."""

    def now_ms(self) -> int:
        return int(time.clock_gettime(time.CLOCK_REALTIME) * 1000)

    def boot_ms(self) -> int:
        return int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)

    async def wait(self, event: asyncio.Event, timeout_s: float | None) -> None:
        await wait_for(event, timeout_s)


class Scripted:
    """A handler that does what the payload says, and remembers its runs."""

    def __init__(self, type_: str = "scripted", timeout_s: float = 60.0) -> None:
        self.type = type_
        self.timeout_s = timeout_s
        self.runs: list[Run] = []
        self.ended: list[str] = []
        self.most_at_once = 0
        self._now = 0
        self.gate = asyncio.Event()
        """Opened by the test for payloads that say ``hold``."""

    def check(self, payload: Mapping[str, Any]) -> None:
        if payload.get("do") == "bad-check":
            raise ValueError("this check has a bug")

    async def run(self, run: Run) -> Output:
        self.runs.append(run)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            return await self._do(run)
        finally:
            self._now -= 1
            self.ended.append(run.task_id)

    async def _do(self, run: Run) -> Output:
        match run.payload.get("do"):
            case "hold":
                await self.gate.wait()
            case "much-output":
                await self.gate.wait()
                return {"much": "x" * 200_000}
            case "finish-anyway":
                with contextlib.suppress(asyncio.CancelledError):
                    await self.gate.wait()
            case "fail":
                raise HandlerFailed(Failure("sad", "it did not work"), {"left": "crumbs"})
            case "fail-once" if run.number == 1:
                raise HandlerFailed(Failure("sad", "not the first time"))
            case "fail-for-good":
                raise HandlerFailed(Failure("sad", "it never will", permanent=True))
            case "bug":
                raise ZeroDivisionError("a bug in the handler")
            case "bad-output":
                return {"huge": "x" * 1_000_000}
            case _:
                pass
        return {"number": run.number}


class Robot:
    """An agent's journal and dispatcher."""

    def __init__(
        self,
        replica: Replica,
        dispatcher: Dispatcher,
        handler: Scripted,
        folder: Path,
        clocks: VirtualTime | RealTime,
        boot: str,
    ) -> None:
        self.clocks = clocks
        self.replica = replica
        self.dispatcher = dispatcher
        self.handler = handler
        self.folder = folder
        self._chance = Random(boot)  # ids of a second start must not be those of the first

    def allocation(self, **changes: Any) -> Allocation:
        incarnation = self.replica.node.writes[SITE].rpartition(".")[2]
        mine = Allocation(None, 0, DEVICE, incarnation)
        return msgspec.structs.replace(mine, **changes)

    async def submit(
        self,
        payload: dict[str, Any] | None = None,
        *,
        type_: str = "scripted",
        priority: Priority = Priority.NORMAL,
        after: tuple[Edge, ...] = (),
        not_before_ms: int | None = None,
        start_to_close_s: float | None = None,
        max_attempts: int = 3,
        on_orphan: OnOrphan = OnOrphan.ASK,
        allocation: Allocation | None = None,
        **wishes: Any,
    ) -> str:
        spec = Spec(
            type_,
            payload or {},
            priority,
            "ada",
            after=after,
            not_before_ms=not_before_ms,
            start_to_close_s=start_to_close_s,
            max_attempts=max_attempts,
            on_orphan=on_orphan,
            **wishes,
        )
        seat = allocation or self.allocation()
        task_id = ids.uuid7(START_MS, self._chance.getrandbits(74))

        def change(tx: Transaction) -> None:
            append(tx, task_id, "task.submitted", spec)
            append(tx, task_id, "task.allocated", Seat(seat, (seat.device,)))

        await self.replica.write(change)
        return task_id

    async def ask_cancel(self, task_id: str, reason: str | None = None) -> None:
        await self.replica.write(
            lambda tx: append(tx, task_id, "task.cancel_requested", CancelRequest(reason))
        )

    async def adopt_hub(self, epoch: str) -> Allocation:
        """Follow a hub; return what it would allocate to this device first."""
        await self.replica.write(lambda tx: tx.adopt(epoch))
        return self.allocation(epoch=epoch, n=1)

    async def permit(self, task_id: str) -> None:
        """Write what the hub would: leave to start the claim that was asked for."""
        task = await self.until_that(task_id, lambda one: one.start_asked is not None)
        assert task.start_asked is not None
        permit = Permit(task.start_asked, task.spec.shared_locks)
        await self.replica.write(lambda tx: append(tx, task_id, "task.permitted", permit))

    async def recall(self, task_id: str, n: int = 1) -> None:
        """Write what the hub would: the wish to have an allocation back."""
        epoch = self.replica.node.hub_epoch
        asked = RecallRequest(epoch, n, "needed elsewhere")
        await self.replica.write(lambda tx: append(tx, task_id, "task.recall_requested", asked))

    async def pause(self, type_: str = "scripted", *, paused: bool = True) -> None:
        """Write what the API writes of a queue."""
        await self.replica.write(
            lambda tx: tx.append(
                site=SITE,
                kind="queue.paused",
                subject=queues.subject(SITE, type_),
                register=queues.PAUSED,
                body=queues.Paused(paused, "lunch" if paused else None),
                actor="ada",
            )
        )

    async def why(self, task_id: str) -> list[tuple[str, str | None]]:
        """Return reason and reference of all that keeps a task."""
        waiting = self.dispatcher.explain(
            await self.task(task_id), lambda _: None, self.clocks.now_ms()
        )
        return [(one.reason, one.ref) for one in waiting.reasons] if waiting else []

    async def until_why(self, task_id: str, *reasons: tuple[str, str | None]) -> None:
        """Wait until these and no others keep the task; the dispatcher may be about to look."""
        async with asyncio.timeout(WAIT_S):
            while await self.why(task_id) != list(reasons):  # noqa: ASYNC110 - announces nothing
                await asyncio.sleep(0.005)

    async def task(self, task_id: str) -> Task:
        task = await self.replica.read(lambda reading: read(reading, task_id))
        assert task is not None
        return task

    async def attempts(self, task_id: str) -> list[tuple[Any, ...]]:
        return await self.replica.read(
            lambda reading: reading.query(
                "SELECT number, outcome FROM attempts WHERE task = $1 ORDER BY number", task_id
            )
        )

    async def until(self, task_id: str, status: Status) -> Task:
        """Wait until the task has this status."""
        return await self.until_that(task_id, lambda task: task.status is status)

    async def until_that(self, task_id: str, condition: Callable[[Task], bool]) -> Task:
        changed = asyncio.Event()
        with self.replica.subscribe(lambda _changes: changed.set()):
            async with asyncio.timeout(WAIT_S):
                while True:
                    changed.clear()
                    task = await self.task(task_id)
                    if condition(task):
                        return task
                    await changed.wait()


def append(tx: Transaction, task_id: str, kind: str, body: msgspec.Struct) -> None:
    tx.append(
        site=SITE,
        kind=kind,
        subject=task_id,
        register=REGISTER_OF[kind],
        body=body,
        actor="ada",
    )


def read(reading: Reading, task_id: str) -> Task | None:
    return tasks.read(reading.record("task", task_id))


def attempt_of(task: Task) -> Attempt:
    assert task.attempt is not None
    return task.attempt


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; for what announces no change."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - a process outside has no event to wait for
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def open_journal(folder: Path, now_ms: Callable[[], int]) -> AsyncIterator[Replica]:
    async with open_replica(
        folder,
        Identity("agent", DEVICE, (SITE,)),
        now_ms=now_ms,
        trust=lambda: next(iter(ClockTrust)),
        chance=Random(3),
    ) as replica:
        yield replica


@contextlib.asynccontextmanager
async def robot(
    folder: Path,
    *,
    time: VirtualTime | RealTime | None = None,
    handlers: Mapping[str, Handler] | None = None,
    concurrency: int = 1,
    capabilities: Collection[str] = (),
    boot: str = "boot-1",
    checker: Checker | None = None,
    running: bool = True,
    aging_s: float = 0,
    limits: Mapping[str, Limits] = {},
) -> AsyncIterator[Robot]:
    """Open a journal and run a dispatcher on it."""
    clocks = time or RealTime()
    handler = Scripted()
    wait: WaitFor = clocks.wait
    async with open_journal(folder, clocks.now_ms) as replica:
        dispatcher = Dispatcher(
            replica,
            {handler.type: handler, **(handlers or {})},
            folder=folder,
            boot=boot,
            concurrency=concurrency,
            capabilities=capabilities,
            now_ms=clocks.now_ms,
            boot_ms=clocks.boot_ms,
            chance=Random(5),
            aging_s=aging_s,
            limits=limits,
            checker=checker,
            wait=wait,
        )
        async with asyncio.TaskGroup() as group:
            job = group.create_task(dispatcher.run()) if running else None
            yield Robot(replica, dispatcher, handler, folder, clocks, boot)
            if job is not None:
                assert not job.done(), "a dispatcher runs until cancelled"
                job.cancel()
