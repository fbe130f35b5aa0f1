"""The hub is killed and comes back: how soon an agent's waiting event is there.

The real programs over real sockets. The event is written at the agent while the hub is away, and
looked for at the hub's API.
"""

import asyncio
from functools import partial
from pathlib import Path
from time import perf_counter

import msgspec
from aiohttp import ClientSession

from bench import programs
from bench.figures import Figure, Target, figure
from bench.polling import until
from bench.programs import HOST, START_S, running
from bench.sizes import Sizes

EQUIPMENT = "press-1"
TARGET = Target(1.5, at_most=True)


class Return(msgspec.Struct, frozen=True):
    """Seconds until the event was at the hub."""

    since_exec_s: float
    since_ready_s: float


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure a short outage with the default backoff, and a longer one with a short backoff."""
    short = await _outages(sizes, folder / "short", retry_max_s=None, outage_s=0)
    longer = await _outages(sizes, folder / "longer", retry_max_s=1, outage_s=sizes.outage_s)
    away = f"away {sizes.outage_s:g} s, retry_max_s 1"
    return [
        _figure("exec to first event", [one.since_exec_s for one in short], TARGET),
        _figure("ready to first event", [one.since_ready_s for one in short]),
        _figure(f"exec to first event, {away}", [one.since_exec_s for one in longer]),
        _figure(f"ready to first event, {away}", [one.since_ready_s for one in longer]),
    ]


def _figure(name: str, samples: list[float], target: Target | None = None) -> Figure:
    return figure("restart", f"hub {name}", "s", samples, target=target)


async def _outages(
    sizes: Sizes, folder: Path, *, retry_max_s: float | None, outage_s: float
) -> list[Return]:
    hub_port, port = programs.free_port(), programs.free_port()
    hub_settings = programs.write_hub_settings(folder, hub_port)
    settings = programs.write_agent_settings(folder, port, hub_port, retry_max_s=retry_max_s)
    headers = {"Authorization": f"Bearer {programs.TOKEN}"}
    async with (
        ClientSession(headers=headers) as client,
        running(folder / "agent.log", "agent", "run", "--config", settings) as program,
    ):
        await program.until_ready(port)
        story = _Story(client, _url(port), _url(hub_port), hub_settings, hub_port)
        await story.begin()
        return [await story.outage(number, outage_s) for number in range(sizes.repetitions)]


class _Story:
    """A hub that comes and goes, beside an agent that stays."""

    def __init__(
        self, client: ClientSession, agent: str, hub: str, settings: Path, port: int
    ) -> None:
        self._client = client
        self._agent = agent
        self._hub = hub
        self._settings = settings
        self._port = port

    async def begin(self) -> None:
        """Have a first hub make its folder and get the equipment; it is not measured."""
        body = {"id": EQUIPMENT}
        async with self._client.post(f"{self._agent}/api/equipment", json=body) as answer:
            answer.raise_for_status()
        await self.outage(-1, 0)

    async def outage(self, number: int, outage_s: float) -> Return:
        """Report at the agent, leave the hub away so long, start it, await the report, kill it."""
        reason = f"outage {number}"
        body = {"state": "red", "reason": reason}
        path = f"/api/equipment/{EQUIPMENT}"
        async with self._client.put(f"{self._agent}{path}/state", json=body) as answer:
            answer.raise_for_status()
        await asyncio.sleep(outage_s)
        log = self._settings.with_suffix(".log")
        async with running(log, "hub", "serve", "--config", self._settings) as hub:
            ready_s = await hub.until_ready(self._port)
            await until(partial(self._is_at_hub, path, reason), START_S)
            there_s = perf_counter() - hub.started_s
            await hub.kill()
        return Return(there_s, there_s - ready_s)

    async def _is_at_hub(self, path: str, reason: str) -> bool:
        async with self._client.get(f"{self._hub}{path}") as answer:
            return answer.status == 200 and (await answer.json())["reason"] == reason


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"
