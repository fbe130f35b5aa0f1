"""What follows from a journal is found again, and the least difference from it is noticed."""

import sqlite3
from collections.abc import Iterator

import pytest

from shared.core.kinds.equipment import Report
from shared.core.kinds.queue import PAUSED, Paused
from shared.core.kinds.task_bodies import (
    SEAT,
    SPEC,
    STATUS,
    Allocation,
    Attempt,
    Outcome,
    Progress,
    Seat,
)
from shared.core.kinds.task_spec import Edge, Priority, Spec
from shared.core.lifecycle import Status
from shared.store.transaction import Transaction
from tests.shared.making import GREEN, RED, YELLOW
from tests.shared.nodes import SITE, Node, close, meet, open_node
from tests.shared.store.derived import differences
from tests.shared.tasks import KIND_OF

FIRST, SECOND, THIRD = (f"01933b5e-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


@pytest.fixture
def fleet() -> Iterator[dict[str, Node]]:
    """A hub and a robot with tasks, a conflict, a refusal and an event that the hub parks."""
    hub = open_node("hub", "hub")
    robot, tablet = (open_node("agent", n, clock=hub.clock) for n in ("robot", "tablet"))
    given = Allocation("e1", 1, "robot", robot.origin.rpartition(".")[2])
    hub.write(lambda tx: _submit(tx, FIRST))
    hub.write(lambda tx: _submit(tx, SECOND, Edge(FIRST)))
    hub.write(lambda tx: _append(tx, FIRST, SEAT, Seat(given, ("robot",))))
    hub.write(lambda tx: _append(tx, SECOND, SEAT, Seat(given, ("robot",))))
    hub.write(lambda tx: _append(tx, f"{SITE}:wait", PAUSED, Paused(True), "queue.paused"))
    tablet.report(GREEN)
    meet(robot, tablet, hub=hub)
    begun = Attempt("a-1", 1, "boot", 1)
    robot.write(
        lambda tx: _append(tx, FIRST, STATUS, Progress(Status.RUNNING, given, begun, "goes"))
    )
    over = Attempt("a-1", 1, "boot", 1, 2, Outcome.SUCCEEDED)
    robot.write(lambda tx: _append(tx, FIRST, STATUS, Progress(Status.SUCCEEDED, given, over)))
    tablet.write(lambda tx: _append(tx, FIRST, STATUS, Progress(Status.DEAD, given, over)))
    tablet.write(lambda tx: _append(tx, "press-1", "glow", Report(RED), "equipment.glow"))
    tablet.report(RED)
    robot.report(YELLOW)
    robot.report(YELLOW, of="press-2")
    robot.write(lambda tx: _submit(tx, THIRD))
    meet(robot, tablet, hub=hub)
    robot.report(GREEN, of="press-2")  # not judged yet
    nodes = {"hub": hub, "robot": robot, "tablet": tablet}
    yield nodes
    for node in nodes.values():
        close(node)


def _submit(tx: Transaction, subject: str, *after: Edge) -> None:
    _append(tx, subject, SPEC, Spec("wait", {}, Priority.NORMAL, "ann", after=after))


def _append(tx: Transaction, subject: str, register: str, body: object, kind: str = "") -> None:
    tx.append(
        site=SITE,
        kind=kind or KIND_OF[register],
        subject=subject,
        register=register,
        body=body,  # type: ignore[arg-type]  # any body: some of them are wrong
        actor="ann",
    )


@pytest.mark.parametrize("name", ["hub", "robot", "tablet"])
def test_everything_follows_from_the_journal(fleet: dict[str, Node], name: str) -> None:
    """Promise 2."""
    assert differences(fleet[name].db) == []


def test_the_fleet_has_what_can_go_wrong(fleet: dict[str, Node]) -> None:
    """Else the tests beside this one would prove little."""
    verdicts = {verdict for _, verdict, _ in fleet["tablet"].verdicts()}
    assert verdicts == {2, 3}
    assert ("open",) in [(status,) for _, status in fleet["hub"].conflicts()]
    for table in ("attempts", "edges", "queues", "losses", "scope", "task_counts"):
        assert fleet["hub"].reading.query(f"SELECT count(*) FROM {table}") != [(0,)], table


ALTERATIONS = [
    "DELETE FROM registers WHERE name = 'state.person' AND record = $press",
    "UPDATE registers SET shown = (SELECT shown FROM registers WHERE name = 'state.person'"
    " AND record = $press2) WHERE name = 'state.person' AND record = $press",
    "UPDATE registers SET position = 0 WHERE name = 'state.person' AND record = $press2",
    "UPDATE registers SET lane = 0 WHERE name = 'state.person' AND record = $press2",
    "UPDATE records SET site = 'elsewhere' WHERE subject = 'press-1'",
    "UPDATE journal SET record = 1 + record WHERE record = $press",
    "UPDATE journal SET at = at + 1 WHERE record = $press",
    "UPDATE history SET at = at + 1 WHERE record = $press",
    "DELETE FROM history WHERE record = $press",
    "UPDATE equipment SET state = 'green' WHERE id = 'press-1'",
    "DELETE FROM equipment WHERE id = 'press-1'",
    "INSERT INTO equipment (id, site, attributes, retired) VALUES ('x', 'demo', '{}', 0)",
    "UPDATE queues SET reason = 'why'",
    "UPDATE tasks SET status = 'running' WHERE id = $first",
    "UPDATE tasks SET updated_at = updated_at + 1 WHERE id = $first",
    "DELETE FROM tasks WHERE id = $second",
    "UPDATE task_counts SET count = count + 1 WHERE status = 'succeeded'",
    "INSERT INTO task_counts VALUES ('demo', 'dead', 'wait', 2, 0)",
    "DELETE FROM attempts",
    "UPDATE attempts SET ended_at = NULL",
    "UPDATE attempt_counts SET count = 2",
    "DELETE FROM edges",
    "INSERT INTO edges VALUES ($second, $first)",
    "UPDATE conflicts SET status = 'resolved' WHERE status = 'open'",
    "UPDATE conflicts SET position = position - 1 WHERE status = 'open'",
    "UPDATE conflicts SET since = since + 1 WHERE status = 'open'",
    "DELETE FROM conflicts WHERE status = 'open'",
    "DELETE FROM losses",
    "UPDATE origins SET head = head - 1 WHERE own = 1",
    "UPDATE node SET position = position - 20",
    "UPDATE node SET stamp = 0",
]
OF_THE_HUB = [
    "DELETE FROM scope WHERE device = 'robot'",
    "INSERT INTO scope SELECT 'tablet', id, 1 FROM records WHERE subject = $third",
    "UPDATE registers SET position = position + 1 WHERE name = 'seat'",
    "UPDATE journal SET verdict = 1, verdict_at = NULL WHERE verdict = 2",
]
OF_AN_AGENT = [
    "UPDATE registers SET shown = base WHERE base IS NOT NULL AND name = 'state.person'"
    " AND record = $press2",
    "UPDATE registers SET base = NULL WHERE name = 'seat'",
]


@pytest.mark.parametrize("text", [*ALTERATIONS, *OF_THE_HUB])
def test_an_altered_row_of_the_hub_is_noticed(fleet: dict[str, Node], text: str) -> None:
    robot, hub = fleet["robot"], fleet["hub"]
    meet(robot, hub=hub)  # press-2 reaches the hub
    assert differences(hub.db) == []
    assert _alter(hub.db, text) > 0
    assert differences(hub.db), text


@pytest.mark.parametrize("text", [*ALTERATIONS, *OF_AN_AGENT])
def test_an_altered_row_of_an_agent_is_noticed(fleet: dict[str, Node], text: str) -> None:
    assert _alter(fleet["robot"].db, text) > 0
    assert differences(fleet["robot"].db), text


def _alter(db: sqlite3.Connection, text: str) -> int:
    for name, subject in (("$press2", "press-2"), ("$press", "press-1")):
        row = db.execute("SELECT id FROM records WHERE subject = ?", (subject,)).fetchone()
        text = text.replace(name, str(row[0]))
    for name, task in (("$first", FIRST), ("$second", SECOND), ("$third", THIRD)):
        text = text.replace(name, f"'{task}'")
    return db.execute(text).rowcount
