"""The processes of a demo. Each ends with the demo, however that ends."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT
from asyncio.subprocess import Process as OsProcess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from demo.errors import DemoFailed
from demo.waiting import until

ROOT = Path(__file__).resolve().parents[1]
END_S = 6.0  # more than an agent's drain and its commands' way out; after that, by force
START_S = 20.0
LAST_WORDS = 600
PR_SET_PDEATHSIG = 1


class Child:
    """A process that was started here; it writes to a log file."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, process: OsProcess) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The id of the process, also when it has ended."""
        return self._process.pid

    @property
    def ending(self) -> str | None:
        """How it ended; None: it runs."""
        status = self._process.returncode
        if status is None:
            return None
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with exit code {status}"

    @property
    def ended_well(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self._process.returncode == 0

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-LAST_WORDS:].strip()

    async def until_ended(self) -> None:
        """Return once it has ended."""
        await self._process.wait()

    async def end(self) -> None:
        """End it in order; by force if that takes too long."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Simulator:
    """A simulated device: says JSON lines in its log, takes commands through a named pipe."""

    def __init__(self, child: Child, control: Path | None) -> None:
        self.child = child
        self._control = control

    def latest(self, fact: str) -> Any:
        """Return what it said last of a fact; None: nothing yet."""
        for line in reversed(self.child.log.read_bytes().splitlines()):
            facts = _facts(line)
            if fact in facts:
                return facts[fact]
        return None

    async def tell(self, line: str) -> None:
        """Give it a command; raises DemoFailed if it does not listen."""

        async def write() -> bool | None:
            return True if _write_pipe(self._control, line + "\n") else None

        await until(f"{self.child.name} takes commands", write, START_S)


@contextlib.asynccontextmanager
async def run_child(name: str, argv: Sequence[str], log: Path) -> AsyncIterator[Child]:
    """Run a process until the block is left.

    Its group is its own, so that Ctrl-C reaches the demo alone, which then ends all in order.
    """
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=DEVNULL,
            stdout=file,
            stderr=STDOUT,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )
    child = Child(name, argv, log, process)
    try:
        yield child
    finally:
        await child.end()


@contextlib.asynccontextmanager
async def run_simulator(
    name: str,
    arguments: Sequence[str],
    log: Path,
    control: Path | None = None,
    *,
    module: str = "hardware.simulators",
) -> AsyncIterator[Simulator]:
    """Run a simulator until the block is left; it is ready when the block begins."""
    extra = [] if control is None else ["--control", str(control)]
    argv = [sys.executable, "-m", module, *arguments, *extra]
    async with run_child(name, argv, log) as child:
        simulator = Simulator(child, control)

        async def is_ready() -> bool:
            return simulator.latest("ready") is not None

        await until_ready(child, is_ready)
        yield simulator


async def until_ready(child: Child, is_ready: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is ready; raises DemoFailed, at once if the process has ended."""

    async def look() -> bool | None:
        if child.ending is not None:
            raise DemoFailed(f"{child.name} {child.ending}: {child.last_words}")
        return await is_ready() or None

    await until(f"{child.name} is ready", look, START_S)


def _facts(line: bytes) -> dict[str, Any]:
    try:
        facts = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}  # a line of its log
    return facts if isinstance(facts, dict) else {}


def _write_pipe(path: Path | None, text: str) -> bool:
    """Write to a named pipe; False: nobody reads it yet."""
    if path is None:
        return False
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(text.encode())
    return True


def _end_with_parent() -> Callable[[], None]:
    """Return what a child runs before its program, so that it ends even if we are killed -9.

    By SIGKILL, because then nobody is left to insist; what a journal acknowledged survives that.
    """
    prctl = ctypes.CDLL(None).prctl  # looked up here: nothing may be loaded after the fork
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we could ask
            os.kill(os.getpid(), signal.SIGKILL)

    return ask_kernel
