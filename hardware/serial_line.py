"""A serial line: pyserial in one thread that owns the port, and an asyncio face on it.

The thread blocks in ``select``, so an idle line costs one wake-up a second, and a kernel driver
that hangs (opening or writing to a dying adapter can) hangs this thread and not the loop.

A port is named by a path that survives replugging (``/dev/serial/by-id/...``): ``ttyUSB0`` may be
another device after the next plug.
"""

import asyncio
import contextlib
import os
import queue
import termios
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import serial

from hardware.reconnect import WireDown

READ_WAIT_S = 1.0
"""How often the thread looks whether the path still leads to the port it has open."""
WRITE_WAIT_S = 2.0
WRITES_MAX = 16
INCOMING_BYTES_MAX = 16_384
"""More than any device here sends in a minute; beyond it bytes are dropped and counted."""
OPEN_WAIT_S = 5.0
CLOSE_WAIT_S = 5.0

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

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        self.dropped_bytes = 0
        """How many received bytes nobody read in time."""
        self._baud = baud
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        self._arrived = asyncio.Event()
        self._down: LineDown | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._writes: queue.Queue[tuple[bytes, asyncio.Future[None]]] = queue.Queue(WRITES_MAX)
        self._stop = threading.Event()
        self._wake_lock = threading.Lock()  # the port must not close while the loop wakes it
        self._device: serial.Serial | None = None
        self._thread = threading.Thread(target=self._own_port, name=f"serial {port}", daemon=True)

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

        Raises:
            LineDown: The port was lost, is too slow, or WRITES_MAX writes are waiting already.
        """
        if self._down is not None:
            raise LineDown(self.port, self._down.reason)
        written: asyncio.Future[None] = self._loop.create_future()
        try:
            self._writes.put_nowait((data, written))
        except queue.Full:
            raise LineDown(self.port, f"{WRITES_MAX} writes are waiting") from None
        self._wake()
        await written

    async def _open(self) -> None:
        self._thread.start()
        try:
            async with asyncio.timeout(OPEN_WAIT_S):
                await self._opened
        except TimeoutError:
            raise LineDown(self.port, f"did not open within {OPEN_WAIT_S:g} s") from None

    async def _close(self) -> None:
        self._stop.set()
        self._wake()
        # A thread stuck in the kernel is left behind (it is a daemon) rather than waited for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._ended.wait()
                self._thread.join(CLOSE_WAIT_S)

    def _wake(self) -> None:
        with self._wake_lock:
            if self._device is not None:
                self._device.cancel_read()

    # ---- from here on: the thread

    def _own_port(self) -> None:
        reason = "closed"
        try:
            with self._open_device() as device:
                self._tell(_resolve, self._opened)
                try:
                    self._serve(device)
                finally:
                    with self._wake_lock:
                        self._device = None
        except _WIRE_ERRORS as error:
            reason = str(error)
        finally:
            self._tell(self._end, reason)

    def _open_device(self) -> serial.Serial:
        # exclusive: pyserial's default lets two programs share a port and steal each other's bytes
        device = serial.Serial(
            self.port,
            self._baud,
            timeout=READ_WAIT_S,
            write_timeout=WRITE_WAIT_S,
            exclusive=True,
        )
        with self._wake_lock:
            self._device = device
        return device

    def _serve(self, device: serial.Serial) -> None:
        opened = os.fstat(device.fileno()).st_rdev
        while not self._stop.is_set():
            self._write_waiting(device)
            received = device.read(1)
            if received:
                received += device.read(device.in_waiting)
                self._tell(self._receive, received)
            elif Path(self.port).stat().st_rdev != opened:
                # Some adapters never report the hang-up to a reader that waits.
                raise OSError("the path leads to another device now")

    def _write_waiting(self, device: serial.Serial) -> None:
        while True:
            try:
                data, written = self._writes.get_nowait()
            except queue.Empty:
                return
            try:
                device.write(data)
            except _WIRE_ERRORS as error:
                self._tell(_fail, written, LineDown(self.port, str(error)))
                raise
            self._tell(_resolve, written)

    def _tell(self, action: object, *arguments: object) -> None:
        # The loop may be gone when the program ends without closing its lines.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(action, *arguments)  # type: ignore[arg-type]

    # ---- back on the loop

    def _receive(self, received: bytes) -> None:
        room = max(0, INCOMING_BYTES_MAX - len(self._incoming))
        self._incoming += received[:room]
        self.dropped_bytes += len(received) - len(received[:room])
        self._arrived.set()

    def _end(self, reason: str) -> None:
        self._down = LineDown(self.port, reason)
        _fail(self._opened, self._down)
        while not self._writes.empty():
            _, written = self._writes.get_nowait()
            _fail(written, LineDown(self.port, reason))
        self._arrived.set()
        self._ended.set()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: LineDown) -> None:
    if not future.done():
        future.set_exception(error)


@contextlib.asynccontextmanager
async def open_line(port: str, *, baud: int) -> AsyncIterator[SerialLine]:
    """Open the serial port at ``port`` for this program alone; 8 data bits, no parity, 1 stop bit.

    Raises:
        LineDown: The port is missing, taken by another program, or cannot be configured.
    """
    line = SerialLine(port, baud)
    try:
        await line._open()  # noqa: SLF001
        yield line
    finally:
        await line._close()  # noqa: SLF001
