"""Lists of tasks: whatever the filters, the right rows in order, read as ranges of indexes."""

import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.api import task_listing, task_queries
from shared.api.task_listing import Order
from shared.api.task_queries import TaskFilters
from shared.core.ids import uuid7
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import Status
from shared.core.waiting import StatusOf, Waiting, why
from shared.store.transaction import Reading
from tests.api.nodes import START_MS, Node, open_node, seat_at

DEADLINES = (None, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
VALUES: dict[str, list[Any]] = {
    "status": [Status.QUEUED, Status.BLOCKED, Status.RUNNING, Status.DEAD, Status.CANCELLING],
    "type": ["command", "wait", "print"],
    "priority": list(Priority),
    "device": ["robot-1", "robot-2"],
    "requester": ["ada", "bo"],
    "group": ["g-1", "g-2"],
}
COLUMN = {"group": "group_key"}


def explain(task: Task, status_of: StatusOf, now_ms: int) -> Waiting | None:
    return why(task, now_ms, status_of)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path, "hub", "hub") as node:
        yield node


async def fill(node: Node, seed: int, count: int) -> None:
    """Submit tasks that differ in everything that a list filters by."""
    chance = Random(seed)
    made: list[str] = []
    for _ in range(count):
        node.clock.ms += chance.randint(0, 2)
        fields: dict[str, Any] = {
            "type": chance.choice(VALUES["type"]),
            "payload": {},
            "priority": chance.choice(list(Priority)).word,
            "deadline": chance.choice(DEADLINES),
            "group": chance.choice((None, *VALUES["group"])),
            "device": chance.choice((None, *VALUES["device"])),
            "after": [chance.choice(made)] if made and chance.random() < 0.2 else [],
        }
        if chance.random() < 0.3:  # by the id of a client whose clock is wrong, or that lies
            wrong_ms = chance.choice((0, START_MS - 5, START_MS + 5, 2**48 - 1))
            fields["id"] = uuid7(wrong_ms, chance.getrandbits(74))
        made.append(await node.submit(chance.choice(VALUES["requester"]), **fields))
        moved = chance.choice((None, None, Status.RUNNING, Status.DEAD))
        if moved is not None:
            seat = chance.choice(VALUES["device"])
            await node.replica.write(partial(seat_at, task_id=made[-1], device=seat))
            await node.report(made[-1], moved, number=1)
        if chance.random() < 0.2 and moved is not Status.DEAD:
            await node.cancel(made[-1])


async def everything(node: Node, limit: int, order: Order, wanted: dict[str, Any]) -> list[str]:
    filters = TaskFilters(order=order, **{name: frozenset(v) for name, v in wanted.items()})
    found: list[str] = []
    cursor = None
    while True:
        at = cursor

        def question(reading: Reading, at: str | None = at) -> Any:
            return task_queries.page(reading, filters, limit, at, explain, node.clock())

        part = await node.replica.read(question)
        found += [item.id for item in part.items]
        cursor = part.next
        if cursor is None:
            return found


@pytest.mark.parametrize("seed", range(2))
async def test_any_filters_in_any_order_give_what_looking_at_all_would(
    hub: Node, seed: int
) -> None:
    await fill(hub, seed, 4 * task_listing.CHUNK_MIN)  # so that ranges are read on and merged
    every = await hub.replica.read(
        lambda r: task_queries.page(r, TaskFilters(), 500, None, explain, hub.clock()).items
    )
    far = "9"
    by_order = {
        Order.NEWEST: sorted(every, key=lambda t: (t.created_at, t.id), reverse=True),
        Order.URGENT: sorted(
            every,
            key=lambda t: (Priority[t.priority.upper()], t.deadline or far, t.created_at, t.id),
        ),
    }
    chance = Random(seed)
    for _ in range(60):
        wanted = {
            name: chance.sample(VALUES[name], chance.randint(1, 2))
            for name in chance.sample(sorted(VALUES), chance.randint(0, 3))
        }
        shown = {n: {v.word if n == "priority" else v for v in w} for n, w in wanted.items()}
        for order, expected in by_order.items():
            ids = [t.id for t in expected if all(getattr(t, n) in w for n, w in shown.items())]
            for limit in (1 if len(ids) < 20 else 13, 500):
                assert await everything(hub, limit, order, wanted) == ids, (seed, order, wanted)


