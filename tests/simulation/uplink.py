"""An agent's way to the hub in virtual time: dials, runs a session, comes back with jitter."""

from collections.abc import Callable
from random import Random

from shared.store import exchange
from shared.sync import device
from shared.sync.frame import Down, Up
from tests.simulation.node import Node
from tests.simulation.session import DeviceEnd, HostEnd
from tests.simulation.wire import BOTH, TO_AGENT, TO_HUB, Link, Wire

RETRY_BASE_MS, RETRY_MAX_MS = 250, 30_000


class Uplink:
    """Keeps a session up while agent, link and hub allow."""

    def __init__(
        self,
        agent: Node,
        hub: Node,
        link: Link,
        sessions: dict[str, HostEnd],
        *,
        chance: Random,
        on_up: Callable[[Node, Up], None],
        on_down: Callable[[Node, Down], None],
    ) -> None:
        self._agent = agent
        self._hub = hub
        self._link = link
        self._sessions = sessions
        self._chance = chance
        self._on_up = on_up
        self._on_down = on_down
        self._attempt = 0

    def start(self) -> None:
        """Begin to dial; to be called whenever the agent's process starts."""
        self._attempt = 0
        self._dial_later()

    def _dial_later(self) -> None:
        """Full jitter, as in production: a fleet must not return together."""
        longest = min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** min(self._attempt, 16))
        self._attempt += 1
        self._agent.after(self._chance.randint(0, longest), "dial", self._dial)

    def _dial(self) -> None:
        if not all(self._link.is_open.values()):
            self._dial_later()
            return
        self._agent.after(2 * self._link.delay(), "connect", self._connect)

    def _connect(self) -> None:
        if not all(self._link.is_open.values()) or not self._hub.is_up:
            self._dial_later()
            return
        wire = Wire(self._link)
        self._link.wire = wire
        theirs = HostEnd(
            self._hub, wire, self._sessions, on_end=lambda _: None, on_down=self._on_down
        )
        mine = DeviceEnd(self._agent, wire, on_end=lambda _: self._ended(mine), on_up=self._on_up)
        wire.ends = {TO_HUB: theirs, TO_AGENT: mine}
        assert set(wire.ends) == set(BOTH)
        mine.step(device.Opened())

    def _ended(self, session: DeviceEnd) -> None:
        if session.was_open:
            self._attempt = 0
        stored = dict(session.stored)
        if stored:
            self._agent.write(lambda tx: exchange.note_stored(tx, stored), lambda _: None)
        self._dial_later()
