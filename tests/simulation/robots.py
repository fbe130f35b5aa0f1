"""A robot's dispatcher in virtual time: what it starts, reports, gives back; and its crashes.

The moves are production's (``agent/claim.py``); when it makes them follows the rules of
``docs/tasks.md``, so that a planted robot can leave one out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from agent import claim as claims
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Attempt, Outcome, Progress, Task
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import Signal, Status, move
from shared.core.waiting import why
from tests.simulation.ground import Ground, Run
from tests.simulation.node import Node

LOOK_MS = 900  # between two looks, at most
RETRY_MS = 500  # after a write that the disk refused
CAPACITY = 2

MINE = """SELECT id FROM tasks WHERE device = $1 AND seated = 1
    AND status IN ('waiting', 'running', 'cancelling') ORDER BY created_at, id"""
STATUS = "SELECT status FROM tasks WHERE id = $1 AND status <> ''"

Told = Callable[[Any, bool], None]  # what the deed returned, and whether it lasts
Write = Callable[[Node, Callable[[Any], Any], Told], None]


@dataclass(frozen=True)
class Manners:
    """The rules that a robot keeps; a planted robot leaves one out."""

    needs_permit: Callable[[Task], bool] = lambda task: (
        task.spec.asks_hub
        and task.allocation is not None
        and task.allocation.epoch is not None
        and not task.is_permitted
    )
    start: Callable[..., Task | None] = claims.start
    after_crash: Callable[[Task], OnOrphan] = lambda task: task.spec.on_orphan
    stops_first: bool = True


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
        self._running: dict[str, Run] = {}
        self._attempts = 0

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
        for run in self._running.values():
            run.is_active = False
        self._running = {}

    def _look_later(self) -> None:
        if self._goes_on():
            delay_ms = self._chance.randint(1, LOOK_MS)
            self._node.after(delay_ms, "looks", self._look)

    def _look(self) -> None:
        def told(started: Any, lasts: bool) -> None:
            for task, attempt in started if lasts else ():
                self._act(task, attempt)
            self._look_later()

        self._write(self._node, self._decide, told)

    # ------------------------------------------------------------------ deciding

    def _decide(self, tx: Any) -> list[tuple[Task, Attempt]]:
        """Answer requests, ask for permits, write intents; return what starts."""
        started: list[tuple[Task, Attempt]] = []
        mine = [tasks.read(tx.record("task", t)) for (t,) in tx.query(MINE, self._node.name)]
        groups = {task.spec.group for task in mine if task and task.status is not Status.WAITING}
        for task in mine:
            if task is None or not claims.is_ours(task, tx.node):
                continue
            is_next = task.spec.group is None or task.spec.group not in groups
            groups.add(task.spec.group)
            if task.status is Status.WAITING and is_next:
                room = CAPACITY - len(self._running) - len(started)
                attempt = self._consider(tx, task, room)
                if attempt is not None:
                    started.append((task, attempt))
        return started

    def _consider(self, tx: Any, task: Task, room: int) -> Attempt | None:
        waiting = why(task, tx.now_ms, lambda other: _status(tx, other))
        if task.cancel_asked or (waiting is not None and waiting.doomed is not None):
            claims.close(tx, task.id, signal=Signal.CANCEL, reason="asked to, or doomed")
        elif task.recall is not None:
            claims.give_back(tx, task.id)
        elif waiting is None and self._manners.needs_permit(task):
            claims.ask(tx, task.id)
        elif waiting is None and room > 0:
            self._attempts += 1
            attempt_id = f"{self._node.name}-{self._node.life}-{self._attempts}"
            boot = str(self._node.life)
            after = self._manners.start(tx, task.id, attempt_id=attempt_id, boot=boot)
            started = after.attempt if after else None
            return started if started is not None and started.id == attempt_id else None
        return None

    # ------------------------------------------------------------------ acting

    def _act(self, task: Task, attempt: Attempt) -> None:
        assert task.next_claim is not None
        run = Run(task.id, task.next_claim, self._node.name)
        self._running[task.id] = run
        self._ground.start(run)
        lasts_ms = self._chance.choice((50, 2_000, self._chance.randint(100, 40_000)))
        if not self._manners.stops_first:
            report = lambda: self._report(task, attempt, run, is_good=False)  # noqa: E731
            self._node.after(lasts_ms // 2, "says it stopped", report)
            self._node.after(lasts_ms, "stops", lambda: self._stop(run))
            return
        is_good = self._chance.random() < 0.7
        self._node.after(lasts_ms, "ends", lambda: self._end(task, attempt, run, is_good=is_good))

    def _stop(self, run: Run) -> None:
        run.is_active = False
        self._running.pop(run.task, None)

    def _end(self, task: Task, attempt: Attempt, run: Run, *, is_good: bool) -> None:
        if is_good:
            run.is_active = False
        else:
            self._ground.failed(run)
        self._report(task, attempt, run, is_good=is_good)

    def _report(self, task: Task, attempt: Attempt, run: Run, *, is_good: bool) -> None:
        """Write how it ended, under the claim that it had, whoever has the task by now."""

        def conclude(held: Task, now_ms: int) -> Progress:
            outcome = Outcome.SUCCEEDED if is_good else Outcome.FAILED
            ended = msgspec.structs.replace(attempt, ended_ms=max(now_ms, 0), outcome=outcome)
            is_last = attempt.number >= task.spec.max_attempts
            signal = Signal.SUCCEED if is_good else Signal.DIE if is_last else Signal.FAIL
            return Progress(move(held.status, signal), task.allocation, ended)

        def deed(tx: Any) -> None:
            claims.settle(tx, task, attempt, lambda held: conclude(held, tx.now_ms))

        def told(_: Any, lasts: bool) -> None:
            if not lasts:
                self._node.after(RETRY_MS, "reports again", write)
            elif not run.is_active:
                self._running.pop(task.id, None)

        def write() -> None:
            self._write(self._node, deed, told)

        write()

    def _settle_orphans(self, tx: Any) -> None:
        for (task_id,) in tx.query(MINE, self._node.name):
            task = tasks.read(tx.record("task", task_id))
            if task is None or task.status is Status.WAITING or task.attempt is None:
                continue
            is_harmless = self._manners.after_crash(task) is not OnOrphan.ASK
            outcome = Outcome.LOST if is_harmless else Outcome.UNKNOWN
            ended = msgspec.structs.replace(task.attempt, ended_ms=tx.now_ms, outcome=outcome)
            signal = Signal.REQUEUE if is_harmless else Signal.LOSE
            claims.report(tx, task, Progress(move(task.status, signal), task.allocation, ended))


def _status(tx: Any, task_id: str) -> Status | None:
    rows = tx.query(STATUS, task_id)
    return Status(rows[0][0]) if rows else None
