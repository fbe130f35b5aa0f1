"""What an operator may set of an agent: ``agent.toml``."""

import os
import re
import socket
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from agent.handlers import settings as handler_settings
from agent.handlers.settings import Handlers
from agent.limits import Limits
from hardware.settings import DriverSettings
from hardware.settings import check as check_driver
from shared import settings as files
from shared.core.ids import Name, is_name
from shared.errors import SettingsError

DAY_S = 24 * 3600

Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[device]``.

    Attributes:
        id: Name of this device; the host's name if not given.
        site: Site that it belongs to.
        machine_id: None: the machine's own.
        capabilities: What tasks may require of it.
        zone: Where it stands or works; the hub prefers a device of a task's zone.
    """

    id: Name = ""
    site: Name = "demo"
    machine_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    capabilities: tuple[Name, ...] = ()
    zone: Name | None = None


class Hub(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[hub]``; without it the agent stands alone. The token may come from the environment."""

    url: Annotated[str, msgspec.Meta(max_length=2000)]
    token: Token | None = None


class Sync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[sync]``."""

    retry_max_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 30


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[api]``: where to listen, and tokens by the name of their actor."""

    listen: str = "127.0.0.1:8471"
    tokens: dict[Actor, Token] = {}


class Dispatcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[dispatcher]``.

    Attributes:
        concurrency: Tasks that run at once; 0: runs none.
        drain_s: How long runs may go on when the agent is to end.
        aging_s: Waiting that lifts a task by one level of priority, never into critical; 0: none.
    """

    concurrency: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 1
    drain_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30
    aging_s: Annotated[float, msgspec.Meta(ge=0, le=366 * DAY_S)] = 900


class CheckSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[checks]]`` table: whom a check of a task means.

    Attributes:
        name: As tasks write it.
        url: Where to ask; see ``agent/checks.py`` for question and answer.
        token: Sent as bearer token.
        timeout_s: How long an answer may take.
        again_s: Pause before asking again, unless the answer says another.
    """

    name: Name
    url: Annotated[str, msgspec.Meta(max_length=2000)]
    token: Token | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5
    again_s: Annotated[float, msgspec.Meta(gt=0, le=DAY_S)] = 10


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``agent.toml``."""

    data: Annotated[str, msgspec.Meta(min_length=1)] = "skerry-data/agent"
    device: Device = Device()
    hub: Hub | None = None
    sync: Sync = Sync()
    api: Api = Api()
    dispatcher: Dispatcher = Dispatcher()
    queues: dict[Name, Limits] = {}
    handlers: Handlers = Handlers()
    drivers: tuple[DriverSettings, ...] = ()
    checks: tuple[CheckSettings, ...] = ()


def load(path: Path | None, *, host: str | None = None, is_root: bool | None = None) -> Settings:
    """Read and check the settings; the device gets its name.

    Args:
        path: The file; None: all defaults.
        host: Name of the host; None: ask the system.
        is_root: Whether the agent runs as root; None: ask the system.

    Raises:
        SettingsError: With file, place and remedy.
    """
    settings = files.read(path, Settings)
    file = str(path) if path else "defaults"
    wrong = [
        *_wrong_api(settings.api),
        *_wrong_hub(settings.hub),
        *handler_settings.check(
            settings.handlers, is_root=os.geteuid() == 0 if is_root is None else is_root
        ),
        *_wrong_drivers(settings),
        *_wrong_checks(settings.checks),
    ]
    if wrong:
        raise SettingsError("; ".join(f"{file}: {text}" for text in wrong))
    if settings.device.id:
        return settings
    device = msgspec.structs.replace(
        settings.device, id=_named_after(host or socket.gethostname(), file)
    )
    return msgspec.structs.replace(settings, device=device)


def _named_after(host: str, file: str) -> str:
    name = re.sub(r"[^a-z0-9._-]+", "-", host.partition(".")[0].lower()).strip("-._")[:63]
    if not is_name(name):
        raise SettingsError(
            f"{file}: $.device.id: the host name {host!r} cannot name a device; "
            'add [device] id = "robot-1"'
        )
    return name


def _wrong_api(api: Api) -> list[str]:
    try:
        files.parse_listen(api.listen, "$.api.listen")
    except SettingsError as error:
        return [str(error)]
    if len(set(api.tokens.values())) < len(api.tokens):
        return ["$.api.tokens: two actors have the same token; give each its own"]
    return []


def _wrong_hub(hub: Hub | None) -> list[str]:
    if hub is None:
        return []
    if _is_hub_url(hub.url):
        return []
    return [f"$.hub.url: {hub.url!r} is not a hub; write it as http://127.0.0.1:8470"]


def _wrong_checks(checks: tuple[CheckSettings, ...]) -> list[str]:
    wrong: list[str] = []
    taken: set[str] = set()
    for number, check in enumerate(checks):
        place = f"$.checks[{number}]"
        if not _is_http_url(check.url):
            wrong.append(f"{place}.url: {check.url!r} is no address; write it as http://…")
        if check.name in taken:
            wrong.append(f"{place}.name: another check is called {check.name}; choose another name")
        taken.add(check.name)
    return wrong


def _is_hub_url(url: str) -> bool:
    return _is_http_url(url) and not (urlsplit(url).query or urlsplit(url).fragment)


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_host and parts.scheme in ("http", "https")


def _wrong_drivers(settings: Settings) -> list[str]:
    wrong: list[str] = []
    taken: set[str] = set()
    for number, driver in enumerate(settings.drivers):
        place = f"$.drivers[{number}]"
        wrong += check_driver(driver, place)
        if driver.id in taken:
            wrong.append(f"{place}.id: another driver is called {driver.id}; choose another name")
        taken.add(driver.id)
    return wrong
