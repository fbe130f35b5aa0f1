"""Typed rows are what their records say, and counters agree with them, whatever happened."""

from random import Random
from typing import Any

import pytest

from shared.core.kinds import KINDS
from shared.core.kinds.kind import Counter, Table
from shared.core.kinds.task import read
from shared.core.kinds.task_bodies import (
    PRIORITY,
    SEAT,
    SPEC,
    STATUS,
    Allocation,
    Attempt,
    Outcome,
    PriorityRequest,
    Progress,
    Seat,
)
from shared.core.kinds.task_spec import Priority, Spec
from shared.core.lifecycle import Status
from shared.errors import Refused
from shared.store import database, typed
from shared.store.transaction import Transaction
from shared.store.typed import Tally
from tests.shared.counting import assert_counted
from tests.shared.making import GREEN, RED
from tests.shared.nodes import SITE, Node, Session, meet, open_node, reporting
from tests.shared.store.derived import differences
from tests.shared.tasks import KIND_OF

STEPS = 60
ENDED = (Status.SUCCEEDED, Status.DEAD, Status.WAITING, Status.UNKNOWN)


class Fleet:
    """A hub and two agents that write at random."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.hub = open_node("hub", "hub")
        self.agents = [
            open_node("agent", name, clock=self.hub.clock) for name in ("robot-1", "robot-2")
        ]
        self.made = 0

    @property
    def nodes(self) -> list[Node]:
        return [self.hub, *self.agents]

    def step(self) -> None:
        """Do one thing somewhere."""
        self.hub.clock.ms += 1000
        node = self.chance.choice(self.nodes)
        match self.chance.randrange(8):
            case 0:
                agent = self.chance.choice(self.agents)
                Session(agent, self.hub).run(self.chance.randint(1, 60))
            case 1:
                node.store._cache.clear()  # rows must be found in the table, too
            case 2:
                writes = [self.write(node) for _ in range(3)]
                node.group(writes[0], self.failing(node, writes[1]), writes[2])
            case _:
                node.group(self.write(node), self.write(node))

    def write(self, node: Node) -> Any:
        """Return a write of one event of some task, sensible or not."""
        self.made += 1
        chance, subject = self.chance, f"t-{self.chance.randint(1, 1 + self.made // 3)}"
        if chance.random() < 0.1:
            return reporting(chance.choice((RED, GREEN)), of=subject)
        spec = Spec(
            type=chance.choice(("wait", "print")),
            payload={},
            priority=chance.choice(list(Priority)),
            requester="ann",
            deadline_ms=chance.choice((None, -5, 2**60, 2**63)),
        )
        number = chance.randint(1, 2)
        choices: dict[str, Any] = {
            SPEC: lambda _tx: spec,
            SEAT: lambda tx: Seat(self.allocation(tx), ("robot-1", "robot-2")[:number]),
            STATUS: lambda tx: self.progress(tx, subject, number),
            PRIORITY: lambda _tx: PriorityRequest(chance.choice(list(Priority))),
        }
        register = chance.choice((SPEC, SEAT, STATUS, STATUS, PRIORITY))

        def change(tx: Transaction) -> None:
            tx.append(
                site=SITE,
                kind=KIND_OF[register],
                subject=subject,
                register=register,
                body=choices[register](tx),
                actor="ann",
            )

        return change

    def allocation(self, tx: Transaction) -> Allocation:
        if tx.node.is_hub:
            return Allocation("e1", self.chance.randint(1, 3), "robot-1", "1")
        return Allocation(None, 0, tx.node.device, "1")

    def progress(self, tx: Transaction, subject: str, number: int) -> Progress:
        task = read(tx.record("task", subject))
        given = task.allocation if task else None
        if given is None or self.chance.random() < 0.2:
            given = self.allocation(tx)
        begun = Attempt(f"{subject}-{number}", number, "boot", tx.now_ms)
        if self.chance.random() < 0.4:
            return Progress(Status.RUNNING, given, begun)
        outcome = self.chance.choice(list(Outcome))
        over = Attempt(begun.id, number, "boot", tx.now_ms, tx.now_ms + 5, outcome)
        return Progress(self.chance.choice(ENDED), given, over)

    def failing(self, node: Node, write: Any) -> Any:
        """Return a write that is undone after the database has seen it."""

        def change(tx: Transaction) -> None:
            write(tx)
            tx.query("SELECT count(*) FROM tasks")
            raise Refused("no")

        return change


def assert_rows_are_their_records(node: Node) -> None:
    for kind in KINDS.values():
        columns = ", ".join(kind.table.columns)
        for row in node.reading.query(f"SELECT {columns} FROM {kind.table.name}"):
            assert row == kind.row(node.reading.record(kind.name, row[0]))
        known = node.reading.query(
            """SELECT count(DISTINCT r.id) FROM records r JOIN registers g ON g.record = r.id
            WHERE r.kind = $1""",
            kind.name,
        )
        assert known == node.reading.query(f"SELECT count(*) FROM {kind.table.name}")


@pytest.mark.parametrize("seed", range(40))
def test_counters_agree_with_the_rows_after_any_history(seed: int) -> None:
    fleet = Fleet(seed)
    for _ in range(STEPS):
        fleet.step()
        for node in fleet.nodes:
            assert_counted(node.db)
    meet(*fleet.agents, hub=fleet.hub)
    for node in fleet.nodes:
        assert_counted(node.db)
        assert_rows_are_their_records(node)
        assert differences(node.db) == []


def test_the_histories_have_refusals_that_take_attempts_away() -> None:
    """Else the test above would prove little."""
    refused = removed = 0
    for seed in range(10):
        fleet = Fleet(seed)
        for _ in range(STEPS):
            fleet.step()
        before = [n.reading.query("SELECT count(*) FROM attempts")[0][0] for n in fleet.agents]
        meet(*fleet.agents, hub=fleet.hub)
        after = [n.reading.query("SELECT count(*) FROM attempts")[0][0] for n in fleet.agents]
        removed += sum(b > a for b, a in zip(before, after, strict=True))
        refused += sum(len(node.verdicts()) for node in fleet.agents)
    assert refused
    assert removed


THINGS = Table("things", ("id", "colour", "size"), counter=Counter("thing_counts", ("colour",)))


def test_only_the_columns_that_change_are_written() -> None:
    """Another column's index must cost nothing."""
    db = database.connect(":memory:")
    db.execute("CREATE TABLE things (id TEXT PRIMARY KEY, colour TEXT, size INTEGER)")
    db.execute("CREATE TABLE thing_counts (colour TEXT PRIMARY KEY, count INTEGER)")
    db.execute("CREATE TABLE log (id TEXT, colour TEXT)")
    db.execute(
        """CREATE TRIGGER told AFTER UPDATE OF colour ON things
        BEGIN INSERT INTO log VALUES (new.id, new.colour); END"""
    )
    for old, new in (
        (None, ("a", "red", 1)),
        (None, ("b", None, 1)),
        (("a", "red", 1), ("a", "red", 2)),
        (("a", "red", 2), ("a", "blue", 2)),
        (("b", None, 1), ("b", None, 1)),
    ):
        tally = Tally()
        typed.write(db, THINGS, [(old, new)], tally)
        tally.write(db)
    assert db.execute("SELECT * FROM things ORDER BY id").fetchall() == [
        ("a", "blue", 2),
        ("b", None, 1),
    ]
    assert db.execute("SELECT * FROM log").fetchall() == [("a", "blue")]
    assert sorted(db.execute("SELECT * FROM thing_counts").fetchall()) == [("", 1), ("blue", 1)]
    db.close()
