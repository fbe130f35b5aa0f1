"""A box with three buttons, and a reason chosen on its dial."""

import asyncio
import random
from pathlib import Path

from hardware.button_wire import RESEND_S, Press, PressId, decode_ack, encode_press
from hardware.driver import Observation
from hardware.framing import Framer, encode
from hardware.simulators.plug import Plug
from hardware.simulators.watch import Watch
from shared.core.kinds.equipment import State


class ButtonSimulator:
    """Sends a press until it is acknowledged; one after the other."""

    def __init__(self, link: Path, *, chance: random.Random) -> None:
        self.plug = Plug(link, self._receive)
        self.sent = 0
        """How many times a press was sent, repetitions counted."""
        self._framer = Framer()
        self._box = chance.getrandbits(16)
        self._number = 0
        self._acknowledged: PressId | None = None
        self._one_at_a_time = asyncio.Lock()
        self._watch = Watch()

    async def press(self, state: State, reason: str | None = None, *, timeout_s: float) -> None:
        """Press a button; return once the press is stored on the other side.

        Raises:
            ValueError: The reason is too long for a frame.
            TimeoutError: No acknowledgement within ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s), self._one_at_a_time:
            self._number = (self._number + 1) & 0xFFFF
            press = Press(PressId(self._box, self._number), Observation(state, reason))
            while self._acknowledged != press.id:
                await self._send(press)

    async def _send(self, press: Press) -> None:
        self.plug.write(encode(encode_press(press)))
        self.sent += 1
        try:
            await self._watch.until(lambda: self._acknowledged == press.id, timeout_s=RESEND_S)
        except TimeoutError:
            return  # sent again by the caller

    def _receive(self, received: bytes) -> None:
        for payload in self._framer.feed(received):
            self._acknowledged = decode_ack(payload) or self._acknowledged
        self._watch.notify()
