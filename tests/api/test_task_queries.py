import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.api import pages, task_actions, task_history, task_queries, task_summary
from shared.api.pages import Page
from shared.api.task_listing import Order
from shared.api.task_queries import TaskFilters
from shared.api.task_summary import Summary
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import Status
from shared.core.task_view import TaskView
from shared.core.waiting import StatusOf, Waiting, queued, why
from shared.errors import Invalid, NotFound
from shared.store.transaction import Transaction
from tests.api.nodes import START_MS, Node, carry, open_node, seat_at, tell_progress

A = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3a"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path, "hub", "hub") as node:
        yield node


def explain(task: Task, status_of: StatusOf, now_ms: int) -> Waiting | None:
    return why(task, now_ms, status_of) or queued("robot-1 is busy", "robot-1")


async def get(node: Node, task_id: str) -> TaskView:
    return await node.replica.read(lambda r: task_queries.get(r, task_id, explain, node.clock()))


async def page(
    node: Node, limit: int = 50, cursor: str | None = None, scan_max: int = 2000, **filters: Any
) -> Page[TaskView]:
    order = filters.pop("order", Order.NEWEST)
    sets = {name: frozenset(values) for name, values in filters.items()}
    wanted = TaskFilters(order=order, **sets)
    return await node.replica.read(
        lambda r: task_queries.page(r, wanted, limit, cursor, explain, node.clock(), scan_max)
    )


async def everything(node: Node, limit: int, **filters: Any) -> list[TaskView]:
    """Follow a list to its end."""
    found: list[TaskView] = []
    cursor = None
    while True:
        part = await page(node, limit, cursor, **filters)
        assert len(part.items) <= limit
        found += part.items
        cursor = part.next
        if cursor is None:
            return found


async def summary(node: Node) -> Summary:
    return await node.replica.read(lambda r: task_summary.summary(r, explain, node.clock()))


async def a_task_of_each_status(node: Node) -> dict[str, str]:
    """Return an id by the API's word for its status; priorities and types are mixed."""
    ids = {"queued": await node.submit(priority="high")}
    ids["scheduled"] = await node.submit(
        type="wait", payload={"seconds": 1}, not_before="2030-01-01T00:00:00Z"
    )
    ids["blocked"] = await node.submit(after=[ids["queued"]], priority="low")
    for status in (
        Status.RUNNING,
        Status.SUCCEEDED,
        Status.DEAD,
        Status.CANCELLED,
        Status.EXPIRED,
        Status.UNKNOWN,
    ):
        ids[status.value] = await node.submit("bo", priority="critical", device="robot-2")
        await node.report(ids[status.value], status)
    ids["cancelling"] = await node.submit()
    await node.replica.write(lambda tx: seat_at(tx, ids["cancelling"], "robot-1"))
    await node.cancel(ids["cancelling"])  # asked, not answered: the journal still says waiting
    return ids


# ------------------------------------------------------------------ one


async def test_a_task_shows_its_attempts_its_history_and_why_it_waits(hub: Node) -> None:
    task_id = await hub.submit(max_attempts=3)
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))
    await hub.report(task_id, Status.RUNNING, number=1)
    await hub.report(task_id, Status.WAITING, number=1, not_before_ms=START_MS + 4_000)
    await hub.report(task_id, Status.RUNNING, number=2)
    await hub.report(task_id, Status.SUCCEEDED, number=2)
    shown = await get(hub, task_id)
    assert (shown.status, shown.device, shown.waits_for) == ("succeeded", "robot-1", ())
    first, second = shown.attempts
    assert (first.outcome, first.claim.n, first.claim.attempt) == ("failed", 1, 1)
    assert first.error is not None
    assert (first.error.message, first.output) == ("exit status 3", {"exit_code": 3})
    assert (second.outcome, second.claim.attempt, second.error) == ("succeeded", 2, None)
    assert [(c.status, c.attempt, c.reason) for c in shown.history] == [
        ("queued", None, None),
        ("queued", None, "allocated to robot-1"),
        ("running", 1, None),
        ("scheduled", 1, "exit status 3"),
        ("running", 2, None),
        ("succeeded", 2, None),
    ]
    assert [c.dot.seq for c in shown.history] == [1, 2, 3, 4, 5, 6]
    assert {c.actor for c in shown.history} == {"ada", "hub", "dispatcher"}


