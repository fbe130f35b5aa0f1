"""The stack light: frames, and the driver against a board on a real pseudo terminal."""

import random
from pathlib import Path

import pytest

from hardware.relay import RelayLight, lamp_frames, relay_frame
from hardware.settings import Relays
from hardware.simulators.relay import LIGHT, RelaySimulator
from shared.core.kinds.equipment import State
from tests.hardware.bench import MemorySink, eventually, running

RED, YELLOW, GREEN = State.RED, State.YELLOW, State.GREEN


def light(link: Path, seed: int = 1) -> RelayLight:
    return RelayLight(
        "light-1",
        port=str(link),
        baud=9600,
        relays=LIGHT,
        now_ms=lambda: 0,
        chance=random.Random(seed),
    )


@pytest.mark.parametrize(
    ("relay", "on", "frame"),
    [(1, True, "a00101a2"), (1, False, "a00100a1"), (3, True, "a00301a4"), (255, True, "a0ff01a0")],
)
def test_frames_are_those_of_the_board(relay: int, on: bool, frame: str) -> None:
    assert relay_frame(relay, on=on).hex() == frame


def test_all_other_lamps_go_out_before_one_is_lit() -> None:
    relays = Relays(red=4, yellow=2, green=1)
    assert lamp_frames(relays, YELLOW) == [
        relay_frame(1, on=False),
        relay_frame(4, on=False),
        relay_frame(2, on=True),
    ]
    assert len(lamp_frames(relays, None)) == 3


async def test_exactly_the_desired_lamp_is_lit(tmp_path: Path) -> None:
    seen: list[frozenset[State]] = []
    board = RelaySimulator(tmp_path / "light", changed=seen.append)
    board.plug.plug()
    driver = light(board.plug.link)
    driver.desire(GREEN)
    async with running(driver, MemorySink()):
        await board.until_lit(GREEN)
        await eventually(lambda: driver.health.connected)
        driver.desire(RED)
        await board.until_lit(RED)
        driver.desire(None)
        await board.until_lit()
    board.unplug()
    assert all(len(lit) <= 1 for lit in seen), "two lamps at once is a state nobody reported"


async def test_a_light_plugged_in_late_shows_the_newest_state(tmp_path: Path) -> None:
    board = RelaySimulator(tmp_path / "light")
    driver = light(board.plug.link)
    async with running(driver, MemorySink()):
        driver.desire(GREEN)
        await eventually(lambda: "No such file" in driver.health.detail)
        driver.desire(RED)
        board.plug.plug()
        await board.until_lit(RED)
    board.unplug()


@pytest.mark.parametrize("frames", range(4))
async def test_the_light_is_right_after_an_unplug_in_mid_command(
    tmp_path: Path, frames: int
) -> None:
    """The plug goes after each frame of a change; the next board knows nothing."""
    board = RelaySimulator(tmp_path / "light")
    board.plug.plug()
    driver = light(board.plug.link, seed=frames)
    driver.desire(GREEN)
    async with running(driver, MemorySink()):
        await board.until_lit(GREEN)
        before = board.frames
        driver.desire(RED)
        await board.until_frames(before + frames)
        board.unplug()
        assert board.lit == frozenset()
        await eventually(lambda: not driver.health.connected)
        board.plug.plug()
        await board.until_lit(RED)
    board.unplug()


async def test_what_the_board_says_is_ignored(tmp_path: Path) -> None:
    board = RelaySimulator(tmp_path / "light")
    board.plug.plug()
    driver = light(board.plug.link)
    async with running(driver, MemorySink()):
        driver.desire(YELLOW)
        await board.until_lit(YELLOW)
        for _ in range(20):
            board.plug.write(b"CH1: ON \r\nCH2: OFF\r\n")
        driver.desire(GREEN)
        await board.until_lit(GREEN)
        assert driver.health.connected
    board.unplug()


async def test_the_board_ignores_garbage_between_frames(tmp_path: Path) -> None:
    board = RelaySimulator(tmp_path / "light")
    board._receive(b"\xa0\xa0\x07\xff" + relay_frame(1, on=True)[:2])
    board._receive(relay_frame(1, on=True)[2:] + b"\xa0\x02\x01\x00" + relay_frame(3, on=True))
    assert board.lit == {RED, GREEN}
