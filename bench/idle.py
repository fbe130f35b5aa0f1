"""An agent that has nothing to do: memory, processor time, and how soon it is ready.

All its drivers are at work: a button box and a relay light over ptys, a machine at an MQTT broker;
its uplink is connected to a hub.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

import msgspec

from bench import programs
from bench.figures import Figure, Target, figure
from bench.programs import Program, running
from bench.sizes import Sizes

SIMULATORS = "hardware.simulators"
STATES = ("red", "yellow")
TRIES, TRY_S = 10, 3.0
_DRIVERS = """
[[drivers]]
id = "button-1"
type = "button"
equipment = "press-1"
port = "{button}"
dwell_s = 0
[[drivers]]
id = "light-1"
type = "relay-light"
equipment = "press-1"
port = "{relay}"
relays = {{ red = 1, yellow = 2, green = 3 }}
[[drivers]]
id = "mill-1"
type = "mqtt"
equipment = "mill-1"
url = "{broker}"
state_topic = "mill-1/state"
set_topic = "mill-1/show"
dwell_s = 0
"""


class Idle(msgspec.Struct, frozen=True):
    """One start, and the quiet after it."""

    ready_s: float
    resident_mib: float
    cpu_ms: float


class Devices(msgspec.Struct, frozen=True):
    """The simulators, each a process."""

    button: Program
    relay: Program
    machine: Program
    drivers: str


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Start the agent several times; the first start, which makes its folder, does not count."""
    hub_port = programs.free_port()
    settings = programs.write_hub_settings(folder, hub_port)
    async with (
        _devices(folder) as devices,
        running(folder / "hub.log", "hub", "serve", "--config", settings) as hub,
    ):
        await hub.until_ready(hub_port)
        port = programs.free_port()
        agent = programs.write_agent_settings(folder, port, hub_port, drivers=devices.drivers)
        first = msgspec.structs.replace(sizes, idle_s=0.1, settle_s=0)
        await _watch(first, agent, port, devices, state=STATES[-1])
        found = [
            await _watch(sizes, agent, port, devices, state=STATES[number % len(STATES)])
            for number in range(sizes.repetitions)
        ]
    return [
        figure(
            "agent",
            "resident memory",
            "MiB",
            [one.resident_mib for one in found],
            target=Target(46, 40, at_most=True),
        ),
        figure(
            "agent",
            "processor time, idle",
            "ms/s",
            [one.cpu_ms for one in found],
            target=Target(2, at_most=True),
        ),
        figure(
            "agent",
            "ready after exec",
            "s",
            [one.ready_s for one in found],
            target=Target(0.6, at_most=True),
        ),
    ]


async def _watch(sizes: Sizes, settings: Path, port: int, devices: Devices, *, state: str) -> Idle:
    log = settings.with_suffix(".log")
    async with running(log, "agent", "run", "--config", settings) as agent:
        ready_s = await agent.until_ready(port)
        await _exercise(devices, state)
        await asyncio.sleep(sizes.settle_s)
        start, before_s = perf_counter(), agent.cpu_s()
        await asyncio.sleep(sizes.idle_s)
        elapsed, cpu_s = perf_counter() - start, agent.cpu_s() - before_s
        return Idle(ready_s, agent.resident_mib(), cpu_s / elapsed * 1000)


async def _exercise(devices: Devices, state: str) -> None:
    """Return once every driver has carried a state that is not the last one's."""
    await devices.button.say(f"{state} check")
    await devices.button.read_until(f'"stored":"{state}"')
    await devices.relay.read_until(f'"lit":["{state}"]')
    for _ in range(TRIES):  # the broker keeps nothing for an agent that never subscribed
        await devices.machine.say(f"{state} check")
        with contextlib.suppress(TimeoutError):
            await devices.machine.read_until(f'"told":"{state}"', TRY_S)
            return
    raise programs.ProgramEnded("the machine is not told what its own report made the agent show")


@contextlib.asynccontextmanager
async def _devices(folder: Path) -> AsyncIterator[Devices]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "simulators.log"
    button, relay = folder / "button", folder / "relay"
    async with (
        running(log, SIMULATORS, "broker", "--data", folder / "broker") as broker,
        running(log, SIMULATORS, "button", "--link", button) as button_box,
        running(log, SIMULATORS, "relay", "--link", relay) as light,
    ):
        url: str = msgspec.json.decode(await broker.read_until('"ready"'))["ready"]
        topics = ("--state-topic", "mill-1/state", "--set-topic", "mill-1/show")
        async with running(log, SIMULATORS, "machine", "--url", url, *topics) as machine:
            for program in (button_box, light, machine):
                await program.read_until('"ready"')
            drivers = _DRIVERS.format(button=button, relay=relay, broker=url)
            yield Devices(button_box, light, machine, drivers)
