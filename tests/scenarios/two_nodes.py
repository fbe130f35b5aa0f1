"""A hub and an agent as processes of their own, to be killed, ended and started again."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientSession

from demo.client import Api
from demo.configuration import ANYBODY, HUB, ROBOT, Plan, plan, write_settings
from demo.fleet import command
from demo.processes import Child, run_child, until_ready

WAIT_S = 40.0
NO_INVENTORY = "http://127.0.0.1:1"  # no task here asks it
NO_BROKER = "mqtt://127.0.0.1:1"  # only the gateway would need one, and it is not started


class Node:
    """A hub or an agent that can be killed and started again."""

    def __init__(self, plan: Plan, name: str, http: ClientSession) -> None:
        self.name = name
        self.data = plan.data(name)
        self.api = Api(
            http, name=name, url=plan.url(name), token=plan.tokens[ANYBODY], patience_s=WAIT_S
        )
        self._plan = plan
        self._children = contextlib.AsyncExitStack()
        self._child: Child | None = None

    async def start(self) -> None:
        """Start it; return once it serves."""
        self._child = await self._children.enter_async_context(
            run_child(self.name, command(self._plan, self.name), self._plan.log(self.name))
        )
        await until_ready(self._child, self.api.is_ready)

    async def kill(self) -> None:
        """End it with kill -9."""
        assert self._child is not None
        assert self._child.ending is None, f"{self.name} ended by itself"
        os.kill(self._child.pid, signal.SIGKILL)
        await self._child.until_ended()

    async def end(self) -> str:
        """End it in order; return how it ended, as a sentence."""
        await self._children.aclose()
        return (self._child and self._child.ending) or "never ran"


@contextlib.asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Run a hub and an agent."""
    async with fleet(folder, ROBOT) as (hub, agent):
        yield hub, agent


@contextlib.asynccontextmanager
async def fleet(folder: Path, *agents: str) -> AsyncIterator[tuple[Node, ...]]:
    """Run a hub and some of the demo's agents."""
    planned = plan(folder, port=None)
    write_settings(planned, NO_BROKER, NO_INVENTORY)
    async with ClientSession() as http:
        nodes = tuple(Node(planned, name, http) for name in (HUB, *agents))
        try:
            for node in nodes:
                await node.start()
            yield nodes
        finally:
            for node in reversed(nodes):
                await node.end()


async def caught_up(agent: Api) -> bool | None:
    """Return True if the agent has nothing left to tell."""
    link = await agent.get("/api/uplink")
    return True if link["connected"] and not link["backlog"] else None
