"""Handler ``serial``: through a driver, to a device on a real pseudo terminal."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.handlers.handler import HandlerFailed, OutcomeUnknown, Output, Run
from agent.handlers.serial import Serial
from hardware.device_wire import Frames
from hardware.serial_device import SerialDevice
from hardware.simulators.device import DeviceSimulator
from shared.errors import Invalid
from tests.agent.robot import WAIT_S, eventually
from tests.hardware.bench import MemorySink, running


@pytest.fixture
async def scale(tmp_path: Path) -> AsyncIterator[DeviceSimulator]:
    simulator = DeviceSimulator(tmp_path / "scale", framing="frame")
    simulator.plug.plug()
    yield simulator
    simulator.plug.unplug()


@pytest.fixture
async def handler(scale: DeviceSimulator) -> AsyncIterator[Serial]:
    driver = SerialDevice(
        "scale",
        port=str(scale.plug.link),
        baud=9600,
        make_wire=Frames,
        now_ms=lambda: 0,
        chance=random.Random(1),
    )
    async with running(driver, MemorySink()):
        await eventually(lambda: driver.health.connected)
        yield Serial([driver], reply_timeout_s=WAIT_S)


async def run(handler: Serial, folder: Path, **payload: Any) -> Output:
    handler.check(payload)
    async with asyncio.timeout(WAIT_S):
        return await handler.run(Run("task-1", "attempt-1", 1, payload, "key-1", folder))


async def failure(handler: Serial, folder: Path, **payload: Any) -> HandlerFailed:
    with pytest.raises(HandlerFailed) as caught:
        await run(handler, folder, **payload)
    return caught.value


async def test_a_device_answers(handler: Serial, tmp_path: Path) -> None:
    output = await run(handler, tmp_path, driver="scale", send="weigh", expect="ok *")
    assert output == {"reply": "ok weigh", "truncated": False}
    assert (await run(handler, tmp_path, driver="scale", send="tare"))["reply"] == "ok tare"


async def test_another_reply_than_expected_is_a_failure_to_try_again(
    handler: Serial, scale: DeviceSimulator, tmp_path: Path
) -> None:
    scale.answer = lambda text: "overload"
    failed = await failure(handler, tmp_path, driver="scale", send="weigh", expect="ok *")
    assert failed.failure.type == "unexpected-reply"
    assert failed.failure.message == "scale answered 'overload', not 'ok *'"
    assert not failed.failure.permanent
    assert failed.output == {"reply": "overload", "truncated": False}


async def test_nobody_knows_what_a_silent_device_did(
    handler: Serial, scale: DeviceSimulator, tmp_path: Path
) -> None:
    scale.answer = lambda text: None
    failed = await failure(handler, tmp_path, driver="scale", send="weigh", timeout_s=0.2)
    assert isinstance(failed, OutcomeUnknown)
    assert failed.failure.type == "no-reply"


async def test_a_device_that_is_away_is_tried_again(
    handler: Serial, scale: DeviceSimulator, tmp_path: Path
) -> None:
    await run(handler, tmp_path, driver="scale", send="weigh")
    scale.plug.unplug()
    driver = handler._devices["scale"]
    assert isinstance(driver, SerialDevice)
    await eventually(lambda: not driver.health.connected)
    failed = await failure(handler, tmp_path, driver="scale", send="weigh", timeout_s=0.2)
    assert failed.failure.type == "not-asked"
    assert not isinstance(failed, OutcomeUnknown)
    assert not failed.failure.permanent


@pytest.mark.parametrize(
    ("payload", "type_"),
    [
        ({"driver": "lamp", "send": "on"}, "no-driver"),
        ({"driver": "scale", "send": "x" * 100}, "too-long"),
    ],
)
async def test_what_no_driver_takes_is_a_permanent_error(
    handler: Serial, tmp_path: Path, payload: dict[str, Any], type_: str
) -> None:
    failed = await failure(handler, tmp_path, **payload)
    assert failed.failure.type == type_
    assert failed.failure.permanent


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"driver": "scale"},
        {"driver": "scale", "send": ""},
        {"driver": "scale", "send": "a\nb"},
        {"driver": "scale", "send": "a", "expect": "*a*"},
        {"driver": "scale", "send": "a", "timeout_s": 0},
        {"driver": "scale", "send": "a", "port": "/dev/tty"},
    ],
)
def test_a_payload_that_is_no_request_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        Serial([], reply_timeout_s=1).check(payload)
    assert caught.value.places[0][0].startswith("$.payload")
