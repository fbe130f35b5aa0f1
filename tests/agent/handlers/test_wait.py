"""Handler ``wait``."""

from pathlib import Path
from typing import Any

import pytest

from agent.handlers.handler import Run
from agent.handlers.wait import Wait
from shared.errors import Invalid


async def test_it_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    assert await Wait(sleep).run(Run("t", "a", 1, {"seconds": 2.5}, "t", tmp_path)) == {}
    assert slept == [2.5]


@pytest.mark.parametrize(
    "payload", [{}, {"seconds": -1}, {"seconds": 86_401}, {"seconds": "1"}, {"seconds": 1, "x": 2}]
)
def test_a_payload_without_a_possible_time_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="payload of a wait task"):
        Wait().check(payload)
