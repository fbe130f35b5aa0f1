"""A hub with a real socket, and agents that connect to it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.uplink import Uplink
from hub.gateway import Gateway
from shared import system
from shared.api import problem
from shared.core.clock import ClockTrust
from shared.core.kinds.equipment import Equipment, State, view
from shared.replica import Replica, open_replica
from shared.store.store import Identity
from shared.sync.frame import DeviceStatus
from tests.shared.making import RED
from tests.shared.nodes import SITE, STATUS, Clock, reporting

WAIT_S = 20.0
RETRY_MAX_S = 0.3


async def until(replica: Replica, condition: Callable[[], bool]) -> None:
    """Return once a condition holds; it is asked again whenever the replica has changed."""
    changed = asyncio.Event()
    with replica.subscribe(lambda _: changed.set()):
        async with asyncio.timeout(WAIT_S):
            while not condition():
                await changed.wait()
                changed.clear()


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once a condition holds; for what announces no change."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(
    folder: Path, role: str, name: str, *, clock: Clock | None = None, seed: int = 0
) -> AsyncIterator[Replica]:
    """Open a replica in a folder."""
    async with open_replica(
        folder,
        Identity(role, name, (SITE,), "m1"),
        now_ms=clock or Clock(),
        trust=lambda: ClockTrust.SYNCED,
        chance=random.Random(f"{name} {seed}"),
    ) as replica:
        yield replica


async def report(replica: Replica, state: State = RED, reason: str = "", **more: str) -> None:
    """Report a state of ``press-1``, or of another."""
    await replica.write(reporting(state, reason, actor=replica.node.device, **more))


async def shown(replica: Replica, subject: str = "press-1") -> Equipment:
    """Return the equipment as a replica shows it."""
    return view(await replica.record("equipment", subject))


class Hub:
    """A hub that listens; its gateway tells here what it was told to tell."""

    def __init__(self, replica: Replica, **limits: Any) -> None:
        self.replica = replica
        self.came_and_went = 0
        self.unready_then: list[
            Mapping[str, str]
        ] = []  # each time that somebody came, told all, went
        self.caught_up: list[tuple[str, str]] = []
        self.held_then: list[dict[str, int]] = []  # heads of all logs, each time
        self.gateway = Gateway(replica, on_connected=self._count, on_caught_up=self._note, **limits)
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def head(self, origin: str) -> int:
        """Return how far the hub holds a log."""
        log = self.replica.node.logs.get(origin)
        return log.head if log else 0

    def _count(self) -> None:
        self.came_and_went += 1
        self.unready_then.append(self.gateway.unready())

    async def _note(self, device: str, incarnation: str) -> None:
        self.caught_up.append((device, incarnation))
        self.held_then.append({name: log.head for name, log in self.replica.node.logs.items()})


@asynccontextmanager
async def listening(
    replica: Replica, *, port: int = 0, answer: web.Application | None = None, **limits: Any
) -> AsyncIterator[Hub]:
    """Serve a hub on loopback, or another application in its place."""
    hub = Hub(replica, **limits)
    if answer is None:
        answer = web.Application(middlewares=[problem.middleware])
        answer.router.add_get("/sync", hub.gateway.handle)
    runner = web.AppRunner(answer, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        hub.port = runner.addresses[0][1]
        yield hub
        await hub.gateway.close()
    finally:
        await runner.cleanup()


def uplink_of(
    replica: Replica,
    folder: Path,
    url: str | None,
    status: Callable[[], DeviceStatus] = lambda: STATUS,
) -> Uplink:
    """Wire an uplink that tries again soon."""
    return Uplink(
        replica,
        folder=folder,
        site=SITE,
        url=url,
        token="t",
        retry_max_s=RETRY_MAX_S,
        boot_ms=system.boot_ms,
        now_ms=Clock(),
        chance=random.Random(3),
        status=status,
    )


@asynccontextmanager
async def running(uplink: Uplink) -> AsyncIterator[Uplink]:
    """Run an uplink beside the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(uplink.run(), name="uplink")
        yield uplink
        assert not task.done(), "an uplink runs until cancelled"
        task.cancel()


class Cable:
    """A TCP relay that a test can cut: at a number of bytes, or at once."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.cut_after: int | None = None  # bytes towards the hub, of each connection
        self.connections = 0

    @asynccontextmanager
    async def laid(self) -> AsyncIterator["Cable"]:
        """Relay beside the block."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._server.close()
            self.cut()
            await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, back, self.cut_after), name="up")
                tasks.create_task(self._pump(there, writer, None), name="down")
        except* ConnectionError:
            self.cut()
        finally:
            self._writers -= {writer, back}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        passed = 0
        while data := await reader.read(4096):
            passed += len(data)
            if limit is not None and passed > limit:
                raise ConnectionResetError("cut")
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("the other end is gone")
