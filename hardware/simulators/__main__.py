"""Run one simulator as a process; it says as JSON lines what happens to it.

    python -m hardware.simulators relay   --link PATH
    python -m hardware.simulators button  --link PATH [--control PIPE]
    python -m hardware.simulators machine --url URL --state-topic T [--set-topic T] [--name N]
    python -m hardware.simulators device  --link PATH [--framing line|frame]
    python -m hardware.simulators broker  --data DIR [--port N]

Commands are lines on standard input, or on the named pipe of ``--control``: ``unplug``, ``plug``,
and for button and machine a state with a reason, ``red jam``. It ends on SIGTERM, or when its
standard input (if that is a pipe) is closed.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from hardware.driver import Observation
from hardware.reconnect import Backoff, HealthLog, WireDown, reconnect_for_ever
from hardware.simulators.broker import BrokerFailed, run_broker
from hardware.simulators.button import ButtonSimulator
from hardware.simulators.device import DeviceSimulator, agree
from hardware.simulators.lines import read_lines
from hardware.simulators.machine import run_machine
from hardware.simulators.plug import Plug
from hardware.simulators.relay import RelaySimulator
from shared.core.kinds.equipment import State

PRESS_WAIT_S = 3600.0
PRESSES_MAX = 32
COMMANDS_MAX = 100
RETRY_MAX_S = 2.0


def say(**facts: object) -> None:
    """Write one JSON line."""
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    sys.stdout.flush()


def parse_observation(line: str) -> Observation:
    """Return the state and reason of ``red jam``.

    Raises:
        ValueError: The first word is no state.
    """
    word, _, reason = line.partition(" ")
    return Observation(State(word.lower()), reason.strip() or None)


def obey(plug: Plug, line: str) -> bool:
    """Carry out ``plug`` and ``unplug``; return whether the line was one of these."""
    match line:
        case "plug":
            plug.plug()
        case "unplug":
            plug.unplug()
        case _:
            return False
    say(plugged=plug.plugged)
    return True


async def relay(arguments: argparse.Namespace, lines: AsyncIterator[str]) -> None:
    """A relay board: says which lamps are lit."""
    board = RelaySimulator(arguments.link, changed=lambda lit: say(lit=sorted(lit)))
    board.plug.plug()
    say(ready=str(arguments.link))
    try:
        async for line in lines:
            if line == "unplug":
                board.unplug()  # the lamps go out
            elif not obey(board.plug, line):
                say(error=f"not understood: {line}")
    finally:
        board.unplug()


async def button(arguments: argparse.Namespace, lines: AsyncIterator[str]) -> None:
    """A button box: says which presses are stored."""
    box = ButtonSimulator(arguments.link, chance=random.SystemRandom())
    box.plug.plug()
    say(ready=str(arguments.link))
    room = asyncio.Semaphore(PRESSES_MAX)

    async def press(observation: Observation) -> None:
        state, reason = observation.state, observation.reason
        try:
            await box.press(state, reason, timeout_s=PRESS_WAIT_S)
        except (TimeoutError, ValueError) as error:
            say(error=f"not stored: {error}")
        else:
            say(stored=state, reason=reason)
        finally:
            room.release()

    async with asyncio.TaskGroup() as presses:
        try:
            async for line in lines:
                if obey(box.plug, line):
                    continue
                try:
                    observation = parse_observation(line)
                except ValueError as error:
                    say(error=str(error))
                    continue
                await room.acquire()
                presses.create_task(press(observation), name=line)
        finally:
            box.plug.unplug()
        raise asyncio.CancelledError  # nobody is left to press for


async def device(arguments: argparse.Namespace, lines: AsyncIterator[str]) -> None:
    """A device that agrees to all that it is asked: says what that was."""

    def answer(text: str) -> str:
        say(asked=text)
        return agree(text)

    simulator = DeviceSimulator(arguments.link, framing=arguments.framing, answer=answer)
    simulator.plug.plug()
    say(ready=str(arguments.link))
    try:
        async for line in lines:
            if not obey(simulator.plug, line):
                say(error=f"not understood: {line}")
    finally:
        simulator.plug.unplug()


async def machine(arguments: argparse.Namespace, lines: AsyncIterator[str]) -> None:
    """A machine at a broker: says what it is told to show. Reports the newest state again."""
    loop = asyncio.get_running_loop()
    reports: asyncio.Queue[Observation] = asyncio.Queue(COMMANDS_MAX)
    health = HealthLog(arguments.name, lambda: int(loop.time() * 1000))
    backoff = Backoff(random.SystemRandom(), max_s=RETRY_MAX_S)
    unsent: list[Observation] = []

    async def serve() -> None:
        async with run_machine(
            arguments.url,
            name=arguments.name,
            state_topic=arguments.state_topic,
            set_topic=arguments.set_topic,
            changed=lambda state: say(told=state),
        ) as simulator:
            health.connected(arguments.url)
            backoff.reset()
            say(ready=arguments.url)
            while True:
                if not unsent:
                    unsent.append(await reports.get())
                await simulator.report(unsent[0].state, unsent[0].reason)
                say(reported=unsent[0].state, reason=unsent[0].reason)
                unsent.clear()

    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(
            reconnect_for_ever(serve, health=health, backoff=backoff), name="machine"
        )
        async for line in lines:
            try:
                await reports.put(parse_observation(line))
            except ValueError as error:
                say(error=str(error))
        serving.cancel()


async def broker(arguments: argparse.Namespace, lines: AsyncIterator[str]) -> None:
    """A broker: says its URL."""
    async with run_broker(arguments.data, port=arguments.port) as running:
        say(ready=running.url)
        async for line in lines:
            say(error=f"not understood: {line}")


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments; ends the process with 2 if they are wrong."""
    parser = argparse.ArgumentParser(prog="python -m hardware.simulators", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, run in (("relay", relay), ("button", button), ("device", device)):
        kind = kinds.add_parser(name)
        kind.set_defaults(run=run)
        kind.add_argument("--link", type=Path, required=True)
    kinds.choices["device"].add_argument("--framing", choices=("line", "frame"), default="line")
    kind = kinds.add_parser("machine")
    kind.set_defaults(run=machine)
    kind.add_argument("--url", required=True)
    kind.add_argument("--state-topic", required=True)
    kind.add_argument("--set-topic")
    kind.add_argument("--name", default="machine")
    kind = kinds.add_parser("broker")
    kind.set_defaults(run=broker)
    kind.add_argument("--data", type=Path, required=True)
    kind.add_argument("--port", type=int, default=0)
    for kind in kinds.choices.values():
        kind.add_argument("--control", type=Path, help="read commands from this named pipe")
    return parser.parse_args()


async def run(arguments: argparse.Namespace) -> None:
    """Run one simulator until a signal or the end of its input."""
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    await arguments.run(arguments, read_lines(arguments.control))


def main() -> int:
    """Return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    arguments = parse_arguments()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(run(arguments))
    except (BrokerFailed, WireDown, OSError) as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
