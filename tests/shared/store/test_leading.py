"""The journal leads, the tables follow: whatever is read, lost or refused in between."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.kinds.equipment import MACHINE, PERSON
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
from shared.core.kinds.task_spec import Priority, Spec
from shared.core.lifecycle import Status
from shared.errors import StoreFull
from shared.store import database, exchange, store, transaction, up
from shared.store.transaction import Transaction
from shared.sync.frame import Up
from tests.shared.making import GREEN, RED, YELLOW
from tests.shared.nodes import SITE, Node, close, open_node, reporting
from tests.shared.store.derived import differences
from tests.shared.tasks import KIND_OF

Write = Callable[[Transaction], object]

TASKS = tuple(f"01933b5e-0000-7000-8000-00000000000{n}" for n in range(3))
TABLES = """SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    ORDER BY name"""


class Trouble(Exception):
    """What a write of these tests raises."""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return open_node("agent", "robot-1", folder=tmp_path / "robot")


def lead(node: Node, *writes: Write) -> list[object]:
    """Write a group whose tables may follow later."""
    outcomes = node.group(*writes, may_lead=True).outcomes
    return [outcome.error or outcome.value for outcome in outcomes]


def shown(node: Node) -> list[tuple[Any, ...]]:
    return node.reading.query("SELECT id, state, reason FROM equipment ORDER BY id")


def test_a_group_that_leads_writes_its_events_and_nothing_else(node: Node) -> None:
    node.report(GREEN, "before")
    lead(node, reporting(RED, "leak"), reporting(GREEN, of="press-2"))
    assert node.store.leads
    assert node.reading.query("SELECT count(*) FROM journal") == [(5,)]
    assert shown(node) == [("press-1", "green", "before")]
    assert node.store.node.logs[node.origin].head == 5
    node.store.follow()
    assert shown(node) == [("press-1", "red", "leak"), ("press-2", "green", None)]
    assert differences(node.db) == []


def test_a_later_group_sees_what_leads(node: Node) -> None:
    lead(node, reporting(RED, "leak"))
    (event,) = lead(node, reporting(YELLOW))
    assert event.header.seen == {node.origin: 2}  # type: ignore[attr-defined]
    assert node.write(lambda tx: tx.query("SELECT state FROM equipment")) == [("yellow",)]


def test_what_leads_is_there_after_a_crash(node: Node) -> None:
    """Promise 1."""
    node.report(GREEN)
    lead(node, reporting(RED, "leak"), reporting(GREEN, of="press-2"))
    before = node.store.node
    node.restart()
    assert node.store.node == before
    assert node.store.notice is None
    assert not node.store.leads
    assert shown(node) == [("press-1", "red", "leak"), ("press-2", "green", None)]
    assert differences(node.db) == []


def test_a_write_that_fails_leaves_nothing_in_what_leads(node: Node) -> None:
    def fails(tx: Transaction) -> None:
        reporting(RED, "never")(tx)
        reporting(RED, "never", of="press-9")(tx)
        raise Trouble

    lead(node, reporting(GREEN, "stays"))
    outcomes = lead(node, reporting(YELLOW, of="press-2"), fails, reporting(RED, of="press-3"))
    assert isinstance(outcomes[1], Trouble)
    assert node.store.leads
    node.store.follow()
    assert [i for i, _, _ in shown(node)] == ["press-1", "press-2", "press-3"]
    assert differences(node.db) == []


def test_a_disk_that_is_full_loses_nothing_of_what_leads(node: Node) -> None:
    lead(node, reporting(RED, "leak"))
    before = node.store.node
    (pages,) = node.db.execute("PRAGMA page_count").fetchone()
    node.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        lead(node, *(reporting(GREEN, "x" * 1900, of=f"p-{n}") for n in range(100)))
    assert node.store.node == before
    assert node.store.leads
    seen = node.store.foresee(lambda reading: reading.query("SELECT reason FROM equipment"))
    assert seen == [("leak",)]
    node.db.execute("PRAGMA max_page_count = 1000000")
    lead(node, reporting(YELLOW))
    node.store.follow()
    assert shown(node) == [("press-1", "yellow", None)]
    assert differences(node.db) == []


FOLLOWED: dict[str, Write] = {
    "sql of its own": lambda tx: tx.execute("DELETE FROM lanes"),
    "a question": lambda tx: tx.query("SELECT 1"),
    "a change outside the records": lambda tx: tx.announce("device", "x"),
    "another's log": lambda tx: tx.open_log("other.1", SITE),
    "a hub epoch": lambda tx: exchange.adopt(tx, "e2"),
    "what the hub holds": lambda tx: exchange.note_stored(tx, {tx.node.writes[SITE]: 1}),
}


@pytest.mark.parametrize("write", FOLLOWED.values(), ids=FOLLOWED.keys())
def test_what_is_no_fold_of_events_has_the_tables_follow(node: Node, write: Write) -> None:
    node.report(GREEN)
    lead(node, reporting(RED, "leak"))
    lead(node, write, reporting(YELLOW, of="press-2"))
    assert not node.store.leads
    before = node.store.node
    assert differences(node.db) == []
    node.restart()
    assert node.store.node == before


def test_each_conflict_leaves_its_rows_though_it_is_settled_soon() -> None:
    hub = open_node("hub", "hub")
    one, other = (open_node("agent", n, clock=hub.clock) for n in ("one", "other"))
    one.report(RED, "leak")
    other.report(GREEN, "fine")
    for agent in (one, other):
        sent = exchange.read_log(agent.reading, agent.store.node, agent.origin, 0)
        frame = Up(sent.origin, sent.first, sent.previous, sent.events)
        lead(hub, partial(up.take, up=frame, device=agent.name, site=SITE))
    assert hub.conflicts()[0][1] == "open"
    lead(hub, reporting(YELLOW, "settled"))
    lead(hub, reporting(GREEN, "over"))
    hub.restart()
    assert {status for _, status in hub.conflicts()} == {"resolved"}
    assert hub.reading.query("SELECT count(*) FROM losses") != [(0,)]
    assert differences(hub.db) == []


def test_the_tables_follow_before_they_are_far_behind(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "LEAD_BYTES_MAX", 2000)
    behind = 0
    for number in range(200):
        lead(node, reporting(RED, f"{number}"))
        behind = behind + 1 if node.store.leads else 0
        assert behind < 20
    monkeypatch.setattr(transaction, "LEAD_BYTES_MAX", 1 << 30)
    monkeypatch.setattr(store, "CACHE_RECORDS", 4)
    monkeypatch.setattr(store, "LEADING_RECORDS", 8)
    for number in range(100):
        lead(node, reporting(RED, of=f"press-{number}"))
        assert len(node.store._cache) <= 9
    node.store.follow()
    assert len(node.store._cache) <= 4
    assert differences(node.db) == []


# ------------------------------------------------------------------ any history, any crash


def submit(task: str) -> Write:
    spec = Spec(type="wait", payload={}, priority=Priority.LOW, requester="ann")
    return lambda tx: _append(tx, task, SPEC, spec)


def seat(task: str, n: int, device: str) -> Write:
    given = Allocation("e1", n, device, "1")
    holders = ("other", "robot")  # of a real seat they only ever grow, and with them the scope
    return lambda tx: _append(tx, task, SEAT, Seat(given, holders))


def say(task: str, n: int, status: Status) -> Write:
    given = Allocation("e1", n, "robot", "1")
    outcome = None if status is Status.RUNNING else Outcome.FAILED
    attempt = Attempt(f"a-{n}", n, "boot", 1, None if outcome is None else 2, outcome)
    return lambda tx: _append(tx, task, STATUS, Progress(status, given, attempt))


def _append(tx: Transaction, task: str, register: str, body: Any) -> None:
    tx.append(
        site=SITE,
        kind=KIND_OF[register],
        subject=task,
        register=register,
        body=body,
        actor="ann",
    )


def failing(write: Write) -> Write:
    def change(tx: Transaction) -> None:
        write(tx)
        raise Trouble

    return change


def asking(write: Write) -> Write:
    def change(tx: Transaction) -> None:
        write(tx)
        tx.query("SELECT count(*) FROM tasks")
        write(tx)

    return change


tasks = st.sampled_from(TASKS)
small = st.integers(1, 3)
plain = st.one_of(
    st.builds(
        lambda state, of, register: reporting(state, of=of, register=register),
        st.sampled_from([RED, YELLOW, GREEN]),
        st.sampled_from(["press-1", "press-2"]),
        st.sampled_from([PERSON, MACHINE]),
    ),
    st.builds(submit, tasks),
    st.builds(seat, tasks, small, st.sampled_from(["robot", "other"])),
    st.builds(say, tasks, small, st.sampled_from([Status.RUNNING, Status.DEAD, Status.WAITING])),
)
writes = st.one_of(plain, plain, plain, st.builds(failing, plain), st.builds(asking, plain))
steps = st.one_of(
    st.tuples(st.booleans(), st.lists(writes, max_size=4)),
    st.sampled_from(["crash", "follow"]),
)


@pytest.mark.parametrize("role", ["agent", "hub"])
@settings(max_examples=80, deadline=None)
@given(given_steps=st.lists(steps, max_size=12))
def test_leading_and_crashing_change_nothing_in_the_end(role: str, given_steps: list[Any]) -> None:
    """A twin that never led and never crashed has the same tables, row by row."""
    leading, twin = open_node(role, "robot"), open_node(role, "robot")
    for step in given_steps:
        leading.clock.ms = twin.clock.ms = leading.clock.ms + 1
        match step:
            case "crash":
                leading.restart()
            case "follow":
                leading.store.follow()
            case _:
                may_lead, group = step
                leading.group(*group, may_lead=may_lead)
                twin.group(*group)
        assert leading.store.node.logs == twin.store.node.logs
        assert leading.store.node.position == twin.store.node.position
    leading.store.follow()
    assert dump(leading.db) == dump(twin.db)
    assert differences(leading.db) == []
    close(leading)
    close(twin)


def dump(db: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables; when a device entered a scope may be told more coarsely."""
    names = [name for (name,) in db.execute(TABLES)]
    columns = {"scope": "device, record"}
    return {
        name: sorted(db.execute(f"SELECT {columns.get(name, '*')} FROM {name}"), key=repr)
        for name in names
    }


def test_a_database_of_before_has_its_history_filled_in(tmp_path: Path) -> None:
    node = open_node("agent", "robot-1", folder=tmp_path)
    node.report(RED)
    of_bookings = ("resources", "bookings", "booking_counts", "booking_places", "scope_windows")
    for table in ("history", *of_bookings, "zones"):
        node.db.execute(f"DROP TABLE {table}")
    node.db.execute("CREATE INDEX journal_by_record ON journal (record, at)")
    node.db.execute("PRAGMA user_version = 6")
    close(node)
    again = open_node("agent", "robot-1", folder=tmp_path)
    assert differences(again.db) == []
    assert (tmp_path / database.FILE).exists()
    close(again)
