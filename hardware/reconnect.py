"""Reaching a device over and over: backoff, health, one log line per change."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from hardware.driver import Health
from shared.errors import SkerryError

log = logging.getLogger(__name__)


class WireDown(SkerryError):
    """A device, its port or its broker cannot be reached now: try again with backoff."""


class HealthLog:
    """Holds a driver's health; dates, logs and tells each change of it."""

    def __init__(self, name: str, now_ms: Callable[[], int]) -> None:
        self.current = Health(connected=False, detail="not started", since_ms=now_ms())
        self._name = name
        self._now_ms = now_ms
        self._changed: Callable[[], None] = lambda: None

    def watch(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each change."""
        self._changed = changed

    def connected(self, detail: str) -> None:
        """The device is reached."""
        self._set(connected=True, detail=detail)

    def lost(self, detail: str) -> None:
        """The device is not reached, and why."""
        self._set(connected=False, detail=detail)

    def _set(self, *, connected: bool, detail: str) -> None:
        # A device that is away for a week is one line in the log, not one every few seconds.
        if (connected, detail) == (self.current.connected, self.current.detail):
            return
        self.current = Health(connected=connected, detail=detail, since_ms=self._now_ms())
        log.log(logging.INFO if connected else logging.WARNING, "%s: %s", self._name, detail)
        self._changed()


class Backoff:
    """Full-jitter delays between attempts to reach a device.

    A fixed delay would bring every driver of a site back in step after one power cut.
    Source: Brooker, Exponential Backoff and Jitter, 2015.
    """

    def __init__(self, chance: random.Random, *, base_s: float = 0.5, max_s: float = 30.0) -> None:
        self._chance = chance
        self._base_s = base_s
        self._max_s = max_s
        self._failures = 0

    def reset(self) -> None:
        """Start again at the shortest delay: the device was reached."""
        self._failures = 0

    def next_s(self) -> float:
        """Return how long to wait now, in seconds, between 0 and a ceiling that doubles."""
        ceiling_s = min(self._max_s, self._base_s * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return self._chance.uniform(0.0, ceiling_s)


async def reconnect_for_ever(
    serve: Callable[[], Awaitable[None]], *, health: HealthLog, backoff: Backoff
) -> None:
    """Run ``serve`` (connect, then serve until the wire breaks) again and again until cancelled.

    ``serve`` calls ``backoff.reset`` once the device has proved useful, not when it merely
    connected: a device that accepts and drops at once must not be asked in a tight loop. If it has
    a TaskGroup it works in the group's body: Python 3.11 counts a child's failure as a cancellation
    of an owner that only waits for its children, and ``honour_cancel`` could not tell them apart.
    """
    while True:
        try:
            await serve()
        except* WireDown as group:
            health.lost(str(_first(group)))
        except* Exception as group:
            # One driver's bug must not end the agent's other drivers.
            log.exception("a driver failed; it starts again")
            health.lost(f"failed: {_first(group)!r}")
        honour_cancel()
        await asyncio.sleep(backoff.next_s())


def honour_cancel() -> None:
    """Raise CancelledError if this task was cancelled and something swallowed it.

    Python 3.11 does so in two places that drivers pass: ``asyncio.wait_for`` whose awaitable is
    done at the same moment (aiomqtt uses it), and a TaskGroup of which a child fails while its
    owner is cancelled. A driver that went on would keep the agent from ever stopping.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
