"""Conflicts: both values shown, settled by a person, never by accident."""

from typing import Any

import pytest

from tests.api.served import Answered, Served


async def resolve(hub: Served, conflict: Any, state: str, **more: Any) -> Answered:
    path = f"/api/conflicts/{conflict['id']}/resolve"
    return await hub.call("POST", path, {"value": {"state": state}, **more})


async def test_a_conflict_shows_who_where_when_and_both_values(hub: Served) -> None:
    conflict = await hub.conflict()
    assert conflict["kind"] == "equipment"
    assert conflict["subject"] == "press-1"
    assert conflict["register"] == "state.person"
    assert (conflict["status"], conflict["policy"]) == ("open", "most-severe")
    assert conflict["shown"] == {"state": "red", "reason": "jam", "note": None}
    first, second = conflict["siblings"]
    assert {first["actor"], second["actor"]} == {"ada", "bo"}
    assert set(first) == {"dot", "actor", "device", "at", "received_at", "offline_s", "value"}
    assert first["offline_s"] == 0
    assert (conflict["resolved_by"], conflict["resolved_at"]) == (None, None)
    one = await hub.call("GET", f"/api/conflicts/{conflict['id']}")
    assert one.json == conflict
    assert one.etag == conflict["etag"]


async def test_resolving_settles_it_and_keeps_the_id_when_it_reopens(hub: Served) -> None:
    conflict = await hub.conflict()
    stale = (await hub.get("/api/equipment/press-1"))["etag"]
    settled = (await resolve(hub, conflict, "green")).json
    assert settled["status"] == "resolved"
    assert settled["resolved_by"] == "ada"
    assert settled["resolved_at"] is not None
    assert (await hub.get("/api/conflicts"))["items"] == []
    assert (await hub.get("/api/conflicts?status=resolved"))["items"] == [settled]
    assert (await hub.get("/api/equipment/press-1"))["state"] == "green"
    await hub.report("press-1", "yellow", actor="bo", seen=stale)
    [again] = (await hub.get("/api/conflicts"))["items"]
    assert again["id"] == conflict["id"]
    assert again["resolved_by"] is None


async def test_one_who_has_not_seen_a_new_sibling_does_not_settle_it(hub: Served) -> None:
    conflict = await hub.conflict()
    before = (await hub.get("/api/equipment/press-1"))["etag"]
    etag = conflict["etag"]
    other = (await hub.report("press-1", "yellow", actor="bo", seen=before)).json
    assert other["conflicts"] == [], "yellow replaced both, which it had seen"
    late = (await resolve(hub, conflict, "green", seen=etag)).json
    assert late["status"] == "open"
    assert {s["value"]["state"] for s in late["siblings"]} == {"yellow", "green"}


async def test_if_match_stops_one_who_has_not_seen_all(hub: Served) -> None:
    conflict = await hub.conflict()
    headers = {"If-Match": f'"{conflict["etag"]}"'}
    path = f"/api/conflicts/{conflict['id']}/resolve"
    body = {"value": {"state": "green"}}
    # The conflict's etag is the register's: what happens to the name does not matter.
    await hub.call("PATCH", "/api/equipment/press-1", {"name": "Press"})
    assert (await hub.call("POST", path, body, headers=headers)).status == 200
    assert (await hub.call("POST", path, body, headers=headers)).status == 412


async def test_settling_twice_is_409_and_says_who_did(hub: Served) -> None:
    conflict = await hub.conflict()
    await resolve(hub, conflict, "green")
    answered = await resolve(hub, conflict, "red")
    assert answered.status == 409
    assert "ada" in answered.json["detail"]
    assert (await hub.get("/api/equipment/press-1"))["state"] == "green"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({}, "$.value"),
        ({"state": "blue"}, "$.value"),
        ({"state": "red", "colour": 1}, "$.value.colour"),
        ({"state": "red", "note": 5}, "$.value"),
    ],
)
async def test_a_value_that_is_none_is_400(hub: Served, value: Any, place: str) -> None:
    conflict = await hub.conflict()
    path = f"/api/conflicts/{conflict['id']}/resolve"
    answered = await hub.call("POST", path, {"value": value})
    assert answered.status == 400
    assert answered.json["errors"][0]["path"] == place


async def test_lists_come_in_pages(hub: Served) -> None:
    for number in range(5):
        await hub.conflict(f"press-{number}")
    first = await hub.get("/api/conflicts?limit=2")
    second = await hub.get(f"/api/conflicts?limit=2&cursor={first['next']}")
    third = await hub.get(f"/api/conflicts?limit=2&cursor={second['next']}")
    ids = [c["id"] for page in (first, second, third) for c in page["items"]]
    assert len(ids) == len(set(ids)) == 5
    assert ids == sorted(ids)
    assert third["next"] is None
