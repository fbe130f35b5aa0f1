"""The routes of tasks; what they do is tested with task_actions and task_queries."""

from typing import Any

from tests.api.served import Served

TASK_FIELDS = {
    "id",
    "site",
    "type",
    "title",
    "in_doubt",
    "recall",
    "away",
    "payload",
    "priority",
    "requester",
    "device",
    "allocation",
    "double_run",
    "requires",
    "after",
    "not_before",
    "start_to_close_s",
    "max_attempts",
    "retry",
    "on_orphan",
    "group",
    "locks",
    "checks",
    "deadline",
    "schedule_to_start_s",
    "schedule_to_close_s",
    "heartbeat_s",
    "offline",
    "repeatable",
    "unique",
    "status",
    "waits_for",
    "attempts",
    "history",
    "created_at",
    "updated_at",
    "etag",
}


async def submit(hub: Served, **fields: Any) -> Any:
    answered = await hub.call("POST", "/api/tasks", fields)
    assert answered.status == 201, answered.raw
    return answered.json


async def test_the_short_form_and_where_the_task_is(hub: Served) -> None:
    answered = await hub.call("POST", "/api/tasks", {"command": "echo 'a b'"})
    task = answered.json
    assert set(task) == TASK_FIELDS
    assert answered.headers["Location"] == f"/api/tasks/{task['id']}"
    assert answered.etag == task["etag"]
    assert (task["type"], task["payload"]) == ("command", {"argv": ["echo", "a b"]})
    assert (task["requester"], task["site"], task["priority"]) == ("ada", "demo", "normal")
    one = await hub.call("GET", answered.headers["Location"])
    assert (one.json, one.etag) == (task, task["etag"])


async def test_a_unique_key_answers_200_with_the_task_that_has_it(hub: Served) -> None:
    first = await submit(hub, command="echo a", unique="bed-7")
    again = await hub.call("POST", "/api/tasks", {"command": "echo b", "unique": "bed-7"})
    assert (again.status, again.json) == (200, first)
    assert again.headers["Location"] == f"/api/tasks/{first['id']}"
    await hub.call("POST", f"/api/tasks/{first['id']}/cancel")
    assert (await submit(hub, command="echo c", unique="bed-7"))["id"] != first["id"]


async def test_a_given_id_is_repeatable(hub: Served) -> None:
    task = {"id": "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3f", "command": "echo"}
    assert (await hub.call("POST", "/api/tasks", task)).status == 201
    again = await hub.call("POST", "/api/tasks", task)
    assert again.status == 200
    assert again.headers["Location"] == f"/api/tasks/{task['id']}"
    other = await hub.call("POST", "/api/tasks", {**task, "command": "echo 2"})
    assert other.status == 409
    assert (await hub.get("/api/tasks/summary"))["total"] == 1


async def test_lists_filter_and_order(hub: Served) -> None:
    low = await submit(hub, command="echo", priority="low")
    high = await submit(hub, type="wait", payload={"seconds": 1}, priority="high", device="r-1")
    gone = await submit(hub, command="echo")
    await hub.call("POST", f"/api/tasks/{gone['id']}/cancel")

    async def ids(query: str = "") -> list[str]:
        return [task["id"] for task in (await hub.get(f"/api/tasks{query}"))["items"]]

    assert await ids() == [gone["id"], high["id"], low["id"]]
    assert await ids("?order=urgent&status=queued") == [high["id"], low["id"]]
    assert await ids("?status=cancelled,running") == [gone["id"]]
    assert await ids("?type=wait") == [high["id"]]
    assert await ids("?priority=low,critical") == [low["id"]]
    assert await ids("?device=r-1") == [high["id"]]
    assert await ids("?requester=bo") == []
    page = await hub.get("/api/tasks?limit=2")
    assert [t["id"] for t in page["items"]] == [gone["id"], high["id"]]
    assert await ids(f"?limit=2&cursor={page['next']}") == [low["id"]]
    assert "Skerry-Position" in (await hub.call("GET", "/api/tasks")).headers


async def test_a_cancellation_says_why(hub: Served) -> None:
    path = f"/api/tasks/{(await submit(hub, command='echo'))['id']}"
    refused = await hub.call("POST", f"{path}/cancel", {"reason": ""})
    assert refused.json["errors"][0]["path"] == "$.reason"
    cancelled = await hub.call("POST", f"{path}/cancel", {"reason": "the patient has gone"})
    assert cancelled.json["history"][-1]["reason"] == "cancelled by ada: the patient has gone"


async def test_cancel_and_priority_answer_with_the_task(hub: Served) -> None:
    task = await submit(hub, command="echo")
    path = f"/api/tasks/{task['id']}"
    raised = await hub.call("POST", f"{path}/priority", {"priority": "critical"})
    assert (raised.status, raised.json["priority"]) == (200, "critical")
    cancelled = await hub.call("POST", f"{path}/cancel")
    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    assert cancelled.json == await hub.get(path)


async def test_the_summary_has_every_status(hub: Served) -> None:
    await submit(hub, command="echo", priority="high")
    counts = await hub.get("/api/tasks/summary")
    assert counts["total"] == 1
    assert counts["by_status"]["queued"] == 1
    assert len(counts["by_status"]) == 10
    assert counts["by_priority"] == {"critical": 0, "high": 1, "normal": 0, "low": 0}


async def test_the_history_of_one_task_in_pages(hub: Served) -> None:
    task = await submit(hub, command="echo")
    for word in ("high", "low", "high"):
        await hub.call("POST", f"/api/tasks/{task['id']}/priority", {"priority": word})
    path = f"/api/tasks/{task['id']}/history?limit=3"
    first = await hub.get(path)
    rest = await hub.get(f"{path}&cursor={first['next']}")
    assert [len(page["items"]) for page in (first, rest)] == [3, 1]
    assert rest["next"] is None
    whole = (await hub.get(f"/api/tasks/{task['id']}"))["history"]
    assert first["items"] + rest["items"] == whole
    unknown = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3f"
    assert (await hub.call("GET", f"/api/tasks/{unknown}/history")).status == 404
    assert (await hub.call("GET", f"{path}&cursor=AAAA")).status == 400


async def test_a_title_of_one_line(hub: Served) -> None:
    task = await submit(hub, command="echo", title="Blut für Station 7, eilig")
    assert task["title"] == "Blut für Station 7, eilig"
    (listed,) = (await hub.get("/api/tasks"))["items"]
    assert listed["title"] == task["title"]
    assert (await submit(hub, command="echo"))["title"] is None
    for wrong in ("", "x" * 201, "two\nlines", "ends with one\n", 7):
        answered = await hub.call("POST", "/api/tasks", {"command": "echo", "title": wrong})
        assert answered.status == 400, wrong
        assert answered.json["errors"][0]["path"] == "$.title"
