"""A demo as a process, as its user starts it, and what others can see of it."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession

from demo.client import Api
from demo.configuration import find_free_port
from demo.processes import ROOT
from demo.waiting import until

WAIT_S = 40.0


class DemoProcess:
    """A running demo. Made by ``run_demo``."""

    def __init__(self, process: Process, folder: Path, port: int, http: ClientSession) -> None:
        self.process = process
        self.folder = folder
        self.port = port
        self.told: dict[str, Any] = {}
        """What ``demo.json`` says."""
        self._http = http

    def api(self, node: str) -> Api:
        """Return a client of a node, with the common token."""
        told = self.told["hub"] if node == "hub" else self.told["agents"][node]
        return Api(
            self._http, name=node, url=told["url"], token=self.told["token"], patience_s=WAIT_S
        )

    async def until_told(self) -> None:
        """Return once ``demo.json`` is there."""
        path = self.folder / "demo.json"

        async def look() -> Any:
            return msgspec.json.decode(path.read_bytes()) if path.exists() else None

        self.told = await until("demo.json is there", look, WAIT_S)

    async def until_link(self, node: str, *, enabled: bool) -> None:
        """Return once the switch of an agent's link stands so."""

        async def look() -> bool | None:
            link = await self.api(node).get("/api/uplink")
            return True if link["enabled"] is enabled else None

        await until(f"{node} has its link {'mended' if enabled else 'cut'}", look, WAIT_S)


@contextlib.asynccontextmanager
async def run_demo(folder: Path) -> AsyncIterator[DemoProcess]:
    """Run a demo until the block is left; everything of it has ended then."""
    port = find_free_port()
    process = await start("--port", str(port), "--folder", str(folder))
    try:
        async with ClientSession() as http:
            demo = DemoProcess(process, folder, port, http)
            await demo.until_told()
            yield demo
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await ended(process)


async def start(
    *arguments: str, stdout: int = DEVNULL, stderr: int = DEVNULL, temporary: Path | None = None
) -> Process:
    """Start a demo; ``temporary``: where it makes its temporary folders."""
    environment = os.environ | ({} if temporary is None else {"TMPDIR": str(temporary)})
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "demo",
        *arguments,
        stdout=stdout,
        stderr=stderr,
        cwd=ROOT,
        env=environment,
    )


async def said(*arguments: str, timeout_s: float = WAIT_S) -> tuple[int | None, str, str]:
    """Run a demo to its end; return its exit code, what it said, and its complaints."""
    process = await start(*arguments, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(timeout_s):
            out, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), complaints.decode()


async def ended(process: Process) -> int:
    """Return the exit code of a process; by force if it does not end."""
    try:
        async with asyncio.timeout(WAIT_S):
            return await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise


def processes_in(folder: Path) -> list[tuple[int, list[str]]]:
    """Return ids and command lines of processes that name the folder, but for the demo's own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            words = path.read_bytes().decode(errors="replace").split("\0")
            if "--folder" not in words and any(str(folder) in word for word in words):
                found.append((int(path.parent.name), words))
    return found
