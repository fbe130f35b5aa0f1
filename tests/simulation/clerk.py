"""The hub's side of bookings in virtual time: what it does with what arrives, and by the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from hub import booking_routes, deciding
from shared.api.route import Answer
from shared.store import windows
from tests.simulation.node import Node

TICKS_MS = (1_500, 30_000)  # between two looks at the clock; after a full disk it is long

Write = Callable[..., None]


@dataclass(frozen=True)
class Clerk:
    """What the hub does; a planted hub does one thing otherwise.

    Attributes:
        react: To a batch that arrives.
        expire: What has run out.
        rest: Decide what is undecided for whatever reason.
        turn: Let bookings that come near enter the scope of all.
        create: For a person at the hub.
        change: The same.
        remove: The same.
    """

    react: Callable[..., None] = deciding.react
    expire: Callable[..., int] = deciding.expire_due
    rest: Callable[..., int] = deciding.decide_rest
    turn: Callable[..., bool] = windows.turn
    create: Callable[..., Answer] = booking_routes._create
    change: Callable[..., Answer] = booking_routes._change
    remove: Callable[..., Answer] = booking_routes._remove


class Keeper:
    """Keeps time, as ``hub/booking_keeper.py`` does.

    Attributes:
        tick_ms: Between two looks at the clock, at most.
        is_done: No more looks.
    """

    def __init__(self, hub: Node, chance: Random, clerk: Clerk, write: Write) -> None:
        self._hub = hub
        self._chance = chance
        self._clerk = clerk
        self._write = write
        self.tick_ms = chance.choice(TICKS_MS)
        self.is_done = False

    def start(self) -> None:
        """Begin with the hub's process."""
        if not self.is_done:
            self._hub.after(self._chance.randint(1, self.tick_ms), "keeps time", self._tick)

    def _tick(self) -> None:
        hub, clerk = self._hub, self._clerk
        reading, now_ms = hub.reading(), hub.clock.now_ms()
        if reading.query(deciding.DUE, now_ms, 1):
            self._write(hub, clerk.expire)
        if reading.query(deciding.UNDECIDED, 1):
            self._write(hub, clerk.rest)
        if windows.is_due(reading, now_ms):
            self._write(hub, self._turn)
        self.start()

    def _turn(self, tx: Any) -> None:
        while self._clerk.turn(tx):
            pass
