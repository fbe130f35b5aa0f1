"""Handler ``wait``: takes its time and does nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import msgspec

from agent.handlers.handler import Output, Run, read_payload

SECONDS_MAX = 24 * 3600
PROGRESS_S = 5.0  # often enough for who watches a board


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a ``wait`` task."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=SECONDS_MAX)]


class Wait:
    """Waits for as long as its task says."""

    type = "wait"
    timeout_s = SECONDS_MAX + 60.0

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock_s: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self._sleep = sleep
        self._clock_s = clock_s

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether it names a number of seconds, from 0 to a day."""
        _read(payload)

    async def run(self, run: Run) -> Output:
        """Wait, and tell how long it has waited.

        The parts are measured against one end: a day of parts that each end a little late would
        end a minute late.
        """
        seconds = _read(run.payload).seconds
        every_s = min(PROGRESS_S, (run.heartbeat_s or 2 * PROGRESS_S) / 2)
        started_s = self._clock_s()
        left_s = seconds
        while left_s > 0:
            run.progress({"waited_s": round(seconds - left_s, 1), "seconds": seconds})
            await self._sleep(min(every_s, left_s))
            left_s = seconds - (self._clock_s() - started_s)
        run.progress({"waited_s": seconds, "seconds": seconds})
        return {}


def _read(payload: Mapping[str, Any]) -> Payload:
    return read_payload(payload, Payload, "wait")
