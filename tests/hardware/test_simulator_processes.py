"""The simulators as processes, driven by lines as the demo drives them."""

import asyncio
import contextlib
import os
import random
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from hardware.button import Button
from hardware.device_wire import Frames
from hardware.driver import Observation
from hardware.mqtt import MqttMachine
from hardware.relay import RelayLight
from hardware.serial_device import SerialDevice
from hardware.simulators.relay import LIGHT
from shared.core.kinds.equipment import State
from tests.hardware.bench import WAIT_S, MemorySink, eventually, running

ROOT = Path(__file__).parents[2]


class Simulator:
    """A running process: lines in, JSON lines out."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    async def hear(self, fact: str) -> object:
        """Return the value of the next line that has this key."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            while line := await self.process.stdout.readline():
                facts = msgspec.json.decode(line)
                if fact in facts:
                    return facts[fact]
        raise AssertionError(f"it ended without {fact}")

    async def end(self) -> int:
        """Close its input, as the end of its parent does; return its exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        async with asyncio.timeout(WAIT_S):
            await self.process.stdout.read()
            return await self.process.wait()


@contextlib.asynccontextmanager
async def simulator(*arguments: str) -> AsyncIterator[Simulator]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hardware.simulators", *arguments, stdin=PIPE, stdout=PIPE, cwd=ROOT
    )
    started = Simulator(process)
    try:
        yield started
        assert await started.end() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_relay_board(tmp_path: Path) -> None:
    link = tmp_path / "light"
    async with simulator("relay", "--link", str(link)) as board:
        assert await board.hear("ready") == str(link)
        driver = RelayLight(
            "light",
            port=str(link),
            baud=9600,
            relays=LIGHT,
            now_ms=lambda: 0,
            chance=random.Random(1),
        )
        driver.desire(State.RED)
        async with running(driver, MemorySink()):
            assert await board.hear("lit") == ["red"]
            board.tell("unplug")
            assert await board.hear("lit") == []
            board.tell("plug")
            assert await board.hear("lit") == ["red"]
    assert not link.is_symlink()


async def test_a_device_that_is_asked(tmp_path: Path) -> None:
    link = tmp_path / "device"
    async with simulator("device", "--link", str(link), "--framing", "frame") as board:
        await board.hear("ready")
        driver = SerialDevice(
            "scale",
            port=str(link),
            baud=9600,
            make_wire=Frames,
            now_ms=lambda: 0,
            chance=random.Random(1),
        )
        async with running(driver, MemorySink()):
            assert (await driver.request("weigh", timeout_s=WAIT_S)).text == "ok weigh"
            assert await board.hear("asked") == "weigh"
            board.tell("unplug")
            assert await board.hear("plugged") is False
            await eventually(lambda: not driver.health.connected)
            board.tell("plug")
            assert (await driver.request("tare", timeout_s=WAIT_S)).text == "ok tare"
    assert not link.is_symlink()


async def test_a_button_pressed_from_elsewhere(tmp_path: Path) -> None:
    link, pipe = tmp_path / "button", tmp_path / "press"
    sink = MemorySink()
    driver = Button("button", port=str(link), baud=9600, now_ms=lambda: 0, chance=random.Random(1))
    async with simulator("button", "--link", str(link), "--control", str(pipe)) as box:
        await box.hear("ready")
        async with running(driver, sink):
            await eventually(pipe.exists)
            await asyncio.to_thread(pipe.write_text, "blue\nred paper jam\n")
            assert "blue" in str(await box.hear("error"))
            assert await box.hear("stored") == "red"
            await sink.until_stored(Observation(State.RED, "paper jam"))
        box.process.terminate()


async def test_a_machine_and_a_broker(tmp_path: Path) -> None:
    sink = MemorySink()
    async with simulator("broker", "--data", str(tmp_path / "broker")) as broker:
        url = str(await broker.hear("ready"))
        topics = ("--state-topic", "press/state", "--set-topic", "press/set")
        async with simulator("machine", "--url", url, *topics) as machine:
            await machine.hear("ready")
            driver = MqttMachine(
                "press",
                device="gateway-1",
                url=url,
                state_topic="press/state",
                set_topic="press/set",
                now_ms=lambda: 0,
                chance=random.Random(1),
            )
            driver.desire(State.YELLOW)
            async with running(driver, sink):
                assert await machine.hear("told") == "yellow"
                await eventually(lambda: driver.health.connected)
                machine.tell("red jam")
                await sink.until_stored(Observation(State.RED, "jam"))


async def test_a_broker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hardware.simulators",
        "broker",
        "--data",
        str(tmp_path),
        stdin=read_end,
        stdout=PIPE,
        cwd=ROOT,
    )
    try:
        port = int(str(await Simulator(process).hear("ready")).rpartition(":")[2])
        assert answers(port)
        process.kill()
        await process.wait()
        await eventually(lambda: not answers(port))
    finally:
        os.close(read_end)
        os.close(write_end)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
