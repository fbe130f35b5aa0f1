"""Handler ``wait``: takes its time and does nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import msgspec

from agent.handlers.handler import Output, Run
from shared.errors import Invalid

SECONDS_MAX = 24 * 3600


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a ``wait`` task."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=SECONDS_MAX)]


class Wait:
    """Waits for as long as its task says."""

    type = "wait"
    timeout_s = SECONDS_MAX + 60.0

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether it names a number of seconds, from 0 to a day."""
        _read(payload)

    async def run(self, run: Run) -> Output:
        """Wait."""
        await self._sleep(_read(run.payload).seconds)
        return {}


def _read(payload: Mapping[str, Any]) -> Payload:
    try:
        return msgspec.convert(payload, Payload)
    except msgspec.ValidationError as error:
        text = str(error).replace("`$", "`$.payload")
        raise Invalid(f"payload of a wait task: {text}", (("$.payload", text),)) from error
