"""Tasks that ask third parties before they start: a real dispatcher and a real inventory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession

from agent.checks import Checker
from agent.settings import CheckSettings
from demo.configuration import find_free_port
from demo.inventory import Inventory
from shared.core.kinds.task_spec import Check, Priority, Unreachable
from shared.core.lifecycle import Status
from tests.agent.robot import RealTime, Robot, VirtualTime, robot
from tests.agent.test_checks import served

NEEDS_SYRINGE = (Check("stock", {"item": "syringe"}),)


@asynccontextmanager
async def asking(folder: Path, url: str, time: VirtualTime | None = None) -> AsyncIterator[Robot]:
    """Run a robot that asks its inventory, again every 50 ms."""
    async with ClientSession() as http:
        settings = CheckSettings("stock", f"{url}/check", timeout_s=1, again_s=0.05)
        checker = Checker([settings], http, (time or RealTime()).boot_ms)
        async with robot(folder, checker=checker, time=time) as one:
            yield one


async def test_what_is_out_of_stock_waits_and_says_why_and_costs_no_attempt(tmp_path: Path) -> None:
    inventory = Inventory({"syringe": 0}, again_s=0.05)
    async with served(inventory.app()) as url, asking(tmp_path, url) as one:
        task_id = await one.submit(checks=NEEDS_SYRINGE)
        await one.until_why(task_id, ("check", "stock"))
        other = await one.submit(priority=Priority.LOW)
        await one.until(other, Status.SUCCEEDED)
        assert (await one.task(task_id)).attempts_made == 0
        inventory.stock["syringe"] = 1
        done = await one.until(task_id, Status.SUCCEEDED)
        assert done.attempts_made == 1


async def test_it_stays_blocked_with_the_last_answer_while_it_asks_again(tmp_path: Path) -> None:
    """✗ In a quarter of all looks it was queued and about to start."""
    inventory = Inventory({"syringe": 0}, again_s=0.01)
    async with served(inventory.app()) as url, asking(tmp_path, url) as one:
        task_id = await one.submit(checks=NEEDS_SYRINGE)
        await one.until_why(task_id, ("check", "stock"))
        for _ in range(200):
            assert await one.why(task_id) == [("check", "stock")]
            await asyncio.sleep(0.002)


async def test_a_task_keeps_its_place_while_it_asks(tmp_path: Path) -> None:
    """Else those that ask nobody would always be there first."""
    inventory = Inventory({"syringe": 1}, again_s=0.05)
    async with served(inventory.app()) as url, asking(tmp_path, url) as one:
        held = await one.submit({"do": "hold"})
        await one.until(held, Status.RUNNING)
        urgent = await one.submit(checks=NEEDS_SYRINGE, priority=Priority.HIGH)
        later = await one.submit()
        one.handler.gate.set()
        for task_id in (urgent, later):
            await one.until(task_id, Status.SUCCEEDED)
        assert one.handler.ended == [held, urgent, later]


@pytest.mark.parametrize(
    ("policy", "status"),
    [(Unreachable.PROCEED, Status.SUCCEEDED), (Unreachable.FAIL, Status.DEAD)],
)
async def test_nobody_answers(tmp_path: Path, policy: Unreachable, status: Status) -> None:
    async with asking(tmp_path, f"http://127.0.0.1:{find_free_port()}") as one:
        task_id = await one.submit(checks=(Check("stock", {}, policy),))
        ended = await one.until(task_id, status)
        assert ended.attempts_made == (status is Status.SUCCEEDED)
        if status is Status.DEAD:
            assert ended.progress is not None
            assert ended.progress.reason is not None
            assert ended.progress.reason.startswith("check stock cannot be asked")


async def test_a_yes_is_old_news_after_a_while(tmp_path: Path) -> None:
    """The stock that was there when the robot asked is gone when its place comes free."""
    inventory = Inventory({"syringe": 1}, again_s=0.05)
    async with served(inventory.app()) as url, asking(tmp_path, url) as one:
        held = await one.submit({"do": "hold"})
        await one.until(held, Status.RUNNING)
        task_id = await one.submit(checks=NEEDS_SYRINGE)
        await one.until_why(task_id, ("busy", held))
        inventory.stock["syringe"] = 0
        one.handler.gate.set()
        await one.until_why(task_id, ("check", "stock"))
        assert (await one.task(task_id)).attempts_made == 0


async def test_a_no_keeps_a_task_no_longer_though_the_wall_clock_is_set_back(
    tmp_path: Path,
) -> None:
    """Else a clock that is mended by a day keeps the syringe here for a day."""
    time = VirtualTime()
    inventory = Inventory({"syringe": 0}, again_s=20)
    async with served(inventory.app()) as url, asking(tmp_path, url, time) as one:
        task_id = await one.submit(checks=NEEDS_SYRINGE)
        await one.until_why(task_id, ("check", "stock"))
        inventory.stock["syringe"] = 1
        time.set_back_ms = 86_400_000
        time.advance(21)
        await one.until(task_id, Status.SUCCEEDED)
