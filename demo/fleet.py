"""Everything that a demo runs: simulated hardware, a hub and three agents, ready to be used."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from aiohttp import ClientSession

from demo.client import Api
from demo.configuration import AGENTS, ANYBODY, HUB, NODES, Plan, write_settings
from demo.processes import Child, Simulator, run_child, run_simulator, until_ready

ITEMS = ("--stock", "bandage=20")  # and no syringe


class Hardware(msgspec.Struct, frozen=True):
    """The simulated devices on the gateway's wires, and the broker between."""

    broker: Simulator
    button: Simulator
    light: Simulator
    oven: Simulator


class Fleet(msgspec.Struct, frozen=True):
    """What runs.

    Attributes:
        plan: What it was started by.
        nodes: Processes of hub and agents, by name.
        hardware: Simulated devices.
        inventory: What the robot asks before some deliveries.
        http: For clients of the nodes.
        patience_s: How long clients try a node that does not answer, seconds.
    """

    plan: Plan
    nodes: dict[str, Child]
    hardware: Hardware
    inventory: Simulator
    http: ClientSession
    patience_s: float

    def api(self, node: str, actor: str) -> Api:
        """Return a client of a node for an actor."""
        return Api(
            self.http,
            name=node,
            url=self.plan.url(node),
            token=self.plan.tokens[actor],
            patience_s=self.patience_s,
        )

    async def restock(self, item: str, count: int) -> None:
        """Put things into the inventory, as a storekeeper does."""
        url = f"{self.inventory.latest('ready')}/stock/{item}"
        async with self.http.put(url, json={"count": count}) as answer:
            answer.raise_for_status()

    def endings(self) -> list[str]:
        """Return which nodes have ended, and how."""
        return [f"{node.name} {node.ending}" for node in self.nodes.values() if node.ending]

    def describe(self) -> dict[str, Any]:
        """Return what ``demo.json`` says: where everything is, and how an agent is started."""
        return {
            "hub": {"url": self.plan.url(HUB), "pid": self.nodes[HUB].pid},
            "token": self.plan.tokens[ANYBODY],
            "agents": {
                name: {
                    "url": self.plan.url(name),
                    "pid": self.nodes[name].pid,
                    "argv": self.nodes[name].argv,
                    "data": str(self.plan.data(name)),
                }
                for name in AGENTS
            },
        }


@contextlib.asynccontextmanager
async def run_fleet(plan: Plan, patience_s: float) -> AsyncIterator[Fleet]:
    """Start everything, and end everything when the block is left.

    Raises:
        DemoFailed: Something did not start; the text has its last words.
    """
    async with AsyncExitStack() as running, ClientSession() as http:
        hardware = await _start_hardware(running, plan)
        inventory = await running.enter_async_context(
            run_simulator("inventory", ITEMS, plan.log("inventory"), module="demo.inventory")
        )
        write_settings(plan, hardware.broker.latest("ready"), inventory.latest("ready"))
        # The hub is entered first, so that it is ended last and hears the agents to their end.
        nodes = {
            name: await running.enter_async_context(
                run_child(name, command(plan, name), plan.log(name))
            )
            for name in NODES
        }
        fleet = Fleet(plan, nodes, hardware, inventory, http, patience_s)
        for name, child in nodes.items():
            await until_ready(child, fleet.api(name, ANYBODY).is_ready)
        try:
            yield fleet
        finally:
            # All agents at once: each may need its time to drain.
            await asyncio.gather(*(nodes[name].end() for name in AGENTS))


def command(plan: Plan, name: str) -> list[str]:
    """Return the command line that starts a node."""
    program = ["hub", "serve"] if name == HUB else ["agent", "run"]
    return [sys.executable, "-m", *program, "--config", str(plan.config(name))]


async def _start_hardware(running: AsyncExitStack, plan: Plan) -> Hardware:
    async def start(name: str, *arguments: str, takes_commands: bool = False) -> Simulator:
        control = plan.control(name) if takes_commands else None
        return await running.enter_async_context(
            run_simulator(name, arguments, plan.log(name), control)
        )

    broker = await start("broker", "broker", "--data", str(plan.folder / "broker"))
    url = str(broker.latest("ready"))
    button = str(plan.wire("button-1"))
    light = str(plan.wire("light-1"))
    topics = ("--state-topic", "oven/state", "--set-topic", "oven/set")
    return Hardware(
        broker=broker,
        button=await start("button", "button", "--link", button, takes_commands=True),
        light=await start("light", "relay", "--link", light),
        oven=await start("oven", "machine", "--url", url, *topics, takes_commands=True),
    )
