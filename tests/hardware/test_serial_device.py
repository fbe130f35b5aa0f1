"""A device that is asked over a real pseudo terminal, in lines and in frames."""

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.device_wire import (
    FRAME_TEXT_BYTES_MAX,
    LINE_BYTES_MAX,
    Frames,
    Lines,
    Said,
    Wire,
    at_device,
)
from hardware.driver import Askable, NotAnswered, NotAsked, Reply
from hardware.serial_device import SerialDevice
from hardware.simulators.device import DeviceSimulator
from tests.hardware.bench import WAIT_S, MemorySink, eventually, running

FRAMINGS = ("line", "frame")
both = pytest.mark.parametrize("framing", FRAMINGS)


def at_host(framing: str) -> Wire:
    return Frames() if framing == "frame" else Lines(b"\n")


def device(link: Path, framing: str) -> SerialDevice:
    return SerialDevice(
        "scale",
        port=str(link),
        baud=9600,
        make_wire=partial(at_host, framing),
        now_ms=lambda: 0,
        chance=random.Random(1),
    )


def plugged(folder: Path, framing: str) -> DeviceSimulator:
    simulator = DeviceSimulator(folder / "device", framing=framing)
    simulator.plug.plug()
    return simulator


@both
@given(data=st.data())
def test_a_request_and_its_reply_read_as_they_were_written(
    framing: str, data: st.DataObject
) -> None:
    letters = st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])
    text = data.draw(st.text(letters, min_size=1, max_size=15))
    number = data.draw(st.integers(0, 0xFFFF))
    expected = Said(text, number if framing == "frame" else None)
    assert at_device(framing).feed(at_host(framing).encode_request(text, number)) == [expected]
    assert at_host(framing).feed(at_device(framing).encode_reply(text, number)) == [expected]


@both
@given(noise=st.binary(max_size=3000))
def test_noise_is_survived_and_not_hoarded(framing: str, noise: bytes) -> None:
    wire = at_host(framing)
    said = wire.feed(noise) + wire.gap() + wire.feed(b"\n")
    assert all(len(one.text) <= LINE_BYTES_MAX for one in said)
    assert wire.feed(at_device(framing).encode_reply("ok", 7))[-1].text == "ok"


def test_lines_end_in_any_way_and_empty_ones_say_nothing() -> None:
    wire = Lines(b"\r")
    assert wire.encode_request("go", 1) == b"go\r"
    said = wire.feed(b"\n\na\r\nb\rc\nd")
    assert [one.text for one in said] == ["a", "b", "c"]


def test_a_line_that_does_not_end_is_cut() -> None:
    wire = Lines(b"\n")
    assert wire.feed(b"x" * 5000) == []
    assert wire.feed(b"\nok\n") == [Said("x" * LINE_BYTES_MAX, None, cut=True), Said("ok", None)]


@both
async def test_each_request_gets_its_reply(tmp_path: Path, framing: str) -> None:
    simulator = plugged(tmp_path, framing)
    driver = device(simulator.plug.link, framing)
    assert isinstance(driver, Askable)
    async with running(driver, MemorySink()), asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(driver.request(f"weigh {number}", timeout_s=WAIT_S))
            for number in range(20)
        ]
    assert [task.result() for task in asked] == [Reply(f"ok weigh {n}") for n in range(20)]
    assert simulator.asked == [f"weigh {number}" for number in range(20)]
    simulator.plug.unplug()


@both
async def test_a_device_plugged_in_late_is_asked_once_it_is_there(
    tmp_path: Path, framing: str
) -> None:
    simulator = DeviceSimulator(tmp_path / "device", framing=framing)
    driver = device(simulator.plug.link, framing)
    async with running(driver, MemorySink()):
        with pytest.raises(NotAsked, match=r"scale was not asked within 0\.1 s: .*No such file"):
            await driver.request("weigh", timeout_s=0.1)
        asked = asyncio.ensure_future(driver.request("weigh", timeout_s=WAIT_S))
        simulator.plug.plug()
        assert await asked == Reply("ok weigh")
    simulator.plug.unplug()


@both
async def test_a_late_reply_is_not_taken_for_the_next_one(tmp_path: Path, framing: str) -> None:
    simulator = plugged(tmp_path, framing)
    simulator.answer = lambda text: None
    driver = device(simulator.plug.link, framing)
    async with running(driver, MemorySink()):
        await eventually(lambda: driver.health.connected)
        with pytest.raises(NotAnswered, match=r"scale did not answer within 0\.1 s"):
            await driver.request("weigh", timeout_s=0.1)
        simulator.answer = lambda text: f"ok {text}"
        asked = asyncio.ensure_future(driver.request("tare", timeout_s=WAIT_S))
        if framing == "frame":
            await simulator.until_asked(1)
        simulator.say("late")
        assert await asked == Reply("ok tare")
        assert driver.unasked == 1
    simulator.plug.unplug()


async def test_a_reply_to_another_number_is_passed_over(tmp_path: Path) -> None:
    simulator = plugged(tmp_path, "frame")
    simulator.answer = lambda text: None
    driver = device(simulator.plug.link, "frame")
    async with running(driver, MemorySink()):
        asked = asyncio.ensure_future(driver.request("weigh", timeout_s=WAIT_S))
        await simulator.until_asked(1)
        simulator.say("to the one before", back=1)
        simulator.say("ours")
        assert await asked == Reply("ours")
        assert driver.unasked == 1
    simulator.plug.unplug()


@both
async def test_a_plug_pulled_while_we_wait_is_told_at_once(tmp_path: Path, framing: str) -> None:
    simulator = plugged(tmp_path, framing)
    simulator.answer = lambda text: None
    driver = device(simulator.plug.link, framing)
    async with running(driver, MemorySink()):
        asked = asyncio.ensure_future(driver.request("weigh", timeout_s=3600))
        await simulator.until_asked(1)
        simulator.plug.unplug()
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(NotAnswered, match="scale: serial port"):
                await asked
        simulator.answer = lambda text: "back"
        simulator.plug.plug()
        assert await driver.request("weigh", timeout_s=WAIT_S) == Reply("back")
    simulator.plug.unplug()


@both
async def test_who_waits_for_others_too_long_was_not_asked(tmp_path: Path, framing: str) -> None:
    simulator = plugged(tmp_path, framing)
    simulator.answer = lambda text: None
    driver = device(simulator.plug.link, framing)
    async with running(driver, MemorySink()):
        first = asyncio.ensure_future(driver.request("weigh", timeout_s=WAIT_S))
        await simulator.until_asked(1)
        with pytest.raises(NotAsked, match="others were asking"):
            await driver.request("tare", timeout_s=0.1)
        simulator.say("done")
        assert await first == Reply("done")
    assert simulator.asked == ["weigh"]
    simulator.plug.unplug()


@pytest.mark.parametrize(
    ("framing", "text"),
    [
        ("line", "x" * (LINE_BYTES_MAX + 1)),
        ("frame", "x" * (FRAME_TEXT_BYTES_MAX + 1)),
        ("line", "a\nb"),
        ("frame", "a\rb"),
    ],
)
async def test_a_request_that_is_no_line_is_not_sent(
    tmp_path: Path, framing: str, text: str
) -> None:
    driver = device(tmp_path / "device", framing)
    with pytest.raises(NotAsked, match="a request is one line of at most"):
        await driver.request(text, timeout_s=WAIT_S)
