"""What a demo consists of: its ports, its tokens, and a settings file for each node."""

import contextlib
import random
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

import msgspec

from demo.errors import DemoFailed

HOST = "127.0.0.1"
PORT = 8470
SITE = "demo"
HUB, ROBOT, TABLET, GATEWAY = "hub", "robot-1", "tablet-1", "gateway-1"
AGENTS = (ROBOT, TABLET, GATEWAY)
NODES = (HUB, *AGENTS)
PORT_MAX = 65535 - len(AGENTS)

ANYBODY, WORKER, SUPERVISOR = "demo", "ada", "bo"
ACTORS = (ANYBODY, WORKER, SUPERVISOR)

# Below the range from which the kernel takes ports for outgoing connections: one of those could
# otherwise get a port between the moment it was found free and the moment a node listens there.
FREE_PORTS = range(20_000, 32_000)
TRIES_MAX = 100


class Plan(msgspec.Struct, frozen=True):
    """What is decided before anything is started.

    Attributes:
        folder: Where settings, data and logs go; absolute.
        ports: Port of each node.
        tokens: Token by actor; every node knows them all.
    """

    folder: Path
    ports: dict[str, int]
    tokens: dict[str, str]

    def url(self, node: str) -> str:
        """Return where a node's API and board are."""
        return f"http://{HOST}:{self.ports[node]}"

    def config(self, node: str) -> Path:
        """Return a node's settings file."""
        return self.folder / f"{node}.toml"

    def data(self, node: str) -> Path:
        """Return a node's data folder."""
        return self.folder / node

    def log(self, name: str) -> Path:
        """Return where a process writes its log."""
        return self.folder / f"{name}.log"

    def wire(self, name: str) -> Path:
        """Return where a simulated serial device appears."""
        return self.folder / "wires" / name

    def control(self, name: str) -> Path:
        """Return the named pipe to which anybody may write a command for a simulator."""
        return self.folder / name


def plan(folder: Path, port: int | None) -> Plan:
    """Decide on ports and tokens.

    Args:
        folder: As given.
        port: The hub's; the agents get the next ones. None: any free ports.

    Raises:
        DemoFailed: A port is taken.
    """
    first = find_free_port() if port is None else port
    numbers = range(first, first + len(NODES))
    _require_free(numbers)
    tokens = {actor: secrets.token_urlsafe(16) for actor in ACTORS}
    return Plan(folder.resolve(), dict(zip(NODES, numbers, strict=True)), tokens)


def find_free_port() -> int:
    """Return a port on which nobody listens now, nor on those after it for the agents.

    Raises:
        DemoFailed: None was found.
    """
    for port in random.SystemRandom().sample(FREE_PORTS, TRIES_MAX):
        if all(_is_free(port + number) for number in range(len(NODES))):
            return port
    raise DemoFailed(f"no free ports from {FREE_PORTS.start} on")


def write_settings(plan: Plan, broker_url: str, inventory_url: str) -> None:
    """Write the settings file of every node."""
    plan.config(HUB).write_text(_hub(plan))
    plan.config(ROBOT).write_text(
        _agent(plan, ROBOT, concurrency=1, capabilities=["deliver"])
        + '\n[handlers.command]\nallow = ["echo"]\ntimeout_s = 20\n'
        + f'\n[[checks]]\nname = "stock"\nurl = {_quote(inventory_url + "/check")}\nagain_s = 2\n'
    )
    plan.config(TABLET).write_text(_agent(plan, TABLET, concurrency=0))
    plan.config(GATEWAY).write_text(
        _agent(plan, GATEWAY, concurrency=0) + _drivers(plan, broker_url)
    )


def _hub(plan: Plan) -> str:
    return f"""\
# The demo's hub. Written by ./dev demo, which throws it away at its next start.
data = {_quote(plan.data(HUB))}
sites = [{_quote(SITE)}]

[api]
listen = "{HOST}:{plan.ports[HUB]}"
{_tokens(plan)}"""


def _agent(plan: Plan, name: str, *, concurrency: int, capabilities: Iterable[str] = ()) -> str:
    return f"""\
# The demo's {name}. Written by ./dev demo, which throws it away at its next start.
data = {_quote(plan.data(name))}

[device]
id = {_quote(name)}
site = {_quote(SITE)}
capabilities = [{", ".join(map(_quote, capabilities))}]

[hub]
url = {_quote(plan.url(HUB))}
token = {_quote(plan.tokens[ANYBODY])}

[sync]
retry_max_s = 1

[api]
listen = "{HOST}:{plan.ports[name]}"
{_tokens(plan)}
[dispatcher]
concurrency = {concurrency}
drain_s = 3
"""


def _drivers(plan: Plan, broker_url: str) -> str:
    return f"""
[[drivers]]
id = "button-1"
type = "button"
equipment = "press-1"
port = {_quote(plan.wire("button-1"))}
dwell_s = 0.3

[[drivers]]
id = "light-1"
type = "relay-light"
equipment = "press-1"
port = {_quote(plan.wire("light-1"))}
relays = {{ red = 1, yellow = 2, green = 3 }}

[[drivers]]
id = "oven-plc"
type = "mqtt"
equipment = "oven-1"
url = {_quote(broker_url)}
state_topic = "oven/state"
set_topic = "oven/set"
dwell_s = 0.3
"""


def _tokens(plan: Plan) -> str:
    lines = (f"{actor} = {_quote(token)}\n" for actor, token in plan.tokens.items())
    return "[api.tokens]\n" + "".join(lines)


def _quote(text: str | Path) -> str:
    """Return a TOML string: every JSON string is one."""
    return msgspec.json.encode(str(text)).decode()


def _require_free(ports: Iterable[int]) -> None:
    for port in ports:
        if not _is_free(port):
            raise DemoFailed(
                f"port {port} of {HOST} is taken; stop what listens there, or choose others "
                "with --port (the hub's; the agents take the three after it)"
            )


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        # As the nodes bind: what lingers of a connection that has ended is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