async def test_progress_is_shown_with_the_attempt_that_reported_it(hub: Node) -> None:
    task_id = await hub.submit()
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))
    await hub.report(task_id, Status.RUNNING, number=1)
    await hub.replica.write(lambda tx: tell_progress(tx, task_id, 1, step="fetch"))
    assert [a.progress for a in (await get(hub, task_id)).attempts] == [{"step": "fetch"}]
    await hub.report(task_id, Status.WAITING, number=1)
    await hub.report(task_id, Status.RUNNING, number=2)
    assert [a.progress for a in (await get(hub, task_id)).attempts] == [{"step": "fetch"}, None]
    await hub.replica.write(lambda tx: tell_progress(tx, task_id, 2, step="deliver"))
    assert [a.progress for a in (await get(hub, task_id)).attempts] == [None, {"step": "deliver"}]
    (listed,) = (await page(hub)).items
    assert [a.progress for a in listed.attempts] == [{"step": "deliver"}]
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-2"))
    shown = (await get(hub, task_id)).attempts
    assert [a.progress for a in shown] == [None, None], "an older allocation's is history"


async def test_of_the_progress_of_an_attempt_the_history_has_the_newest(hub: Node) -> None:
    task_id = await hub.submit()
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))
    for number in (1, 2):
        await hub.report(task_id, Status.RUNNING, number=number)
        for step in "abc":
            await hub.replica.write(lambda tx: tell_progress(tx, task_id, number, step=step))  # noqa: B023
        await hub.report(task_id, Status.WAITING, number=number)
    changes = (await get(hub, task_id)).history
    told = [(c.dot.seq, c.attempt) for c in changes if c.reason == "reported progress"]
    assert told == [(6, 1), (11, 2)]
    assert len(changes) == 8


async def test_thousands_of_saved_steps_hide_nothing_of_what_became_of_a_task(hub: Node) -> None:
    task_id = await hub.submit()
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))

    def report_all(tx: Transaction) -> None:
        for step in range(1500):
            tell_progress(tx, task_id, number, step=step)

    for number in (1, 2):
        await hub.report(task_id, Status.RUNNING, number=number)
        await hub.replica.write(report_all)
        await hub.report(task_id, Status.DEAD, number=number)
    shown = await get(hub, task_id)
    assert [(c.status, c.attempt, c.dot.seq) for c in shown.history] == [
        ("queued", None, 1),
        ("queued", None, 2),
        ("running", 1, 3),
        (None, 1, 1503),
        ("dead", 1, 1504),
        ("running", 2, 1505),
        (None, 2, 3005),
        ("dead", 2, 3006),
    ]


async def test_a_long_history_has_the_submission_and_the_newest_and_pages_have_all_of_it(
    hub: Node,
) -> None:
    task_id = await hub.submit()
    priorities = itertools.cycle((Priority.HIGH, Priority.LOW))

    def change(tx: Transaction) -> None:
        for _ in range(100):
            task_actions.set_priority(tx, task_id, next(priorities), "ada")

    for _ in range(12):
        await hub.replica.write(change)
        hub.clock.ms += 1
    shown = await get(hub, task_id)
    assert len(shown.history) == task_history.ENTRIES_MAX
    assert [c.dot.seq for c in shown.history[:2]] == [1, 203]
    seqs: list[int] = []
    end: task_history.Place | None = task_history.START
    while end is not None:
        after = end
        items, end = await hub.replica.read(
            lambda r: task_history.page(r, task_id, 500, after)  # noqa: B023 - read at once
        )
        seqs += [item.dot.seq for item in items]
    assert seqs == [*range(1, 1202)]


async def test_waiting_is_shown_in_the_words_of_the_api(hub: Node) -> None:
    ids = await a_task_of_each_status(hub)
    for word, task_id in ids.items():
        shown = await get(hub, task_id)
        assert shown.status == word
        waits = word in ("scheduled", "blocked", "queued")
        assert bool(shown.waits_for) is waits
    assert (await get(hub, ids["blocked"])).waits_for[0].ref == ids["queued"]
    hub.clock.ms = START_MS + 5 * 366 * 24 * 3600 * 1000
    assert (await get(hub, ids["scheduled"])).status == "queued"


async def test_requests_and_what_was_refused_are_in_the_history(hub: Node, tmp_path: Path) -> None:
    async with open_node(tmp_path, "agent", "tablet-1") as tablet:
        task_id = await tablet.submit()
        await tablet.cancel(task_id, reason="not here")
        await tablet.report(task_id, Status.SUCCEEDED, number=1)  # it never had the seat
        await carry(tablet.replica, hub.replica)
    changes = (await get(hub, task_id)).history
    assert "cancel requested: not here" in [change.reason for change in changes]
    refused = changes[-1]
    assert refused.status is None
    assert refused.reason == "refused: tablet-1 never had the seat of this task"
    assert "succeeded" not in {change.status for change in changes}


async def test_an_unknown_task_is_not_found(hub: Node) -> None:
    with pytest.raises(NotFound):
        await get(hub, A)


# ------------------------------------------------------------------ lists


