"""Handlers: a file each. ``handler.py`` says how to bring your own."""

import importlib
import logging
from collections.abc import Iterable, Mapping

from agent.handlers.command import Command
from agent.handlers.handler import Handler
from agent.handlers.installed import Offer, offers
from agent.handlers.serial import Serial
from agent.handlers.settings import Handlers, Http, Mqtt
from agent.handlers.wait import Wait
from hardware.driver import Askable
from shared.errors import SettingsError

GROUP = "skerry.handlers"
BUILT_IN = frozenset({"command", "http", "mqtt", "serial", "wait"})

log = logging.getLogger(__name__)


def build(settings: Handlers, drivers: Iterable[object] = ()) -> Mapping[str, Handler]:
    """Return the handlers of this device by task type: ours, then those of installed packages.

    What the settings do not use is not even imported: an idle agent is to stay small.

    Args:
        settings: Checked.
        drivers: All of this device; tasks may ask those that can be asked.

    Raises:
        SettingsError: What a handler needs is not there.
    """
    built: dict[str, Handler] = {"wait": Wait()}
    command = settings.command
    if command.allow:
        built["command"] = Command(
            allow=command.allow,
            timeout_s=command.timeout_s,
            output_bytes_max=command.output_bytes_max,
            around=command.surroundings(),
        )
    if settings.http.allow:
        built["http"] = _http(settings.http)
    if settings.mqtt.allow:
        built["mqtt"] = _mqtt(settings.mqtt)
    devices = [one for one in drivers if isinstance(one, Askable)]
    if devices:
        built["serial"] = Serial(devices, reply_timeout_s=settings.serial.timeout_s)
    for offer in offers(GROUP):
        handler = _load(offer)
        if handler is not None:
            built[offer.name] = handler
    return built


def _http(http: Http) -> Handler:
    handler: Handler = importlib.import_module("agent.handlers.http").Http(
        allow=http.targets,
        timeout_s=http.timeout_s,
        connect_timeout_s=http.connect_timeout_s,
        body_bytes_max=http.body_bytes_max,
    )
    return handler


def _mqtt(mqtt: Mqtt) -> Handler:
    try:
        make = importlib.import_module("agent.handlers.mqtt").Mqtt
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"$.handlers.mqtt: {error.name} is missing; install skerry[hardware]"
        ) from error
    handler: Handler = make(url=mqtt.url, allow=mqtt.allow, reply_timeout_s=mqtt.timeout_s)
    return handler


def _load(offer: Offer) -> Handler | None:
    """Return an installed handler; None, with the reason in the log, if it is of no use."""
    if offer.name in BUILT_IN:
        # A package must not turn on, or replace, what the operator turned off.
        log.error("handler %s of %s ignored: that type is built in", offer.name, offer.module)
        return None
    try:
        handler: Handler = offer.load()()
        if handler.type != offer.name or not handler.timeout_s > 0:
            raise ValueError(f"its type is {handler.type!r}, its timeout_s {handler.timeout_s!r}")
    except Exception:  # promise 6: one bad package never stops the agent
        log.exception("handler %s of %s cannot be used", offer.name, offer.module)
        return None
    return handler
