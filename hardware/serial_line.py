"""A serial line: a thread opens and closes the port, the event loop reads and writes it.

Opening and closing may hang in the kernel while an adapter dies (closing waits for what was not
sent), so a thread of the line's own does both. Reading and writing cannot: the port does not block,
and the loop is told when it is ready. An idle line wakes nobody but to look whether it is the same.

A port is named by a path that survives replugging (``/dev/serial/by-id/...``): ``ttyUSB0`` may be
another device after the next plug.
"""

import asyncio
import contextlib
import os
import termios
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import serial

from hardware.look import next_look
from hardware.reconnect import WireDown

READ_BYTES_MAX = 4096
WRITE_WAIT_S = 2.0
"""How long the port may take nothing of a write."""
WRITES_MAX = 16
INCOMING_BYTES_MAX = 16_384
"""More than any device here sends in a minute; beyond it bytes are dropped and counted."""
OPEN_WAIT_S = 5.0
CLOSE_WAIT_S = 5.0

T = TypeVar("T")

_WIRE_ERRORS = (OSError, termios.error, ValueError)
"""What pyserial raises when a port is missing, taken, pulled out or cannot be configured."""


class LineDown(WireDown):
    """The port cannot be used now. Open it again after a while."""

    def __init__(self, port: str, reason: str) -> None:
        self.port = port
        self.reason = reason
        super().__init__(f"serial port {port}: {reason}")


class SerialLine:
    """An open line. Made by ``open_line``; used on the event loop's thread only."""

    def __init__(self, port: str, descriptor: int) -> None:
        self.port = port
        self.dropped_bytes = 0
        """How many received bytes nobody read in time."""
        self._descriptor = descriptor
        self._device = os.fstat(descriptor).st_rdev
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        self._arrived = asyncio.Event()
        self._writes: deque[tuple[memoryview, asyncio.Future[None]]] = deque()
        self._stuck: asyncio.TimerHandle | None = None  # ends the line unless it takes more
        self._down: LineDown | None = None
        self._loop.add_reader(descriptor, self._receive)
        self._looking = self._look_later()

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte.

        Raises:
            LineDown: The port was lost; what had arrived before was returned first.
        """
        while not self._incoming:
            if self._down is not None:
                raise LineDown(self.port, self._down.reason)
            self._arrived.clear()
            await self._arrived.wait()
        received = bytes(self._incoming)
        self._incoming.clear()
        return received

    async def write(self, data: bytes) -> None:
        """Return once the operating system has taken all of ``data``.

        A write that is given up is sent whole all the same: half a sentence would become the
        beginning of the next one.

        Raises:
            LineDown: The port was lost, is too slow, or WRITES_MAX writes are waiting already.
        """
        if self._down is not None:
            raise LineDown(self.port, self._down.reason)
        if len(self._writes) >= WRITES_MAX:
            raise LineDown(self.port, f"{WRITES_MAX} writes are waiting")
        written: asyncio.Future[None] = self._loop.create_future()
        self._writes.append((memoryview(data), written))
        if len(self._writes) == 1:
            self._send()
        await written

    def end(self, reason: str) -> None:
        """Use the port no more; whoever waits for it hears why."""
        if self._down is not None:
            return
        self._down = LineDown(self.port, reason)
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._looking.cancel()
        self._give_time(None)
        for _, written in self._writes:
            _fail(written, LineDown(self.port, reason))
        self._writes.clear()
        self._arrived.set()

    def _receive(self) -> None:
        try:
            received = os.read(self._descriptor, READ_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(str(error))
            return
        if not received:
            self.end("the device hung up")
            return
        room = INCOMING_BYTES_MAX - len(self._incoming)
        self._incoming += received[:room]
        self.dropped_bytes += len(received[room:])
        self._arrived.set()

    def _send(self) -> None:
        """Write what waits, as much of it as the port takes now."""
        try:
            while self._writes:
                data, written = self._writes[0]
                rest = data[self._take(data) :]
                if rest:
                    self._writes[0] = (rest, written)
                    self._loop.add_writer(self._descriptor, self._send)
                    return
                self._writes.popleft()
                _resolve(written, None)
        except OSError as error:
            self.end(str(error))
        else:
            self._loop.remove_writer(self._descriptor)
            self._give_time(None)

    def _take(self, data: memoryview) -> int:
        """Return how many bytes the port takes; if none, it has WRITE_WAIT_S from the last ones."""
        try:
            taken = os.write(self._descriptor, data)
        except BlockingIOError:
            taken = 0
        if taken or self._stuck is None:
            self._give_time(WRITE_WAIT_S)
        return taken

    def _give_time(self, seconds: float | None) -> None:
        """Give the port so long to take more; None: nothing waits for it."""
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        if seconds is not None:
            reason = f"took nothing for {seconds:g} s"
            self._stuck = self._loop.call_later(seconds, self.end, reason)

    def _look_later(self) -> asyncio.TimerHandle:
        return self._loop.call_at(next_look(self._loop.time()), self._look)

    def _look(self) -> None:
        """See whether the path still leads here: some adapters never report the hang-up."""
        try:
            leads_here = Path(self.port).stat().st_rdev == self._device
        except OSError as error:
            self.end(str(error))
            return
        if leads_here:
            self._looking = self._look_later()
        else:
            self.end("the path leads to another device now")


class _Port:
    """A port, opened and closed by a thread that owns it.

    A thread that hangs in the kernel is left behind (it is a daemon) rather than waited for.
    """

    def __init__(self, port: str, baud: int) -> None:
        self._port = port
        self._baud = baud
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[int] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._own, name=f"serial {port}", daemon=True)

    async def open(self) -> int:
        """Return the descriptor; it belongs to the thread."""
        self._thread.start()
        try:
            async with asyncio.timeout(OPEN_WAIT_S):
                return await self._opened
        except TimeoutError:
            raise LineDown(self._port, f"did not open within {OPEN_WAIT_S:g} s") from None

    async def close(self) -> None:
        """Have the thread close the port, also if it is still opening it."""
        self._unwanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._closed.wait()
                self._thread.join(CLOSE_WAIT_S)

    def _own(self) -> None:
        try:
            # exclusive: by default two programs share a port and steal each other's bytes
            with serial.Serial(self._port, self._baud, exclusive=True) as device:
                descriptor = device.fileno()
                self._tell(lambda: _resolve(self._opened, descriptor))
                self._unwanted.wait()
        except _WIRE_ERRORS as error:
            down = LineDown(self._port, str(error))
            self._tell(lambda: _fail(self._opened, down))
        finally:
            self._tell(self._closed.set)

    def _tell(self, action: Callable[[], None]) -> None:
        # The loop may be gone when the program ends without closing its lines.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(action)


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():  # who waited may be cancelled
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: LineDown) -> None:
    if not future.done():
        future.set_exception(error)


@contextlib.asynccontextmanager
async def open_line(port: str, *, baud: int) -> AsyncIterator[SerialLine]:
    """Open the serial port at ``port`` for this program alone; 8 data bits, no parity, 1 stop bit.

    Raises:
        LineDown: The port is missing, taken by another program, or cannot be configured.
    """
    owner = _Port(port, baud)
    try:
        line = SerialLine(port, await owner.open())
        try:
            yield line
        finally:
            line.end("closed")
    finally:
        await owner.close()
