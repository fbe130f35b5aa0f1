"""The robot's process is killed while it is alone with its queue, and started again."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

from demo.client import Api
from demo.processes import Child, run_child
from demo.report import ran_again
from demo.waiting import until
from tests.scenarios.demo_process import WAIT_S, DemoProcess, run_demo

ROBOT, TABLET = "robot-1", "tablet-1"
OFFLINE_TASKS = 7


async def test_nothing_is_lost_and_nothing_that_ended_runs_again(tmp_path: Path) -> None:
    """Promises 1 and 3."""
    async with run_demo(tmp_path / "demo") as demo:
        robot, hub = demo.api(ROBOT), demo.api("hub")
        await demo.until_link(ROBOT, enabled=False)
        before = await until_one_ended(robot)
        os.kill(demo.told["agents"][ROBOT]["pid"], signal.SIGKILL)
        async with start_again(demo, ROBOT) as child:
            link = await robot.get("/api/uplink")
            assert not link["enabled"], "a cut made on purpose survives a restart"
            after = {task["id"]: task for task in await tasks(robot)}
            for task in before:
                assert task["id"] in after, "an acknowledged task is lost"
                if task["status"] == "succeeded":
                    assert after[task["id"]] == task, "a task that ended has changed"
            await until_all_ended(robot)
            for node in (ROBOT, TABLET):
                await demo.api(node).put("/api/uplink", {"enabled": True})
            done = await until_all_ended(hub, after)
            assert [task for task in done if ran_again(task)] == []
            lost = [one for task in done for one in task["attempts"] if one["outcome"] == "lost"]
            assert len(lost) <= 1, "more than the one attempt that the kill interrupted"
            assert child.ending is None
            assert demo.process.returncode is None, "the demo goes on"


@contextlib.asynccontextmanager
async def start_again(demo: DemoProcess, node: str) -> AsyncIterator[Child]:
    """Start a node by the command line that ``demo.json`` gives for it."""
    argv: list[str] = demo.told["agents"][node]["argv"]
    async with run_child(node, argv, demo.folder / f"{node}-again.log") as child:
        yield child


async def tasks(at: Api) -> list[Any]:
    """Return all tasks of a node, with all their attempts."""
    return [await at.get(f"/api/tasks/{task['id']}") for task in await at.items("/api/tasks")]


async def until_one_ended(robot: Api) -> list[Any]:
    """Return the robot's tasks once one has ended, and one runs, since the link was cut."""

    async def look() -> list[Any] | None:
        found = await tasks(robot)
        left = [task for task in found if task["status"] != "succeeded"]
        is_busy = any(task["status"] == "running" for task in left)
        return found if is_busy and 2 < len(left) < OFFLINE_TASKS else None

    return await until("the robot has ended one task alone", look, WAIT_S)


async def until_all_ended(at: Api, known: Collection[str] = ()) -> list[Any]:
    """Return all tasks of a node once all of them, and those known elsewhere, have succeeded.

    A node that is being told of tasks shows those it has heard of as ended while others are still
    on their way to it.
    """

    async def look() -> list[Any] | None:
        found = await tasks(at)
        missing = set(known) - {task["id"] for task in found}
        done = all(task["status"] == "succeeded" for task in found)
        return found if done and not missing else None

    return await until(f"{at.name} shows all tasks succeeded", look, WAIT_S)
