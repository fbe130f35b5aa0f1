"""Waiting until something is so, never for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from demo.errors import DemoFailed

LOOK_S = 0.05

T = TypeVar("T")


async def until(what: str, look: Callable[[], Awaitable[T | None]], timeout_s: float) -> T:
    """Look again and again until ``look`` returns something.

    Args:
        what: What is waited for, as a sentence.
        look: Returns what was found; None: not yet.
        timeout_s: Longest wait, seconds.

    Raises:
        DemoFailed: It was not so in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while (found := await look()) is None:  # noqa: ASYNC110 - other processes' doing
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise DemoFailed(f"not so after {timeout_s:g} s: {what}") from None
    return found
