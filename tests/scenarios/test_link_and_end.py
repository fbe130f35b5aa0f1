"""What hub and agent leave to each other: with the link up, cut and mended, and at the end."""

import asyncio
from pathlib import Path
from typing import Any

from demo.client import Api
from demo.waiting import until
from shared import system
from tests.scenarios.two_nodes import WAIT_S, caught_up, two_nodes

WAIT: dict[str, Any] = {"type": "wait", "payload": {"seconds": 0}}


async def cut(agent: Api, *, is_cut: bool = True) -> None:
    await agent.put("/api/uplink", {"enabled": not is_cut})
    if not is_cut:
        await until("the agent is connected", lambda: caught_up(agent), WAIT_S)


async def ended(node: Api, task_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        task: dict[str, Any] = await node.get(f"/api/tasks/{task_id}")
        return task if task["status"] == "succeeded" else None

    found: dict[str, Any] = await until(f"{task_id} has succeeded", look, WAIT_S)
    return found


async def test_whose_turn_it_is_the_hub_says_if_it_is_in_reach(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, agent):
        await until("the agent is connected", lambda: caught_up(agent.api), WAIT_S)
        for is_cut in (False, True):
            await cut(agent.api, is_cut=is_cut)
            for number, wish in enumerate(({"group": "ward-7"}, {"unique": "round"}, {})):
                task = await agent.api.post("/api/tasks", WAIT | wish)
                done = await ended(agent.api, task["id"])
                is_the_hubs = done["allocation"]["epoch"] is not None
                assert is_the_hubs == (bool(wish) and not is_cut), (is_cut, number)


async def test_what_was_done_while_the_link_was_cut_is_not_done_again(tmp_path: Path) -> None:
    """✗ The hub dealt it to the robot as soon as that was back, before it had told what it did."""
    async with two_nodes(tmp_path) as (hub, agent):
        mint = system.IdMint(system.chance())
        for _ in range(3):
            await until("the agent is connected", lambda: caught_up(agent.api), WAIT_S)
            await cut(agent.api)
            same = WAIT | {"id": mint(), "device": agent.name}
            await agent.api.post("/api/tasks", same)
            await ended(agent.api, same["id"])
            await hub.api.post("/api/tasks", same)
            await cut(agent.api, is_cut=False)
            done = await ended(hub.api, same["id"])
            assert (len(done["attempts"]), done["double_run"]) == (1, False)


async def test_a_robot_that_closes_down_is_given_nothing(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (hub, agent):
        await until("the agent is connected", lambda: caught_up(agent.api), WAIT_S)
        runs = await hub.api.post("/api/tasks", WAIT | {"payload": {"seconds": 30}})

        async def is_running() -> bool | None:
            task = await hub.api.get(f"/api/tasks/{runs['id']}")
            return True if task["status"] == "running" else None

        await until("it runs", is_running, WAIT_S)
        closing = f"{agent.name} is closing down"

        async def is_told() -> bool | None:
            later = await hub.api.post("/api/tasks", WAIT)
            task = await hub.api.get(f"/api/tasks/{later['id']}")
            return True if [one["message"] for one in task["waits_for"]] == [closing] else None

        async with asyncio.TaskGroup() as group:
            ending = group.create_task(agent.end())
            await until("the hub has heard", is_told, WAIT_S)
            assert not ending.done(), "it still ends what runs"
        assert ending.result() == "ended with exit code 0"
