"""An LCUS-type USB relay board with a lamp on each relay."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from hardware.relay import FRAME_BYTES, START
from hardware.settings import Relays
from hardware.simulators.plug import Plug
from hardware.simulators.watch import Watch
from shared.core.kinds.equipment import State

RELAYS = 8
LIGHT = Relays(red=1, yellow=2, green=3)


class RelaySimulator:
    """Takes frames, switches relays, ignores what is no frame. Without power all relays are off."""

    def __init__(
        self,
        link: Path,
        *,
        light: Relays = LIGHT,
        changed: Callable[[frozenset[State]], None] | None = None,
    ) -> None:
        self.plug = Plug(link, self._receive)
        self.frames = 0
        """How many valid frames arrived."""
        self._lamps: Mapping[int, State] = MappingProxyType(
            {light.red: State.RED, light.yellow: State.YELLOW, light.green: State.GREEN}
        )
        self._changed = changed
        self._on: frozenset[int] = frozenset()
        self._pending = bytearray()
        self._watch = Watch()

    @property
    def lit(self) -> frozenset[State]:
        """Which lamps are lit."""
        return frozenset(lamp for relay, lamp in self._lamps.items() if relay in self._on)

    def unplug(self) -> None:
        """Pull the plug: the board loses its power."""
        self.plug.unplug()
        self._pending.clear()
        self._switch(frozenset())

    async def until_lit(self, *states: State, timeout_s: float = 10.0) -> None:
        """Return once exactly these lamps are lit; raises TimeoutError."""
        await self._watch.until(lambda: self.lit == frozenset(states), timeout_s=timeout_s)

    async def until_frames(self, count: int, timeout_s: float = 10.0) -> None:
        """Return once at least ``count`` valid frames arrived; raises TimeoutError."""
        await self._watch.until(lambda: self.frames >= count, timeout_s=timeout_s)

    def _receive(self, received: bytes) -> None:
        self._pending += received
        while True:
            start = self._pending.find(START)
            del self._pending[: len(self._pending) if start < 0 else start]
            if len(self._pending) < FRAME_BYTES:
                return
            _, relay, on, checksum = self._pending[:FRAME_BYTES]
            if on > 1 or checksum != (START + relay + on) & 0xFF:
                del self._pending[:1]
                continue
            del self._pending[:FRAME_BYTES]
            self.frames += 1
            if 1 <= relay <= RELAYS:
                self._switch(self._on | {relay} if on else self._on - {relay})
            self._watch.notify()

    def _switch(self, on: frozenset[int]) -> None:
        if on == self._on:
            return
        self._on = on
        if self._changed is not None:
            self._changed(self.lit)
        self._watch.notify()
