"""The real programs as processes of their own, and what the kernel says of them."""

import asyncio
import compileall
import contextlib
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

from bench.polling import POLL_S
from bench.reports import SITE

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "hub", "hardware", "shared")
TOKEN = "bench"  # of every node here; they listen on loopback and live for seconds
HOST = "127.0.0.1"
START_S = 30.0
STOP_S = 15.0
LAST_WORDS = 2000


class ProgramEnded(Exception):
    """A program ended, or was not ready in time; the text has its last words."""


class Program:
    """A running program. Made by ``running``.

    Attributes:
        pid: Process id.
        started_s: When it was started, by ``perf_counter``.
    """

    def __init__(self, process: Process, started_s: float, log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self.started_s = started_s
        self._log = log

    async def read_until(self, part: str, timeout_s: float = START_S) -> str:
        """Return the next line of its standard output that has this part.

        Raises:
            TimeoutError: None came in time.
            ProgramEnded: None will come.
        """
        async with asyncio.timeout(timeout_s):
            while part not in (line := await self._read_line()):
                pass
        return line

    async def say(self, text: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())
        await self.process.stdin.drain()

    async def until_ready(self, port: int) -> float:
        """Return the seconds from its start until ``/readyz`` answers 200."""
        while True:
            if await _is_ready(port):
                return perf_counter() - self.started_s
            if self.process.returncode is not None:
                raise self._ended()
            if perf_counter() - self.started_s > START_S:
                raise self._ended()
            await asyncio.sleep(POLL_S)

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        await self.process.wait()

    def cpu_s(self) -> float:
        """Return the processor time of all its threads: Linux, as clock_getcpuclockid(3)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident_mib(self) -> float:
        """Return its resident memory, shared pages included."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    async def _read_line(self) -> str:
        """Return the next line of its standard output."""
        assert self.process.stdout is not None
        text = await self.process.stdout.readline()
        if not text:
            raise self._ended()
        return text.decode().rstrip("\n")

    def _ended(self) -> ProgramEnded:
        words = self._log.read_text(errors="replace")[-LAST_WORDS:]
        return ProgramEnded(f"process {self.pid}, exit code {self.process.returncode}:\n{words}")


def compile_all() -> None:
    """Write the programs' bytecode, which an installed package has.

    With PYTHONDONTWRITEBYTECODE each start compiles 1.2 MB anew, at 0.1 s and 1 MiB.
    """
    for package in PACKAGES:
        compileall.compile_dir(ROOT / package, quiet=1)


@contextlib.asynccontextmanager
async def running(log: Path, module: str, *arguments: object) -> AsyncIterator[Program]:
    """Run a module of ours until the block ends."""
    with log.open("ab") as words:
        started_s = perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *(str(argument) for argument in arguments),
            cwd=ROOT,
            stdin=PIPE,
            stdout=PIPE,
            stderr=words,
        )
    try:
        yield Program(process, started_s, log)
    finally:
        await _stop(process)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def write_hub_settings(folder: Path, port: int) -> Path:
    """Write the hub's settings; return the file."""
    return _write(
        folder / "hub.toml",
        f"""
        data = "{folder / "hub"}"
        sites = ["{SITE}"]
        [api]
        listen = "{HOST}:{port}"
        tokens = {{ bench = "{TOKEN}" }}
        """,
    )


def write_agent_settings(
    folder: Path, port: int, hub_port: int, *, retry_max_s: float | None = None, drivers: str = ""
) -> Path:
    """Write an agent's settings, defaults wherever possible; return the file."""
    sync = f"[sync]\nretry_max_s = {retry_max_s}" if retry_max_s is not None else ""
    return _write(
        folder / "agent.toml",
        f"""
        data = "{folder / "agent"}"
        [device]
        id = "robot-1"
        site = "{SITE}"
        [hub]
        url = "http://{HOST}:{hub_port}"
        token = "{TOKEN}"
        {sync}
        [api]
        listen = "{HOST}:{port}"
        tokens = {{ bench = "{TOKEN}" }}
        {drivers}
        """,
    )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line.strip() for line in text.splitlines()))
    return path


async def _is_ready(port: int) -> bool:
    """Ask once, without a client library: its own cost would be in the figure."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return (await reader.readline()).split()[1:2] == [b"200"]
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _stop(process: Process) -> None:
    """End it in order; by force if that takes too long."""
    if process.returncode is None:
        process.terminate()
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
