"""What only one end serves: devices at the hub, the uplink at an agent."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from aiohttp import ClientSession

from agent import api as agent_api
from agent.uplink import Uplink
from shared import system
from shared.api.app import make_app
from shared.serving import serve
from shared.settings import Listen
from shared.store.transaction import Transaction
from shared.sync.frame import DeviceStatus
from tests.api.nodes import SITE, hello
from tests.api.served import Served, serve_node


async def test_devices_are_listed_as_last_heard(hub: Served) -> None:
    await hello(hub.replica, "robot-1", capabilities=("deliver",))
    await hello(hub.replica, "tablet-1", types=())
    page = await hub.call("GET", "/api/devices")
    robot, tablet = page.json["items"]
    assert "Skerry-Position" in page.headers
    assert await hub.get("/api/devices/robot-1") == robot
    assert set(robot) == {
        "id",
        "site",
        "connected",
        "last_seen_at",
        "backlog",
        "clock",
        "clock_offset_ms",
        "disk_free_bytes",
        "version",
        "incarnation",
        "types",
        "capabilities",
        "zone",
        "battery_pct",
        "x_m",
        "y_m",
        "charger_m",
        "held_apart",
    }
    assert (robot["held_apart"], tablet["held_apart"]) == (0, 0)
    assert (robot["connected"], tablet["connected"]) == (True, False)
    assert (robot["types"], robot["capabilities"]) == (["command", "wait"], ["deliver"])
    first = await hub.get("/api/devices?limit=1")
    second = await hub.get(f"/api/devices?limit=1&cursor={first['next']}")
    assert (second["items"], second["next"]) == ([tablet], None)


async def test_a_fork_shows_at_its_device(hub: Served) -> None:
    """Promise 4."""
    await hello(hub.replica, "robot-1")
    apart = """INSERT INTO held_apart (origin, seq, header, body, device, received_at)
        VALUES ('robot-1.aaa', $1, x'00', x'00', 'robot-1', 0)"""

    def hold_two(tx: Transaction) -> None:
        for seq in (4, 5):
            tx.execute(apart, seq)

    await hub.replica.write(hold_two)
    assert (await hub.get("/api/devices/robot-1"))["held_apart"] == 2


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Served]:
    """An agent with a real uplink that has no hub."""
    async with serve_node(tmp_path, "agent", "robot-1") as bare:

        def status() -> DeviceStatus:
            raise AssertionError("there is no session to tell it to")

        uplink = Uplink(
            bare.replica,
            folder=tmp_path,
            site=SITE,
            url=None,
            token=None,
            retry_max_s=1,
            boot_ms=system.boot_ms,
            now_ms=bare.node.clock,
            chance=Random(1),
            status=status,
        )
        app = make_app(bare.context, agent_api.routes(uplink))
        async with serve(app, Listen("127.0.0.1", 0)) as url, ClientSession() as client:
            yield Served(url, bare.node, client, bare.context)


async def test_the_uplink_is_cut_and_mended(alone: Served, tmp_path: Path) -> None:
    shown = await alone.get("/api/uplink")
    assert shown == {
        "enabled": True,
        "connected": False,
        "hub": None,
        "backlog": 0,
        "last_sync_at": None,
        "last_error": None,
    }
    cut = await alone.call("PUT", "/api/uplink", {"enabled": False})
    assert (cut.status, cut.json["enabled"]) == (200, False)
    assert b"false" in (tmp_path / "uplink.json").read_bytes()
    await alone.equipment()
    assert (await alone.get("/api/uplink"))["backlog"] > 0
    for body in ({}, {"enabled": 1}, {"enabled": True, "x": 1}):
        assert (await alone.call("PUT", "/api/uplink", body)).status == 400


async def test_a_cut_that_is_asked_for_again_late_does_not_cut_again(alone: Served) -> None:
    key = {"Idempotency-Key": "cut"}
    cut = await alone.call("PUT", "/api/uplink", {"enabled": False}, headers=key)
    await alone.call("PUT", "/api/uplink", {"enabled": True})
    again = await alone.call("PUT", "/api/uplink", {"enabled": False}, headers=key)
    assert (again.status, again.raw) == (200, cut.raw)
    assert (await alone.get("/api/uplink"))["enabled"] is True
    other = await alone.call("PUT", "/api/uplink", {"enabled": True}, headers=key)
    assert (other.status, other.json["type"]) == (422, "urn:skerry:problem:key-reused")
    none = {"Idempotency-Key": "x" * 201}
    assert (await alone.call("PUT", "/api/uplink", {"enabled": False}, headers=none)).status == 400
    assert (await alone.get("/api/uplink"))["enabled"] is True


async def test_each_end_answers_404_for_the_others_routes(hub: Served, alone: Served) -> None:
    assert (await hub.call("GET", "/api/uplink")).status == 404
    assert (await alone.call("GET", "/api/devices")).status == 404
