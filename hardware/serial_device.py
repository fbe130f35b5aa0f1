"""Driver ``serial-device``: a device on a serial line that answers what it is asked.

It reports nothing by itself and shows nothing; tasks of type ``serial`` ask through ``request``.
The driver alone has the port open, so two tasks can never speak into each other's sentence.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from hardware.device_wire import Said, Wire
from hardware.driver import Health, NotAnswered, NotAsked, Reply, Sink
from hardware.reconnect import Backoff, HealthLog, reconnect_for_ever
from hardware.serial_line import LineDown, SerialLine, open_line
from shared.core.kinds.equipment import State

log = logging.getLogger(__name__)

FRAME_GAP_S = 0.15  # a whole frame takes 71 ms at 9600 baud; USB adapters add up to 16 ms
QUIET_S = 0.5  # a device that was slow to answer is given this long to finish
RETRY_MAX_S = 5.0


class SerialDevice:
    """A device that is asked one thing at a time."""

    def __init__(
        self,
        driver_id: str,
        *,
        port: str,
        baud: int,
        make_wire: Callable[[], Wire],
        now_ms: Callable[[], int],
        chance: random.Random,
    ) -> None:
        self.id = driver_id
        self.unasked = 0
        """How many texts came that nobody had asked for, or too late."""
        self._port = port
        self._baud = baud
        self._make_wire = make_wire
        self._health = HealthLog(driver_id, now_ms)
        self._backoff = Backoff(chance, max_s=RETRY_MAX_S)
        self._turn = asyncio.Lock()
        self._line: SerialLine | None = None
        self._wire = make_wire()
        self._opened = asyncio.Event()
        self._number = 0
        self._awaited: asyncio.Future[Said] | None = None
        # A request was given up: its reply may still come, and a line does not say whose it is.
        self._owes = False
        self._heard = asyncio.Event()

    @property
    def health(self) -> Health:
        """Whether the port is open; the device itself may be switched off."""
        return self._health.current

    def watch_health(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each change of health."""
        self._health.watch(changed)

    @property
    def bytes_max(self) -> int:
        """How long a request may be, bytes of UTF-8."""
        return self._wire.bytes_max

    def desire(self, state: State | None) -> None:
        """Do nothing: the device has no lamp."""

    async def run(self, sink: Sink) -> None:
        """Hold the port open until cancelled. Nothing is put in ``sink``."""
        await reconnect_for_ever(self._serve, health=self._health, backoff=self._backoff)

    async def request(self, text: str, *, timeout_s: float) -> Reply:
        """Send ``text`` and return what the device says to it.

        The time counts from the call: waiting for the port, and for those who asked before, is
        part of it.

        Raises:
            NotAsked: Nothing was sent: the port is not open, or others took all the time. Or the
                text does not fit, which ``bytes_max`` tells beforehand.
            NotAnswered: It was sent, and no reply came: the device may have acted.
        """
        if len(text.encode()) > self.bytes_max or any(end in text for end in "\r\n"):
            raise NotAsked(f"{self.id}: a request is one line of at most {self.bytes_max} bytes")
        is_sent = False
        try:
            async with asyncio.timeout(timeout_s), self._turn:
                line = await self._ready()
                self._number = (self._number + 1) & 0xFFFF
                self._awaited = asyncio.get_running_loop().create_future()
                is_sent = self._owes = True
                await line.write(self._wire.encode_request(text, self._number))
                said = await self._awaited
                self._owes = False
        except TimeoutError as error:
            if is_sent:
                raise NotAnswered(f"{self.id} did not answer within {timeout_s:g} s") from error
            detail = "others were asking" if self._line else self._health.current.detail
            raise NotAsked(f"{self.id} was not asked within {timeout_s:g} s: {detail}") from error
        except LineDown as error:
            raise (NotAnswered if is_sent else NotAsked)(f"{self.id}: {error}") from error
        else:
            return Reply(said.text, said.cut)
        finally:
            if is_sent:
                self._awaited = None

    async def _ready(self) -> SerialLine:
        """Return the line once it is open, and quiet if a reply may still be under way."""
        while True:
            await self._opened.wait()
            if self._owes and not self._wire.numbered and not await self._is_quiet():
                continue
            if self._line is not None:
                return self._line

    async def _is_quiet(self) -> bool:
        self._heard.clear()
        try:
            async with asyncio.timeout(QUIET_S):
                await self._heard.wait()
        except TimeoutError:
            return True
        return False

    async def _serve(self) -> None:
        async with open_line(self._port, baud=self._baud) as line:
            self._wire = self._make_wire()
            self._owes = False
            self._line = line
            self._opened.set()
            self._health.connected(f"device on {self._port}")
            try:
                await self._read(line)
            except LineDown as error:
                if self._awaited is not None and not self._awaited.done():
                    self._awaited.set_exception(LineDown(self._port, error.reason))
                raise
            finally:
                self._line = None
                self._opened.clear()

    async def _read(self, line: SerialLine) -> None:
        while True:
            try:
                async with asyncio.timeout(FRAME_GAP_S if self._wire.partial else None):
                    received = await line.read()
            except TimeoutError:
                self._take(self._wire.gap())
            else:
                self._heard.set()
                self._take(self._wire.feed(received))

    def _take(self, all_said: list[Said]) -> None:
        for said in all_said:
            awaited = self._awaited
            is_ours = said.number in (None, self._number)
            if awaited is None or awaited.done() or not is_ours:
                self.unasked += 1
                log.debug("%s: nobody asked for %.80r", self.id, said.text)
                continue
            self._backoff.reset()
            awaited.set_result(said)
