"""The button box: its words, and the driver against a box on a real pseudo terminal."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.button import Button
from hardware.button_wire import (
    REASON_BYTES_MAX,
    Press,
    PressId,
    decode_ack,
    decode_press,
    encode_ack,
    encode_press,
)
from hardware.driver import Observation
from hardware.framing import Framer, encode
from hardware.simulators.button import ButtonSimulator
from hardware.simulators.plug import Plug
from shared.core.kinds.equipment import State
from tests.hardware.bench import WAIT_S, MemorySink, eventually, running

JAM = Observation(State.RED, "jam")
ids = st.builds(PressId, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))


def button(link: Path) -> Button:
    return Button("button-1", port=str(link), baud=9600, now_ms=lambda: 0, chance=random.Random(1))


def box(link: Path) -> ButtonSimulator:
    simulator = ButtonSimulator(link, chance=random.Random(2))
    simulator.plug.plug()
    return simulator


@given(ids, st.sampled_from(State), st.text(max_size=14))
def test_a_press_reads_as_it_was_written(press: PressId, state: State, reason: str) -> None:
    written = Press(press, Observation(state, reason or None))
    assert decode_press(encode_press(written)) == written
    assert decode_ack(encode_ack(press)) == press
    assert decode_ack(encode_press(written)) is None


@given(st.binary(max_size=64))
def test_any_payload_is_a_press_or_none(payload: bytes) -> None:
    press = decode_press(payload)
    assert press is None or encode_press(press) == payload


def test_a_reason_that_fits_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 58 bytes"):
        encode_press(Press(PressId(1, 1), Observation(State.RED, "x" * (REASON_BYTES_MAX + 1))))


async def test_a_press_is_acknowledged_once_it_is_durable(tmp_path: Path) -> None:
    simulator = box(tmp_path / "button")
    sink = MemorySink()
    sink.open.clear()
    async with running(button(simulator.plug.link), sink):
        with pytest.raises(TimeoutError):
            await simulator.press(State.RED, "jam", timeout_s=1.2)
        assert simulator.sent >= 3, "it repeats itself until it is acknowledged"
        assert sink.offered == [JAM], "a repetition is not a second press"
        sink.open.set()
        await sink.until_stored(JAM)
        await simulator.press(State.GREEN, timeout_s=WAIT_S)
        assert sink.stored == [JAM, Observation(State.GREEN)]
    simulator.plug.unplug()


async def test_a_press_whose_acknowledgement_was_lost_is_reported_once(tmp_path: Path) -> None:
    answers = Framer()
    acknowledged: list[bytes] = []
    wire = Plug(tmp_path / "button", lambda data: acknowledged.extend(answers.feed(data)))
    wire.plug()
    sink = MemorySink()
    press = encode(encode_press(Press(PressId(7, 1), JAM)))
    driver = button(wire.link)
    async with running(driver, sink):
        await eventually(lambda: driver.health.connected)
        for repetition in range(1, 4):
            wire.write(press)
            await eventually(lambda count=repetition: len(acknowledged) == count)  # type: ignore[misc]
        assert acknowledged == [encode_ack(PressId(7, 1))] * 3
        assert sink.offered == [JAM]
        wire.write(encode(encode_press(Press(PressId(8, 1), JAM))))
        await eventually(lambda: len(acknowledged) == 4)
        assert sink.offered == [JAM, JAM], "the same number after a power-up is another press"
    wire.unplug()


async def test_a_press_that_could_not_be_stored_is_offered_again(tmp_path: Path) -> None:
    simulator = box(tmp_path / "button")
    sink = MemorySink()
    sink.refusals = 2
    async with running(button(simulator.plug.link), sink):
        await simulator.press(State.RED, "jam", timeout_s=WAIT_S)
        assert sink.offered == [JAM] * 3
        assert sink.stored == [JAM]
    simulator.plug.unplug()


async def test_a_press_survives_noise_and_frames_of_nonsense(tmp_path: Path) -> None:
    simulator = box(tmp_path / "button")
    sink = MemorySink()
    driver = button(simulator.plug.link)
    async with running(driver, sink):
        await eventually(lambda: driver.health.connected)
        simulator.plug.write(bytes(random.Random(3).randbytes(500)) + encode(b"?") + b"\xa5\x40")
        await simulator.press(State.YELLOW, timeout_s=WAIT_S)
        assert sink.stored == [Observation(State.YELLOW)]
        assert driver.malformed == 1
    simulator.plug.unplug()


async def test_a_box_that_was_unplugged_goes_on_where_it_was(tmp_path: Path) -> None:
    simulator = box(tmp_path / "button")
    sink = MemorySink()
    driver = button(simulator.plug.link)
    async with running(driver, sink):
        await eventually(lambda: driver.health.connected)
        simulator.plug.unplug()
        await eventually(lambda: not driver.health.connected)
        simulator.plug.plug()
        await simulator.press(State.RED, "jam", timeout_s=WAIT_S)
        assert sink.stored == [JAM]
    simulator.plug.unplug()


async def test_a_press_taken_before_an_unplug_is_still_stored(tmp_path: Path) -> None:
    """The box may lose its power with its plug and never repeat it."""
    simulator = box(tmp_path / "button")
    sink = MemorySink()
    sink.open.clear()
    driver = button(simulator.plug.link)
    async with running(driver, sink):
        with pytest.raises(TimeoutError):
            await simulator.press(State.RED, "jam", timeout_s=0.7)
        await sink.until_offered(1)
        simulator.plug.unplug()
        await eventually(lambda: not driver.health.connected)
        sink.open.set()
        await sink.until_stored(JAM)
