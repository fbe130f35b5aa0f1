"""Errors of a driver's settings name the place and say what to do."""

import asyncio
import random
import subprocess
import sys

import msgspec
import pytest

from hardware.build import build_driver
from hardware.button import Button
from hardware.mqtt import MqttMachine, client_id
from hardware.relay import RelayLight
from hardware.serial_device import SerialDevice
from hardware.settings import DriverSettings, broker_address, check
from shared.errors import SettingsError
from tests.hardware.bench import WAIT_S, MemorySink, running

COMMON = 'id = "d-1"\nequipment = "press-1"\n'
LIGHT = COMMON + 'type = "relay-light"\n'
MQTT = COMMON + 'type = "mqtt"\n'
DEVICE = COMMON + 'type = "serial-device"\n'
RELAYS = "relays = { red = 1, yellow = 2, green = 3 }\n"
PORT = 'port = "/dev/serial/by-id/x"\n'
URL = 'url = "mqtt://127.0.0.1:1883"\nstate_topic = "press/state"\n'


def decode(text: str) -> DriverSettings:
    return msgspec.toml.decode(text, type=DriverSettings)


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (LIGHT + PORT + RELAYS, ()),
        (COMMON + PORT + 'type = "button"\n', ()),
        (MQTT + URL, ()),
        (MQTT + URL + 'set_topic = "press/set"\n', ()),
        (DEVICE + PORT, ()),
        (DEVICE + PORT + 'framing = "line"\nline_end = "crlf"\n', ()),
        (DEVICE + PORT + 'framing = "frame"\n', ()),
        (
            DEVICE + PORT + 'framing = "frame"\nline_end = "cr"\n',
            ("drivers[0].line_end: frames have none",),
        ),
        (DEVICE, ("drivers[0].port: needed for type serial-device",)),
        (
            LIGHT + PORT + RELAYS + 'framing = "line"\n',
            ("drivers[0].framing: type relay-light has no such setting",),
        ),
        (LIGHT + RELAYS, ("drivers[0].port: needed for type relay-light",)),
        (LIGHT + PORT, ("drivers[0].relays: needed for type relay-light",)),
        (
            LIGHT + PORT + "relays = { red = 1, yellow = 1, green = 3 }\n",
            ("drivers[0].relays: each lamp needs a relay of its own",),
        ),
        (COMMON + 'type = "button"\n', ("drivers[0].port: needed for type button",)),
        (
            COMMON + PORT + 'type = "button"\nset_topic = "x"\n',
            ("drivers[0].set_topic: type button has no such setting",),
        ),
        (
            MQTT,
            (
                "drivers[0].url: needed for type mqtt",
                "drivers[0].state_topic: needed for type mqtt",
            ),
        ),
        (
            MQTT + 'url = "http://x"\nstate_topic = "a/#"\n',
            (
                "drivers[0].state_topic: one topic, without + or #",
                "drivers[0].url: write it as mqtt://host:port",
            ),
        ),
        (
            MQTT + URL + 'set_topic = "press/state"\n',
            ("drivers[0].set_topic: must differ from state_topic, or it would hear itself",),
        ),
    ],
)
def test_each_error_names_its_place(text: str, errors: tuple[str, ...]) -> None:
    assert check(decode(text), "drivers[0]") == errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LIGHT + "colour = 1\n", "unknown field `colour`"),
        (LIGHT + PORT + "relays = { red = 0, yellow = 2, green = 3 }\n", r"\$\.relays\.red"),
        (COMMON + 'type = "lamp"\n', r"\$\.type"),
        (LIGHT + "dwell_s = -1\n", r"\$\.dwell_s"),
    ],
)
def test_the_decoder_refuses_wrong_fields(text: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        decode(text)


@pytest.mark.parametrize(
    ("url", "address"),
    [("mqtt://broker", ("broker", 1883)), ("mqtt://127.0.0.1:2000/", ("127.0.0.1", 2000))],
)
def test_a_broker_address(url: str, address: tuple[str, int]) -> None:
    assert broker_address(url) == address


@pytest.mark.parametrize(
    "url", ["mqtt://", "broker:1883", "mqtt://u:p@host", "mqtt://host/x", "mqtt://host:99999"]
)
def test_what_is_no_broker_address(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is for people
        broker_address(url)


async def test_each_type_is_built() -> None:
    kinds = [
        (LIGHT + PORT + RELAYS, RelayLight),
        (COMMON + PORT + 'type = "button"\n', Button),
        (MQTT + URL, MqttMachine),
        (DEVICE + PORT, SerialDevice),
    ]
    for text, kind in kinds:
        driver = build_driver(
            decode(text), device="gateway-1", now_ms=lambda: 5, chance=random.Random(1)
        )
        assert isinstance(driver, kind)
        assert driver.id == "d-1"
        assert not driver.health.connected
        assert driver.health.since_ms == 5


@pytest.mark.parametrize(
    "text",
    [
        LIGHT + PORT + RELAYS,
        COMMON + PORT + 'type = "button"\n',
        MQTT + URL.replace("1883", "1"),
        DEVICE + PORT,
    ],
)
async def test_each_type_tells_that_it_reaches_nothing(text: str) -> None:
    driver = build_driver(decode(text), device="g", now_ms=lambda: 0, chance=random.Random(1))
    told = asyncio.Event()
    driver.watch_health(told.set)
    async with running(driver, MemorySink()), asyncio.timeout(WAIT_S):
        await told.wait()
        assert not driver.health.connected
        assert driver.health.detail != "not started"


def test_a_gateway_without_a_broker_does_not_load_mqtt() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, hardware.build; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "serial" in loaded
    assert not {"paho", "aiomqtt"}.intersection(loaded)


async def test_settings_that_do_not_fit_are_not_built() -> None:
    with pytest.raises(SettingsError, match=r"driver d-1\.port: needed for type relay-light"):
        build_driver(decode(LIGHT + RELAYS), device="g", now_ms=lambda: 0, chance=random.Random(1))


def test_a_session_name_is_stable_and_fits_any_broker() -> None:
    assert client_id("gateway-1", "press") == "skerry5dbe4d7b9cb3c45bc"
    assert len(client_id("gateway-1", "press")) == 23
    assert client_id("gateway-1", "press") != client_id("gateway-1p", "ress")
