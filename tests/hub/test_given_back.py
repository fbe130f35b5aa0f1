"""A device gives a task back: the hub sits again."""

from hub.dealing import REFUSED_MS
from shared.core.lifecycle import Status
from tests.hub.hubs import Hub


async def test_what_a_device_refuses_goes_to_another(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit()
    await hub.seated(task_id)
    await hub.connect("robot-2")
    await hub.give_back(task_id, "its gripper is broken")
    task = await hub.until(
        lambda t: t.allocation is not None and t.allocation.device == "robot-2", task_id
    )
    assert task.allocation is not None
    assert (task.allocation.n, task.holders) == (2, ("robot-1", "robot-2"))
    reasons = [change.reason for change in (await hub.view(task_id)).history]
    assert "given back by robot-1: its gripper is broken" in reasons


async def test_the_only_device_that_refuses_gets_it_again_after_a_while(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit()
    await hub.seated(task_id)
    await hub.give_back(task_id)
    await hub.until(lambda t: t.allocation is None, task_id)
    await hub.settle()
    assert (await hub.node.task(task_id)).allocation is None
    shown = await hub.view(task_id)
    assert (shown.status, shown.waits_for[0].ref) == ("blocked", "robot-1")
    assert "has given it back" in shown.waits_for[0].message
    await hub.pass_s(REFUSED_MS / 1000 - 1)
    assert (await hub.node.task(task_id)).allocation is None
    await hub.pass_s(1)
    task = await hub.until(lambda t: t.allocation is not None, task_id)
    assert task.allocation is not None
    assert (task.allocation.device, task.allocation.n) == ("robot-1", 2)


async def test_what_comes_back_after_a_cancel_is_cancelled(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit()
    await hub.seated(task_id)
    await hub.node.cancel(task_id)
    await hub.give_back(task_id)
    await hub.until(lambda t: t.status is Status.CANCELLED, task_id)


async def test_a_return_under_an_older_allocation_changes_nothing(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit()
    await hub.seated(task_id)
    held = await hub.node.task(task_id)
    await hub.connect("robot-2")
    await hub.give_back(task_id)
    await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)
    given = (await hub.node.task(task_id)).allocation
    await hub.late(task_id, held, Status.WAITING, returned=True)
    await hub.settle()
    assert (await hub.node.task(task_id)).allocation == given
