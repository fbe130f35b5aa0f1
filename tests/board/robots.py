"""Robots as processes of their own: what a robot does when its power fails shows only so."""

import contextlib
import os
import signal
import sys
from pathlib import Path

from demo.processes import Child, run_child
from demo.waiting import until
from tests.board.browsing import Api

CONNECTED_S = 20


class Robot:
    """An agent that can be killed and started again."""

    def __init__(self, name: str, folder: Path, hub: tuple[str, str], api: Api) -> None:
        url, token = hub
        self.name = name
        self._api = api
        self._log = folder / f"{name}.log"
        self._config = folder / f"{name}.toml"
        self._config.write_text(
            f"""\
data = "{folder / name}"
device = {{ id = "{name}" }}
hub = {{ url = "{url}", token = "{token}" }}
sync = {{ retry_max_s = 0.5 }}
api = {{ listen = "127.0.0.1:0", tokens = {{ ada = "{token}" }} }}
dispatcher = {{ concurrency = 1, drain_s = 0 }}
handlers = {{ command = {{ allow = ["echo"] }} }}
"""
        )
        self._running = contextlib.AsyncExitStack()
        self._child: Child | None = None

    async def start(self) -> None:
        """Start it; return once the hub hears it."""
        argv = [sys.executable, "-m", "agent", "run", "--config", str(self._config)]
        self._child = await self._running.enter_async_context(run_child(self.name, argv, self._log))
        await self._until_connected(is_so=True)

    async def kill(self) -> None:
        """Cut its power; return once the hub has noticed."""
        assert self._child is not None
        assert self._child.ending is None, f"{self.name} ended by itself"
        os.kill(self._child.pid, signal.SIGKILL)
        await self._child.until_ended()
        await self._until_connected(is_so=False)

    async def end(self) -> None:
        """End it in order, if it runs."""
        await self._running.aclose()

    async def _until_connected(self, *, is_so: bool) -> None:
        async def look() -> bool | None:
            devices = (await self._api.get("/api/devices"))["items"]
            here = {device["id"] for device in devices if device["connected"]}
            return True if (self.name in here) == is_so else None

        await until(f"{self.name} connected: {is_so}", look, CONNECTED_S)
