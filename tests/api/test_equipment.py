"""Equipment: create, change, report, history."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.core import instants
from shared.core.kinds.equipment import MACHINE, Report, State
from shared.core.record import Record
from tests.api.nodes import SITE
from tests.api.served import Served, serve_node

FIELDS = {
    "id",
    "site",
    "name",
    "attributes",
    "state",
    "reason",
    "note",
    "changed_at",
    "actor",
    "reports",
    "device",
    "stale",
    "reported_at",
    "conflicts",
    "etag",
}


async def machine_says(served: Served, state: State, subject: str = "press-1") -> None:
    """Report as a driver does."""
    await served.replica.write(
        lambda tx: tx.append(
            site=SITE,
            kind="equipment.state",
            subject=subject,
            register=MACHINE,
            body=Report(state),
            actor="plc-1",
        )
    )


async def history(served: Served, query: str = "") -> Any:
    return await served.get(f"/api/equipment/press-1/history{query}")


def states(page: Any) -> list[str]:
    return [entry["state"] for entry in page["items"]]


async def test_new_equipment_has_every_field(hub: Served) -> None:
    created = await hub.equipment(name="Press 1", attributes={"area": "hall-2", "n": 3, "x": 1.5})
    assert created.headers["Location"] == "/api/equipment/press-1"
    record = created.json
    assert set(record) == FIELDS
    assert created.etag == record["etag"]
    assert record["state"] is None
    assert record["attributes"] == {"area": "hall-2", "n": 3, "x": 1.5}
    assert await hub.get("/api/equipment/press-1") == record


async def test_patch_merges_and_null_removes(hub: Served) -> None:
    await hub.equipment(name="Press 1", attributes={"area": "hall-2", "zone": "b"})
    path = "/api/equipment/press-1"
    changed = await hub.call("PATCH", path, {"attributes": {"zone": None, "line": True}})
    assert changed.json["attributes"] == {"area": "hall-2", "line": True}
    assert changed.json["name"] == "Press 1"
    assert (await hub.call("PATCH", path, {"name": None})).json["name"] is None
    assert (await hub.call("PATCH", path, {})).status == 200


async def test_the_shown_state_is_the_more_severe_of_person_and_machine(hub: Served) -> None:
    await hub.equipment()
    await hub.report("press-1", "red", reason="jam", note="since noon")
    await machine_says(hub, State.GREEN)
    record = await hub.get("/api/equipment/press-1")
    assert (record["state"], record["reason"], record["note"]) == ("red", "jam", "since noon")
    assert record["actor"] == "ada"
    assert record["reports"]["machine"]["state"] == "green"
    assert record["conflicts"] == []


async def test_deleted_equipment_leaves_lists_and_comes_back_new(hub: Served) -> None:
    await hub.equipment(name="old", attributes={"area": "hall-2"})
    await hub.report("press-1", "red")
    path = "/api/equipment/press-1"
    assert (await hub.call("DELETE", path)).status == 204
    assert (await hub.call("GET", path)).status == 404
    assert (await hub.call("PUT", f"{path}/state", {"state": "red"})).status == 404
    assert (await hub.get("/api/equipment"))["items"] == []
    assert states(await history(hub)) == ["red"], "history stays"
    again = (await hub.equipment(attributes={"line": "3"})).json
    assert (again["name"], again["attributes"]) == (None, {"line": "3"})


async def test_lists_come_in_pages_by_id(hub: Served) -> None:
    for number in range(7):
        await hub.equipment(f"press-{number}")
    found: list[str] = []
    cursor: Any = ""
    pages = 0
    while cursor is not None:
        query = f"?limit=3{f'&cursor={cursor}' if cursor else ''}"
        page = await hub.get(f"/api/equipment{query}")
        found += [item["id"] for item in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert found == [f"press-{number}" for number in range(7)]
    assert pages == 3
    assert len((await hub.get("/api/equipment?limit=500"))["items"]) == 7


async def test_a_list_carries_the_position_it_was_read_at(hub: Served) -> None:
    await hub.equipment()
    position = (await hub.call("GET", "/api/equipment")).headers["Skerry-Position"]
    assert position == (await hub.get("/api/node"))["position"]
    await hub.report("press-1", "red")
    assert (await hub.call("GET", "/api/equipment")).headers["Skerry-Position"] != position


async def test_history_tells_every_report_and_what_was_carried_in(hub: Served) -> None:
    await hub.equipment()
    begin = hub.node.clock.ms
    for hour, state in enumerate(("green", "yellow", "red", "green")):
        hub.node.clock.ms = begin + hour * 3_600_000
        await hub.report("press-1", state, reason=f"r{hour}")
        await hub.call("PATCH", "/api/equipment/press-1", {"attributes": {"k": hour}})
    page = await history(hub)
    assert states(page) == ["green", "yellow", "red", "green"]
    assert (page["next"], page["carried"]) == (None, None)
    entry = page["items"][1]
    assert entry["dot"]["origin"].startswith("hub.")
    assert entry["at"] == instants.text(begin + 3_600_000)
    assert {k: entry[k] for k in ("reason", "actor", "device", "source", "clock", "lost_to")} == {
        "reason": "r1",
        "actor": "ada",
        "device": "hub",
        "source": "person",
        "clock": "synced",
        "lost_to": None,
    }
    start, end = (instants.text(begin + hour * 3_600_000) for hour in (1, 3))
    window = await history(hub, f"?from={start}&to={end}")
    assert states(window) == ["yellow", "red"], "from is in, to is out"
    assert window["carried"]["state"] == "green"
    offset = start.replace("Z", "%2B00:00")
    assert states(await history(hub, f"?from={offset}")) == ["yellow", "red", "green"]
    assert states(await history(hub, f"?to={start}")) == ["green"]


async def test_history_comes_in_pages(hub: Served) -> None:
    await hub.equipment()
    for number in range(7):
        await hub.report("press-1", "red", reason=str(number))
    reasons: list[str] = []
    query = "?limit=3"
    while True:
        page = await history(hub, query)
        reasons += [entry["reason"] for entry in page["items"]]
        if page["next"] is None:
            break
        query = f"?limit=3&cursor={page['next']}"
    assert reasons == [str(number) for number in range(7)]


async def test_what_lost_to_a_concurrent_report_says_so_for_ever(hub: Served) -> None:
    conflict = await hub.conflict()
    settle = f"/api/conflicts/{conflict['id']}/resolve"
    await hub.call("POST", settle, {"value": {"state": "green"}})
    red, green, settled = (await history(hub))["items"]
    assert red["lost_to"] is None
    assert green["lost_to"] == red["dot"]
    assert settled["lost_to"] is None
    await machine_says(hub, State.YELLOW)
    assert (await history(hub))["items"][-1]["source"] == "machine"


@pytest.fixture
async def stale(tmp_path: Path) -> AsyncIterator[Served]:
    def is_stale(record: Record) -> bool:
        return record.subject == "press-1"

    async with serve_node(tmp_path, is_stale=is_stale) as served:
        yield served


async def test_stale_is_not_a_colour(stale: Served) -> None:
    await stale.equipment()
    await stale.equipment("press-2")
    shown = {e["id"]: e["stale"] for e in (await stale.get("/api/equipment"))["items"]}
    assert shown == {"press-1": True, "press-2": False}


async def test_an_agent_serves_the_same(agent: Served) -> None:
    await agent.equipment()
    record = (await agent.report("press-1", "yellow")).json
    assert record["device"] == "robot-1"
    assert states(await history(agent)) == ["yellow"]
