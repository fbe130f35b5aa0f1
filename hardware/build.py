"""Settings to drivers.

Import it only where drivers are configured: it loads the library of serial lines, and that of MQTT
once a driver is of that type. Either may be missing.
"""

import importlib
import random
from collections.abc import Callable
from functools import partial

from hardware.button import Button
from hardware.device_wire import Frames, Lines, Wire
from hardware.driver import Driver
from hardware.relay import RelayLight
from hardware.serial_device import SerialDevice
from hardware.settings import DriverSettings, check
from shared.errors import SettingsError

LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def build_driver(
    settings: DriverSettings,
    *,
    device: str,
    now_ms: Callable[[], int],
    chance: random.Random,
) -> Driver:
    """Return the driver that the settings describe; it does nothing until run.

    Args:
        settings: One driver's table.
        device: The id of this device; together with the driver's it names the MQTT session.
        now_ms: Wall clock, Unix ms, for the dates of health.
        chance: For the jitter of reconnects.

    Raises:
        SettingsError: The settings do not fit their type.
        ModuleNotFoundError: The library of its wire is not installed.
    """
    errors = check(settings, f"driver {settings.id}")
    if errors:
        raise SettingsError("; ".join(errors))
    if settings.type == "mqtt":
        return _build_mqtt(settings, device=device, now_ms=now_ms, chance=chance)
    assert settings.port is not None
    if settings.type == "button":
        return Button(
            settings.id, port=settings.port, baud=settings.baud, now_ms=now_ms, chance=chance
        )
    if settings.type == "serial-device":
        return SerialDevice(
            settings.id,
            port=settings.port,
            baud=settings.baud,
            make_wire=partial(_wire, settings),
            now_ms=now_ms,
            chance=chance,
        )
    assert settings.relays is not None
    return RelayLight(
        settings.id,
        port=settings.port,
        baud=settings.baud,
        relays=settings.relays,
        now_ms=now_ms,
        chance=chance,
    )


def _wire(settings: DriverSettings) -> Wire:
    if settings.framing == "frame":
        return Frames()
    return Lines(LINE_ENDS[settings.line_end or "lf"])


def _build_mqtt(
    settings: DriverSettings, *, device: str, now_ms: Callable[[], int], chance: random.Random
) -> Driver:
    assert settings.url is not None
    assert settings.state_topic is not None
    # 1.2 MiB that a gateway without a broker does without.
    make: Callable[..., Driver] = importlib.import_module("hardware.mqtt").MqttMachine
    return make(
        settings.id,
        device=device,
        url=settings.url,
        state_topic=settings.state_topic,
        set_topic=settings.set_topic,
        now_ms=now_ms,
        chance=chance,
    )
