"""The routes of queues, the same on both ends."""

import pytest

from shared.core.kinds import queue as kind
from tests.api.nodes import carry, hello
from tests.api.served import Served, hear

QUEUE_FIELDS = {
    "type",
    "site",
    "paused",
    "reason",
    "actor",
    "at",
    "etag",
    "waiting",
    "running",
}


async def test_a_queue_is_paused_and_goes_on(hub: Served) -> None:
    paused = await hub.call("POST", "/api/queues/command/pause", {"reason": "lunch"})
    assert paused.status == 200
    assert set(paused.json) == QUEUE_FIELDS
    shown = paused.json
    assert (shown["type"], shown["site"], shown["paused"]) == ("command", "demo", True)
    assert (shown["reason"], shown["actor"], paused.etag) == ("lunch", "ada", shown["etag"])
    again = await hub.call("POST", "/api/queues/command/pause", {"reason": "lunch"}, actor="bo")
    assert again.json == shown
    resumed = await hub.call("POST", "/api/queues/command/resume", actor="bo")
    assert (resumed.json["paused"], resumed.json["reason"]) == (False, None)
    assert resumed.json["actor"] == "bo"


async def test_an_agent_serves_the_same(agent: Served) -> None:
    assert (await agent.call("POST", "/api/queues/wait/pause")).json["paused"]
    assert [one["type"] for one in (await agent.get("/api/queues"))["items"]] == ["wait"]


async def test_a_queue_whose_tasks_are_all_over_is_listed(hub: Served) -> None:
    made = (await hub.call("POST", "/api/tasks", {"command": "echo"})).json
    await hub.call("POST", f"/api/tasks/{made['id']}/cancel")
    (queue,) = (await hub.get("/api/queues"))["items"]
    assert (queue["type"], queue["waiting"], queue["running"]) == ("command", 0, 0)


async def test_the_list_counts_what_waits_here(hub: Served) -> None:
    await hello(hub.replica, "robot-1", types=("command", "scan"))  # a type without any task yet
    for command in ("echo a", "echo b"):
        await hub.call("POST", "/api/tasks", {"command": command})
    await hub.call("POST", "/api/queues/wait/pause")
    listed = await hub.get("/api/queues")
    assert listed["next"] is None
    found = [(one["type"], one["paused"], one["waiting"]) for one in listed["items"]]
    assert found == [("command", False, 2), ("scan", False, 0), ("wait", True, 0)]
    assert (listed["items"][0]["at"], listed["items"][0]["actor"]) == (None, None)
    first = await hub.get("/api/queues?limit=2")
    rest = await hub.get(f"/api/queues?limit=2&cursor={first['next']}")
    assert [*first["items"], *rest["items"]] == listed["items"]
    assert rest["next"] is None


async def test_every_task_that_waits_says_that_its_queue_is_paused(hub: Served) -> None:
    later = {"command": "echo a", "not_before": "2030-01-01T00:00:00Z"}
    made = (await hub.call("POST", "/api/tasks", later)).json
    await hub.call("POST", "/api/queues/command/pause", {"reason": "lunch"})
    shown = await hub.get(f"/api/tasks/{made['id']}")
    assert shown["status"] == "scheduled"
    assert [one["reason"] for one in shown["waits_for"]] == ["not_before", "paused"]
    assert shown["waits_for"][1]["message"] == "the queue command is paused: lunch"
    (listed,) = (await hub.get("/api/tasks"))["items"]
    assert listed["waits_for"] == shown["waits_for"]
    await hub.call("POST", "/api/queues/command/resume")
    shown = await hub.get(f"/api/tasks/{made['id']}")
    assert [one["reason"] for one in shown["waits_for"]] == ["not_before"]


async def test_a_pause_is_told_live(hub: Served) -> None:
    async with hub.live(subscribe=["queues"]) as socket:
        await hear(socket)
        paused = await hub.call("POST", "/api/queues/command/pause")
        change = await hear(socket)
        assert (change["topic"], change["op"], change["record"]) == ("queues", "put", paused.json)


async def test_a_pause_may_be_conditional(hub: Served) -> None:
    old = (await hub.call("POST", "/api/queues/command/pause")).etag
    await hub.call("POST", "/api/queues/command/resume")
    stale = await hub.call("POST", "/api/queues/command/pause", headers={"If-Match": f'"{old}"'})
    assert stale.status == 412


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/queues/command/pause", {"why": "lunch"}, 400),
        ("/api/queues/command/pause", {"site": "elsewhere"}, 422),
        ("/api/queues/Not%20a%20name/pause", None, 404),
        ("/api/queues/command/stop", None, 404),
    ],
)
async def test_what_is_no_pause(hub: Served, path: str, body: object, status: int) -> None:
    assert (await hub.call("POST", path, body)).status == status


async def test_a_pause_at_an_agent_reaches_the_hub(agent: Served, hub: Served) -> None:
    paused = (await agent.call("POST", "/api/queues/wait/pause", {"reason": "lunch"})).json
    await carry(agent.replica, hub.replica)
    assert (await hub.get("/api/queues"))["items"] == [paused]


async def test_the_hub_refuses_a_queue_of_another_site(agent: Served, hub: Served) -> None:
    await agent.replica.write(
        lambda tx: tx.append(
            site="demo",
            kind="queue.paused",
            subject="other:wait",
            register=kind.PAUSED,
            body=kind.Paused(paused=True),
            actor="ada",
        )
    )
    await carry(agent.replica, hub.replica)
    record = await hub.replica.record("queue", "other:wait")
    assert not kind.view(record).paused
