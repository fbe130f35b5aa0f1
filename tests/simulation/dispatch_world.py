"""The fleet at work: the world of ``world.py`` with robots, a hub that deals, and people."""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from agent.timers import Stop
from shared.api import task_queries
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, Progress, Seat
from shared.core.lifecycle import ENDED, Status
from shared.errors import SkerryError
from shared.store.journal import Verdict
from shared.store.store import Outcome
from shared.store.transaction import Change, Transaction
from tests.simulation.answering import AnsweringWorld
from tests.simulation.author import Author
from tests.simulation.desk import Desk, Office
from tests.simulation.ghost import Made, dot_of
from tests.simulation.ground import Ground, Run
from tests.simulation.node import Node, Rules
from tests.simulation.people import ALL, PERSON_MS, People
from tests.simulation.planted import Meddler
from tests.simulation.promises import demand
from tests.simulation.robots import Manners, Robot, Told
from tests.simulation.world import STRIKE_EVERY, Report, play

ACTS = 120  # of people, in one run
CLEAR_MS = 20_000  # between two looks at what is left, once all is mended
CLEAR_MAX = 15  # of them; then something is stuck
GUARD_LOST = 0.25  # of an agent's crashes

KNOWN_SUCCESS = "SELECT device FROM attempts WHERE task = $1 AND outcome = 'succeeded'"
ATTEMPTS_MAX = 1_000
ATTEMPT = """SELECT outcome, error FROM attempts
    WHERE task = $1 AND epoch = $2 AND n = $3 AND number = $4 AND device = $5"""
AFTER = """SELECT e.task FROM edges e JOIN tasks t ON t.id = e.task
    WHERE e.after = $1 AND t.status = 'waiting' AND t.seated = 1 ORDER BY e.task"""
ENDED_UNDER = """SELECT number FROM attempts WHERE task = $1 AND epoch = $2 AND n = $3
    AND device = $4 AND ended_at IS NOT NULL AND outcome <> 'unknown'"""
INCARNATION = "SELECT incarnation FROM devices WHERE id = $1"


class Scribe(Meddler):
    """A transaction whose events the observer knows of; the hub's must keep the seat's rules.

    Attributes:
        leaving: Tasks that the hub takes from a device, as they were, with the numbers of the
            attempts there of which the device has said how they ended.
    """

    def __init__(self, tx: Transaction, author: Author) -> None:
        super().__init__(tx)
        self._author = author
        self.leaving: list[tuple[Task, set[int]]] = []
        self._out: dict[str, Allocation] = {}  # held, after what this write deals anew
        # Attempts of which this write says how they ended, in place of their device.
        self._presumed: set[tuple[str, int]] = set()

    def append(self, **given: Any) -> None:
        if self._tx.node.is_hub and given["kind"] in ("task.status", "task.allocated"):
            self._sits(given["subject"], given["body"])
        # An agent that cancels its own submission cannot know whether the hub has dealt it, nor one
        # that takes it whether another was given the same by its client.
        body = given["body"]
        is_own = isinstance(body, Seat) or (isinstance(body, Progress) and body.allocation is None)
        self._author.append(
            given["kind"],
            given["subject"],
            given["register"],
            given["body"],
            verdict=None if is_own and not self._tx.node.is_hub else Verdict.APPLIED,
            seen=given.get("seen"),
        )

    def _sits(self, task_id: str, body: msgspec.Struct) -> None:
        """The hub writes a status only while it sits, and deals nothing that it knows as done."""
        task = tasks.read(self._tx.record("task", task_id))
        if task is None:
            return
        if not isinstance(body, Seat):
            given = task.allocation
            now = self._tx.query(INCARNATION, given.device) if given else []
            if isinstance(body, Progress) and body.attempt is not None:
                self._presumed.add((task_id, body.attempt.number))
            sits = given is None or now != [(given.incarnation,)]
            demand(sits, 3, "seat", f"the hub writes a status of {task_id}, which {given} has")
            return
        if body.allocation != task.allocation:
            self._leaves(task)
        if body.allocation not in (None, task.allocation):  # else declared over, no more
            assert body.allocation is not None
            rises = body.allocation.n > task.seat.newest
            demand(rises, 3, "seat", f"{task_id} is given as {body.allocation.n} once more")
            won = [] if task.spec.repeatable else self._tx.query(KNOWN_SUCCESS, task_id)
            demand(not won, 3, "known success", f"{task_id} is dealt, though done at {won}")
            for (other,) in self._tx.query(AFTER, task_id) if task.holders else ():
                held = tasks.read(self._tx.record("task", other))
                if held is not None and held.allocation is not None:
                    self._out[other] = held.allocation

    def _leaves(self, task: Task) -> None:
        """Note what the hub knows of runs under an allocation that it takes away."""
        given = task.allocation
        if given is None or task.is_returned or task.status in ENDED:
            return
        rows = self._tx.query(ENDED_UNDER, task.id, given.epoch or "", given.n, given.device)
        ended = {n for (n,) in rows if (task.id, n) not in self._presumed}
        self.leaving.append((task, ended))

    def done(self) -> None:
        """What came after a task that is dealt anew is asked back, in the same write."""
        for other, given in self._out.items():
            held = tasks.read(self._tx.record("task", other))
            if held is None or held.allocation != given or held.status is not Status.WAITING:
                continue  # settled in the same write
            is_out = held.recall is None and not held.is_returned
            demand(not is_out, 3, "recall", f"{other} is not asked back, though it is after one")
        self.leaving = [(task, ended) for task, ended in self.leaving if not self._is_told(task)]

    def _is_told(self, task: Task) -> bool:
        """Say whether a person says in this write how a run has ended, in place of its device."""
        after = tasks.read(self._tx.record("task", task.id))
        is_over = after is not None and after.status in ENDED
        return task.status is Status.UNKNOWN and is_over


