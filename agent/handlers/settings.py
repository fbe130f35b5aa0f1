"""What an operator may set of the handlers: ``[handlers]`` of ``agent.toml``."""

from pathlib import Path
from typing import Annotated

import msgspec

from agent.handlers.pattern import Allowed, is_pattern
from agent.handlers.program import (
    PASSED_ON,
    Limits,
    Surroundings,
    find_prlimit,
    find_user,
)
from agent.handlers.target import Target, wrong_pattern
from agent.handlers.topic import is_filter
from hardware.settings import broker_address
from shared.errors import SettingsError

OUTPUT_BYTES_MAX = 64 * 1024
"""Of each stream of a command: both, as text that may be thrice as long, must fit in one event."""

DAY_S = 24 * 3600

REPLY_S_MAX = 3600
"""How long anybody may wait for a machine's reply."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"\A[^\0]*\Z")]
Variable = Annotated[str, msgspec.Meta(max_length=200, pattern=r"\A[A-Za-z_][A-Za-z0-9_]*\Z")]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[handlers.command]``: programs that tasks may run; none: off.

    Attributes:
        allow: A name or path allows a program with any arguments; a table, with such as fit its
            patterns.
        timeout_s: How long one may run if its task does not say.
        output_bytes_max: What is kept of each of its two streams.
        user: Run them as this user; needs an agent that runs as root.
        cwd: Run them in this folder; default: ``work`` in the data folder.
        environment: Variables of the agent that they inherit.
        limits: What each may use.
    """

    allow: tuple[Text | Allowed, ...] = ()
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=DAY_S)] = 300
    output_bytes_max: Annotated[int, msgspec.Meta(ge=0, le=OUTPUT_BYTES_MAX)] = OUTPUT_BYTES_MAX
    user: Text | None = None
    cwd: Text | None = None
    environment: tuple[Variable, ...] = PASSED_ON
    limits: Limits = Limits()

    def surroundings(self) -> Surroundings:
        """Return what a program finds around itself; the settings have been checked.

        Raises:
            SettingsError: The user is gone since.
        """
        return Surroundings(
            user=find_user(self.user) if self.user else None,
            cwd=Path(self.cwd) if self.cwd else None,
            environment=self.environment,
            limits=self.limits,
        )


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[handlers.http]``: URLs that tasks may request; none: off.

    Attributes:
        allow: A URL, or a table with headers to send there too; a ``*`` may end it.
        timeout_s: From the first connection to the end of the answer.
        connect_timeout_s: For each connection.
        body_bytes_max: What is kept of an answer.
    """

    allow: tuple[Text | Target, ...] = ()
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60
    connect_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10
    body_bytes_max: Annotated[int, msgspec.Meta(ge=0, le=OUTPUT_BYTES_MAX)] = OUTPUT_BYTES_MAX

    @property
    def targets(self) -> tuple[Target, ...]:
        """``allow``, all as tables."""
        return tuple(Target(one) if isinstance(one, str) else one for one in self.allow)


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[handlers.mqtt]``: a broker and the topics that tasks may use there; none: off.

    Attributes:
        url: ``mqtt://host[:port]``.
        allow: Topics to publish on and to take replies from, with ``+`` and ``#`` as in MQTT.
        timeout_s: How long to wait for a reply if the task does not say.
    """

    url: Text | None = None
    allow: tuple[Text, ...] = ()
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=REPLY_S_MAX)] = 30


class Serial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[handlers.serial]``: on where a driver of type ``serial-device`` is configured.

    Attributes:
        timeout_s: How long to wait for a reply if the task does not say.
    """

    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=REPLY_S_MAX)] = 5


class Handlers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[handlers]``."""

    command: Command = Command()
    http: Http = Http()
    mqtt: Mqtt = Mqtt()
    serial: Serial = Serial()


def check(handlers: Handlers, *, is_root: bool) -> list[str]:
    """Return what is wrong beyond single fields, each with its place and remedy."""
    return [
        *_wrong_command(handlers.command, is_root=is_root),
        *_wrong_http(handlers.http),
        *_wrong_mqtt(handlers.mqtt),
    ]


def _wrong_mqtt(mqtt: Mqtt) -> list[str]:
    place = "$.handlers.mqtt"
    if mqtt.url is None:
        return [f"{place}.url: needed to publish on what is allowed"] if mqtt.allow else []
    wrong = []
    try:
        broker_address(mqtt.url)
    except ValueError as error:
        wrong.append(f"{place}.url: {error}")
    if not mqtt.allow:
        wrong.append(f"{place}.allow: name the topics that tasks may use")
    wrong += [
        f"{place}.allow[{number}]: {one} is no topic filter; + and # stand alone between slashes, "
        "and # at the end"
        for number, one in enumerate(mqtt.allow)
        if not is_filter(one)
    ]
    return wrong


def _wrong_http(http: Http) -> list[str]:
    reasons = [(number, wrong_pattern(one.url)) for number, one in enumerate(http.targets)]
    return [f"$.handlers.http.allow[{number}]: {why}" for number, why in reasons if why]


def _wrong_command(command: Command, *, is_root: bool) -> list[str]:
    place = "$.handlers.command"
    wrong = [f"{place}.{text}" for text in _wrong_allow(command.allow)]
    wrong += [
        f"{place}.environment: {name} is the agent's own; a program must not inherit it"
        for name in command.environment
        if name.startswith("SKERRY_")
    ]
    if command.cwd is not None and not (command.cwd.startswith("/") and Path(command.cwd).is_dir()):
        wrong.append(f"{place}.cwd: {command.cwd} is no folder; name one by its whole path")
    wrong += [f"{place}.{text}" for text in _wrong_user(command, is_root=is_root)]
    if command.limits != Limits() and find_prlimit() is None:
        wrong.append(f"{place}.limits: they need prlimit; install util-linux")
    return wrong


def _wrong_allow(allow: tuple[str | Allowed, ...]) -> list[str]:
    wrong = []
    with_any = {one for one in allow if isinstance(one, str)}
    for number, one in enumerate(allow):
        if isinstance(one, str):
            continue
        if not one.program:
            wrong.append(f"allow[{number}].program: name a program")
        if one.program in with_any:
            wrong.append(
                f"allow[{number}]: {one.program} is allowed with any arguments by another entry; "
                "remove one of them"
            )
        wrong += [
            f"allow[{number}].args[{at}]: {pattern!r} has more than one *; write an entry for each"
            for at, pattern in enumerate(one.args)
            if not is_pattern(pattern)
        ]
    return wrong


def _wrong_user(command: Command, *, is_root: bool) -> list[str]:
    if command.user is None:
        if command.limits.processes is None or not is_root:
            return []
        return ["limits.processes: it does not bind root; set user as well, or remove it"]
    if not is_root:
        return [
            "user: only an agent that runs as root can run commands as somebody else; "
            "remove it, or run the agent as root"
        ]
    try:
        find_user(command.user)
    except SettingsError as error:
        return [f"user: {error}"]
    return []