async def test_each_status_lists_what_shows_it_and_nothing_else(hub: Node) -> None:
    ids = await a_task_of_each_status(hub)
    for word, task_id in ids.items():
        for order in Order:
            found = await everything(hub, 50, status={Status(word)}, order=order)
            assert [t.id for t in found] == [task_id], word
    both = await everything(hub, 1, status={Status.BLOCKED, Status.CANCELLING})
    assert [t.id for t in both] == [ids["cancelling"], ids["blocked"]]


async def test_lists_filter_by_every_field_together(hub: Node) -> None:
    ids = await a_task_of_each_status(hub)
    assert [t.id for t in await everything(hub, 5, type={"wait", "none"})] == [ids["scheduled"]]
    assert len(await everything(hub, 4, priority={Priority.CRITICAL})) == 6
    assert [t.id for t in await everything(hub, 5, device={"robot-1"})] == [ids["cancelling"]]
    bo = {"requester": {"bo"}, "device": {"robot-2"}, "type": {"command"}}
    assert len(await everything(hub, 2, **bo)) == 6
    assert [t.id for t in await everything(hub, 2, **bo, status={Status.DEAD})] == [ids["dead"]]
    assert await everything(hub, 5, requester={"nobody"}) == []


async def test_waiting_is_no_word_of_the_api(hub: Node) -> None:
    with pytest.raises(Invalid):
        await page(hub, status={Status.WAITING})


async def test_a_list_shows_the_last_attempt_and_no_history(hub: Node) -> None:
    task_id = await hub.submit()
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))
    for number in (1, 2):
        await hub.report(task_id, Status.RUNNING, number=number)
        await hub.report(task_id, Status.WAITING, number=number)
    (shown,) = (await page(hub)).items
    assert [a.claim.attempt for a in shown.attempts] == [2]
    assert shown.history == ()


@pytest.mark.parametrize("seed", range(4))
async def test_pages_of_any_size_give_every_task_once_and_in_order(hub: Node, seed: int) -> None:
    chance = Random(seed)
    words = [p.word for p in Priority]
    made = []
    for _ in range(chance.randint(1, 40)):
        hub.clock.ms += chance.randint(0, 2)
        made.append(await hub.submit(priority=chance.choice(words)))
    for limit in (1, 7, len(made), 500):
        newest = await everything(hub, limit)
        assert [t.id for t in newest] == sorted(made, reverse=True), f"seed {seed}"
        urgent = await everything(hub, limit, order=Order.URGENT)
        assert sorted(t.id for t in urgent) == sorted(made)
        keys = [(words.index(t.priority), t.id) for t in urgent]
        assert keys == sorted(keys), f"seed {seed}"


async def test_a_page_looks_at_a_bounded_number_of_rows(hub: Node) -> None:
    """A status that few of many rows show: short pages, and every one is found in the end."""
    late = [await hub.submit(not_before="2030-01-01T00:00:00Z") for _ in range(2)]
    for _ in range(9):
        await hub.submit()
    first = await page(hub, 50, scan_max=4, status={Status.SCHEDULED})
    assert first.items == []
    assert first.next is not None
    found = await everything(hub, 50, scan_max=4, status={Status.SCHEDULED})
    assert [t.id for t in found] == sorted(late, reverse=True)


@pytest.mark.parametrize(
    "cursor", ["", "x", "%%%", "a" * 500, pages.write_cursor("newest", 9, A), "kqZuZXdlc3Q"]
)
async def test_a_cursor_of_something_else_is_invalid(hub: Node, cursor: str) -> None:
    with pytest.raises(Invalid):
        await page(hub, cursor=cursor)


async def test_a_cursor_of_another_order_is_invalid(hub: Node) -> None:
    for _ in range(2):
        await hub.submit()
    cursor = (await page(hub, 1)).next
    with pytest.raises(Invalid):
        await page(hub, 1, cursor, order=Order.URGENT)


# ------------------------------------------------------------------ counts


async def test_a_summary_counts_every_status_and_priority_zeros_too(hub: Node) -> None:
    empty = await summary(hub)
    assert empty.total == 0
    assert set(empty.by_status) == {s.value for s in Status} - {"waiting"}
    assert empty.by_priority == {"critical": 0, "high": 0, "normal": 0, "low": 0}
    ids = await a_task_of_each_status(hub)
    full = await summary(hub)
    assert full.by_status == dict.fromkeys(ids, 1)
    assert (full.total, full.by_type) == (10, {"command": 9, "wait": 1})
    assert full.by_priority == {"critical": 6, "high": 1, "normal": 2, "low": 1}
    assert full.exact


async def test_a_summary_of_more_than_it_looks_at_says_so(hub: Node) -> None:
    ids = await a_task_of_each_status(hub)
    counts = await hub.replica.read(
        lambda r: task_summary.summary(r, explain, START_MS, explained_max=4)
    )
    assert not counts.exact
    assert sum(counts.by_status.values()) == counts.total == len(ids)