COMBINATIONS = [
    {},
    *({name: VALUES[name][:1]} for name in VALUES),
    *({name: VALUES[name][:2]} for name in VALUES),
    *({a: VALUES[a][:2], b: VALUES[b][:1]} for a in VALUES for b in VALUES if a < b),
    VALUES,
]


@pytest.mark.parametrize("order", Order)
async def test_nothing_is_scanned_whole_and_nothing_is_sorted(tmp_path: Path, order: Order) -> None:
    """For every filter, alone and with each other one: the plan of every statement that it runs."""
    asked: list[str] = []
    async with open_node(tmp_path, "hub", "hub") as node:
        await fill(node, 1, 12)

        def watched(reading: Reading) -> None:
            reading.db.set_trace_callback(asked.append)
            for wanted in COMBINATIONS:
                filters = TaskFilters(order=order, **{n: frozenset(v) for n, v in wanted.items()})
                first = task_queries.page(reading, filters, 1, None, explain, START_MS)
                task_queries.page(reading, filters, 1, first.next, explain, START_MS)
            reading.db.set_trace_callback(None)

        await node.replica.read(watched)
    assert len(asked) > 4 * len(COMBINATIONS)
    with sqlite3.connect(tmp_path / "hub" / "skerry.db") as db:
        for text in asked:
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}")]
            tables = [step for step in plan if "tasks" in step]
            assert all(step.startswith("SEARCH") for step in tables), (text, plan)
            assert not any("TEMP B-TREE" in step for step in tables), (text, plan)
    db.close()


async def test_a_page_reads_no_more_rows_than_it_may(hub: Node) -> None:
    """Two filters that many match alone and none together: short pages to the end."""
    for number in range(12):
        fields = {"priority": "high"} if number % 2 else {"type": "wait", "payload": {"seconds": 0}}
        await hub.submit(**fields)
    filters = TaskFilters(type=frozenset({"wait"}), priority=frozenset({Priority.HIGH}))

    def question(reading: Reading, cursor: str | None) -> Any:
        return task_queries.page(reading, filters, 50, cursor, explain, START_MS, rows_max=4)

    first = await hub.replica.read(lambda r: question(r, None))
    assert (first.items, bool(first.next)) == ([], True)
    second = await hub.replica.read(lambda r: question(r, first.next))
    assert (second.items, second.next) == ([], None)


async def test_the_filter_that_leaves_the_fewest_rows_drives(hub: Node) -> None:
    for _ in range(5):
        await hub.submit(type="wait", payload={"seconds": 0})
    await hub.submit("bo")

    def drives(order: Order, **wanted: Any) -> Any:
        return hub.replica.read(lambda r: task_listing._driver(r, wanted, order).fixed[0])

    assert await drives(Order.NEWEST, type=["wait"], requester=["bo"]) == "requester"
    assert await drives(Order.NEWEST, type=["command"], requester=["ada"]) == "type"
    assert await drives(Order.URGENT, type=["command"], requester=["ada"]) == "type"
    assert await drives(Order.URGENT, type=["wait"], status=["dead"]) == "status"


async def test_no_deadline_is_the_last_and_numbers_of_any_size_do_no_harm(hub: Node) -> None:
    late = await hub.submit()
    soon = await hub.submit(deadline="2026-12-01T00:00:00Z")
    first = await hub.submit(deadline="1970-01-01T00:00:00Z")
    last = await hub.submit(deadline="9999-12-31T23:59:59Z")
    assert await everything(hub, 2, Order.URGENT, {}) == [first, soon, last, late]
