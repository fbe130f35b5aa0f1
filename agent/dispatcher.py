"""The loop around ``schedule.decide``: follows the journal, starts runs, records how they end.

Intent is durable before the act, the outcome after it. Each turn of the loop is one transaction:
the outcomes of the runs that ended since the last one, and the starts that take their place.
What is known of tasks, and what becomes of those that will not run, is ``intake.py``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from copy import deepcopy
from functools import partial, reduce
from pathlib import Path
from random import Random

from agent import claim, schedule, timers
from agent import limits as rates
from agent import room as rooms
from agent.attempt import Acting, Result, conclude
from agent.checks import Checker
from agent.claim import Move
from agent.clearance import Barred
from agent.handlers.handler import Handler, Run
from agent.intake import Intake
from agent.limits import Limits
from agent.notes import JournalNotes, report
from agent.orphans import settle_orphans
from agent.pause import WaitFor, wait_for
from agent.room import Room
from agent.schedule import Alone, Decision
from agent.timers import Stop
from shared.core import ids
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Spec
from shared.core.lifecycle import Signal, Status
from shared.core.waiting import StatusOf, Waiting
from shared.errors import Busy, StoreFull
from shared.replica import Replica
from shared.store.transaction import Transaction

TICK_S = 10.0  # timers look at the clocks again: a wall clock jumps, and a machine may sleep
RETRY_S = 2.0  # after a write that the disk refused
STOP_S = 15.0  # for runs that were told to stop; a command takes at most ten to be killed

log = logging.getLogger(__name__)


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
        aging_s: float = 0,
        limits: Mapping[str, Limits] = {},
        checker: Checker | None = None,
        wait: WaitFor = wait_for,
        has_hub: bool = True,
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
        self._aging_ms = round(aging_s * 1000)
        self._limits = limits
        self._checker = checker or Checker((), None, boot_ms)
        self._wait = wait
        self._begun = False
        self._draining = False
        self._stopping = False
        self._alone = None if has_hub else Alone(frozenset(self.types), self._capabilities)
        self._changed = asyncio.Event()
        self._intake = Intake(
            replica, self._changed, types=self.types, aging_ms=self._aging_ms, now_ms=now_ms
        )
        self._backlog = self._intake.backlog
        self._starts = rates.Starts(limits)
        self._runs: dict[str, Acting] = {}
        self._ended: dict[str, Result] = {}  # runs that have ended, not yet recorded
        self._idle = asyncio.Event()
        self._idle.set()
        self._shown = self._room()  # as ``explain`` sees it, from other threads

    # ------------------------------------------------------------------ what others may ask

    @property
    def types(self) -> tuple[str, ...]:
        """Task types that this device runs."""
        return tuple(sorted(self._handlers)) if self._concurrency else ()

    @property
    def is_closing(self) -> bool:
        """Whether it starts nothing more."""
        return self._draining

    def can_run(self, spec: Spec) -> bool:
        """Say whether this device runs such tasks, has room for any, and has what it requires."""
        runs = bool(self._concurrency) and not self._draining and spec.type in self._handlers
        return runs and self._capabilities.issuperset(spec.requires)

    def takes(self, spec: Spec, *, hub_is_here: bool) -> bool:
        """Say whether this device gives itself such a task that is submitted at it.

        Whose turn it is among several devices only the hub can tell: in reach of it, what has a
        group or a unique key is left to that.
        """
        is_the_hubs = hub_is_here and (spec.group is not None or spec.unique is not None)
        return not is_the_hubs and self.can_run(spec)

    def explain(
        self, task: Task, status_of: StatusOf, now_ms: int, *, hub_is_here: bool = True
    ) -> Waiting | None:
        """Return why a task waits, as seen from this device; None if it does not wait."""
        node = self._replica.node
        return schedule.explain(
            task,
            now_ms,
            self._shown,
            status_of=status_of,
            ahead=self._backlog.groups.ahead,
            is_ours=lambda one: claim.is_ours(one, node),
            device=node.device,
            alone=self._alone,
            hub_is_here=hub_is_here,
        )

    def waits(self, count: int) -> dict[str, Waiting]:
        """Return why tasks wait here, those that would start next; for the hub, which only asks."""
        found: dict[str, Waiting] = {}
        now_ms = self._now_ms()
        for task in self._backlog.next(count, now_ms):
            waiting = self.explain(task, self._backlog.status_of, now_ms)
            if waiting is not None:
                found[task.id] = waiting
        return found

    def close(self) -> None:
        """Start nothing more, and take nothing more."""
        self._draining = True
        self._shown = self._room()

    async def drain(self, drain_s: float) -> None:
        """Start nothing more; give what runs ``drain_s`` to end, then stop it.

        Takes at most drain_s + STOP_S. What has not ended by then is an orphan at the next start.
        """
        self.close()
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
        with self._replica.subscribe(self._intake.on_changes):
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
        """Settle orphans and learn what is held here."""
        await settle_orphans(self._replica, self._folder, self._boot)
        await self._intake.begin()
        self._begun = True

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        """Take note of what changed, decide, and write all that follows in one transaction."""
        # Runs that ended in the same round of the loop get their turn first.
        await asyncio.sleep(0)
        await self._intake.catch_up()
        self._stop_late()
        now_ms = self._now_ms()
        room = self._room(deciding=True)
        candidates = [
            task for task in self._backlog.candidates(now_ms, room) if not self._still_runs(task)
        ]
        try:
            decision = self._decide(candidates, room, now_ms)
            for task_id in decision.check:
                self._backlog.ask(task_id, now_ms)
                group.create_task(self._check(task_id), name=f"checks of {task_id}")
            await self._move(decision, group)
        finally:
            # What could not be moved, or may not start because the wall clock was set back, stands
            # in the queue again; what was moved is not here any more.
            for task in candidates:
                self._backlog.restore(task.id, now_ms)
            self._shown = self._room()
        await self._tell_due()
        if candidates or self._intake.has_more:
            self._changed.set()  # there may be more

    async def _tell_due(self) -> None:
        """Tell listeners of tasks whose time has come, and that wait for something else now.

        Nothing of their records has changed, and yet they show another status.
        """
        due = [task_id for task_id in self._backlog.take_due() if task_id in self._backlog]
        if due:
            await self._replica.write(partial(_announce, due=due))

    def _pause_s(self) -> float | None:
        """Return how long nothing will happen by itself, in seconds; None: for ever."""
        now_ms = self._now_ms()
        return timers.pause_s(
            [run.deadline for run in self._runs.values() if run.why is None],
            self._backlog.wake_ms(now_ms, self._shown),
            now_ms=now_ms,
            boot_ms=self._boot_ms(),
            tick_s=TICK_S,
        )

    def _still_runs(self, task: Task) -> bool:
        """Say whether a task that could start runs here still, under an allocation it had before.

        It never runs beside itself (model, dispatch 3): the end of that run brings it up again.
        """
        if task.id not in self._runs:
            return False
        self._backlog.remove(task.id)
        return True

    def _stop_late(self) -> None:
        """End runs that take longer than they may, sleep of the machine included."""
        now_ms = self._boot_ms()
        for run in self._runs.values():
            if run.deadline.at_ms <= now_ms and run.why is None:
                run.stop(run.deadline.why)

    def _room(self, *, deciding: bool = False) -> Room:
        """Return what is taken; to decide, a run that has ended has made way already."""
        runs = [i for i in self._runs if not (deciding and i in self._ended)]
        now_ms, boot_ms = self._now_ms(), self._boot_ms()
        room = Room(
            capacity=0 if deciding and self._draining else self._concurrency,
            asked=self._backlog.asked,
            cleared=self._backlog.cleared,
            paused=self._intake.paused,
            limits=self._limits,
            starts=self._starts.by_wall(now_ms, boot_ms),
            ahead_ms=now_ms - boot_ms,
            device=self._replica.node.device,
            closed=self._why_closed(),
        )
        room = rooms.with_runs(room, [self._runs[i].task for i in runs])
        return reduce(rooms.with_asking, self._backlog.asking, room)

    def _why_closed(self) -> str | None:
        """Return why nothing starts, as the process has just begun or is about to end."""
        device = self._replica.node.device
        if self._draining:
            return f"{device} is closing down, and starts nothing more"
        if not self._begun:
            return f"{device} has just started, and ends what its last run has left"
        return None

    async def _check(self, task_id: str) -> None:
        """Ask the checks of a task that would start now; it keeps its place meanwhile."""
        # With its payload, of which the backlog knows nothing.
        record = await self._replica.record("task", task_id)
        task = tasks.read(record)
        if task is None:
            return
        known = await self._checker.ask(task)
        self._backlog.clear(task_id, known, self._now_ms())
        if isinstance(known, Barred):
            self._intake.close(task_id, Signal.DIE, known.message)
        self._changed.set()

    # ------------------------------------------------------------------ what is written

    def _decide(self, candidates: Sequence[Task], room: Room, now_ms: int) -> Decision:
        """Return what to start and to ask for; note what is over."""
        decision = schedule.decide(
            now_ms,
            candidates,
            room,
            status_of=self._backlog.status_of,
            ahead=self._backlog.groups.ahead,
            aging_ms=self._aging_ms,
        )
        for task_id, reason in decision.doomed.items():
            self._intake.close(task_id, Signal.CANCEL, reason)
        for task_id, reason in decision.expired.items():
            self._intake.close(task_id, Signal.EXPIRE, reason)
        return decision

    async def _move(self, decision: Decision, group: asyncio.TaskGroup) -> None:
        """Write how runs ended, who is stopped, who will never run and who starts; then act."""
        ended = dict(self._ended)
        made: dict[str, Move] = {}
        for task_id, result in ended.items():
            made[task_id] = self._outcome(self._runs[task_id], result)
        stopping = {i for i, run in self._runs.items() if run.why is not None}
        for task_id in self._intake.take_cancels(self._runs.keys() - ended.keys() - stopping):
            attempt = self._runs[task_id].attempt
            made[task_id] = partial(claim.begin_cancel, task_id=task_id, attempt=attempt)
        made.update(self._intake.closing())
        made.update((i, partial(claim.ask, task_id=i)) for i in decision.ask)
        now_ms = self._now_ms()
        attempts = {i: ids.uuid7(now_ms, self._chance.getrandbits(74)) for i in decision.start}
        for task_id, attempt_id in attempts.items():
            made[task_id] = partial(
                claim.start, task_id=task_id, attempt_id=attempt_id, boot=self._boot
            )
        if not made:
            return
        self._idle.clear()
        try:
            moved = await self._intake.write(made)
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
        end = timers.deadline(
            task,
            self._handlers[task.spec.type].timeout_s,
            now_ms=self._now_ms(),
            boot_ms=self._boot_ms(),
        )
        acting = Acting(task, attempt, end=end, boot_ms=self._boot_ms)
        self._runs[task.id] = acting
        self._starts.note(task.spec.type, self._boot_ms())
        if self._stopping:
            acting.stop(Stop.SHUTDOWN)
        group.create_task(self._run(acting, group), name=f"attempt {attempt.id}")

    async def _run(self, acting: Acting, group: asyncio.TaskGroup) -> None:
        task, attempt = acting.task, acting.attempt
        notes = JournalNotes(
            self._replica, task, attempt, beat=acting.beat, wait=self._wait, group=group
        )
        run = Run(
            task_id=task.id,
            attempt_id=attempt.id,
            number=attempt.number,
            payload=deepcopy(task.spec.payload),  # its own: what it changes changes no record
            idempotency_key=task.id,
            folder=self._folder,
            notes=notes,
            heartbeat_s=task.spec.heartbeat_s,
        )
        try:
            result = await acting.perform(self._handlers[task.spec.type], run)
        finally:
            notes.end()
        acting.last_word = notes.unwritten
        self._ended[task.id] = result
        self._changed.set()

    def _outcome(self, acting: Acting, result: Result) -> Move:
        """Return the move at the end of a run: it has really ended, nothing of it acts any more."""
        jitter = self._chance.random()

        def settle(tx: Transaction) -> Task | None:
            if acting.last_word is not None:
                report(tx, acting.task, acting.attempt, acting.last_word)
            follow = partial(conclude, result=result, now_ms=tx.now_ms, jitter=jitter)
            return claim.settle(tx, acting.task, acting.attempt, follow)

        return settle


def _announce(tx: Transaction, *, due: Sequence[str]) -> None:
    for task_id in due:
        tx.announce("task", task_id)
