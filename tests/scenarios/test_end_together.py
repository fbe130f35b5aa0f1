"""A machine that shuts down ends all its programs at once."""

import asyncio
from pathlib import Path

from demo.waiting import until
from tests.scenarios.two_nodes import WAIT_S, caught_up, two_nodes

ROUNDS = 5  # whether hub or agent closes first is left to the scheduler


async def test_hub_and_agent_end_in_order_when_told_together(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (hub, agent):
        for _ in range(ROUNDS):
            await until("the agent is connected", lambda: caught_up(agent.api), WAIT_S)
            endings = await asyncio.gather(hub.end(), agent.end())
            assert set(endings) == {"ended with exit code 0"}
            await asyncio.gather(hub.start(), agent.start())
