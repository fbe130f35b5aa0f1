"""Handler ``wait``."""

from pathlib import Path
from typing import Any

import pytest

from agent.handlers.handler import LatestNotes, Run
from agent.handlers.wait import Wait
from shared.errors import Invalid


class Clock:
    """Time that passes only by sleeping, each time a little more than asked for."""

    def __init__(self, notes: LatestNotes) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []
        self.told: list[Any] = []
        self._notes = notes

    async def sleep(self, seconds: float) -> None:
        self.told.append(self._notes.latest)
        self.slept.append(seconds)
        self.now_s += seconds + 0.25


async def waited(seconds: float, folder: Path) -> Clock:
    notes = LatestNotes()
    clock = Clock(notes)
    run = Run("t", "a", 1, {"seconds": seconds}, "t", folder, notes)
    assert await Wait(clock.sleep, lambda: clock.now_s).run(run) == {}
    clock.told.append(notes.latest)
    return clock


async def test_it_waits_as_long_as_it_is_told_and_says_so(tmp_path: Path) -> None:
    clock = await waited(12, tmp_path)
    assert clock.slept == [5, 5, 1.5]
    assert [value["waited_s"] for value in clock.told] == [0, 5.2, 10.5, 12]
    assert clock.told[0]["seconds"] == 12


async def test_no_time_is_no_wait(tmp_path: Path) -> None:
    assert (await waited(0, tmp_path)).slept == []


async def test_it_waits_by_the_clock_of_the_loop(tmp_path: Path) -> None:
    assert await Wait().run(Run("t", "a", 1, {"seconds": 0.01}, "t", tmp_path)) == {}


async def test_it_tells_that_it_lives_as_often_as_its_task_asks(tmp_path: Path) -> None:
    """✗ With a heartbeat of less than five seconds it was stopped each time."""
    slept: list[float] = []
    now_s = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        slept.append(seconds)
        now_s += seconds

    run = Run("t", "a", 1, {"seconds": 4}, "t", tmp_path, heartbeat_s=2)
    await Wait(sleep, lambda: now_s).run(run)
    assert slept == [1.0] * 4


@pytest.mark.parametrize(
    "payload", [{}, {"seconds": -1}, {"seconds": 86_401}, {"seconds": "1"}, {"seconds": 1, "x": 2}]
)
def test_a_payload_without_a_possible_time_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="payload of type wait"):
        Wait().check(payload)


def test_where_the_work_is_concerns_the_hub_alone() -> None:
    Wait().check({"seconds": 1, "zone": "ward-7", "at": {"x": 3, "y": 4}})
    with pytest.raises(Invalid):
        Wait().check({"seconds": 1, "where": "ward-7"})
