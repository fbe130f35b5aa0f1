"""The Protocol that every driver keeps, and the values that cross it."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from shared.core.kinds.equipment import State
from shared.errors import SkerryError


class Observation(msgspec.Struct, frozen=True):
    """What a machine, or the button its operator pressed, reports."""

    state: State
    reason: str | None = None


class Health(msgspec.Struct, frozen=True):
    """Whether a driver reaches its device. Freshness is separate from state: it is no colour."""

    connected: bool
    detail: str
    since_ms: int
    """Wall clock, Unix ms, when ``connected`` or ``detail`` last changed."""


class Sink(Protocol):
    """Where a driver puts what it observed."""

    async def __call__(self, observation: Observation) -> None:
        """Return once the observation is durable in the journal, or needs no event.

        This may take seconds (the dwell), so a driver may call again before an earlier call has
        returned; it calls in the order of its observations.

        Raises:
            Exception: The observation was not stored. The driver must not acknowledge it to its
                device, and offers it again.
        """


class Driver(Protocol):
    """A device on a wire. Owns its port, reconnects for ever, never blocks the loop."""

    @property
    def id(self) -> str:
        """The name given in the settings."""

    @property
    def health(self) -> Health:
        """Whether the device is reached now, and since when."""

    def watch_health(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each change of ``health``, on the event loop's thread."""

    def desire(self, state: State | None) -> None:
        """Have the device show ``state``, or nothing.

        Remembered, and asserted again after every reconnect. Call it on the event loop's thread.
        """

    async def run(self, sink: Sink) -> None:
        """Serve the device until cancelled; trouble on the wire is logged, never raised."""


# ------------------------------------------------------------------ devices that can be asked


class Reply(msgspec.Struct, frozen=True):
    """What a device said to a request."""

    text: str
    cut: bool = False
    """It was longer, and this is the beginning."""


class NotAsked(SkerryError):
    """The request did not leave: the device has not acted, asking again is harmless."""


class NotAnswered(SkerryError):
    """The request left and no reply came: nobody knows whether the device acted."""


@runtime_checkable
class Askable(Protocol):
    """What a driver offers beside ``Driver`` if its device answers requests."""

    @property
    def id(self) -> str:
        """The name given in the settings."""

    @property
    def bytes_max(self) -> int:
        """How long a request may be, bytes of UTF-8."""

    async def request(self, text: str, *, timeout_s: float) -> Reply:
        """Ask the device, one request at a time; takes at most ``timeout_s``.

        Raises:
            NotAsked: Nothing was sent.
            NotAnswered: It was sent, and no reply came.
        """
