"""Several tasks at once: all or none, in any order, each error with its place."""

from pathlib import Path
from typing import Any

import pytest

from shared.api import task_batch
from shared.core import event as events
from shared.core.event import BODY_BYTES_MAX
from shared.core.ids import uuid7
from tests.api.nodes import START_MS
from tests.api.served import Answered, Served, serve_node
from tests.shared.counting import assert_counted

UNKNOWN = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3f"
PATH = "/api/tasks/batch"


async def post(node: Served, *tasks: dict[str, Any], **more: Any) -> Answered:
    given = [task if "type" in task else {"command": "echo", **task} for task in tasks]
    return await node.call("POST", PATH, {"tasks": given}, **more)


async def total(node: Served) -> int:
    found: int = (await node.get("/api/tasks/summary"))["total"]
    return found


def places(answered: Answered) -> list[str]:
    assert answered.headers["Content-Type"] == "application/problem+json"
    return [error["path"] for error in answered.json["errors"]]


async def test_tasks_come_after_each_other_in_whatever_order_they_are_given(hub: Served) -> None:
    answered = await post(
        hub,
        {"after": ["#2", {"task": "#1", "on": "end"}]},
        {"after": ["#2"], "priority": "high"},
        {"type": "wait", "payload": {"seconds": 1}},
    )
    assert answered.status == 201, answered.raw
    last, middle, first = answered.json["items"]
    assert [t["status"] for t in (last, middle, first)] == ["blocked", "blocked", "queued"]
    assert [edge["task"] for edge in last["after"]] == [first["id"], middle["id"]]
    assert [edge["on"] for edge in last["after"]] == ["success", "end"]
    assert (middle["priority"], first["type"]) == ("high", "wait")
    listed = (await hub.get("/api/tasks"))["items"]
    assert listed == [first, middle, last], "the ids rise with the places"
    assert await hub.get(f"/api/tasks/{last['id']}") == {
        **last,
        "history": (await hub.get(f"/api/tasks/{last['id']}"))["history"],
    }


async def test_what_comes_after_a_unique_task_comes_after_the_one_that_has_the_key(
    hub: Served,
) -> None:
    (known,) = (await post(hub, {"unique": "round"})).json["items"]
    answered = await post(hub, {"unique": "round"}, {"after": ["#0"]})
    assert answered.status == 201, answered.raw
    alike, follower = answered.json["items"]
    assert alike["id"] == known["id"]
    assert [edge["task"] for edge in follower["after"]] == [known["id"]]


async def test_a_batch_may_come_after_what_is_known_and_after_an_id_of_its_own(hub: Served) -> None:
    (known,) = (await post(hub, {})).json["items"]
    answered = await post(hub, {"after": [known["id"], UNKNOWN]}, {"id": UNKNOWN})
    assert answered.status == 201
    assert [t["status"] for t in answered.json["items"]] == ["blocked", "queued"]


