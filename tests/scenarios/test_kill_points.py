"""Hub and agent are killed again and again while people write to both."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from demo.client import Api
from demo.report import ran_again
from demo.waiting import until
from tests.scenarios import journals
from tests.scenarios.two_nodes import WAIT_S, Node, caught_up, two_nodes

KILLS = 4
WRITERS = 3  # at each node
SHARED = "press-1"


class Load:
    """People who write to nodes until told to stop; each write is tried until acknowledged."""

    def __init__(self) -> None:
        self.reports: Counter[str] = Counter()
        self.tasks: list[str] = []
        self._news = asyncio.Condition()
        self._stopping = False

    @property
    def acknowledged(self) -> int:
        """How many writes were acknowledged."""
        return self.reports.total() + len(self.tasks)

    def stop(self) -> None:
        """Let everybody finish the write under way."""
        self._stopping = True

    async def write(self, at: Api, writer: str) -> None:
        """Report of two pieces of equipment in turn, one's own and one of all, and submit tasks."""
        await at.post("/api/equipment", {"id": writer})
        number = 0
        while not self._stopping:
            number += 1
            reason = f"{writer} {number}"
            where = SHARED if number % 2 else writer
            report = {"state": random.Random(number).choice(("green", "red")), "reason": reason}
            await at.put(f"/api/equipment/{where}/state", report)
            self.reports[reason] += 1
            if number % 5 == 0:
                body = {"type": "wait", "payload": {"seconds": 0}}
                self.tasks.append((await at.post("/api/tasks", body))["id"])
            async with self._news:
                self._news.notify_all()

    async def until_acknowledged(self, count: int) -> None:
        """Return once so many writes were acknowledged."""
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: self.acknowledged >= count)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_what_was_acknowledged_is_there(tmp_path: Path, seed: int) -> None:
    """Promises 1 to 3."""
    chance = random.Random(seed)
    load = Load()
    async with two_nodes(tmp_path) as (hub, agent):
        await hub.api.post("/api/equipment", {"id": SHARED})
        await until(f"{agent.name} knows {SHARED}", lambda: items(agent.api, "equipment"), WAIT_S)
        async with asyncio.TaskGroup() as people:
            for node in (hub, agent):
                for number in range(WRITERS):
                    name = f"{node.name}-unit-{number}"
                    people.create_task(load.write(node.api, name), name=name)
            for _ in range(KILLS):
                await load.until_acknowledged(load.acknowledged + chance.randint(10, 60))
                killed = chance.choice(((hub,), (agent,), (hub, agent)))
                await asyncio.gather(*(node.kill() for node in killed))
                await asyncio.gather(*(node.start() for node in killed))
            await load.until_acknowledged(load.acknowledged + 20)
            load.stop()
        await until("the agent has told everything", lambda: caught_up(agent.api), WAIT_S)
        await assert_all_there(hub.api, load)
    assert_same_logs(hub, agent)


async def assert_all_there(hub: Api, load: Load) -> None:
    """Every acknowledged write is at the hub, once; every task has run."""
    kept: Counter[str] = Counter()
    for one in await hub.items("/api/equipment"):
        history = await hub.items(f"/api/equipment/{one['id']}/history")
        kept.update(entry["reason"] for entry in history)
    assert not load.reports - kept, "acknowledged, and not there"
    assert not {reason for reason, times in kept.items() if times > 1}, "written twice"

    async def all_ended() -> list[Any] | None:
        found = [await hub.get(f"/api/tasks/{task}") for task in load.tasks]
        return found if all(task["status"] == "succeeded" for task in found) else None

    done = await until("all tasks have succeeded", all_ended, WAIT_S)
    assert not [task["id"] for task in done if ran_again(task)]


def assert_same_logs(hub: Node, agent: Node) -> None:
    """Both journals verify, and the hub holds of the agent's log what the agent wrote."""
    at_hub, at_agent = journals.verify(hub.data), journals.verify(agent.data)
    own = {name: head for name, head in at_agent.items() if name.startswith(f"{agent.name}.")}
    assert own
    assert {name: at_hub.get(name) for name in own} == own


async def items(at: Api, kind: str) -> list[Any] | None:
    """Return what a node lists; None: nothing."""
    return await at.items(f"/api/{kind}") or None
