"""An agent's backlog on its way to the hub: a real WebSocket, both ends durable, all folded."""

import asyncio
import shutil
import time
from pathlib import Path
from random import SystemRandom
from time import perf_counter

import msgspec
from aiohttp import ClientSession

from agent.uplink import Uplink
from bench import backlog, nodes, raw
from bench.catchup_hub import Told
from bench.figures import Figure, Target, figure
from bench.polling import until
from bench.programs import running
from bench.reports import SITE
from bench.sizes import Sizes
from shared import system
from shared.core.clock import ClockTrust
from shared.replica import Replica
from shared.sync.frame import DeviceStatus

GIVE_UP_S = 300.0
RAW_GROUP = 1000
PEER = f"raw sqlite3, {RAW_GROUP:,} a commit"


class Caught(msgspec.Struct, frozen=True):
    """One catch-up, an event on average."""

    events_s: float
    wire_bytes: float
    agent_us: float
    hub_us: float


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure, each repetition both contenders with new databases."""
    written = folder / "written"
    backlog.write(written, sizes.backlog)
    floor: list[float] = []
    caught: list[Caught] = []
    for number in range(sizes.repetitions):
        agent = folder / f"agent-{number}"
        shutil.copytree(written, agent)
        floor.append(await _raw_s(agent, folder / f"raw-{number}.db", sizes.backlog))
        caught.append(await _catch_up(agent, folder / f"hub-{number}", sizes.backlog))
    return [
        figure("catchup", PEER, "rows/s", floor),
        figure(
            "catchup",
            f"{sizes.backlog:,} events",
            "events/s",
            [one.events_s for one in caught],
            beside=(PEER, floor),
            target=Target(0.15, 0.3),
        ),
        figure(
            "catchup",
            "on the wire",
            "B/event",
            [one.wire_bytes for one in caught],
            target=Target(60, 40, at_most=True),
        ),
        figure("catchup", "processor time, agent", "µs/event", [one.agent_us for one in caught]),
        figure("catchup", "processor time, hub", "µs/event", [one.hub_us for one in caught]),
    ]


async def _raw_s(agent: Path, path: Path, count: int) -> float:
    async with nodes.open_agent(agent) as replica:
        rows = await raw.newest_rows(replica, count)
    db = raw.open_table(path)
    try:
        return count / raw.insert_all_s(db, rows, RAW_GROUP)
    finally:
        db.close()


async def _catch_up(agent: Path, hub: Path, events: int) -> Caught:
    """Run a hub as a process and the agent's uplink here; return what it took."""
    async with (
        running(hub.with_suffix(".log"), "bench.catchup_hub", hub) as program,
        nodes.open_agent(agent) as replica,
        ClientSession() as client,
    ):
        url = await program.read_until("http")
        hub_before = await _told(client, url)
        uplink = _uplink(replica, agent, url)
        async with asyncio.TaskGroup() as tasks:
            cpu_s, start = time.process_time(), perf_counter()
            session = tasks.create_task(uplink.run(), name="uplink")
            await until(lambda: _is_empty(uplink), GIVE_UP_S)
            elapsed, cpu_s = perf_counter() - start, time.process_time() - cpu_s
            hub_after = await _told(client, url)
            session.cancel()
    if hub_after.events != events:
        raise RuntimeError(f"{events} events, but the hub holds {hub_after.events}")
    return Caught(
        events_s=events / elapsed,
        wire_bytes=hub_after.wire_bytes / events,
        agent_us=cpu_s / events * 1e6,
        hub_us=(hub_after.cpu_s - hub_before.cpu_s) / events * 1e6,
    )


async def _is_empty(uplink: Uplink) -> bool:
    return uplink.backlog == 0


async def _told(client: ClientSession, url: str) -> Told:
    async with client.get(f"{url}/told") as answer:
        answer.raise_for_status()
        return msgspec.json.decode(await answer.read(), type=Told)


def _uplink(replica: Replica, folder: Path, url: str) -> Uplink:
    status = DeviceStatus(
        backlog=0, clock=ClockTrust.SYNCED.value, version="bench", types=(), capabilities=()
    )
    return Uplink(
        replica,
        folder=folder,
        site=SITE,
        url=url,
        token=None,
        retry_max_s=1,
        boot_ms=system.boot_ms,
        now_ms=system.now_ms,
        chance=SystemRandom(),
        status=lambda: status,
    )
