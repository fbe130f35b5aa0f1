"""What people do with tasks: they submit, cancel, force, settle, retry, pause and drain."""

from collections.abc import Callable, Set
from random import Random
from typing import Any

from hub import evidence, groups, permits
from hub.settle import Verdict
from shared.api import task_actions, task_submission
from shared.api.task_submission import Planned
from shared.core.ids import uuid7
from shared.core.kinds import queue
from shared.core.kinds import task as tasks
from shared.core.kinds.queue import Paused
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import (
    Check,
    Edge,
    Offline,
    On,
    OnFailure,
    OnOrphan,
    Priority,
    Retry,
    Spec,
    Unreachable,
)
from shared.core.lifecycle import FINAL, Status
from shared.store.transaction import Reading
from tests.simulation.desk import INCARNATIONS, Desk, Office
from tests.simulation.ground import Ground
from tests.simulation.node import Node
from tests.simulation.robots import Robot, Write
from tests.simulation.timeline import START_MS

PERSON_MS = 2_500  # between two acts of people
TASKS_MAX = 40
REPEATS = 0.1  # of the acts, beside which a client submits something once more
REPEATED_OF = 6  # last tasks
PLAIN = 0.1  # of the tasks: nothing binds them, so that they may be given to two nodes
OFTEN = 8  # times more of what a seed is to be full of
# Of so many last tasks a new one comes after each, with that chance.
TIES = {"": (5, 0.25), "chain": (1, 0.6), "tie": (5, 0.6)}
PASSES = 4  # of clearing, before people cancel what still waits
TYPES = ("wait", "print")  # what robots run
CHECKS = ("stock", "door")

OVER = {*FINAL, Status.DEAD}
ALL = "SELECT id, status FROM tasks WHERE status <> '' ORDER BY id"
UNKNOWN_RUN = "SELECT 1 FROM attempts WHERE task = $1 AND outcome = 'unknown' LIMIT 1"
PAUSED = "SELECT type FROM queues WHERE paused = 1"


