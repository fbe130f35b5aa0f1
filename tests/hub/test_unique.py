"""Unique keys of a site: the first task to arrive stands."""

from pathlib import Path

import pytest

from shared.core.lifecycle import Status
from tests.api.nodes import Node, carry, open_node
from tests.hub.hubs import Hub


async def tablet(folder: Path, hub: Hub, name: str) -> str:
    """Return a task with a key, submitted at a tablet that was away."""
    async with open_node(folder, "agent", name) as agent:
        task_id = await agent.submit(unique="bed-4")
        await carry(agent.replica, hub.node.replica)
    return task_id


async def test_the_first_to_arrive_stands_whoever_has_the_lower_id(
    hub: Hub, tmp_path: Path
) -> None:
    """Model, dispatch 6: were the lower id to win, both would run."""
    async with open_node(tmp_path, "agent", "tablet-1") as one:
        early = await one.submit(unique="bed-4")
        late = await tablet(tmp_path, hub, "tablet-2")
        await carry(one.replica, hub.node.replica)
    task = await hub.until(lambda t: t.status is Status.CANCELLED, early)
    assert task.progress is not None
    assert task.progress.reason == f"duplicate of {late}"
    await hub.connect("robot-1")
    assert await hub.seated(late) == "robot-1"


@pytest.mark.parametrize(
    "fields",
    [
        {"unique": "bed-5"},
        {"unique": "bed-4", "type": "wait", "payload": {"seconds": 1}},
        {},
    ],
)
async def test_another_key_or_type_is_no_duplicate(hub: Hub, fields: dict[str, object]) -> None:
    await hub.connect("robot-1")
    await hub.node.submit(unique="bed-4")
    other = await hub.node.submit(**fields)  # type: ignore[arg-type]
    assert await hub.seated(other) == "robot-1"


async def test_once_the_first_is_over_the_key_is_free(hub: Hub) -> None:
    await hub.connect("robot-1")
    first = await hub.node.submit(unique="bed-4")
    await hub.seated(first)
    await hub.node.report(first, Status.SUCCEEDED, number=1)
    second = await hub.node.submit(unique="bed-4")
    assert await hub.seated(second) == "robot-1"
    await hub.node.report(second, Status.UNKNOWN, number=1)
    assert await hub.node.submit(unique="bed-4") == second, "it may still act"


async def test_a_duplicate_that_waits_at_its_device_is_asked_to_end(
    hub: Hub, tmp_path: Path
) -> None:
    first = await hub.node.submit(unique="bed-4")
    async with open_node(tmp_path, "agent", "robot-1", can_run=lambda _: True) as robot:
        second = await robot.submit(unique="bed-4")
        await carry(robot.replica, hub.node.replica)
        task = await hub.until(lambda t: t.cancel_asked, second)
        assert task.status is Status.WAITING
        shown = await hub.view(second)
        assert shown.history[-1].reason == f"cancel requested: duplicate of {first}"
        assert not (await hub.node.task(first)).cancel_asked


async def test_what_runs_already_is_left_to_run(hub: Hub, tmp_path: Path) -> None:
    first = await hub.node.submit(unique="bed-4")
    async with open_node(tmp_path, "agent", "robot-1", can_run=lambda _: True) as robot:
        second = await runs(robot)
        await carry(robot.replica, hub.node.replica)
    await hub.settle()
    task = await hub.node.task(second)
    assert (task.status, task.cancel_asked) == (Status.RUNNING, False)
    assert (await hub.node.task(first)).status is Status.WAITING


async def runs(robot: Node) -> str:
    task_id = await robot.submit(unique="bed-4")
    await robot.report(task_id, Status.RUNNING, number=1)
    return task_id
