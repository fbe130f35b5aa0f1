"""What an operator may set of a driver; imports no library of any wire."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from shared.core.ids import Name

MQTT_PORT = 1883

Relay = Annotated[int, msgspec.Meta(ge=1, le=255)]
Baud = Annotated[int, msgspec.Meta(ge=300, le=4_000_000)]
Dwell = Annotated[float, msgspec.Meta(ge=0, le=60)]
Topic = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Relays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which relay of the board switches which lamp."""

    red: Relay
    yellow: Relay
    green: Relay


class DriverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[drivers]]`` table of the agent's settings."""

    id: Name
    type: Literal["button", "relay-light", "mqtt", "serial-device"]
    equipment: Name
    port: str | None = None
    baud: Baud = 9600
    relays: Relays | None = None
    url: str | None = None
    state_topic: Topic | None = None
    set_topic: Topic | None = None
    framing: Literal["line", "frame"] | None = None
    line_end: Literal["lf", "crlf", "cr"] | None = None
    dwell_s: Dwell = 1.0


_FIELDS = {
    "button": ("port",),
    "relay-light": ("port", "relays"),
    "mqtt": ("url", "state_topic", "set_topic"),
    "serial-device": ("port", "framing", "line_end"),
}
_OPTIONAL = ("set_topic", "framing", "line_end")
"""A machine may only report; a device speaks lines that end with LF if nothing else is said."""


def check(settings: DriverSettings, place: str) -> tuple[str, ...]:
    """Return what is wrong beyond single fields, each naming its place; empty: nothing.

    Args:
        settings: The decoded table.
        place: How errors name the table, such as ``drivers[0]``.
    """
    fields = _FIELDS[settings.type]
    wrong = [
        f"{place}.{field}: needed for type {settings.type}"
        for field in fields
        if field not in _OPTIONAL and not getattr(settings, field)
    ]
    wrong += [
        f"{place}.{field}: type {settings.type} has no such setting"
        for field in sorted({name for names in _FIELDS.values() for name in names})
        if field not in fields and getattr(settings, field) is not None
    ]
    if settings.framing == "frame" and settings.line_end is not None:
        wrong.append(f"{place}.line_end: frames have none")
    return (*wrong, *_check_relays(settings, place), *_check_mqtt(settings, place))


def broker_address(url: str) -> tuple[str, int]:
    """Return host and port of ``mqtt://host[:port]``.

    Raises:
        ValueError: It is no such URL; the text says what is wrong.
    """
    parts = urlsplit(url)
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ValueError("write it as mqtt://host:port")
    if parts.username or parts.password:
        raise ValueError("a user or password in the URL is not supported")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("nothing may follow the port")
    return parts.hostname, parts.port or MQTT_PORT


def _check_relays(settings: DriverSettings, place: str) -> list[str]:
    relays = settings.relays
    if relays is None or len({relays.red, relays.yellow, relays.green}) == 3:
        return []
    return [f"{place}.relays: each lamp needs a relay of its own"]


def _check_mqtt(settings: DriverSettings, place: str) -> list[str]:
    wrong = []
    for field in ("state_topic", "set_topic"):
        topic = getattr(settings, field)
        if topic and any(letter in topic for letter in "+#\0"):
            wrong.append(f"{place}.{field}: one topic, without + or #")
    if settings.state_topic and settings.state_topic == settings.set_topic:
        wrong.append(f"{place}.set_topic: must differ from state_topic, or it would hear itself")
    if settings.url:
        try:
            broker_address(settings.url)
        except ValueError as error:
            wrong.append(f"{place}.url: {error}")
    return wrong
