"""Waiting for something to happen, at most so long: what tests replace by virtual time."""

import asyncio
from contextlib import suppress
from typing import Protocol


class WaitFor(Protocol):
    """How to wait for an event, at most so long; virtual in tests."""

    async def __call__(self, event: asyncio.Event, timeout_s: float | None) -> None:
        """Return once the event is set or the time is over."""


async def wait_for(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait for an event, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
