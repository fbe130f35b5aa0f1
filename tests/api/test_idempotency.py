"""``Idempotency-Key``: one execution, one answer, across restarts and under concurrency."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shared.api.idempotency import KEEP_MS
from tests.api.served import Answered, Served, serve_node

KEPT = ("ETag", "Location", "Content-Type")


async def keyed(
    served: Served, key: str, body: Any, path: str = "/api/tasks", **more: Any
) -> Answered:
    return await served.call("POST", path, body, headers={"Idempotency-Key": key}, **more)


def same(left: Answered, right: Answered) -> bool:
    headers = all(left.headers.get(name) == right.headers.get(name) for name in KEPT)
    return left.status == right.status and left.raw == right.raw and headers


async def tasks(served: Served) -> int:
    return int((await served.get("/api/tasks/summary"))["total"])


async def test_the_same_request_again_gives_the_same_answer_once(hub: Served) -> None:
    first = await keyed(hub, "k1", {"command": "echo"})
    again = await keyed(hub, "k1", {"command": "echo"})
    assert first.status == 201
    assert same(first, again)
    assert await tasks(hub) == 1


async def test_the_answer_survives_a_restart(tmp_path: Path) -> None:
    async with serve_node(tmp_path) as served:
        first = await keyed(served, "k1", {"command": "echo"})
        await served.call("POST", first.headers["Location"] + "/cancel")
    async with serve_node(tmp_path) as served:
        again = await keyed(served, "k1", {"command": "echo"})
        assert same(first, again), "the answer of then, not the task of now"
        assert await tasks(served) == 1


async def test_concurrent_requests_with_one_key_execute_once(hub: Served) -> None:
    answers = await asyncio.gather(
        *(keyed(hub, "k1", {"command": "echo"}) for _ in range(20)),
        *(keyed(hub, f"other-{n}", {"command": "echo"}) for n in range(5)),
    )
    assert all(same(answers[0], answer) for answer in answers[1:20])
    assert await tasks(hub) == 6


async def test_another_body_is_422(hub: Served) -> None:
    await keyed(hub, "k1", {"command": "echo"})
    answered = await keyed(hub, "k1", {"command": "echo 2"})
    assert answered.status == 422
    assert answered.json["type"] == "urn:skerry:problem:key-reused"
    assert await tasks(hub) == 1


async def test_a_key_holds_per_actor_method_and_path(hub: Served) -> None:
    await keyed(hub, "k1", {"command": "echo"})
    other = await keyed(hub, "k1", {"command": "echo"}, actor="bo")
    assert other.json["requester"] == "bo"
    thing = await keyed(hub, "k1", {"id": "press-1"}, "/api/equipment")
    assert thing.status == 201
    headers = {"Idempotency-Key": "k1"}
    path = "/api/equipment/press-1"
    assert (await hub.call("PATCH", path, {"name": "x"}, headers=headers)).status == 200
    gone = await hub.call("DELETE", path, headers=headers)
    again = await hub.call("DELETE", path, headers=headers)
    assert (gone.status, again.status, again.raw) == (204, 204, b"")
    assert (await hub.call("DELETE", path)).status == 404


async def test_a_refusal_is_not_kept(hub: Served) -> None:
    report = {"state": "red"}
    headers = {"Idempotency-Key": "k1"}
    path = "/api/equipment/press-1/state"
    assert (await hub.call("PUT", path, report, headers=headers)).status == 404
    await hub.equipment()
    assert (await hub.call("PUT", path, report, headers=headers)).status == 200


async def test_a_stale_if_match_with_a_kept_answer_still_gives_the_answer(hub: Served) -> None:
    etag = (await hub.equipment()).etag
    headers = {"Idempotency-Key": "k1", "If-Match": f'"{etag}"'}
    path = "/api/equipment/press-1/state"
    first = await hub.call("PUT", path, {"state": "red"}, headers=headers)
    again = await hub.call("PUT", path, {"state": "red"}, headers=headers)
    assert first.status == 200
    assert same(first, again)


async def test_a_key_is_forgotten_after_a_day(hub: Served) -> None:
    first = await keyed(hub, "k1", {"command": "echo"})
    hub.node.clock.ms += KEEP_MS - 1
    assert same(first, await keyed(hub, "k1", {"command": "echo"}))
    hub.node.clock.ms += 1
    anew = await keyed(hub, "k1", {"command": "echo 2"})
    assert anew.status == 201
    assert anew.json["id"] != first.json["id"]
    held = await hub.replica.read(lambda r: r.query("SELECT count(*) FROM answers"))
    assert held == [(1,)], "what expired is removed"


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "\u00e4"])
async def test_a_key_that_is_none_is_400(hub: Served, key: str) -> None:
    answered = await keyed(hub, key, {"command": "echo"})
    assert answered.status == 400
    assert answered.json["errors"][0]["path"] == "Idempotency-Key"
    assert await tasks(hub) == 0


async def test_the_longest_key_is_taken(hub: Served) -> None:
    assert (await keyed(hub, "~" * 200, {"command": "echo"})).status == 201
