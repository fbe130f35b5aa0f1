"""What people, machines, clients and dispatchers do, at every node, whenever it is up."""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from shared.core.ids import uuid7
from shared.core.kinds import equipment, task, task_bodies
from shared.core.kinds.equipment import Attribute, Created, Named, Report, Retired, State
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Outcome,
    Progress,
    Seat,
)
from shared.core.kinds.task_spec import Edge, Priority, Spec
from shared.core.lifecycle import ACTING, Signal, Status, move
from shared.errors import IllegalMove
from shared.store.journal import Verdict
from tests.simulation.author import Author, GivenUp, Page, read_page
from tests.simulation.ghost import Ghost
from tests.simulation.node import Node
from tests.simulation.timeline import START_MS

SUBJECTS = ("press-1", "press-2", "pump-7", "robot-arm")
BULK_BYTES = 90_000  # three of them overflow a batch, so that chunks end in the middle
BULKS_MAX = 12
GLANCES = 0.2  # of an agent's commits are followed by a client that reads

Deed = Callable[[Author], None]


class Glow(msgspec.Struct, frozen=True):
    """Body of a kind that this version of the hub does not know."""

    colour: str
    padding: str = ""


class Workload:
    """Chooses what is done next. Each choice draws from its own stream of chance."""

    def __init__(self, chance: Random, ghost: Ghost, hub: Node, agents: list[Node]) -> None:
        self._chance = chance
        self._ghost = ghost
        self._hub = hub
        self._agents = agents
        self._tasks: list[str] = []
        self._forged: list[tuple[str, str]] = []  # subject, who forged there and is silent since
        self._pages: dict[str, list[tuple[str, Page]]] = {n.name: [] for n in (hub, *agents)}
        self._count = 0
        self._subjects = SUBJECTS[: chance.randint(1, len(SUBJECTS))]
        self._bulks = 0
        bulk = chance.choice((0, 0, 8, 40))
        self._deeds: list[tuple[int, Callable[[Node], Deed | None]]] = [
            (30, self._report),
            (8, self._machine_report),
            (8, self._attribute),
            (4, self._rename),
            (4, self._retire),
            (6, self._resolve),
            (8, self._read),
            (10, self._write_from_page),
            (3, self._claim_future),
            (10, self._submit),
            (8, self._allocate),
            (26, self._move),
            (5, self._request),
            (3, self._several),
            (3, self._give_up),
            (4, self._usurp),
            (3, self._invalid),
            (3, self._unknown),
            (2, self._other_site),
            (2, self._forge),
            (bulk, self._bulk),
        ]

    def next(self) -> tuple[Node, str, Deed] | None:
        """Return what is done now, and where; None if nothing can be."""
        chance = self._chance
        hub_too = chance.random() < 0.25
        node = self._hub if hub_too else chance.choice(self._agents)
        weights = [weight for weight, _ in self._deeds]
        choose = chance.choices(self._deeds, weights)[0][1]
        deed = choose(node) if node.is_up else None
        if deed is None:
            return None
        return node, choose.__name__.strip("_").replace("_", " "), deed

    # ------------------------------------------------------------------ equipment

    def _report(self, node: Node) -> Deed:
        forged = [subject for subject, forger in self._forged if forger != node.name]
        subject = self._subject()
        if forged and self._chance.random() < 0.3:
            subject = self._chance.choice(forged)
        return self._report_as(equipment.PERSON, subject)

    def _machine_report(self, _node: Node) -> Deed:
        return self._report_as(equipment.MACHINE, self._subject())

    def _report_as(self, register: str, subject: str) -> Deed:
        report = self._a_report()

        def deed(author: Author) -> None:
            if not author.tx.record("equipment", subject).register("created").siblings:
                author.append("equipment.created", subject, "created", Created())
            author.append("equipment.state", subject, register, report)

        return deed

    def _attribute(self, _node: Node) -> Deed:
        subject, key = self._subject(), self._chance.choice(("area", "owner"))
        value = self._chance.choice((None, "hall-1", "hall-2", 7, True))
        return lambda author: author.append(
            "equipment.attribute", subject, f"attributes.{key}", Attribute(value)
        )

    def _rename(self, _node: Node) -> Deed:
        subject, name = self._subject(), f"Name {self._next()}"
        return lambda author: author.append("equipment.name", subject, "name", Named(name))

    def _retire(self, _node: Node) -> Deed:
        subject, is_retired = self._subject(), self._chance.random() < 0.5
        return lambda author: author.append(
            "equipment.retired", subject, "retired", Retired(is_retired)
        )

    def _resolve(self, node: Node) -> Deed | None:
        rows = node.db.execute(
            "SELECT subject, register FROM conflicts WHERE status = 'open' ORDER BY id"
        ).fetchall()
        rows = [row for row in rows if (row[0], node.name) not in self._forged]
        if not rows:
            return None
        subject, register = self._chance.choice(rows)
        report = self._a_report()
        return lambda author: author.append("equipment.state", subject, register, report)

    def _several(self, _node: Node) -> Deed:
        deeds = [self._report_as(equipment.PERSON, self._subject()) for _ in range(3)]

        def deed(author: Author) -> None:
            for one in deeds:
                one(author)

        return deed

    def _give_up(self, _node: Node) -> Deed:
        first = self._report_as(equipment.PERSON, self._subject())

        def deed(author: Author) -> None:
            first(author)
            author.tx.query("SELECT count(*) FROM journal")  # makes it write, then undo, SQL
            raise GivenUp

        return deed

    # ------------------------------------------------------------------ clients with a page

    def _read(self, node: Node) -> Deed | None:
        subject = self._subject()
        record = node.reading().record("equipment", subject)
        pages = self._pages[node.name]
        pages.append((subject, read_page(record, self._ghost)))
        del pages[:-4]
        return None

    def glance(self, node: Node) -> None:
        """Let a client that follows the changes read a record, perhaps in the middle of them."""
        if self._chance.random() < GLANCES:
            self._read(node)

    def _write_from_page(self, node: Node) -> Deed | None:
        pages = self._pages[node.name]
        if not pages:
            return None
        subject, page = self._chance.choice(pages)
        report = self._a_report()
        return lambda author: author.append(
            "equipment.state", subject, equipment.PERSON, report, page=page
        )

    def _claim_future(self, _node: Node) -> Deed:
        """A client that claims to have seen what nobody wrote yet: the node clips it."""
        subject, report = self._subject(), self._a_report()
        other = self._chance.choice(self._agents)
        claims = dict.fromkeys(self._origins(other), 10_000)
        return lambda author: author.append(
            "equipment.state", subject, equipment.PERSON, report, seen=claims
        )

    # ------------------------------------------------------------------ tasks

    def _submit(self, node: Node) -> Deed:
        task_id = uuid7(START_MS + self._next(), self._chance.getrandbits(74))
        pinned = self._chance.choice((None, *(a.name for a in self._agents)))
        after = tuple(
            Edge(other)
            for other in self._tasks[-2:]
            if self._chance.random() < 0.2 and task.read(node.reading().record("task", other))
        )
        spec = Spec("wait", {"seconds": 1}, Priority.NORMAL, "ada", device=pinned, after=after)
        self._tasks.append(task_id)
        seat = None if node is self._hub else Seat(_own_allocation(node), (node.name,))

        def deed(author: Author) -> None:
            author.append("task.submitted", task_id, task_bodies.SPEC, spec)
            if seat is not None:
                author.append("task.allocated", task_id, task_bodies.SEAT, seat)

        return deed

    def _allocate(self, node: Node) -> Deed | None:
        """The hub gives a waiting task that nobody has, or a dead one anew."""
        if node is not self._hub:
            return None
        rows = self._hub.db.execute(
            """SELECT id FROM tasks WHERE status = 'dead' OR (status = 'waiting' AND seated = 0)
            ORDER BY id"""
        ).fetchall()
        if not rows:
            return None
        (task_id,) = self._chance.choice(rows)
        agent = self._chance.choice(self._agents)
        (origin,) = self._origins(agent)
        incarnation = origin.rpartition(".")[2]

        def deed(author: Author) -> None:
            held = task.read(author.tx.record("task", task_id))
            assert held is not None
            n = held.seat.newest + 1
            given = Allocation(author.tx.node.epoch, n, agent.name, incarnation)
            holders = tuple(dict.fromkeys((*held.holders, agent.name)))
            author.append("task.allocated", task_id, task_bodies.SEAT, Seat(given, holders))

        return deed

    def _move(self, node: Node) -> Deed | None:
        """A holder's dispatcher goes on with one of its tasks."""
        if node is self._hub:
            return self._allocate(node)
        rows = node.db.execute(
            """SELECT id FROM tasks WHERE device = $1 AND seated = 1
            AND status IN ('waiting', 'running', 'cancelling') ORDER BY id""",
            (node.name,),
        ).fetchall()
        if not rows:
            return None
        (task_id,) = self._chance.choice(rows)
        signal = self._chance.choice((Signal.START, Signal.SUCCEED, Signal.DIE, Signal.FAIL))

        def deed(author: Author) -> None:
            held = task.read(author.tx.record("task", task_id))
            if held is None or held.allocation is None or held.allocation.device != node.name:
                raise GivenUp
            try:
                is_new = held.status is Status.WAITING
                status = move(held.status, Signal.START if is_new else signal)
            except IllegalMove as error:
                raise GivenUp from error
            author.append("task.status", task_id, task_bodies.STATUS, _progress(held, status))

        return deed

    def _request(self, node: Node) -> Deed | None:
        known = [t for t in self._tasks if task.read(node.reading().record("task", t))]
        if not known:
            return None
        task_id = self._chance.choice(known)
        if self._chance.random() < 0.5:
            body: Any = task_bodies.CancelRequest("no longer needed")
            return lambda a: a.append("task.cancel_requested", task_id, task_bodies.CANCEL, body)
        body = task_bodies.PriorityRequest(self._chance.choice(list(Priority)))
        return lambda a: a.append("task.priority_requested", task_id, task_bodies.PRIORITY, body)

    # ------------------------------------------------------------------ what the hub must not take

    def _usurp(self, node: Node) -> Deed | None:
        """A device reports on a task whose seat it never had."""
        if node is self._hub or not self._tasks or not self._hub.is_up:
            return None
        task_id = self._chance.choice(self._tasks)
        held = task.read(self._hub.reading().record("task", task_id))
        if held is None or node.name in held.holders or held.allocation is None:
            return None
        if held.allocation.epoch is None:
            return None  # the hub may still give it to this very device before it judges
        body = Progress(Status.SUCCEEDED, held.allocation)
        verdict = None if held.status is not Status.SUCCEEDED else Verdict.REFUSED
        return lambda author: author.append(
            "task.status", task_id, task_bodies.STATUS, body, verdict=verdict
        )

    def _invalid(self, node: Node) -> Deed | None:
        if node is self._hub:
            return None
        subject = self._subject()
        if self._chance.random() < 0.5:
            return lambda author: author.append(
                "equipment.created", subject, "created", 5, verdict=Verdict.REFUSED
            )
        report = self._a_report()
        return lambda author: author.append(
            "equipment.state", subject, "state.gossip", report, verdict=Verdict.REFUSED
        )

    def _unknown(self, node: Node) -> Deed | None:
        if node is self._hub:
            return None
        kind = self._chance.choice(("equipment.glow", "widget.made"))
        subject, body = self._subject(), Glow(self._chance.choice(("blue", "pink")))
        return lambda author: author.append(kind, subject, "glow", body, verdict=Verdict.PARKED)

    def _other_site(self, node: Node) -> Deed | None:
        if node is self._hub:
            return None
        subject, report = self._subject(), self._a_report()
        return lambda author: author.append_raw(
            "equipment.state",
            subject,
            equipment.PERSON,
            report,
            verdict=Verdict.REFUSED,
            site="elsewhere",
        )

    def _forge(self, node: Node) -> Deed | None:
        """A device claims to have seen the next events of another; the hub waits for them.

        A record of its own, where it writes once: what it shows to itself is its own affair.
        """
        other = self._chance.choice(self._agents)
        if node is self._hub or other is node:
            return None
        (origin,) = self._origins(other)
        ahead = other.db.execute("SELECT head FROM origins WHERE name = $1", (origin,)).fetchone()
        claims = {origin: ahead[0] + self._chance.randint(1, 3)}
        subject, report = f"forged-{self._next()}", self._a_report()
        self._forged.append((subject, node.name))
        return lambda author: author.append_raw(
            "equipment.state", subject, equipment.PERSON, report, verdict=None, claims=claims
        )

    # ------------------------------------------------------------------ volume

    def _bulk(self, node: Node) -> Deed | None:
        """Records so large that a batch holds only a few; not so many that a frame is too small."""
        self._bulks += 1
        if self._bulks > BULKS_MAX:
            return None
        padding = "x" * BULK_BYTES
        if self._chance.random() < 0.7 and node is not self._hub:
            subject = self._subject()
            register = f"glow.{self._chance.randint(1, 3)}"
            body = Glow("blue", padding)
            return lambda author: author.append(
                "equipment.glow", subject, register, body, verdict=Verdict.PARKED
            )
        task_id = uuid7(START_MS + self._next(), self._chance.getrandbits(74))
        self._tasks.append(task_id)
        spec = Spec("wait", {"padding": padding}, Priority.LOW, "ada")
        return lambda author: author.append("task.submitted", task_id, task_bodies.SPEC, spec)

    # ------------------------------------------------------------------ values

    def _subject(self) -> str:
        return self._chance.choice(self._subjects)

    def _a_report(self) -> Report:
        return Report(self._chance.choice(list(State)), reason=f"reason {self._next()}")

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _origins(self, node: Node) -> list[str]:
        """Return the log that a node writes, from its disk: it may be down."""
        return [name for (name,) in node.db.execute("SELECT name FROM origins WHERE own = 1")]


def _own_allocation(node: Node) -> Allocation:
    incarnation = node.store.node.writes[node.site].rpartition(".")[2]
    return Allocation(None, 0, node.name, incarnation)


def _progress(held: task.Task, status: Status) -> Progress:
    number = held.attempts_made + (status is Status.RUNNING)
    ended = None if status in ACTING else held.updated_ms + 1
    outcome = None
    if ended is not None:
        outcome = Outcome.SUCCEEDED if status is Status.SUCCEEDED else Outcome.FAILED
    attempt = Attempt(f"attempt-{number}", number, "boot", held.created_ms, ended, outcome)
    return Progress(status, held.allocation, attempt)
