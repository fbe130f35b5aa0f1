"""A robot in virtual time: what it starts, stops, reports and gives back; its drains and crashes.

What it decides and writes is production's: ``agent/schedule.py``, ``claim.py``, ``attempt.py``,
``clearance.py``, ``timers.py`` and ``orphans.py``. What stands here is only what production does
with asyncio: a look now and then, runs that take their time, writes that the disk may refuse. A
planted robot leaves one rule out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from random import Random
from typing import Any

import msgspec

from agent import attempt as attempts
from agent import claim as claims
from agent import clearance, news, orphans, schedule, testimony, timers
from agent import room as rooms
from agent.attempt import Acting, Failed, Result, Stopped, Succeeded
from agent.clearance import Clearance
from agent.groups import Groups
from agent.room import Gate, Room
from agent.timers import Stop
from shared.api import pauses
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Attempt, Claim, Failure, Progress
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import Signal, Status
from shared.sync.frame import Down
from tests.simulation.ground import Ground, Run
from tests.simulation.node import Node
from tests.simulation.promises import demand
from tests.simulation.third_parties import Clearances

LOOK_MS = 900  # between two looks, at most
RETRY_MS = 500  # after a write that the disk refused
STOP_MS = 1_500  # until a run that was told to has ended, at most
DRAIN_MS = 6_000  # for what runs to end by itself
CAPACITY = 2
TIMEOUT_S = 60.0  # of the handler, for tasks that do not say

MINE = """SELECT id FROM tasks WHERE device = $1 AND seated = 1
    AND status IN ('waiting', 'running', 'cancelling') ORDER BY created_at, id"""
STATUS = "SELECT status FROM tasks WHERE id = $1 AND status <> ''"

Told = Callable[[Any, bool], None]  # what the deed returned, and whether it lasts
Write = Callable[[Node, Callable[[Any], Any], Told], None]


def _abandoned(task: Task, now_ms: int) -> Progress:
    return attempts.abandon(task, now_ms=now_ms, repeatable=False, reason="its process ended")


@dataclass(frozen=True)
class Manners:
    """The rules that a robot keeps; a planted robot leaves one out.

    Attributes:
        sees: A waiting task as the robot takes it.
        start: Writes the intent.
        after_crash: What follows for a task whose run a crash has ended.
        status_of: The status of a predecessor as the robot takes it.
        clear: What the answers of third parties mean for a task.
        conclude: What follows for a task whose run has ended.
        answer: What it says of what the hub takes away.
        intends_first: Whether an intent is durable before it acts.
        stops_first: Whether it waits for a run to end before it writes that it has.
        ends_leftovers: Whether what its last process left running is ended first.
        testifies: Whether it reports the end of a run whose allocation is no longer.
        takes_twice: Whether an allocation that comes again is taken again.
        heeds_time: Whether a run is stopped that takes longer than it may.
        heeds_silence: Whether one is that gives no sign of life.
        heeds_groups: Whether one of a group waits for those before it.
        heeds_pauses: Whether a paused queue stands still.
    """

    sees: Callable[[Task], Task] = lambda task: task
    start: Callable[..., Task | None] = claims.start
    after_crash: Callable[[Task, int], Progress] = _abandoned
    status_of: Callable[[Status | None], Status | None] = lambda status: status
    clear: Callable[..., Clearance] = clearance.conclude
    conclude: Callable[..., Progress] = attempts.conclude
    answer: Callable[[Any, Down], None] = testimony.answer
    intends_first: bool = True
    stops_first: bool = True
    ends_leftovers: bool = True
    testifies: bool = True
    takes_twice: bool = False
    heeds_time: bool = True
    heeds_silence: bool = True
    heeds_groups: bool = True
    heeds_pauses: bool = True


@dataclass
class Performance:
    """One run, and what was asked of it.

    Attributes:
        acting: Production's side of it: when it is late, or silent for too long.
        why: Why it is to stop, None: it is not.
        result: How it ended, None: it has not.
    """

    task: Task
    attempt: Attempt
    run: Run
    acting: Acting
    why: Stop | None = None
    result: Result | None = None


@dataclass(frozen=True)
class Decided:
    """What a look leads to, once it lasts."""

    starts: list[tuple[Task, Attempt]]
    checks: list[Task]
    stops: list[str]


class Robot:
    """The dispatcher of one agent."""

    def __init__(
        self,
        node: Node,
        ground: Ground,
        chance: Random,
        write: Write,
        manners: Manners,
        goes_on: Callable[[], bool],
    ) -> None:
        self._node = node
        self._ground = ground
        self._chance = chance
        self._write = write
        self._manners = manners
        self._goes_on = goes_on
        self._running: dict[str, Performance] = {}
        self._clearances = Clearances(node, ground, chance, manners.clear)
        self._attempts = 0
        self._is_draining = False

    def start(self) -> None:
        """Begin a life: whatever ran in the last one has been ended, its outcome is not known."""
        self.crash()

        def told(_: Any, lasts: bool) -> None:
            if lasts:
                self._look_later()
            else:
                self._node.after(RETRY_MS, "settles again", self.start)

        self._write(self._node, self._settle_orphans, told)

    def crash(self) -> None:
        """The process ends, and with it all that it ran."""
        for one in self._running.values():
            if self._manners.ends_leftovers or not one.run.is_active:
                self._ground.crashed(one.run)
            else:
                self._leave_running(one.run)
        self._running = {}
        self._clearances.forget()
        self._is_draining = False

    def _leave_running(self, run: Run) -> None:
        """Planted: the program goes on though its agent has gone."""
        self._ground.crashed(run)
        run.is_active = True

        def end() -> None:
            run.is_active = False

        self._node.timeline.at(10 * STOP_MS, self._node.name, "a leftover ends", end)

    def drain(self, then: Callable[[], None]) -> None:
        """Start nothing more; stop what has not ended after a while; then the process ends."""
        self._is_draining = True

        def stop() -> None:
            for one in tuple(self._running.values()):
                self._stop(one, Stop.SHUTDOWN)
            self._node.after(STOP_MS + RETRY_MS, "has drained", then)

        self._node.after(DRAIN_MS, "stops its runs", stop)

    def _look_later(self) -> None:
        if self._goes_on():
            delay_ms = self._chance.randint(1, LOOK_MS)
            self._node.after(delay_ms, "looks", self._look)

    def _look(self) -> None:
        def told(decided: Any, lasts: bool) -> None:
            if lasts:
                for task, attempt in decided.starts if self._manners.intends_first else ():
                    self._act(task, attempt)
                for task in decided.checks:
                    self._clearances.ask(task)
                for task_id in decided.stops:
                    if task_id in self._running:
                        self._stop(self._running[task_id], Stop.CANCEL)
            self._look_later()

        self._write(self._node, self._decide, told)

    # ------------------------------------------------------------------ deciding

    def _decide(self, tx: Any) -> Decided:
        """Answer requests, ask for permits, write intents."""
        stops = [task_id for task_id in self._running if self._is_cancelled(tx, task_id)]
        waiting = self._waiting(tx)
        self._clearances.keep(task.id for task in waiting)
        for task_id, reason in self._clearances.barred.items():
            claims.close(tx, task_id, signal=Signal.DIE, reason=reason)
        decision = schedule.decide(
            tx.now_ms,
            waiting,
            self._room(tx, waiting),
            status_of=lambda other: self._manners.status_of(_status(tx, other)),
            ahead=self._groups(tx).ahead if self._manners.heeds_groups else lambda _: None,
        )
        for task_id, reason in decision.doomed.items():
            claims.close(tx, task_id, signal=Signal.CANCEL, reason=reason)
        for task_id, reason in decision.expired.items():
            claims.close(tx, task_id, signal=Signal.EXPIRE, reason=reason)
        for task_id in decision.ask:
            claims.ask(tx, task_id)
        self._ground.chosen(
            self._node.name,
            [task for task in waiting if task.id in decision.start],
            [task for task in waiting if task.id in decision.waits],
            clock_ms=self._node.clock.now_ms(),
            paused=pauses.paused(tx),
        )
        checked = [task for task in waiting if task.id in decision.check]
        found = [self._intend(tx, task_id) for task_id in decision.start]
        if self._manners.takes_twice:
            found.append(self._take_again(tx))
        starts = [one for one in found if one is not None]
        for task, attempt in () if self._manners.intends_first else starts:
            self._act(task, attempt)
        return Decided(starts, checked, stops)

    def _is_cancelled(self, tx: Any, task_id: str) -> bool:
        one = self._running[task_id]
        task = tasks.read(tx.record("task", task_id))
        if task is None or not task.cancel_asked or one.why is not None or one.result is not None:
            return False
        after = claims.begin_cancel(tx, task_id, one.attempt)
        return after is not None and after.status is Status.CANCELLING

    def _waiting(self, tx: Any) -> list[Task]:
        """Return what could start; what is asked back or cancelled is closed, as at the intake."""
        found = []
        for (task_id,) in tx.query(MINE, self._node.name):
            task = tasks.read(tx.record("task", task_id))
            if task is None or task.status is not Status.WAITING:
                continue
            task = self._manners.sees(task)
            if not claims.is_ours(task, tx.node):
                continue
            if task.why_cancel is not None:
                claims.close(tx, task_id, signal=Signal.CANCEL, reason=task.why_cancel)
            elif task.recall is not None:
                claims.give_back(tx, task_id)
            elif task_id not in self._running:
                found.append(task)
        return found

    def _room(self, tx: Any, waiting: list[Task]) -> Room:
        asked: dict[Gate, tuple[str, ...]] = {}
        for task in waiting:
            if rooms.needs_permit(task) and not rooms.must_ask(task):
                gate = rooms.ask_gate(task)
                asked[gate] = (*asked.get(gate, ()), task.id)
        paused = pauses.paused(tx) if self._manners.heeds_pauses else {}
        room = Room(
            0 if self._is_draining else CAPACITY,
            asked=asked,
            cleared=self._clearances.known,
            paused=paused,
            ahead_ms=self._node.clock.now_ms() - self._node.timeline.now_ms,
        )
        room = rooms.with_runs(room, [one.task for one in self._running.values()])
        return reduce(rooms.with_asking, self._clearances.asking(waiting), room)

    def _groups(self, tx: Any) -> Groups:
        groups = Groups()
        for task_id, site, group, created_ms in tx.query(news.GROUPED, self._node.name):
            task = tasks.read(tx.record("task", task_id))
            if task is not None and claims.is_held(task, tx.node):
                groups.join(task_id, (site, group), created_ms)
        return groups

    def _intend(self, tx: Any, task_id: str) -> tuple[Task, Attempt] | None:
        before = tasks.read(tx.record("task", task_id))
        assert before is not None
        attempt_id = self._attempt_id()
        after = self._manners.start(tx, task_id, attempt_id=attempt_id, boot=self._boot)
        if after is None or after.attempt is None or after.attempt.id != attempt_id:
            return None
        told = f"{task_id} starts at {self._node.name}"
        demand(before.recall is None, 3, "recall", f"{told}, which was told to give it back")
        demand(not before.cancel_asked, 3, "recall", f"{told}, which was told to cancel it")
        queue = (before.site, before.spec.type)
        demand(queue not in pauses.paused(tx), 3, "paused", f"{told}, where its queue is paused")
        self._ground.intends(before, self._node.name, self._node.clock.now_ms())
        return after, after.attempt

    def _take_again(self, tx: Any) -> tuple[Task, Attempt] | None:
        """Planted: start under an allocation that was known, as a message of it comes again."""
        everybody = [run for runs in self._ground.runs.values() for run in runs]
        known = [run for run in everybody if run.robot == self._node.name]
        if not known or self._chance.random() > 0.1:
            return None
        again = self._chance.choice(known)
        task = tasks.read(tx.record("task", again.task))
        if task is None or task.allocation is None or again.task in self._running:
            return None
        attempt = Attempt(self._attempt_id(), again.claim.attempt + 1, self._boot, tx.now_ms)
        progress = Progress(Status.RUNNING, task.allocation, attempt)
        if task.allocation.device != self._node.name:
            return None
        return claims.report(tx, task, progress), attempt

    @property
    def _boot(self) -> str:
        return str(self._node.life)

    def _attempt_id(self) -> str:
        self._attempts += 1
        return f"{self._node.name}-{self._node.life}-{self._attempts}"

    # ------------------------------------------------------------------ acting

    def _act(self, task: Task, attempt: Attempt) -> None:
        given = task.allocation
        assert given is not None
        lasts = not self._node.db.in_transaction
        demand(lasts, 3, "intent", f"{task.id} acts before its intent is durable")
        claim = Claim(given.epoch, given.n, attempt.number)
        boot_ms = self._node.timeline.now_ms
        run = Run(task.id, claim, self._node.name, boot_ms)
        end = timers.deadline(task, TIMEOUT_S, now_ms=self._node.clock.now_ms(), boot_ms=boot_ms)
        heard = task if self._manners.heeds_silence else without_heartbeat(task)
        acting = Acting(heard, attempt, end=end, boot_ms=lambda: self._node.timeline.now_ms)
        one = self._running[task.id] = Performance(task, attempt, run, acting)
        self._ground.start(run)
        lasts_ms = self._chance.choice((50, 2_000, self._chance.randint(100, 40_000)))
        result = self._some_result()
        self._node.after(lasts_ms, "ends", lambda: self._end(one, result))
        if task.spec.heartbeat_s is not None:
            self._beat(one, round(400 * task.spec.heartbeat_s), self._chance.randint(0, 20))
        if self._manners.heeds_time:
            self._watch(one, boot_ms + lasts_ms)

    def _watch(self, one: Performance, ends_ms: int) -> None:
        """Stop a run once its time is over; production sleeps till then and looks again, too."""
        if one.result is not None or one.why is not None:
            return
        due, now_ms = one.acting.deadline, self._node.timeline.now_ms
        if due.at_ms <= now_ms:
            self._stop(one, due.why)
        elif due.at_ms <= ends_ms:  # else it will have ended
            watch = lambda: self._watch(one, ends_ms)  # noqa: E731
            self._node.after(due.at_ms - now_ms, "looks at a run", watch)

    def _beat(self, one: Performance, every_ms: int, left: int) -> None:
        """Give signs of life, so many; then the run is stuck, or has ended by then."""
        if left == 0 or one.result is not None:
            return
        one.acting.beat()
        one.run.beat_ms = self._node.timeline.now_ms
        self._node.after(every_ms, "beats", lambda: self._beat(one, every_ms, left - 1))

    def _some_result(self) -> Result:
        drawn = self._chance.random()
        if drawn < 0.7:
            return Succeeded({})
        if drawn < 0.75:
            return Failed(Failure("no-way", "it cannot be done", permanent=True))
        if drawn < 0.8:
            return Failed(Failure("silent", "the gripper did not answer"), is_unknown=True)
        return Failed(Failure("slipped", "the gripper slipped"), retry_after_s=0.5)

    def _stop(self, one: Performance, why: Stop) -> None:
        """Tell a run to end; it takes its time, and may still succeed."""
        if one.result is not None or one.why is not None:
            return
        one.why = why
        if not self._manners.stops_first:
            self._report(one, Stopped(why))
            self._node.after(10 * STOP_MS, "ends at last", lambda: self._end(one, Succeeded({})))
            return
        is_late = self._chance.random() < 0.2
        result = Succeeded({}) if is_late else Stopped(why)
        delay_ms = self._chance.randint(0, STOP_MS)
        self._node.after(delay_ms, "stops", lambda: self._end(one, result))

    def _end(self, one: Performance, result: Result) -> None:
        if one.result is None:
            one.result = result
            self._ground.ended(one.run, result, self._node.timeline.now_ms)
            self._report(one, result)

    def _report(self, one: Performance, result: Result) -> None:
        """Write how it ended, under the claim that it had, whoever has the task by now."""
        jitter = self._chance.random()

        def deed(tx: Any) -> None:
            now = tasks.read(tx.record("task", one.task.id))
            is_former = now is not None and now.allocation != one.task.allocation
            if is_former and not self._manners.testifies:
                return
            after = claims.settle(
                tx,
                one.task,
                one.attempt,
                lambda held: self._manners.conclude(held, result, now_ms=tx.now_ms, jitter=jitter),
            )
            is_current = now is not None and not is_former and claims.is_current(now, one.attempt)
            if now is not None and after is not None and is_current:
                self._ground.concluded(one.run, now.status, after.status)

        def told(_: Any, lasts: bool) -> None:
            if not lasts:
                self._node.after(RETRY_MS, "reports again", write)
            elif one.result is not None:
                one.run.is_told = True
                self._running.pop(one.task.id, None)

        def write() -> None:
            self._write(self._node, deed, told)

        write()

    def _settle_orphans(self, tx: Any) -> None:
        for orphan in orphans._orphans(tx, tx.node, self._boot):
            assert orphan.attempt is not None
            claims.settle(
                tx,
                orphan,
                orphan.attempt,
                lambda task: self._manners.after_crash(task, tx.now_ms),
            )


def without_heartbeat(task: Task) -> Task:
    """Planted: take a run for one that need not give signs of life."""
    return msgspec.structs.replace(task, spec=msgspec.structs.replace(task.spec, heartbeat_s=None))


def starts_again(task: Task, now_ms: int) -> Progress:
    """Planted: take any orphan for one that may run again."""
    spec = msgspec.structs.replace(task.spec, on_orphan=OnOrphan.REQUEUE)
    return _abandoned(msgspec.structs.replace(task, spec=spec), now_ms)


def _status(tx: Any, task_id: str) -> Status | None:
    rows = tx.query(STATUS, task_id)
    return Status(rows[0][0]) if rows else None
