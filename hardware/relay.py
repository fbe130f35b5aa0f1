"""Driver ``relay-light``: a stack light on a USB relay board of the LCUS type.

The board takes frames ``A0 relay on check``, where ``check`` is the low byte of the sum of the
first three, at 9600 baud. It answers nothing (some models answer ``FF`` with text; what arrives is
read and dropped), so what it shows is known only from what was last sent: after every reconnect all
lamps are sent again.
"""

import asyncio
import random
from collections.abc import Callable

from hardware.driver import Health, Sink
from hardware.reconnect import Backoff, HealthLog, reconnect_for_ever
from hardware.serial_line import SerialLine, open_line
from hardware.settings import Relays
from shared.core.kinds.equipment import State

START = 0xA0
FRAME_BYTES = 4
FRAME_GAP_S = 0.02  # the boards' small controllers lose frames that follow at once
RETRY_MAX_S = 5.0  # a light that was plugged in again must not stay dark for long


def relay_frame(relay: int, *, on: bool) -> bytes:
    """Return the frame that switches one relay (1 to 255)."""
    head = bytes((START, relay, int(on)))
    return head + bytes((sum(head) & 0xFF,))


def lamp_frames(relays: Relays, state: State | None) -> list[bytes]:
    """Return the frames after which exactly the lamp of ``state`` is lit, or none.

    All others go out first: two lamps at once would be a state that nobody reported.
    """
    lamps = {State.GREEN: relays.green, State.YELLOW: relays.yellow, State.RED: relays.red}
    dark = [relay_frame(relay, on=False) for lamp, relay in lamps.items() if lamp is not state]
    return dark if state is None else [*dark, relay_frame(lamps[state], on=True)]


class RelayLight:
    """A light that shows the desired state; it observes nothing."""

    def __init__(
        self,
        driver_id: str,
        *,
        port: str,
        baud: int,
        relays: Relays,
        now_ms: Callable[[], int],
        chance: random.Random,
    ) -> None:
        self.id = driver_id
        self._port = port
        self._baud = baud
        self._relays = relays
        self._health = HealthLog(driver_id, now_ms)
        self._backoff = Backoff(chance, max_s=RETRY_MAX_S)
        self._desired: State | None = None
        self._changed = asyncio.Event()

    @property
    def health(self) -> Health:
        """Whether the board takes frames now."""
        return self._health.current

    def watch_health(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each change of health."""
        self._health.watch(changed)

    def desire(self, state: State | None) -> None:
        """Light exactly the lamp of ``state``; None: all dark."""
        if state is not self._desired:
            self._desired = state
            self._changed.set()

    async def run(self, sink: Sink) -> None:
        """Drive the lamps until cancelled. Nothing is put in ``sink``: a light sees nothing."""
        await reconnect_for_ever(self._serve, health=self._health, backoff=self._backoff)

    async def _serve(self) -> None:
        async with open_line(self._port, baud=self._baud) as line, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._notice_unplug(line), name=f"{self.id} read")
            await self._show(line)

    async def _notice_unplug(self, line: SerialLine) -> None:
        while True:
            await line.read()

    async def _show(self, line: SerialLine) -> None:
        while True:
            self._changed.clear()
            for frame in lamp_frames(self._relays, self._desired):
                await line.write(frame)
                await asyncio.sleep(FRAME_GAP_S)
            self._backoff.reset()
            self._health.connected(f"light on {self._port}")
            await self._changed.wait()
