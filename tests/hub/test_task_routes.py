"""Settle, force and locks as clients call them; at an agent there is nothing of the kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub import lock_routes, permits, task_routes
from hub.allocation import DeviceState
from shared.core.lifecycle import Status
from tests.api.nodes import SITE, hello, seat_at, tell_progress
from tests.api.served import CONNECTED, Served, serve_node
from tests.hub.hubs import ask_start


def fleet() -> dict[str, DeviceState]:
    return {
        name: DeviceState(
            id=name,
            site=SITE,
            incarnation="aaa",
            types=frozenset({"command"}),
            capabilities=frozenset(),
            connected=name == "robot-2",
            last_seen_ms=0,
        )
        for name in ("robot-1", "robot-2")
    }


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    routes = (
        *task_routes.routes(fleet),
        *lock_routes.routes(lambda: frozenset(), lambda: None),
    )
    async with serve_node(tmp_path, more=routes) as served:
        for name in ("robot-1", "robot-2"):
            await hello(served.replica, name)
        yield served


async def held(hub: Served, **fields: object) -> str:
    answered = await hub.call("POST", "/api/tasks", {"command": "echo", **fields})
    task_id: str = answered.json["id"]
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))
    return task_id


async def test_a_forced_task_says_whether_it_may_run_twice(hub: Served) -> None:
    task_id = await held(hub)
    path = f"/api/tasks/{task_id}/force"
    answered = await hub.call("POST", path, {"reason": "robot-1 is in the lake"})
    assert answered.status == 200
    assert answered.json["double_run_possible"] is True
    assert answered.json["allocation"]["device"] == "robot-2"
    assert answered.json["allocation"]["terms"]["fitting"] == 1
    shown = await hub.call("GET", f"/api/tasks/{task_id}")
    assert shown.etag == answered.etag
    assert "double_run_possible" not in shown.json
    assert shown.json["history"][-1]["actor"] == "ada"


@pytest.mark.parametrize("by_header", [False, True])
@pytest.mark.parametrize(
    ("verb", "body"),
    [("force", {"reason": "x"}), ("settle", {"outcome": "succeeded"}), ("retry", {})],
)
async def test_of_two_who_decide_by_what_they_saw_the_second_is_told(
    hub: Served, verb: str, body: dict[str, str], by_header: bool
) -> None:
    """A seat has one author: what others merge as concurrent, is stale here."""
    task_id = await held(hub)
    status = {"settle": Status.UNKNOWN, "retry": Status.DEAD}.get(verb)
    if status is not None:
        await hub.node.report(task_id, status, number=1)
    seen = (await hub.call("GET", f"/api/tasks/{task_id}")).etag
    path = f"/api/tasks/{task_id}/{verb}"
    given = body if by_header else {**body, "seen": seen}
    headers = {"If-Match": f'"{seen}"'} if by_header else {}
    assert (await hub.call("POST", path, given, headers=headers)).status == 200
    second = await hub.call("POST", path, given, headers=headers, actor="bo")
    assert (second.status, second.json["type"]) == (412, "urn:skerry:problem:stale")


async def test_what_a_run_says_of_itself_makes_no_decision_stale(hub: Served) -> None:
    task_id = await held(hub)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    seen = (await hub.call("GET", f"/api/tasks/{task_id}")).etag
    await hub.replica.write(lambda tx: tell_progress(tx, task_id, 1, step=1))
    body = {"reason": "robot-1 is in the lake", "seen": seen}
    assert (await hub.call("POST", f"/api/tasks/{task_id}/force", body)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({}, 400, "invalid"),
        ({"reason": ""}, 400, "invalid"),
        ({"reason": "x", "device": "robot-1"}, 422, "refused"),
        ({"reason": "x", "device": "robot-9"}, 422, "refused"),
        ({"reason": "x", "colour": "red"}, 400, "invalid"),
    ],
)
async def test_what_cannot_be_forced_says_why(
    hub: Served, body: object, status: int, problem: str
) -> None:
    task_id = await held(hub)
    answered = await hub.call("POST", f"/api/tasks/{task_id}/force", body)
    assert (answered.status, answered.json["type"]) == (status, f"urn:skerry:problem:{problem}")


async def test_an_unknown_task_is_settled_and_no_other(hub: Served) -> None:
    task_id = await held(hub)
    path = f"/api/tasks/{task_id}/settle"
    refused = await hub.call("POST", path, {"outcome": "succeeded"})
    assert (refused.status, refused.json["type"]) == (409, "urn:skerry:problem:illegal-move")
    await hub.node.report(task_id, Status.UNKNOWN, number=1)
    attempt = (await hub.get(f"/api/tasks/{task_id}"))["attempts"][0]["id"]
    wrong = await hub.call("POST", path, {"outcome": "dead", "attempt": "another"})
    assert wrong.status == 409
    assert (await hub.call("POST", path, {"outcome": "lost"})).status == 400
    settled = await hub.call("POST", path, {"outcome": "dead", "attempt": attempt, "reason": "x"})
    assert (settled.status, settled.json["status"]) == (200, "dead")
    again = await hub.call("POST", f"/api/tasks/{task_id}/retry")
    assert (again.status, again.json["status"]) == (200, "queued")


async def test_a_stale_condition_stops_a_settlement(hub: Served) -> None:
    task_id = await held(hub)
    etag = (await hub.call("GET", f"/api/tasks/{task_id}")).etag
    await hub.node.report(task_id, Status.UNKNOWN, number=1)
    answered = await hub.call(
        "POST",
        f"/api/tasks/{task_id}/settle",
        {"outcome": "dead"},
        headers={"If-Match": f'"{etag}"'},
    )
    assert answered.status == 412


async def test_a_lock_is_listed_with_its_holder_and_freed_by_a_person(hub: Served) -> None:
    task_id = await held(hub, locks=["elevator", "local:arm"])
    await ask_start(hub.node, task_id)
    await hub.replica.write(lambda tx: permits.look(tx, [task_id], CONNECTED))
    page = await hub.get("/api/locks")
    (lock,) = page["items"]
    claim = {"epoch": hub.replica.node.epoch, "n": 1, "attempt": 1}
    assert (lock["name"], lock["task"], lock["device"]) == ("elevator", task_id, "robot-1")
    assert (lock["claim"], lock["suspect"]) == (claim, True)
    assert (await hub.call("POST", "/api/locks/elevator/release", {})).status == 400
    freed = await hub.call("POST", "/api/locks/elevator/release", {"reason": "I looked"})
    assert freed.status == 204
    assert (await hub.get("/api/locks"))["items"] == []
    assert (await hub.call("POST", "/api/locks/elevator/release", {"reason": "x"})).status == 404
    entry = (await hub.get(f"/api/tasks/{task_id}"))["history"][-1]
    assert (entry["actor"], entry["reason"]) == ("ada", "lock elevator released by ada: I looked")


async def test_at_an_agent_none_of_it_is_found(agent_only: Served) -> None:
    task_id = await agent_only.node.submit()
    for path in (
        f"/api/tasks/{task_id}/settle",
        f"/api/tasks/{task_id}/force",
        "/api/locks/elevator/release",
    ):
        assert (await agent_only.call("POST", path, {"reason": "x"})).status == 404
    assert (await agent_only.call("GET", "/api/locks")).status == 404


@pytest.fixture
async def agent_only(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path, "agent", "robot-1") as served:
        yield served
