"""``If-Match`` and ``seen``: conditions, and concurrency that is found where it happened."""

from typing import Any

import pytest

from shared.api import conditional
from shared.errors import Invalid
from tests.api.served import Answered, Served

STATE = "/api/equipment/press-1/state"


async def put(hub: Served, state: str, tag: str | None = None, **more: Any) -> Answered:
    headers = {} if tag is None else {"If-Match": tag}
    return await hub.call("PUT", STATE, {"state": state, **more}, headers=headers)


async def test_if_match_lets_the_first_through_and_stops_the_second(hub: Served) -> None:
    etag = (await hub.equipment()).etag
    assert (await put(hub, "red", f'"{etag}"')).status == 200
    late = await put(hub, "green", f'"{etag}"')
    assert late.status == 412
    assert late.json["type"] == "urn:skerry:problem:stale"
    assert (await hub.get("/api/equipment/press-1"))["state"] == "red"
    assert (await hub.get("/api/conflicts"))["items"] == []


async def test_any_of_several_tags_will_do_and_a_weak_one_never(hub: Served) -> None:
    etag = (await hub.equipment()).etag
    assert (await put(hub, "red", f'W/"{etag}"')).status == 412
    assert (await put(hub, "red", f'"other", "{etag}"')).status == 200
    assert (await put(hub, "red", "*")).status == 200
    assert (await put(hub, "red", etag)).status == 400, "without quotes it is no tag"


async def test_both_at_once_is_400(hub: Served) -> None:
    etag = (await hub.equipment()).etag
    answered = await put(hub, "red", f'"{etag}"', seen=etag)
    assert answered.status == 400
    assert answered.json["errors"][0]["path"] == "$.seen"


async def test_a_stale_browser_makes_a_concurrent_write_and_a_conflict(hub: Served) -> None:
    """Promise 4: as an offline tablet would."""
    etag = (await hub.equipment()).etag
    await hub.report("press-1", "red", reason="jam")
    late = await hub.report("press-1", "green", actor="bo", seen=etag)
    assert late.json["state"] == "red", "the more severe shows"
    [conflict] = late.json["conflicts"]
    shown = (await hub.get(f"/api/conflicts/{conflict}"))["siblings"]
    assert {(s["actor"], s["value"]["state"]) for s in shown} == {("ada", "red"), ("bo", "green")}


async def test_a_browser_that_has_seen_all_replaces(hub: Served) -> None:
    await hub.equipment()
    etag = (await hub.report("press-1", "red")).etag
    assert (await hub.report("press-1", "green", seen=etag)).json["conflicts"] == []


async def test_the_same_value_twice_is_no_conflict(hub: Served) -> None:
    etag = (await hub.equipment()).etag
    await hub.report("press-1", "red", reason="jam")
    again = await hub.report("press-1", "red", reason="jam", actor="bo", seen=etag)
    assert again.json["conflicts"] == []


async def test_seen_cannot_cover_what_does_not_exist_yet(hub: Served) -> None:
    """An etag is clipped to what the node holds: it cannot swallow later writes."""
    await hub.equipment()
    other = (await hub.equipment("press-2")).etag
    answered = await put(hub, "red", seen=other)
    assert answered.status == 400
    assert answered.json["errors"] == [{"path": "$.seen", "message": "etag of another record"}]
    for junk in ("", "zz", "é", "A" * 1000):
        assert (await put(hub, "red", seen=junk)).status == 400


async def test_attributes_never_conflict(hub: Served) -> None:
    etag = (await hub.equipment(attributes={"area": "hall-1"})).etag
    path = "/api/equipment/press-1"
    await hub.call("PATCH", path, {"attributes": {"area": "hall-2"}})
    late = await hub.call("PATCH", path, {"attributes": {"area": "hall-3"}, "seen": etag})
    assert late.json["attributes"] == {"area": "hall-3"}
    assert late.json["conflicts"] == []


async def test_tasks_take_conditions_too(hub: Served) -> None:
    task = await hub.call("POST", "/api/tasks", {"command": "echo"})
    path = task.headers["Location"]
    changed = await hub.call("POST", f"{path}/priority", {"priority": "high", "seen": task.etag})
    assert changed.json["priority"] == "high"
    headers = {"If-Match": f'"{task.etag}"'}
    assert (await hub.call("POST", f"{path}/cancel", headers=headers)).status == 412
    headers = {"If-Match": f'"{changed.etag}"'}
    cancelled = await hub.call("POST", f"{path}/cancel", headers=headers)
    assert cancelled.json["status"] == "cancelled"


async def test_delete_takes_conditions_in_header_and_query(hub: Served) -> None:
    etag = (await hub.equipment()).etag
    await hub.report("press-1", "red")
    path = "/api/equipment/press-1"
    assert (await hub.call("DELETE", path, headers={"If-Match": f'"{etag}"'})).status == 412
    assert (await hub.call("DELETE", f"{path}?seen={etag}")).status == 204


@pytest.mark.parametrize(
    ("text", "tags"),
    [('"a"', ("a",)), (' "a" , "b" ', ("a", "b")), ('W/"a", "b"', ("b",)), ('""', ("",))],
)
def test_tags_are_read(text: str, tags: tuple[str, ...]) -> None:
    assert conditional.tags(text) == tags


@pytest.mark.parametrize("text", ["a", '"a', '"a" "b"', ",", '"a",,"b"', '*"a"'])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        conditional.tags(text)
