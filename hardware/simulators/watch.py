"""Waiting until something is so, instead of sleeping."""

import asyncio
from collections.abc import Callable


class Watch:
    """Wakes those who wait for a condition each time something may have changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Say that something changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool], *, timeout_s: float) -> None:
        """Return once ``condition`` holds.

        Raises:
            TimeoutError: It did not come to hold within ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._changed.wait()
