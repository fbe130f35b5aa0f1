"""The uplink over real sockets: cut, restarted, lied to; it comes back by itself."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from agent.uplink import FILE
from shared.replica import Replica
from tests.shared.making import GREEN, RED, YELLOW
from tests.shared.nodes import SITE, reporting
from tests.shared.wire import (
    Cable,
    Hub,
    eventually,
    listening,
    opened,
    report,
    running,
    shown,
    until,
    uplink_of,
)


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Replica]:
    async with opened(tmp_path / "a", "agent", "a") as replica:
        yield replica


@pytest.fixture
async def hub_replica(tmp_path: Path) -> AsyncIterator[Replica]:
    async with opened(tmp_path / "hub", "hub", "hub") as replica:
        yield replica


@pytest.fixture
async def hub(hub_replica: Replica) -> AsyncIterator[Hub]:
    async with listening(hub_replica) as hub:
        yield hub


def head(replica: Replica) -> int:
    return replica.node.logs[replica.node.writes[SITE]].head


async def arrived(agent: Replica, hub: Hub) -> None:
    """Wait until the hub holds all that the agent wrote."""
    origin = agent.node.writes[SITE]
    await until(hub.replica, lambda: hub.head(origin) == head(agent))


async def test_two_replicas_converge(agent: Replica, hub: Hub, tmp_path: Path) -> None:
    await report(agent, RED, "leak")
    await report(hub.replica, YELLOW, "odd", of="pump")
    uplink = uplink_of(agent, tmp_path / "a", hub.url)
    assert uplink.status().backlog == 2
    async with running(uplink):
        await arrived(agent, hub)
        await eventually(lambda: uplink.status().backlog == 0)
        await until(agent, lambda: agent.node.position >= 4)
        for subject in ("press-1", "pump"):
            assert await shown(agent, subject) == await shown(hub.replica, subject)
        status = uplink.status()
        assert (status.enabled, status.connected, status.hub) == (True, True, hub.url)
        assert status.last_error is None
        assert re.match(r"\d{4}-", status.last_sync_at or "")
    assert not uplink.status().connected


async def test_when_the_last_sync_was_is_known_after_a_restart(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    """Also after a crash: it is kept while the session goes on, not at its end alone."""
    uplink = uplink_of(agent, tmp_path / "a", hub.url)
    assert uplink.status().last_sync_at is None

    def kept() -> str | None:
        return uplink_of(agent, tmp_path / "a", hub.url).status().last_sync_at

    async with running(uplink):
        await eventually(lambda: kept() is not None)
        await report(agent, RED, "leak")
        await arrived(agent, hub)
    assert kept() == uplink.status().last_sync_at
    await uplink.set_enabled(False)
    assert kept() == uplink.status().last_sync_at, "the switch keeps what stands beside it"


async def test_the_last_word_is_sent_before_the_end(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    uplink = uplink_of(agent, tmp_path / "a", hub.url)
    async with running(uplink):
        await eventually(lambda: uplink.status().connected)
        await report(agent, RED, "leak")
        await uplink.send_rest(10)
        assert hub.head(agent.node.writes[SITE]) == head(agent)
        await uplink.send_rest(10)  # nothing is left to send


async def test_a_last_word_that_nobody_takes_holds_nothing_up(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    uplink = uplink_of(agent, tmp_path / "a", hub.url)
    await report(agent, RED, "leak")
    await asyncio.wait_for(uplink.send_rest(1000), 5)
    async with running(uplink):
        await arrived(agent, hub)
        await eventually(lambda: not uplink.backlog)
        await uplink.set_enabled(False)
        await report(agent, GREEN)
        await asyncio.wait_for(uplink.send_rest(1000), 5)
    assert uplink.backlog


async def test_without_a_hub_it_stands_alone(agent: Replica, tmp_path: Path) -> None:
    uplink = uplink_of(agent, tmp_path / "a", None)
    await report(agent)
    await asyncio.wait_for(uplink.run(), 5)
    assert (uplink.status().hub, uplink.status().backlog) == (None, 2)


async def test_a_cable_cut_in_mid_backlog_resumes_where_it_was(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    chance = random.Random(1)
    for part in range(6):
        await agent.write(
            lambda tx, part=part: [  # type: ignore[misc]
                reporting(RED, chance.randbytes(100).hex(), of=f"m-{part}-{n}")(tx)
                for n in range(250)
            ]
        )
    origin = agent.node.writes[SITE]
    cable = Cable(hub.port)
    cable.cut_after = 100_000  # a batch or so of each connection
    async with cable.laid():
        uplink = uplink_of(agent, tmp_path / "a", f"http://127.0.0.1:{cable.port}")
        async with running(uplink):
            await until(hub.replica, lambda: hub.head(origin) > 0)
            await eventually(lambda: cable.connections > 1)
            await arrived(agent, hub)
            cable.cut_after = None
            await eventually(lambda: uplink.status().backlog == 0)
    assert cable.connections > 1
    count = await hub.replica.read(lambda r: r.query("SELECT count(*) FROM journal"))
    assert count == [(3000,)]


async def test_a_cable_that_is_pulled_again_and_again_loses_nothing(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    """Promise 1."""
    cable = Cable(hub.port)
    async with cable.laid():
        uplink = uplink_of(agent, tmp_path / "a", f"http://127.0.0.1:{cable.port}")
        async with running(uplink):
            for number in range(5):
                await eventually(lambda: uplink.status().connected)
                await report(agent, RED, f"{number}")
                await report(hub.replica, GREEN, f"{number}", of="pump")
                cable.cut()
            await arrived(agent, hub)
            await eventually(lambda: uplink.status().connected)
    assert (await shown(hub.replica)).reason == "4"


async def test_a_hub_that_restarts_gets_its_agents_back(agent: Replica, tmp_path: Path) -> None:
    uplink = None
    async with opened(tmp_path / "hub", "hub", "hub") as replica:
        async with listening(replica) as hub:
            port, epoch = hub.port, replica.node.epoch
            uplink = uplink_of(agent, tmp_path / "a", hub.url)
            task = asyncio.ensure_future(uplink.run())
            await eventually(lambda: uplink.status().connected)
        await report(agent, RED, "while it was away")
    await eventually(lambda: not uplink.status().connected)
    await eventually(lambda: uplink.status().last_error is not None)
    async with (
        opened(tmp_path / "hub", "hub", "hub", seed=1) as replica,
        listening(replica, port=port) as hub,
    ):
        assert replica.node.epoch == epoch
        await arrived(agent, hub)
        assert (await shown(replica)).reason == "while it was away"
        await eventually(lambda: uplink.status().last_error is None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cut_made_on_purpose_lasts_and_survives_a_restart(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    uplink = uplink_of(agent, tmp_path / "a", hub.url)
    async with running(uplink):
        await eventually(lambda: hub.gateway.connected() == {"a"})
        await uplink.set_enabled(False)
        await eventually(lambda: hub.gateway.connected() == frozenset())
        assert (uplink.status().enabled, uplink.status().connected) == (False, False)
    await report(agent, RED, "unseen")
    again = uplink_of(agent, tmp_path / "a", hub.url)
    assert not again.status().enabled
    async with running(again):
        assert again.status().backlog == 2
        await again.set_enabled(True)
        await arrived(agent, hub)
    assert uplink_of(agent, tmp_path / "a", hub.url).status().enabled
    await eventually(lambda: hub.came_and_went == 4)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"enabled": 7}'])
def test_an_unreadable_switch_leaves_the_uplink_enabled(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)

    async def look() -> bool:
        async with opened(tmp_path / "a", "agent", "a") as agent:
            return uplink_of(agent, tmp_path, "http://127.0.0.1:1").status().enabled

    assert asyncio.run(look())


async def portal(_: web.Request) -> web.Response:
    return web.Response(text="<html>Please log in</html>", content_type="text/html")


async def test_a_captive_portal_counts_as_offline(
    agent: Replica, hub_replica: Replica, tmp_path: Path
) -> None:
    """It answers every path with 200 and its login page."""
    answer = web.Application()
    answer.router.add_route("*", "/{path:.*}", portal)
    async with listening(hub_replica, answer=answer) as hub:
        uplink = uplink_of(agent, tmp_path / "a", hub.url)
        async with running(uplink):
            await eventually(lambda: uplink.status().last_error is not None)
            assert not uplink.status().connected
            assert "200" in (uplink.status().last_error or "")
            await report(agent, RED, "work goes on")


async def test_a_hub_that_is_not_there_is_told_and_tried_again(
    agent: Replica, hub_replica: Replica, tmp_path: Path
) -> None:
    async with listening(hub_replica) as hub:
        port = hub.port
    uplink = uplink_of(agent, tmp_path / "a", f"http://127.0.0.1:{port}")
    await report(agent, RED, "leak")
    async with running(uplink):
        await eventually(lambda: "no connection" in (uplink.status().last_error or ""))
        async with listening(hub_replica, port=port) as hub:
            await arrived(agent, hub)
            await uplink.set_enabled(False)


async def test_a_server_that_talks_garbage_is_left_and_tried_again(
    agent: Replica, hub_replica: Replica, tmp_path: Path
) -> None:
    tries = []

    async def babble(request: web.Request) -> web.WebSocketResponse:
        tries.append(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b"\xff\xfe garbage")
        async for _ in socket:
            continue
        return socket

    answer = web.Application()
    answer.router.add_get("/sync", babble)
    async with listening(hub_replica, answer=answer) as hub:
        uplink = uplink_of(agent, tmp_path / "a", hub.url)
        async with running(uplink):
            await eventually(lambda: len(tries) > 2)
            assert "not a frame" in (uplink.status().last_error or "")
            assert not uplink.status().connected


async def test_a_journal_that_is_behind_the_hub_goes_on_under_a_new_name(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    await report(agent, GREEN)
    async with running(uplink_of(agent, tmp_path / "a", hub.url)):
        await arrived(agent, hub)
    was = agent.node.writes[SITE]
    # Another holder of the same journal wrote on: the hub's copy is longer than ours.
    async with opened(tmp_path / "b", "agent", "a") as other:
        for state in (GREEN, RED, YELLOW):
            await report(other, state)
        assert other.node.writes[SITE] == was
        async with running(uplink_of(other, tmp_path / "b", hub.url)):
            await until(hub.replica, lambda: hub.head(was) == 4)
    uplink = uplink_of(agent, tmp_path / "a", hub.url)
    async with running(uplink):
        await eventually(lambda: agent.node.writes[SITE] != was)
        await report(agent, RED, "under a new name")
        await arrived(agent, hub)
        await eventually(lambda: uplink.status().connected)
    assert (await shown(hub.replica)).reason == "under a new name"


async def test_a_full_disk_at_the_agent_does_not_end_the_uplink(
    agent: Replica, hub: Hub, tmp_path: Path
) -> None:
    """Promise 6: it waits, tries again and goes on once there is room."""
    await report(agent, RED, "leak")
    uplink = uplink_of(agent, tmp_path / "a", hub.url)
    db = agent._store._db
    async with running(uplink):
        await arrived(agent, hub)
        await agent.run_on_writer(
            lambda _: db.execute(
                f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}"
            ).fetchone()
        )
        await hub.replica.write(
            lambda tx: [reporting(RED, "x" * 1500, of=f"m-{n}")(tx) for n in range(300)]
        )
        await eventually(lambda: "cannot be written" in (uplink.status().last_error or ""))
        await agent.run_on_writer(
            lambda _: db.execute("PRAGMA max_page_count = 1073741823").fetchone()
        )
        await until(agent, lambda: agent.node.position > 600)
    assert await shown(agent, "m-299") == await shown(hub.replica, "m-299")
