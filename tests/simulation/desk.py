"""The hub's dispatching in virtual time, and the people who use it; all of it production's code."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from random import Random
from typing import Any

from hub import evidence, fleet, force, groups, permits, retry, seating, settle
from hub.fleet import Fleet
from hub.release import Patience
from hub.round import Round, Terms
from hub.settle import Verdict
from shared.api import task_actions
from shared.core.ids import uuid7
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Edge, Offline, On, OnFailure, OnOrphan, Priority, Spec
from shared.core.lifecycle import FINAL, Status
from tests.simulation.ground import Ground
from tests.simulation.node import Node
from tests.simulation.promises import demand
from tests.simulation.robots import Write
from tests.simulation.timeline import START_MS

ROUND_MS = 900  # between two rounds of the hub, at most
PERSON_MS = 2_500  # between two acts of people
TASKS_MAX = 40
PASSES = 4  # of clearing, before people cancel what still waits
PATIENCE = Patience(release_after_s=15, margin_s=5)

OPEN = "SELECT id FROM tasks WHERE status IN ('waiting', 'running', 'cancelling') ORDER BY id"
ASKED = """SELECT e.subject FROM records e JOIN registers r ON r.record = e.id
    WHERE e.kind = 'task' AND r.name = 'request.start' ORDER BY e.subject"""
ENDED = "SELECT id, status FROM tasks WHERE status IN ('succeeded', 'cancelled', 'expired')"
OVER = {*FINAL, Status.DEAD}
ALL = "SELECT id, status FROM tasks WHERE status <> '' ORDER BY id"


@dataclass(frozen=True)
class Office:
    """What the hub does; a planted hub does one thing otherwise."""

    sit: Callable[..., Round] = seating.sit
    look: Callable[..., Any] = permits.look
    force: Callable[..., bool] = force.force
    settle: Callable[..., None] = settle.settle
    retry: Callable[..., None] = retry.retry
    cancel: Callable[..., None] = task_actions.cancel


class Desk:
    """The hub's rounds, and what people ask of it."""

    def __init__(
        self,
        hub: Node,
        agents: list[Node],
        ground: Ground,
        chance: Random,
        write: Write,
        office: Office,
        connected: Callable[[], Set[str]],
    ) -> None:
        self._hub = hub
        self._agents = agents
        self._ground = ground
        self._chance = chance
        self._write = write
        self._office = office
        self._connected = connected
        self._fleet = Fleet(lambda: connected())
        self._silent: dict[str, int] = {}
        self._tasks: list[str] = []
        self._count = 0
        self.is_closing = False  # no new work: settle what is left
        self.is_done = False

    def start(self) -> None:
        """The hub's process starts: it has heard nobody."""
        self._fleet = Fleet(lambda: self._connected())
        self._silent = {}
        self._later()

    # ------------------------------------------------------------------ rounds

    def _later(self) -> None:
        if not self.is_done:
            self._hub.after(self._chance.randint(1, ROUND_MS), "sits", self._round)

    def _round(self) -> None:
        now_ms = self._hub.timeline.now_ms
        self._fleet.learn(fleet.rows(self._hub.store.reading(), None))
        for name, state in self._fleet.states.items():
            if state.connected:
                self._silent.pop(name, None)
            else:
                self._silent.setdefault(name, now_ms)
        states, here, silent = self._fleet.states, self._connected(), dict(self._silent)

        def deed(tx: Any) -> None:
            batch = [task_id for (task_id,) in tx.query(OPEN)]
            terms = Terms(tx.now_ms, now_ms, silent, PATIENCE)
            self._office.sit(tx, batch, states, terms)
            asked = [task_id for (task_id,) in tx.query(ASKED)]
            self._office.look(tx, asked, here)
            for task_id, status in tx.query(ENDED):
                if status in FINAL:
                    self._ground.over.add(task_id)
            _one_holder_each(tx)

        self._write(self._hub, deed, lambda _, __: self._later())

    # ------------------------------------------------------------------ people

    def act(self) -> None:
        """Let somebody do something."""
        deeds = [self._submit] * 6 + [self._cancel, self._force, self._force, self._settle]
        deeds += [self._retry, self._retry, self._free]
        if self._hub.is_up:
            self._chance.choice(deeds)()

    def clear(self, passes: int) -> bool:
        """Settle what only a person can; return whether all tasks have ended.

        After some passes people cancel what still waits: its edge may block for ever by its own
        wish. Whoever has it must answer.
        """
        if not self._hub.is_up:
            return False
        open_tasks = [self._task(task_id) for task_id in self._tasks]
        left = [t for t in open_tasks if t is not None and t.status not in OVER]
        reading = self._hub.store.reading()
        doubtful = [t for t in open_tasks if t is not None and evidence.still_open(reading, t)]
        for task in left:
            if task.status is Status.UNKNOWN:
                self._settle_as(task.id, Verdict.DEAD)
            elif passes > PASSES and task.status is Status.WAITING:
                self._cancel_one(task.id)
        for task in doubtful:
            self._settle_as(task.id, Verdict.OVER)
        self._free()
        self.is_done = not left
        return self.is_done

    def _submit(self) -> None:
        if len(self._tasks) >= TASKS_MAX or self.is_closing:
            return
        chance = self._chance
        self._count += 1
        task_id = uuid7(START_MS + self._count, chance.getrandbits(74))
        spec = self._spec()
        place = self._hub
        if spec.unique and spec.group is None and chance.random() < 0.7:
            place = chance.choice(self._agents)  # a tablet: it leaves the task to the hub
        if not place.is_up:
            return

        def deed(tx: Any) -> int:
            tx.append(
                site=place.site,
                kind="task.submitted",
                subject=task_id,
                register=tasks.SPEC,
                body=spec,
                actor="ada",
            )
            task = tasks.read(tx.record("task", task_id))
            assert task is not None
            self._ground.submitted(task_id, spec, task.created_ms)
            return 0

        def told(_: Any, lasts: bool) -> None:
            if lasts:
                self._tasks.append(task_id)

        self._write(place, deed, told)

    def _spec(self) -> Spec:
        chance = self._chance
        repeatable = chance.random() < 0.15
        offline = Offline.RELEASE if repeatable or chance.random() < 0.3 else Offline.KEEP
        after = tuple(
            Edge(other, chance.choice(list(On)), chance.choice(list(OnFailure)))
            for other in self._tasks[-6:]
            if chance.random() < 0.15 and self._task(other) is not None
        )
        return Spec(
            "wait",
            {"seconds": 1},
            Priority.NORMAL,
            "ada",
            device=chance.choice((None, None, None, chance.choice(self._agents).name)),
            after=after,
            max_attempts=chance.randint(1, 3),
            on_orphan=OnOrphan.REQUEUE if repeatable else OnOrphan.ASK,
            group="ward" if not repeatable and chance.random() < 0.15 else None,
            locks=tuple(x for x in ("door", "lift") if chance.random() < 0.25),
            offline=offline,
            repeatable=repeatable,
            start_to_close_s=30 if repeatable else None,
            unique="bed" if chance.random() < 0.3 else None,
        )

    def _cancel(self) -> None:
        task = self._any()
        if task is not None:
            self._cancel_one(task.id)

    def _cancel_one(self, task_id: str) -> None:
        self._do(lambda tx: self._office.cancel(tx, task_id, "ada"))

    def _force(self) -> None:
        task = self._any(Status.WAITING, Status.RUNNING)
        if task is None:
            return
        states = self._fleet.states

        def deed(tx: Any) -> None:
            given = task.allocation
            mates = groups.mates(tx, task, given.device) if given else ()
            before = {one: _n(tx, one) for one in (task.id, *mates)}
            self._office.force(tx, task.id, states, device=None, reason="away", actor="ada")
            for one, n in before.items():
                self._ground.allow(one, n)

        self._do(deed)

    def _settle(self) -> None:
        task = self._any(Status.UNKNOWN)
        if task is not None:
            self._settle_as(task.id, self._chance.choice(list(Verdict)))

    def _settle_as(self, task_id: str, verdict: Verdict) -> None:
        def deed(tx: Any) -> None:
            n = _n(tx, task_id)
            self._office.settle(tx, task_id, verdict, attempt=None, reason="looked", actor="ada")
            if verdict in (Verdict.RETRY, Verdict.DEAD):  # a dead one may be retried
                self._ground.allow(task_id, n)
            self._ground.excuse(task_id, over=True)

        self._do(deed)

    def _retry(self) -> None:
        task = self._any(Status.DEAD)
        if task is not None and not self.is_closing:
            self._do(lambda tx: self._retry_one(tx, task.id))

    def _retry_one(self, tx: Any, task_id: str) -> None:
        self._office.retry(tx, task_id, "ada")
        self._ground.persons.add(task_id)

    def _free(self) -> None:
        here = self._connected()

        def deed(tx: Any) -> None:
            for row in permits.rows(tx):
                task = tasks.read(tx.record("task", row.task))
                is_former = task is not None and task.seat.newest != row.n
                if row.device not in here or is_former:
                    permits.release(tx, row.site, row.name, reason="looked", actor="ada")
                    self._ground.excuse(row.task, over=False)
                    return

        self._do(deed)

    # ------------------------------------------------------------------ parts

    def _do(self, deed: Callable[[Any], Any]) -> None:
        """Have a person do something; if that is refused, nothing is written, and that is all."""
        self._write(self._hub, deed, lambda _, __: None)

    def left(self) -> list[str]:
        """Say what has not ended, for a message."""
        rows = self._hub.db.execute(ALL).fetchall()
        return [f"{task_id} {status}" for task_id, status in rows if status not in OVER]

    def _any(self, *statuses: Status) -> Task | None:
        found = [self._task(task_id) for task_id in self._tasks]
        fitting = [t for t in found if t and (not statuses or t.status in statuses)]
        return self._chance.choice(fitting) if fitting else None

    def _task(self, task_id: str) -> Task | None:
        return tasks.read(self._hub.store.reading().record("task", task_id))


def _n(tx: Any, task_id: str) -> int:
    task = tasks.read(tx.record("task", task_id))
    return task.seat.newest if task else 0


def _one_holder_each(tx: Any) -> None:
    """A lock has one claim; the table cannot hold two, so its claims must be those of permits."""
    for row in permits.rows(tx):
        task = tasks.read(tx.record("task", row.task))
        is_known = task is not None and task.permit is not None
        demand(is_known, 3, "lock", f"{row.name} is held by {row.task}, which has no permit")