class DispatchWorld(AnsweringWorld):
    """A world whose nodes dispatch tasks.

    Attributes:
        ground: What robots really did.
    """

    name = "fleet"

    def __init__(
        self,
        seed: int,
        *,
        steps: int = ACTS,
        office: Office | None = None,
        manners: Manners | None = None,
        often: tuple[str, ...] = (),
        narrate: Callable[[str], None] | None = None,
    ) -> None:
        office, manners = office or Office(), manners or Manners()
        super().__init__(
            seed,
            steps=steps,
            rules=Rules(),
            narrate=narrate,
            react=office.react,
            answer=manners.answer,
            take_up=office.take_up,
            scribe=Scribe,
        )
        self.ground = Ground()
        self._office = office
        self._leaving: list[tuple[Made, Task, set[int]]] = []  # as ``Scribe.leaving``, by a write
        connected = lambda: frozenset(self._sessions)  # noqa: E731
        self.desk = Desk(
            self.hub, self.agents, Random(f"{seed} desk"), self._deed, office, connected
        )
        self.robots = {
            agent.name: Robot(
                agent,
                self.ground,
                Random(f"{seed} robot {agent.name}"),
                self._deed,
                manners,
                lambda: not self.desk.is_done,
            )
            for agent in self.agents
        }
        self.people = People(
            self.hub,
            self.agents,
            self.ground,
            Random(f"{seed} people"),
            self._deed,
            office,
            self.desk,
            self.robots,
            connected,
            self._crash,
            often,
            Random(f"{seed} again"),
        )
        self._loses = Random(f"{seed} guard")
        self._guard_lost = 1.0 if "lose" in often else GUARD_LOST
        self._cleared = 0

    @property
    def starts(self) -> int:
        """How many tasks robots began to run."""
        return self.ground.starts

    def run(self) -> None:
        """As in any world; and what robots did is what the hub shows."""
        super().run()
        for task_id, runs in self.ground.runs.items():
            for run in runs:
                self._kept(run)
            if runs:
                self._doubled(task_id)

    def _kept(self, run: Run) -> None:
        """Each attempt is kept with its own outcome, whoever had the task by then."""
        claim = run.claim
        key = (run.task, claim.epoch or "", claim.n, claim.attempt, run.robot)
        rows = self.hub.db.execute(ATTEMPT, key).fetchall()
        told = f"{run.task} ran at {run.robot} under {claim}"
        demand(bool(rows), 4, "attempts", f"{told}, and the hub does not show it")
        outcome, error = rows[0]
        if run.is_told:
            is_same = (outcome == "succeeded") == (run.outcome == "succeeded")
            demand(is_same, 4, "attempts", f"{told}: {run.outcome}, shown as {outcome}")
        if run.is_told and run.stopped is Stop.SILENCE:
            is_said = outcome == "timed_out" and "heartbeat-missed" in (error or "")
            demand(is_said, 4, "attempts", f"{told}: silent, shown as {outcome} ({error})")

    def _doubled(self, task_id: str) -> None:
        """A double run shows, and nothing else is called one."""
        reading = self.hub.reading()
        task = tasks.read(reading.record("task", task_id))
        assert task is not None
        acted = task_queries.attempts(reading, task_id, ATTEMPTS_MAX, None)
        self.ground.shows_double(task_id, is_shown=self._office.is_double(task, acted))

    def _live(self, left: int) -> None:
        if self._faults_chance.random() < 1 / STRIKE_EVERY:
            self.faults.strike()
        self.people.act()
        delay = self._pace.randint(0, self._pace.choice((50, 500, PERSON_MS)))
        what, then = (
            ("goes on", lambda: self._live(left - 1)) if left > 1 else ("heals", self._heal)
        )
        self.timeline.at(delay, "world", what, then)

    def _deed(self, node: Node, deed: Callable[[Any], Any], told: Told) -> None:
        found: list[Any] = []

        def change(tx: Transaction) -> list[Made]:
            author = Author(node, tx, self.ghost, "ada")
            scribe = Scribe(tx, author)
            found[:] = [deed(scribe)]
            scribe.done()
            self._leaving += [(author.made[-1], *left) for left in scribe.leaving]
            return author.made

        def answered(outcome: Outcome) -> None:
            for made in outcome.value or ():
                self._authors.acknowledged(made)
            if outcome.error is None:
                told(found[0], True)
            elif isinstance(outcome.error, SkerryError):
                told(None, False)
            else:
                raise outcome.error

        node.write(change, answered)

    def _committed(self, node: Node, outcomes: list[Outcome], changes: list[Change]) -> None:
        super()._committed(node, outcomes, changes)
        leaving, self._leaving = (self._leaving, []) if node is self.hub else ([], self._leaving)
        for made, task, ended in leaving:
            if self.ghost.durable.get(dot_of(made.event)) is made:  # else its write did not last
                assert task.allocation is not None
                self.ground.leaves(task.id, task.allocation, ended)
        if node is self.hub and any(change.kind == "task" for change in changes):
            for task_id, status in node.db.execute(ALL).fetchall():
                self.ground.shows(task_id, Status(status))

    def _start(self, node: Node) -> None:
        was_up = node.is_up
        super()._start(node)
        if was_up:
            return
        if node is self.hub:
            self.desk.start()
        else:
            self.robots[node.name].start()

    def _crash(self, node: Node, down_ms: int) -> None:
        if node.is_up and node is not self.hub:
            self.robots[node.name].crash()
            if self._loses.random() < self._guard_lost:
                node.guard.state = None
        super()._crash(node, down_ms)

    def _heal(self) -> None:
        self.people.is_closing = True
        self.faults.heal()
        for node in (self.hub, *self.agents):
            self._start(node)
        self._clear()

    def _clear(self) -> None:
        """Let people settle what only they can, until every task has ended."""
        self._cleared += 1
        left = self.people.left()
        demand(self._cleared < CLEAR_MAX, 6, "progress", f"tasks are stuck: {left}")
        if self.people.clear(self._cleared):
            self._is_healed = True
        else:
            self.timeline.at(CLEAR_MS, "world", "clears", self._clear)


def simulate(
    seed: int,
    *,
    steps: int = ACTS,
    office: Office | None = None,
    manners: Manners | None = None,
    often: tuple[str, ...] = (),
    narrate: Callable[[str], None] | None = None,
) -> Report:
    """Run one seed; a broken promise is in the report, not raised.

    Args:
        seed: All chance comes from it.
        steps: Acts of people.
        office: The hub's rules.
        manners: The robots' rules.
        often: What happens much more than by itself: submit, repeat (a submission, elsewhere),
            cancel, force, retry, settle, drain, chain (tasks come after the last one), tie (after
            several), lose (a guard).
        narrate: Called with each line of what happens.
    """
    world = DispatchWorld(
        seed, steps=steps, office=office, manners=manners, often=often, narrate=narrate
    )
    return play(world, seed, steps=steps if steps != ACTS else None)