class People:
    """Those who use the fleet.

    Attributes:
        is_closing: No new work: what is left is settled.
    """

    def __init__(
        self,
        hub: Node,
        agents: list[Node],
        ground: Ground,
        chance: Random,
        write: Write,
        office: Office,
        desk: Desk,
        robots: dict[str, Robot],
        connected: Callable[[], Set[str]],
        restart: Callable[[Node, int], None],
        often: tuple[str, ...],
        again: Random,
    ) -> None:
        self._hub = hub
        self._agents = agents
        self._ground = ground
        self._chance = chance
        self._write = write
        self._office = office
        self._desk = desk
        self._robots = robots
        self._connected = connected
        self._restart = restart
        self._again = again
        more = 5 if "repeat" in often else 1
        self._repeats, self._plain = REPEATS * more, PLAIN * more
        deeds = [self._submit] * 7 + [self._cancel] * 2 + [self._force] * 2 + [self._retry] * 2
        deeds += [self._settle, self._free, self._pause, self._drain, self._hurry]
        named = {
            "submit": self._submit,
            "cancel": self._cancel,
            "force": self._force,
            "retry": self._retry,
            "settle": self._settle,
            "drain": self._drain,
        }
        self._deeds = deeds + [named[name] for name in often if name in named] * OFTEN
        self._near, self._tied = next((TIES[name] for name in often if name in TIES), TIES[""])
        self._tasks: list[str] = []
        self._count = 0
        self.is_closing = False

    def act(self) -> None:
        """Let somebody do something."""
        if self._hub.is_up:
            self._chance.choice(self._deeds)()
        if self._again.random() < self._repeats:
            self._repeat()

    def clear(self, passes: int) -> bool:
        """Settle what only a person can; return whether all tasks have ended.

        After some passes people cancel what still waits: its edge may block for ever by its own
        wish. Whoever has it must answer.
        """
        if not self._hub.is_up:
            return False
        self._resume()
        open_tasks = [self._task(task_id) for task_id in self._tasks]
        left = [t for t in open_tasks if t is not None and t.status not in OVER]
        reading = self._hub.reading()
        doubtful = [t for t in open_tasks if t is not None and evidence.still_open(reading, t)]
        for task in left:
            if task.status is Status.UNKNOWN:
                self._settle_as(task.id, Verdict.DEAD)
            elif passes > PASSES and task.status is Status.WAITING:
                self._cancel_one(self._hub, task.id)
        for task in doubtful:
            if self._can_nobody_say(reading, task):
                self._settle_as(task.id, Verdict.OVER)
        self._free()
        is_known = all(one is not None for one in open_tasks)
        self._desk.is_done = is_known and not left and not doubtful
        return self._desk.is_done

    def _can_nobody_say(self, reading: Reading, task: Task) -> bool:
        """Say whether no device will: its journal is lost, or it does not know how a run ended."""
        if reading.query(UNKNOWN_RUN, task.id):
            return True
        now = {(device, incarnation) for device, incarnation in reading.query(INCARNATIONS)}
        return any((one.device, one.incarnation) not in now for one in task.seat.doubtful)

    def left(self) -> list[str]:
        """Say what has not ended, for a message."""
        reading, found = self._hub.reading(), []
        for task_id, status in self._hub.db.execute(ALL).fetchall():
            task = self._task(task_id)
            doubt = evidence.still_open(reading, task) if task is not None else ()
            if status not in OVER or doubt:
                found.append(f"{task_id} {status}" + (f", in doubt {doubt}" if doubt else ""))
        return found

    # ------------------------------------------------------------------ submitting

    def _submit(self) -> None:
        if len(self._tasks) >= TASKS_MAX or self.is_closing:
            return
        chance = self._chance
        self._count += 1
        task_id = uuid7(START_MS + self._count, chance.getrandbits(74))
        at_agent = chance.random() < 0.3
        place = chance.choice(self._agents) if at_agent else self._hub
        spec = self._spec(place)
        if self._again.random() < self._plain:
            spec = Spec(spec.type, spec.payload, spec.priority, spec.requester, retry=spec.retry)
        if not place.is_up:
            return

        planned = Planned(task_id, place.site, spec, tuple(range(len(spec.after))))

        def deed(tx: Any) -> bool:
            _, is_new = task_submission.submit(tx, planned, place.site, lambda _: True)
            task = tasks.read(tx.record("task", task_id))
            if is_new and task is not None:
                self._ground.submitted(task_id, spec, task.created_ms, place.name)
            return is_new

        def told(is_new: Any, lasts: bool) -> None:
            if lasts and is_new:
                self._tasks.append(task_id)

        self._write(place, deed, told)

    def _repeat(self) -> None:
        """A client that got no answer submits the same once more, at another node."""
        again = [i for i in self._tasks[-REPEATED_OF:] if self._ground.may_repeat(i)]
        place = self._again.choice((self._hub, *self._agents))
        if not again or not place.is_up or self.is_closing:
            return
        task_id = self._again.choice(again)
        spec = self._ground.specs[task_id]
        self._ground.twice.add(task_id)
        planned = Planned(task_id, place.site, spec, tuple(range(len(spec.after))))

        def deed(tx: Any) -> bool:
            _, is_new = task_submission.submit(tx, planned, place.site, lambda _: True)
            self._ground.licences[task_id] += is_new
            return is_new

        self._write(place, deed, lambda _is_new, _lasts: None)

    def _spec(self, place: Node) -> Spec:
        chance = self._chance
        repeatable = chance.random() < 0.15
        offline = Offline.RELEASE if repeatable or chance.random() < 0.3 else Offline.KEEP
        after = tuple(
            Edge(other, chance.choice(list(On)), chance.choice(list(OnFailure)))
            for other in self._tasks[-self._near :]
            if chance.random() < self._tied and place.is_up and self._task(other, place) is not None
            if other not in self._ground.twice
        )
        now_ms = START_MS + self._hub.timeline.now_ms  # people's watches are right
        checks = tuple(
            Check(name, {}, chance.choice(list(Unreachable)))
            for name in CHECKS
            if chance.random() < 0.12
        )
        orphan = chance.choice((OnOrphan.ASK, OnOrphan.ASK, OnOrphan.REQUEUE, OnOrphan.RESUME))
        return Spec(
            chance.choice(TYPES),
            {"seconds": 1},
            chance.choice(list(Priority)),
            "ada",
            device=chance.choice((None, None, None, chance.choice(self._agents).name)),
            after=after,
            not_before_ms=chance.choice((None,) * 7 + (now_ms + chance.randint(1_000, 30_000),)),
            max_attempts=chance.randint(1, 3),
            retry=Retry(0.5, 5),
            on_orphan=OnOrphan.REQUEUE if repeatable else orphan,
            group="ward" if not repeatable and chance.random() < 0.15 else None,
            locks=tuple(x for x in ("door", "lift", "local:arm") if chance.random() < 0.2),
            checks=checks,
            deadline_ms=chance.choice((None, None, now_ms + 20_000, now_ms + 60_000)),
            heartbeat_s=chance.choice((None, None, None, None, 2, 6)),
            offline=offline,
            repeatable=repeatable,
            start_to_close_s=chance.choice((5, 30)) if repeatable else chance.choice((None, 3, 20)),
            schedule_to_start_s=chance.choice((None, None, None, 20, 100)),
            schedule_to_close_s=chance.choice((None, None, None, 30, 150)),
            unique="bed" if chance.random() < 0.2 else None,
        )

    # ------------------------------------------------------------------ acting on tasks

    def _cancel(self) -> None:
        task = self._any()
        if task is not None:
            at_hub = self._chance.random() < 0.7
            self._cancel_one(self._hub if at_hub else self._chance.choice(self._agents), task.id)

    def _cancel_one(self, place: Node, task_id: str) -> None:
        if place.is_up:
            self._do(lambda tx: self._office.cancel(tx, task_id, "ada"), place)

    def _hurry(self) -> None:
        task = self._any(Status.WAITING)
        if task is not None:
            wanted = self._chance.choice(list(Priority))
            self._do(lambda tx: task_actions.set_priority(tx, task.id, wanted, "ada"))

    def _force(self) -> None:
        here = self._connected()
        task = self._any(
            Status.WAITING,
            Status.RUNNING,
            but=lambda t: (
                t.allocation is None
                or (t.allocation.device in here and not (t.cancel_asked or t.recall))
            ),
        )
        if task is None:
            return
        states = self._desk.states

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
            if verdict is Verdict.SUCCEEDED:
                self._ground.succeeded.add(task_id)
            self._ground.settle(task_id)

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
                    self._ground.unlock(row.task, row.claim)
                    return

        self._do(deed)

    # ------------------------------------------------------------------ queues and robots

    def _pause(self) -> None:
        place = self._chance.choice((self._hub, *self._agents))
        type_, is_paused = self._chance.choice(TYPES), self._chance.random() < 0.5
        if place.is_up:
            self._do(lambda tx: _pause(tx, place.site, type_, is_paused=is_paused), place)

    def _resume(self) -> None:
        """Let every queue go on that is paused."""
        paused = [type_ for (type_,) in self._hub.db.execute(PAUSED)]
        for type_ in paused:
            self._do(lambda tx, type_=type_: _pause(tx, self._hub.site, type_, is_paused=False))  # type: ignore[misc]

    def _drain(self) -> None:
        agent = self._chance.choice(self._agents)
        down_ms = self._chance.randint(100, 20_000)
        if agent.is_up:
            self._robots[agent.name].drain(lambda: self._restart(agent, down_ms))

    # ------------------------------------------------------------------ parts

    def _do(self, deed: Callable[[Any], Any], place: Node | None = None) -> None:
        """Have a person do something; if that is refused, nothing is written, and that is all."""
        self._write(place or self._hub, deed, lambda _, __: None)

    def _any(self, *statuses: Status, but: Callable[[Task], bool] = lambda _: False) -> Task | None:
        """Choose a task; mostly one that something waits for, because that is where order is."""
        found = [task for task_id in self._tasks if (task := self._task(task_id))]
        fitting = [t for t in found if (not statuses or t.status in statuses) and not but(t)]
        held = [t for t in found if t.status is Status.WAITING and t.allocation is not None]
        before = {edge.task for task in held for edge in task.spec.after}
        telling = [task for task in fitting if task.id in before]
        chosen = telling if telling and self._chance.random() < 0.7 else fitting
        return self._chance.choice(chosen) if chosen else None

    def _task(self, task_id: str, place: Node | None = None) -> Task | None:
        return tasks.read((place or self._hub).reading().record("task", task_id))


def _pause(tx: Any, site: str, type_: str, *, is_paused: bool) -> None:
    tx.append(
        site=site,
        kind="queue.paused",
        subject=queue.subject(site, type_),
        register=queue.PAUSED,
        body=Paused(is_paused, "serviced"),
        actor="ada",
    )


def _n(tx: Any, task_id: str) -> int:
    task = tasks.read(tx.record("task", task_id))
    return task.seat.newest if task else 0
