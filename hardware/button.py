"""Driver ``button``: a box with three buttons on a serial line (``button_wire`` has its words).

A press is acknowledged only once it is durable, so the box can tell its operator. A press whose
acknowledgement was lost comes again, is acknowledged again, and is reported once.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from hardware.button_wire import Press, PressId, decode_press, encode_ack
from hardware.driver import Health, Sink
from hardware.framing import Framer, encode
from hardware.reconnect import Backoff, HealthLog, reconnect_for_ever
from hardware.serial_line import LineDown, SerialLine, open_line
from shared.core.kinds.equipment import State

log = logging.getLogger(__name__)

FRAME_GAP_S = 0.15  # a whole frame takes 71 ms at 9600 baud; USB adapters add up to 16 ms
RETRY_MAX_S = 5.0


class Button:
    """A box whose presses are reports of the operator. It has no lamp to show anything."""

    def __init__(
        self,
        driver_id: str,
        *,
        port: str,
        baud: int,
        now_ms: Callable[[], int],
        chance: random.Random,
    ) -> None:
        self.id = driver_id
        self.malformed = 0
        """How many whole frames said nothing that this driver understands."""
        self._port = port
        self._baud = baud
        self._health = HealthLog(driver_id, now_ms)
        self._backoff = Backoff(chance, max_s=RETRY_MAX_S)
        self._line: SerialLine | None = None
        self._stored: PressId | None = None
        self._refused: PressId | None = None
        # One press at a time, as the box sends them. A report outlives the line it came from: the
        # box may have lost its power together with its plug, and could never repeat it.
        self._taken: Press | None = None
        self._arrived = asyncio.Event()

    @property
    def health(self) -> Health:
        """Whether the port is open."""
        return self._health.current

    def watch_health(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each change of health."""
        self._health.watch(changed)

    def desire(self, state: State | None) -> None:
        """Do nothing: the box has no lamp."""

    async def run(self, sink: Sink) -> None:
        """Report presses until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report(sink), name=f"{self.id} report")
            tasks.create_task(
                reconnect_for_ever(self._serve, health=self._health, backoff=self._backoff),
                name=f"{self.id} read",
            )

    async def _serve(self) -> None:
        async with open_line(self._port, baud=self._baud) as line:
            self._health.connected(f"button box on {self._port}")
            self._line = line
            try:
                await self._read(line)
            finally:
                self._line = None

    async def _read(self, line: SerialLine) -> None:
        framer = Framer()
        while True:
            try:
                async with asyncio.timeout(FRAME_GAP_S if framer.partial else None):
                    payloads = framer.feed(await line.read())
            except TimeoutError:
                payloads = framer.gap()
            for payload in payloads:
                self._backoff.reset()
                await self._receive(payload, line)

    async def _receive(self, payload: bytes, line: SerialLine) -> None:
        press = decode_press(payload)
        if press is None:
            self.malformed += 1
            log.warning("%s: frame of %d bytes not understood", self.id, len(payload))
        elif press.id == self._stored:
            await line.write(encode(encode_ack(press.id)))
        elif self._taken is None:
            self._taken = press
            self._arrived.set()

    async def _report(self, sink: Sink) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            press = self._taken
            assert press is not None
            try:
                await sink(press.observation)
            except Exception:
                # Not acknowledged: the box sends it again and shows its operator that it waits.
                # Logged once a press: the box repeats it twice a second.
                level = logging.DEBUG if press.id == self._refused else logging.ERROR
                self._refused = press.id
                log.log(level, "%s: press not stored", self.id, exc_info=True)
            else:
                self._stored = press.id
                await self._acknowledge(press.id)
            finally:
                self._taken = None

    async def _acknowledge(self, press: PressId) -> None:
        if self._line is None:
            return  # the box asks again once it is plugged in
        try:
            await self._line.write(encode(encode_ack(press)))
        except LineDown as error:
            log.info("%s: acknowledgement not sent: %s", self.id, error)