@pytest.mark.parametrize(
    ("tasks", "status", "place"),
    [
        ([{}, {"after": [UNKNOWN]}], 422, "$.tasks[1].after[0]"),
        ([{}, {}, {"after": ["#0", "#0", UNKNOWN]}], 422, "$.tasks[2].after[2]"),
        ([{}, {"after": ["#0", "#2"]}], 422, "$.tasks[1].after[1]"),
        ([{}, {"after": [{"task": "#7"}]}], 422, "$.tasks[1].after[0]"),
        ([{}, {"after": ["#1"]}], 422, "$.tasks[1].after[0]"),
        ([{"after": ["#1"]}, {"after": ["#0"]}], 422, "$.tasks[0].after[0]"),
        (
            [{}, {"after": ["#0", "#3"]}, {"after": ["#1"]}, {"after": ["#0", "#2"]}],
            422,
            "$.tasks[1].after[1]",
        ),
        ([{"after": ["#1"]}, {"after": ["#2"]}, {"after": ["#1"]}], 422, "$.tasks[1].after[0]"),
        ([{"id": UNKNOWN}, {"id": UNKNOWN}], 422, "$.tasks[1].id"),
        ([{}, {"after": ["#0", {"task": "#0", "on": "end"}]}], 422, "$.tasks[1].after[1]"),
        ([{}, {"command": "echo 'x"}], 422, "$.tasks[1].command"),
        ([{}, {"repeatable": True}], 422, "$.tasks[1].repeatable"),
        ([{}, {"type": "wait"}], 400, "$.tasks[1].payload"),
        ([{}, {"after": ["#01"]}], 400, "$.tasks[1].after[0]"),
        ([{}, {"after": ["0"]}], 400, "$.tasks[1].after[0]"),
        ([{}, {"after": [{"task": "#"}]}], 400, "$.tasks[1].after[0].task"),
        ([{}, {"colour": 1}], 400, "$.tasks[1].colour"),
        ([{}, {"site": "elsewhere"}], 422, "$.tasks[1].site"),
        ([], 400, "$.tasks"),
        ([{}] * (task_batch.TASKS_MAX + 1), 400, "$.tasks"),
    ],
)
async def test_one_that_is_wrong_is_named_and_none_is_submitted(
    hub: Served, tasks: list[dict[str, Any]], status: int, place: str
) -> None:
    answered = await post(hub, *tasks)
    assert (answered.status, places(answered)) == (status, [place])
    assert await total(hub) == 0
    assert hub.replica.node.position == 0


async def test_an_id_that_is_taken_refuses_the_whole_batch(hub: Served) -> None:
    await post(hub, {"id": UNKNOWN})
    answered = await post(hub, {}, {"id": UNKNOWN, "priority": "low"})
    assert (answered.status, places(answered)) == (409, ["$.tasks[1]"])
    assert await total(hub) == 1


async def test_a_body_over_a_mebibyte_and_a_task_over_an_event_are_too_large(hub: Served) -> None:
    huge = {"type": "x", "payload": {"text": "x" * BODY_BYTES_MAX}}
    answered = await post(hub, {}, huge)
    assert (answered.status, places(answered)) == (413, ["$.tasks[1]"])
    answered = await post(hub, *[huge] * 4)
    assert answered.status == 413
    assert await total(hub) == 0


async def test_five_hundred_are_one_transaction_and_repeat_by_key_or_id(hub: Served) -> None:
    ids = [uuid7(START_MS, number) for number in range(task_batch.TASKS_MAX)]
    tasks = [{"id": id_, "after": [f"#{n - 1}"] if n else []} for n, id_ in enumerate(ids)]
    first = await post(hub, *tasks, headers={"Idempotency-Key": "k"})
    assert first.status == 201
    assert [t["id"] for t in first.json["items"]] == ids
    again = await post(hub, *tasks, headers={"Idempotency-Key": "k"})
    assert (again.status, again.raw) == (201, first.raw)
    without = await post(hub, *tasks)
    assert (without.status, without.json) == (200, first.json), "nothing is new"
    assert await total(hub) == task_batch.TASKS_MAX
    await hub.replica.read(lambda r: assert_counted(r.db))


async def test_an_agents_batch_may_travel_in_parts_but_never_within_a_task(tmp_path: Path) -> None:
    """A submission that arrived without its seat would be allocated by the hub: promise 3."""
    async with serve_node(tmp_path, "agent", "robot-1", can_run=lambda _spec: True) as agent:
        answered = await post(agent, {}, {"after": ["#0"]})
        assert answered.status == 201
        rows = await agent.replica.read(
            lambda r: r.query("SELECT header, body FROM journal ORDER BY entry")
        )
    headers = [events.read(*row).header for row in rows]
    assert [(h.kind, h.flags & events.JOINED) for h in headers] == [
        ("task.submitted", 0),
        ("task.allocated", events.JOINED),
    ] * 2
