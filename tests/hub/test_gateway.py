"""Devices' sockets at the hub: who is connected, and what the rest of the hub hears of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from hub.gateway import RETRY_AFTER_S
from shared.errors import BadFrame
from shared.store import exchange
from shared.store.transaction import Change
from shared.sync.frame import Hello
from tests.shared.making import GREEN, RED
from tests.shared.nodes import SITE, STATUS, open_node
from tests.shared.wire import (
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
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with opened(tmp_path / "hub", "hub", "hub") as replica, listening(replica) as hub:
        yield hub


async def test_a_device_that_comes_and_goes_is_told_and_remembered(
    hub: Hub, tmp_path: Path
) -> None:
    async with opened(tmp_path / "a", "agent", "a") as agent:
        async with running(uplink_of(agent, tmp_path / "a", hub.url)):
            await eventually(lambda: hub.gateway.connected() == {"a"})
            assert hub.came_and_went == 1
        await eventually(lambda: hub.gateway.connected() == frozenset())
        assert hub.came_and_went == 2
    rows = await hub.replica.read(
        lambda r: r.query("SELECT id, site, clock, version, types FROM devices")
    )
    assert rows == [("a", SITE, "synced", "0", '["command"]')]


async def test_a_change_of_a_device_is_told_once_its_session_counts(
    hub: Hub, tmp_path: Path
) -> None:
    """Whoever watches the devices asks who is connected when a change is told."""
    told: list[bool] = []

    def watch(changes: list[Change]) -> None:
        if any(change.kind == "device" for change in changes):
            told.append("a" in hub.gateway.connected())

    async with opened(tmp_path / "a", "agent", "a") as agent:
        with hub.replica.subscribe(watch):
            async with running(uplink_of(agent, tmp_path / "a", hub.url)):
                await report(agent, RED, "leak")
                await until(hub.replica, lambda: hub.head(agent.node.writes[SITE]) > 0)
                assert True in told  # at once, not with the device's next word of itself
            await eventually(lambda: told[-1] is False)


async def test_a_device_that_brings_nothing_old_has_caught_up_at_once(
    hub: Hub, tmp_path: Path
) -> None:
    async with (
        opened(tmp_path / "a", "agent", "a") as agent,
        running(uplink_of(agent, tmp_path / "a", hub.url)),
    ):
        await eventually(lambda: bool(hub.caught_up))
        assert hub.caught_up == [("a", agent.node.writes[SITE].rpartition(".")[2])]


async def test_a_new_incarnation_has_caught_up_once_its_former_logs_are_here(
    hub: Hub, tmp_path: Path
) -> None:
    async with opened(tmp_path / "a", "agent", "a") as agent:
        former = agent.node.writes[SITE]
        await report(agent, GREEN, "before")
        await agent.run_on_writer(lambda store: store.new_incarnation("a test"))
        await report(agent, RED, "after")
        async with running(uplink_of(agent, tmp_path / "a", hub.url)):
            await eventually(lambda: bool(hub.caught_up))
            await until(hub.replica, lambda: hub.head(agent.node.writes[SITE]) == 1)
        assert [heads[former] for heads in hub.held_then] == [2]
        assert (await shown(hub.replica)).reason == "after"


async def test_a_device_is_not_ready_until_all_that_it_did_while_away_is_here(
    hub: Hub, tmp_path: Path
) -> None:
    """Nothing is dealt to it before: it may have done that already, as its client asked it to."""
    async with opened(tmp_path / "a", "agent", "a") as agent:
        for state in (GREEN, RED, GREEN):
            await report(agent, state, "away")
        async with running(uplink_of(agent, tmp_path / "a", hub.url)):
            await until(hub.replica, lambda: hub.head(agent.node.writes[SITE]) >= 3)
            await eventually(lambda: len(hub.unready_then) == 2)
            assert hub.unready_then == [{"a": "is back, and is still telling what it did"}, {}]
        async with running(uplink_of(agent, tmp_path / "a", hub.url)):
            await eventually(lambda: hub.gateway.connected() == {"a"})
            assert hub.gateway.unready() == {}, "it had nothing new"


async def test_a_device_that_closes_down_says_so_at_once_and_is_given_nothing(
    hub: Hub, tmp_path: Path
) -> None:
    closing = False
    async with opened(tmp_path / "a", "agent", "a") as agent:
        uplink = uplink_of(
            agent,
            tmp_path / "a",
            hub.url,
            lambda: msgspec.structs.replace(STATUS, closing=closing),
        )
        async with running(uplink):
            await eventually(lambda: uplink.is_connected)
            assert hub.gateway.unready() == {}
            closing = True
            uplink.tell()
            await eventually(lambda: hub.unready_then[-1] == {"a": "is closing down"})


async def test_every_device_gets_what_another_writes(hub: Hub, tmp_path: Path) -> None:
    async with (
        opened(tmp_path / "a", "agent", "a") as a,
        opened(tmp_path / "b", "agent", "b") as b,
        running(uplink_of(a, tmp_path / "a", hub.url)),
        running(uplink_of(b, tmp_path / "b", hub.url)),
    ):
        await report(a, RED, "leak")
        await until(b, lambda: b.node.position > 0)
        await eventually(lambda: hub.gateway.connected() == {"a", "b"})
        await report(hub.replica, GREEN, "fixed")
        for node in (a, b):
            reasons: set[str | None] = set()
            while "fixed" not in reasons:
                before = node.node.position
                reasons.add((await shown(node)).reason)
                if "fixed" not in reasons:
                    await until(node, lambda node=node, at=before: node.node.position > at)  # type: ignore[misc]
        assert await shown(a) == await shown(b) == await shown(hub.replica)


async def test_one_device_that_sends_garbage_stops_no_other(hub: Hub, tmp_path: Path) -> None:
    """Promise 6."""
    async with (
        opened(tmp_path / "a", "agent", "a") as agent,
        running(uplink_of(agent, tmp_path / "a", hub.url)),
        ClientSession() as client,
    ):
        await eventually(lambda: hub.gateway.connected() == {"a"})
        for _ in range(5):
            async with client.ws_connect(f"{hub.url}/sync") as socket:
                await socket.send_bytes(b"\x00garbage")
        await report(agent, RED, "leak")
        await until(hub.replica, lambda: hub.head(agent.node.writes[SITE]) == 2)
        assert hub.gateway.connected() == {"a"}


async def test_one_session_too_many_is_a_problem_that_says_when_to_come_back(
    tmp_path: Path,
) -> None:
    async with (
        opened(tmp_path / "hub", "hub", "hub") as replica,
        listening(replica, sessions_max=1) as hub,
        ClientSession() as client,
        client.ws_connect(f"{hub.url}/sync"),
        client.get(f"{hub.url}/sync") as answer,
    ):
        assert answer.status == 429
        assert answer.headers["Retry-After"] == str(RETRY_AFTER_S)
        found = await answer.json(content_type="application/problem+json")
    assert (found["type"], found["status"]) == ("urn:skerry:problem:busy", 429)


async def test_a_plain_request_is_no_session(hub: Hub) -> None:
    async with ClientSession() as client, client.get(f"{hub.url}/sync") as answer:
        assert answer.status == 400
    assert hub.came_and_went == 0


def test_a_device_stays_in_its_site() -> None:
    """Promise 5."""
    hub = open_node("hub", "hub", sites=(SITE, "south"))
    there = Hello(1, "a", "1", SITE, {}, STATUS)
    hub.write(lambda tx: exchange.greet(tx, there))
    for site in ("south", "elsewhere"):
        elsewhere = msgspec.structs.replace(there, site=site)
        with pytest.raises(BadFrame) as caught:
            hub.write(lambda tx, hello=elsewhere: exchange.greet(tx, hello))  # type: ignore[misc]
        assert caught.value.code == 4403
    assert hub.reading.query("SELECT id, site FROM devices") == [("a", SITE)]
