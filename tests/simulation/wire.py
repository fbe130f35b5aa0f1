"""The network: per agent a link that may be cut, on it connections that carry ordered frames.

A cut loses what is in flight and what is sent afterwards, in one or both directions, and each end
learns of it only later, as with TCP and heartbeats. A frame may also come twice: a stream never
does that, but a bundle file and a retrying proxy do, and the session promises to bear it.
"""

from collections.abc import Iterable
from random import Random
from typing import Protocol

from tests.simulation.timeline import Timeline

NOTICE_MS_MAX = 22_500  # a ping each 15 s, half of that for its answer
TO_HUB, TO_AGENT = "to hub", "to agent"
BOTH = (TO_HUB, TO_AGENT)


class End(Protocol):
    """A process at one end of a connection."""

    def hear(self, data: bytes) -> None:
        """Take a frame."""

    def lose(self, reason: str) -> None:
        """Take notice that the connection is gone."""


class Link:
    """The way between an agent and the hub.

    Attributes:
        name: Of the agent.
        is_open: Whether frames pass, by direction.
        repeats: Chance that a frame comes twice.
        wire: Connection used last.
    """

    def __init__(self, timeline: Timeline, name: str, chance: Random) -> None:
        self.timeline = timeline
        self.name = name
        self.chance = chance
        self.latency_ms = chance.choice((1, 5, 40, 200))
        self.is_open = dict.fromkeys(BOTH, True)
        self.repeats = 0.0
        self.wire: Wire | None = None

    def cut(self, directions: Iterable[str]) -> None:
        """Stop passing frames; the connection on it is doomed."""
        for direction in directions:
            self.is_open[direction] = False
        if self.wire is not None:
            self.wire.doom(directions)

    def drop(self) -> None:
        """Break the connection; the next one may come at once."""
        if self.wire is not None:
            self.wire.doom(BOTH)

    def mend(self) -> None:
        """Let frames pass again, for new connections."""
        self.is_open = dict.fromkeys(BOTH, True)

    def delay(self) -> int:
        """Return how long one message takes, ms."""
        return self.latency_ms + self.chance.randint(0, self.latency_ms)


class Wire:
    """One connection. ``ends`` maps the direction that leads to an end to that end."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.ends: dict[str, End] = {}
        self._passes = dict(link.is_open)
        self._last = dict.fromkeys(BOTH, 0)

    def send(self, direction: str, frame: bytes, *, may_repeat: bool) -> None:
        """Carry a frame, after all that were sent before it, and perhaps once more."""
        if not self._passes[direction]:
            return
        self._deliver(direction, frame, self._in_order(direction))
        if may_repeat and self._link.chance.random() < self._link.repeats:
            again = self._link.delay() + self._link.chance.randint(0, 500)
            self._deliver(direction, frame, again)

    def close(self, direction: str, reason: str) -> None:
        """Tell one end, after all frames to it, that the other is gone."""
        timeline = self._link.timeline
        if self._passes[direction]:
            delay = self._in_order(direction)
        else:
            delay = self._link.chance.randint(0, NOTICE_MS_MAX)
        timeline.at(
            delay, self._link.name, f"closed {direction}", lambda: self._lose(direction, reason)
        )

    def doom(self, directions: Iterable[str]) -> None:
        """Lose what is under way in these directions; both ends learn of it in their time."""
        for direction in directions:
            self._passes[direction] = False
        for direction in BOTH:
            delay = self._link.chance.randint(0, NOTICE_MS_MAX)
            self._link.timeline.at(
                delay,
                self._link.name,
                f"notices the break {direction}",
                lambda d=direction: self._lose(d, "no heartbeat"),  # type: ignore[misc]
            )

    def _in_order(self, direction: str) -> int:
        now = self._link.timeline.now_ms
        self._last[direction] = max(self._last[direction], now + self._link.delay())
        return self._last[direction] - now

    def _deliver(self, direction: str, frame: bytes, delay: int) -> None:
        def arrive() -> None:
            if self._passes[direction]:
                self.ends[direction].hear(frame)

        what = f"{direction} {len(frame)} bytes"
        self._link.timeline.at(delay, self._link.name, what, arrive)

    def _lose(self, direction: str, reason: str) -> None:
        self.ends[direction].lose(reason)
