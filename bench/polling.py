"""Waiting for what announces no change."""

import asyncio
from collections.abc import Awaitable, Callable

POLL_S = 0.002  # finer than any figure that rests on it


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
    """Return once the condition holds.

    Raises:
        TimeoutError: It did not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(POLL_S)
