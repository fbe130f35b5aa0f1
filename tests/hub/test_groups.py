"""Groups across devices: one at a time, in order of submission, at one device after the other."""

from typing import Any

import pytest

from shared.core.lifecycle import Status
from tests.hub.hubs import Hub


async def submit(hub: Hub, count: int, **fields: Any) -> list[str]:
    ids = []
    for _ in range(count):
        ids.append(await hub.node.submit(group="ward-4", **fields))
        hub.node.clock.ms += 1
    return ids


async def test_a_group_goes_to_one_device_which_orders_it(hub: Hub) -> None:
    ids = await submit(hub, 4)
    for name in ("robot-1", "robot-2", "robot-3"):
        await hub.connect(name)
    assert len({await hub.seated(task_id) for task_id in ids}) == 1
    other = await hub.node.submit(group="ward-5")
    assert await hub.seated(other) != await hub.seated(ids[0])


async def test_who_is_before_it_shows_at_the_hub_whatever_its_device_told(hub: Hub) -> None:
    """✗ Hub and device showed other statuses of a long group, or of one that is planned."""
    await hub.connect("robot-1")
    first, second = await submit(hub, 2, device="robot-1")
    (third,) = await submit(hub, 1, device="robot-1", not_before="2031-01-01T00:00:00Z")
    for task_id in (first, second, third):
        await hub.seated(task_id)

    async def shown(task_id: str) -> tuple[str, list[tuple[str, str | None]]]:
        view = await hub.view(task_id)
        return view.status, [(one.reason, one.ref) for one in view.waits_for]

    assert await shown(first) == ("queued", [("busy", "robot-1")])
    assert await shown(second) == ("blocked", [("group", first)])
    assert await shown(third) == ("blocked", [("not_before", None), ("group", second)])
    await hub.disconnect("robot-1")
    await hub.settle()
    assert await shown(second) == ("blocked", [("device", "robot-1"), ("group", first)])
    await hub.connect("robot-1")
    await hub.node.report(first, Status.SUCCEEDED, number=1)
    await hub.settle()
    assert await shown(second) == ("queued", [("busy", "robot-1")])


async def test_the_next_waits_for_a_group_that_another_device_has(hub: Hub) -> None:
    await hub.connect("robot-1")
    await hub.connect("robot-2")
    (first,) = await submit(hub, 1, device="robot-1")
    (second,) = await submit(hub, 1, device="robot-2")
    (third,) = await submit(hub, 1)
    assert await hub.seated(first) == "robot-1"
    await hub.settle()
    for task_id, before in ((second, "robot-1"), (third, second)):
        shown = await hub.view(task_id)
        assert (shown.status, shown.allocation) == ("blocked", None)
        assert (shown.waits_for[0].reason, shown.waits_for[0].ref) == ("group", before)
    await hub.node.report(first, Status.DEAD, number=3)
    assert await hub.seated(second) == "robot-2"
    assert await hub.seated(third) == "robot-2"


@pytest.mark.parametrize("opens", [Status.SUCCEEDED, Status.CANCELLED])
async def test_an_unknown_end_lets_nobody_follow(hub: Hub, opens: Status) -> None:
    await hub.connect("robot-1")
    (first,) = await submit(hub, 1)
    await hub.seated(first)
    await hub.node.report(first, Status.UNKNOWN, number=1)
    (second,) = await submit(hub, 1)
    await hub.settle()
    shown = await hub.view(second)
    assert (shown.waits_for[0].reason, shown.waits_for[0].ref) == ("group", first)
    await hub.node.report(first, opens, number=1)
    assert await hub.seated(second) == "robot-1"


async def test_a_silent_device_keeps_the_rest_of_a_group(hub: Hub) -> None:
    """Taken one by one, a group's tasks would run at two devices at once."""
    await hub.connect("robot-1")
    ids = await submit(hub, 2, offline="release")
    for task_id in ids:
        await hub.seated(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.pass_s(600)
    assert [await hub.seated(task_id) for task_id in ids] == ["robot-1", "robot-1"]
    (third,) = await submit(hub, 1)
    await hub.settle()
    (why,) = (await hub.view(third)).waits_for
    assert why.message == "robot-1 has the rest of its group, and robot-1 is away"


async def test_a_long_group_is_dealt_to_its_end(hub: Hub) -> None:
    ids = await submit(hub, 60)
    await hub.connect("robot-1")
    for task_id in ids:
        assert await hub.seated(task_id) == "robot-1"
