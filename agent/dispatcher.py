"""The loop around ``schedule.decide``: follows the journal, starts runs, records how they end.

Intent is durable before the act, the outcome after it. Each turn of the loop is one transaction:
the outcomes of the runs that ended since the last one, and the starts that take their place.

What is known of a task comes from two sides: from the results of our own writes, and from reading
what the journal says has changed. Reading our own writes again would double the cost of a task, so
each result carries the position at which it held, and older news of that task is dropped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Protocol

from agent import claim, schedule
from agent.attempt import Acting, Result, Stop, conclude
from agent.backlog import Backlog
from agent.claim import Move
from agent.handlers.handler import Handler, Run
from agent.orphans import settle_orphans
from shared.core import ids
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Spec
from shared.core.lifecycle import Signal, Status
from shared.core.waiting import StatusOf, Waiting
from shared.errors import Busy, StoreError, StoreFull
from shared.replica import Replica
from shared.store.transaction import Change, Reading, Transaction

TICK_S = 10.0  # timers look at the clocks again: a wall clock jumps, and a machine may sleep
RETRY_S = 2.0  # after a write that the disk refused
STOP_S = 15.0  # for runs that were told to stop; a command takes at most ten to be killed
CLOSE_MAX = 256  # tasks ended a turn though they never ran; runs do not wait for thousands
READ_MAX = 200  # tasks a read: a long one would pin the journal's WAL

WAITING_HERE = "SELECT id FROM tasks WHERE device = $1 AND status = 'waiting' ORDER BY id"
STATUS = "SELECT status FROM tasks WHERE id = $1"

Statuses = Mapping[str, Status | None]

log = logging.getLogger(__name__)


class WaitFor(Protocol):
    """How to wait for an event, at most so long; virtual in tests."""

    async def __call__(self, event: asyncio.Event, timeout_s: float | None) -> None:
        """Return once the event is set or the time is over."""


async def wait_for(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait for an event, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


class Dispatcher:
    """Runs the tasks that this device holds. ``run`` until cancelled; ``drain`` before that."""

    def __init__(
        self,
        replica: Replica,
        handlers: Mapping[str, Handler],
        *,
        folder: Path,
        boot: str,
        concurrency: int,
        capabilities: Collection[str] = (),
        now_ms: Callable[[], int],
        boot_ms: Callable[[], int],
        chance: Random,
        wait: WaitFor = wait_for,
    ) -> None:
        self._replica = replica
        self._handlers = handlers
        self._folder = folder
        self._boot = boot
        self._concurrency = concurrency
        self._capabilities = frozenset(capabilities)
        self._now_ms = now_ms
        self._boot_ms = boot_ms
        self._chance = chance
        self._wait = wait
        self._backlog = Backlog()
        self._runs: dict[str, Acting] = {}
        self._close: dict[str, tuple[Signal, str]] = {}  # waiting tasks to end, and why
        self._cancel: set[str] = set()  # running tasks to stop
        self._ended: dict[str, Result] = {}  # runs that have ended, not yet recorded
        self._dirty: dict[str, int] = {}  # changed at this position, not yet looked at
        self._fresh: dict[str, int] = {}  # known as of this position, from our own writes
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._stopping = False

    # ------------------------------------------------------------------ what others may ask

    @property
    def types(self) -> tuple[str, ...]:
        """Task types that this device runs."""
        return tuple(sorted(self._handlers)) if self._concurrency else ()

    def can_run(self, spec: Spec) -> bool:
        """Say whether this device runs such tasks, has room for any, and has what it requires."""
        return spec.type in self.types and self._capabilities.issuperset(spec.requires)

    def explain(self, task: Task, status_of: StatusOf, now_ms: int) -> Waiting | None:
        """Return why a task waits, as seen from this device; None if it does not wait."""
        return schedule.explain(
            task,
            now_ms,
            running=tuple(self._runs),
            capacity=self._concurrency,
            status_of=status_of,
            is_ours=lambda one: claim.is_ours(one, self._replica.node),
            device=self._replica.node.device,
        )

    async def drain(self, drain_s: float) -> None:
        """Start nothing more; give what runs ``drain_s`` to end, then stop it.

        Takes at most drain_s + STOP_S. What has not ended by then is an orphan at the next start.
        """
        self._draining = True
        await self._wait(self._idle, drain_s)
        if self._idle.is_set():
            return
        self._stopping = True
        for acting in self._runs.values():
            acting.stop(Stop.SHUTDOWN)
        await self._wait(self._idle, STOP_S)
        if not self._idle.is_set():
            log.error("runs that would not stop: %s", ", ".join(self._runs))

    async def run(self) -> None:
        """Settle what the last process left, then run tasks until cancelled."""
        with self._replica.subscribe(self._on_changes):
            await self._insist(self._begin)
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    await self._insist(partial(self._turn, group))
                    await self._wait(self._changed, self._pause_s())

    # ------------------------------------------------------------------ the loop

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step that the store refuses: what it was about is not dropped."""
        while True:
            try:
                return await step()
            except (StoreFull, Busy) as error:
                log.warning("the dispatcher waits for the store: %s", error)
                await self._wait(asyncio.Event(), RETRY_S)

    async def _begin(self) -> None:
        """Settle orphans and learn what waits here."""
        await settle_orphans(self._replica, self._folder, self._boot)
        device = self._replica.node.device
        found = await self._replica.read(lambda reading: reading.query(WAITING_HERE, device))
        await self._look([task_id for (task_id,) in found])

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        """Take note of what changed, decide, and write all that follows in one transaction."""
        # Runs that ended in the same round of the loop get their turn first.
        await asyncio.sleep(0)
        await self._hear_changes()
        self._stop_late()
        now_ms = self._now_ms()
        room = 0 if self._draining else self._concurrency - len(self._runs) + len(self._ended)
        candidates = self._backlog.candidates(now_ms, max(0, room))
        try:
            await self._move(self._decide(candidates, now_ms), group)
        finally:
            # What could not be moved, or may not start because the wall clock was set back, stands
            # in the queue again; what was moved is not here any more.
            for task in candidates:
                self._backlog.restore(task.id, now_ms)
        if candidates or self._close:
            self._changed.set()  # there may be more

    def _pause_s(self) -> float | None:
        """Return how long nothing will happen by itself, in seconds; None: for ever."""
        runs = (run for run in self._runs.values() if run.why is None)
        pauses = [(run.deadline_ms - self._boot_ms()) / 1000 for run in runs]
        wake_ms = self._backlog.wake_ms()
        if wake_ms is not None:
            pauses.append((wake_ms - self._now_ms()) / 1000)
        return max(0.0, min(TICK_S, *pauses)) if pauses else None

    def _stop_late(self) -> None:
        """End runs that take longer than they may, sleep of the machine included."""
        now_ms = self._boot_ms()
        for run in self._runs.values():
            if run.deadline_ms <= now_ms and run.why is None:
                run.stop(Stop.TIMEOUT)

    # ------------------------------------------------------------------ what has changed

    def _on_changes(self, changes: list[Change]) -> None:
        for change in changes:
            if change.kind == "task":
                self._dirty[change.subject] = change.position
        if self._dirty:
            self._changed.set()

    async def _hear_changes(self) -> None:
        dirty, self._dirty = self._dirty, {}
        if not dirty:
            return
        await self._look([i for i, at in dirty.items() if self._fresh.get(i, 0) < at])
        newest = max(dirty.values())
        self._fresh = {i: at for i, at in self._fresh.items() if at > newest}

    async def _look(self, task_ids: list[str]) -> None:
        """Read tasks and take note of them."""
        for first in range(0, len(task_ids), READ_MAX):
            part = task_ids[first : first + READ_MAX]
            for task, statuses in await self._replica.read(partial(_read, task_ids=part)):
                self._hear(task, statuses)

    def _hear(self, task: Task, statuses: Statuses) -> None:
        """Take note of a task as it is now."""
        now_ms = self._now_ms()
        self._backlog.heard(task.id, task.status, now_ms)
        self._close.pop(task.id, None)
        if task.status is not Status.WAITING or not claim.is_ours(task, self._replica.node):
            self._backlog.remove(task.id)
            run = self._runs.get(task.id)
            if task.cancel_asked and task.status is Status.RUNNING and run and run.why is None:
                self._cancel.add(task.id)
            return
        if task.cancel_asked:
            self._backlog.remove(task.id)
            self._close[task.id] = (Signal.CANCEL, "cancelled on request")
        elif self._concurrency and task.spec.type not in self._handlers:
            self._backlog.remove(task.id)
            device = self._replica.node.device
            reason = f"{device} runs no tasks of type {task.spec.type}"
            self._close[task.id] = (Signal.DIE, reason)
        else:
            self._backlog.put(task, now_ms, statuses)

    # ------------------------------------------------------------------ what is written

    def _decide(self, candidates: Sequence[Task], now_ms: int) -> tuple[str, ...]:
        """Return the tasks to start now; note those that never can."""
        running = tuple(self._runs.keys() - self._ended.keys())
        capacity = 0 if self._draining else self._concurrency
        status_of = self._backlog.status_of
        decision = schedule.decide(
            now_ms, candidates, running, capacity=capacity, status_of=status_of
        )
        for task_id, reason in decision.doomed.items():
            self._close[task_id] = (Signal.CANCEL, reason)
        return decision.start

    async def _move(self, start: tuple[str, ...], group: asyncio.TaskGroup) -> None:
        """Write how runs ended, who is stopped, who will never run and who starts; then act."""
        ended, closed = dict(self._ended), dict(islice(self._close.items(), CLOSE_MAX))
        moves: dict[str, Move] = {}
        for task_id, result in ended.items():
            moves[task_id] = self._outcome(self._runs[task_id], result)
        self._cancel &= self._runs.keys() - ended.keys()
        for task_id in self._cancel:
            attempt = self._runs[task_id].attempt
            moves[task_id] = partial(claim.begin_cancel, task_id=task_id, attempt=attempt)
        for task_id, (signal, reason) in closed.items():
            moves[task_id] = partial(claim.close, task_id=task_id, signal=signal, reason=reason)
        now_ms = self._now_ms()
        attempts = {i: ids.uuid7(now_ms, self._chance.getrandbits(74)) for i in start}
        for task_id, attempt_id in attempts.items():
            moves[task_id] = partial(
                claim.start, task_id=task_id, attempt_id=attempt_id, boot=self._boot
            )
        if not moves:
            return
        self._idle.clear()
        try:
            moved = await self._write(moves)
            for task_id in ended.keys() & moved.keys():
                del self._ended[task_id], self._runs[task_id]
            for task_id, task in moved.items():
                if task is not None:
                    self._act(task, attempts.get(task_id), group)
        finally:
            if not self._runs:
                self._idle.set()

    def _act(self, task: Task, attempt_id: str | None, group: asyncio.TaskGroup) -> None:
        """Do what is durable now: call the handler, or have it stop."""
        run = self._runs.get(task.id)
        if run is not None:
            if task.status is Status.CANCELLING:
                run.stop(Stop.CANCEL)
            return
        attempt = task.attempt
        if attempt is None or attempt.id != attempt_id or task.status is not Status.RUNNING:
            return  # it was to be closed, or is not ours any more
        limit_s = task.spec.start_to_close_s or self._handlers[task.spec.type].timeout_s
        acting = Acting(task, attempt, deadline_ms=self._boot_ms() + round(limit_s * 1000))
        self._runs[task.id] = acting
        if self._stopping:
            acting.stop(Stop.SHUTDOWN)
        group.create_task(self._run(acting), name=f"attempt {attempt.id}")

    async def _run(self, acting: Acting) -> None:
        task, attempt = acting.task, acting.attempt
        run = Run(
            task_id=task.id,
            attempt_id=attempt.id,
            number=attempt.number,
            payload=task.spec.payload,
            idempotency_key=task.id,
            folder=self._folder,
            notes=acting.notes,
        )
        self._ended[task.id] = await acting.perform(self._handlers[task.spec.type], run)
        self._changed.set()

    def _outcome(self, acting: Acting, result: Result) -> Move:
        """Return the move at the end of a run: it has really ended, nothing of it acts any more."""
        jitter = self._chance.random()

        def settle(tx: Transaction) -> Task | None:
            follow = partial(conclude, result=result, now_ms=tx.now_ms, jitter=jitter)
            return claim.settle(tx, acting.task, acting.attempt, follow)

        return settle

    async def _write(self, moves: Mapping[str, Move]) -> Mapping[str, Task | None]:
        """Make moves in one transaction; return the tasks as they are afterwards.

        If one cannot be made for a reason of its own, they are made one by one, and that task is
        left alone until it changes (promise 6); a run of it is then an orphan at the next start.

        Raises:
            StoreError: Nothing was written.
        """
        try:
            return await self._write_together(moves)
        except (StoreError, Busy):
            raise
        except Exception:
            log.exception("%d moves cannot be made together; one by one", len(moves))
        moved: dict[str, Task | None] = {}
        for task_id, move in moves.items():
            try:
                moved |= await self._write_together({task_id: move})
            except (StoreError, Busy) as error:
                if not moved:
                    raise
                log.warning("%d moves wait: %s", len(moves) - len(moved), error)
                self._changed.set()
                break  # what was written must be acted on first
            except Exception:
                log.exception("task %s cannot be moved; left alone until it changes", task_id)
                moved[task_id] = None
                self._backlog.remove(task_id)
                self._close.pop(task_id, None)
                self._cancel.discard(task_id)
        return moved

    async def _write_together(self, moves: Mapping[str, Move]) -> Mapping[str, Task | None]:
        moved, position = await self._replica.write(partial(_make, moves=moves))
        for task_id, task in moved.items():
            self._close.pop(task_id, None)
            self._cancel.discard(task_id)
            if task is None or (task.status is Status.WAITING and task.spec.after):
                # It waits again for others, whose statuses are not at hand: look at them.
                self._backlog.remove(task_id)
                self._dirty[task_id] = position
                self._changed.set()
            else:
                self._fresh[task_id] = position
                self._hear(task, {})
        return moved


def _make(tx: Transaction, *, moves: Mapping[str, Move]) -> tuple[Mapping[str, Task | None], int]:
    """Make moves; return the tasks, and a position up to which they are known to be so."""
    return {task_id: move(tx) for task_id, move in moves.items()}, tx.next_position()


def _read(reading: Reading, *, task_ids: Iterable[str]) -> list[tuple[Task, Statuses]]:
    """Read tasks, and of those that wait the statuses of what they wait for."""
    found: list[tuple[Task, Statuses]] = []
    for task_id in task_ids:
        task = tasks.read(reading.record("task", task_id))
        if task is None:
            continue
        edges = task.spec.after if task.status is Status.WAITING else ()
        found.append((task, {edge.task: _status(reading, edge.task) for edge in edges}))
    return found


def _status(reading: Reading, task_id: str) -> Status | None:
    rows = reading.query(STATUS, task_id)
    return Status(rows[0][0]) if rows and rows[0][0] else None
