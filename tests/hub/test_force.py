"""A person moves a task to another device."""

from typing import Any

import pytest

from hub.settle import Verdict
from shared.core import instants
from shared.core.lifecycle import ENDED, Status
from shared.core.task_view import Absence
from shared.core.waiting import expiry
from shared.errors import IllegalMove, Refused
from tests.hub.hubs import Hub


async def held_by_one_that_is_away(hub: Hub, **fields: Any) -> str:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(**fields)
    assert await hub.seated(task_id) == "robot-1"
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    return task_id


async def test_a_task_of_an_absent_device_goes_elsewhere_under_a_new_allocation(hub: Hub) -> None:
    """Promises 3 and 4: who decided it stands in the history, and both runs show."""
    task_id = await held_by_one_that_is_away(hub)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    held = await hub.node.task(task_id)
    shown = await hub.view(task_id)
    assert shown.status == "running"
    assert shown.away == Absence("robot-1", instants.text(hub.node.clock()))
    assert await hub.force(task_id) is True
    shown = await hub.view(task_id)
    assert (shown.away, shown.in_doubt) == (None, (1,))
    assert shown.allocation is not None
    assert (shown.allocation.n, shown.allocation.device) == (2, "robot-2")
    assert shown.allocation.terms["load"] == 0
    assert (shown.status, shown.double_run) == ("queued", False)
    entry = shown.history[-1]
    assert (entry.actor, entry.reason) == (
        "ada",
        "allocated to robot-2: forced by ada: it is stuck",
    )
    await hub.node.report(task_id, Status.SUCCEEDED, number=1)
    await hub.late(task_id, held, Status.DEAD)
    shown = await hub.view(task_id)
    assert (shown.status, shown.double_run) == ("succeeded", True)
    assert shown.in_doubt == (1,), "it failed there once, and has attempts left"
    assert [(a.device, a.outcome) for a in shown.attempts] == [
        ("robot-1", "failed"),
        ("robot-2", "succeeded"),
    ]


async def test_what_is_moved_by_force_has_the_whole_time_to_start_again(hub: Hub) -> None:
    """Attempts count anew there: it would expire at once, though a person wants it to run."""
    task_id = await held_by_one_that_is_away(hub, schedule_to_start_s=60)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    await hub.pass_s(3600)
    await hub.force(task_id)
    task = await hub.node.task(task_id)
    late = expiry(task)
    assert late is not None
    assert late.at_ms == hub.node.clock() + 60_000


async def test_what_its_device_could_not_start_cannot_run_twice(hub: Hub) -> None:
    task_id = await held_by_one_that_is_away(hub, offline="release")
    assert await hub.force(task_id, "robot-2") is False


async def test_a_person_may_move_what_was_pinned(hub: Hub) -> None:
    task_id = await held_by_one_that_is_away(hub, device="robot-1")
    with pytest.raises(Refused, match="it is for robot-1; name the device to move it to"):
        await hub.force(task_id)
    await hub.force(task_id, "robot-2")
    assert await hub.seated(task_id) == "robot-2"


async def test_it_goes_only_where_it_can_run(hub: Hub) -> None:
    task_id = await hub.node.submit(requires=["lift"])
    with pytest.raises(IllegalMove, match="nobody has the task"):
        await hub.force(task_id)
    await hub.connect("robot-1", capabilities=("lift",))
    await hub.seated(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    for device, words in (
        (None, "robot-1 is away"),
        ("robot-2", "does not have lift"),
        ("robot-9", "has never connected"),
    ):
        with pytest.raises(Refused, match=words):
            await hub.force(task_id, device)


async def test_a_device_that_is_here_is_asked_first(hub: Hub) -> None:
    await hub.connect("robot-1")
    await hub.connect("robot-2")
    task_id = await hub.node.submit(device="robot-1")
    await hub.seated(task_id)
    with pytest.raises(IllegalMove, match="cancel it, and it answers"):
        await hub.force(task_id, "robot-2")
    await hub.node.cancel(task_id)
    await hub.pass_s(14)
    with pytest.raises(IllegalMove, match=r"has until 2026-11-23T08:00:15\.000Z to stop it"):
        await hub.force(task_id, "robot-2")
    await hub.pass_s(1)
    await hub.force(task_id, "robot-2")
    task = await hub.node.task(task_id)
    assert not task.cancel_asked, "else robot-2 would cancel what this person wants to run"


@pytest.mark.parametrize("status", sorted(ENDED | {Status.UNKNOWN}))
async def test_what_has_ended_or_is_unknown_is_not_moved(hub: Hub, status: Status) -> None:
    task_id = await held_by_one_that_is_away(hub)
    await hub.node.report(task_id, status, number=1)
    with pytest.raises(IllegalMove):
        await hub.force(task_id)


async def test_what_is_known_to_have_succeeded_is_not_moved_again(hub: Hub) -> None:
    task_id = await held_by_one_that_is_away(hub)
    held = await hub.node.task(task_id)
    await hub.force(task_id)
    await hub.late(task_id, held, Status.SUCCEEDED)
    await hub.disconnect("robot-2")
    await hub.connect("robot-3")
    with pytest.raises(IllegalMove, match="succeeded already"):
        await hub.force(task_id)


async def test_the_rest_of_its_group_goes_with_it(hub: Hub) -> None:
    """At two devices a group has no order."""
    await hub.connect("robot-1")
    ids = [await hub.node.submit(group="ward-4") for _ in range(3)]
    other = await hub.node.submit(group="ward-5")
    for task_id in (*ids, other):
        await hub.seated(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.force(ids[1])
    assert [await hub.seated(task_id) for task_id in ids] == ["robot-2"] * 3
    assert await hub.seated(other) == "robot-1"
    assert (await hub.view(ids[0])).history[-1].reason == (
        f"allocated to robot-2: forced by ada: it is stuck (with {ids[1]})"
    )


async def test_a_group_with_an_unknown_task_stays(hub: Hub) -> None:
    first = await held_by_one_that_is_away(hub, group="ward-4")
    await hub.connect("robot-1")
    second = await hub.node.submit(group="ward-4")
    await hub.seated(second)
    await hub.node.report(first, Status.UNKNOWN, number=1)
    await hub.disconnect("robot-1")
    with pytest.raises(IllegalMove, match="settle that first"):
        await hub.force(second)


async def test_what_waits_for_another_is_not_moved_before_that(hub: Hub) -> None:
    one = await held_by_one_that_is_away(hub)
    await hub.connect("robot-1")
    two = await hub.node.submit(after=[one])
    assert await hub.seated(two) == "robot-1"
    await hub.disconnect("robot-1")
    with pytest.raises(IllegalMove, match="move that first"):
        await hub.force(two)


# ------------------------------------------------------------------ edges


async def test_a_successor_waits_until_all_that_was_dealt_has_ended(hub: Hub) -> None:
    """Model, dispatch 6: forced, B succeeds, its successor must not start beside A's run."""
    one = await held_by_one_that_is_away(hub)
    await hub.node.report(one, Status.RUNNING, number=1)
    held = await hub.node.task(one)
    two = await hub.node.submit(after=[one])
    await hub.force(one)
    await hub.node.report(one, Status.SUCCEEDED, number=1)
    await hub.settle()
    shown = await hub.view(two)
    assert (shown.status, shown.allocation) == ("blocked", None)
    assert "may still run where it was" in shown.waits_for[0].message
    await hub.late(one, held, Status.SUCCEEDED)
    assert await hub.seated(two) == "robot-2"


async def test_a_person_may_declare_over_what_an_absent_device_runs(hub: Hub) -> None:
    one = await held_by_one_that_is_away(hub)
    two = await hub.node.submit(after=[one])
    await hub.force(one)
    await hub.node.report(one, Status.SUCCEEDED, number=1)
    await hub.settle()
    assert (await hub.node.task(two)).allocation is None
    await hub.settle_as(one, Verdict.OVER)
    assert await hub.seated(two) == "robot-2"
    assert (await hub.view(one)).status == "succeeded"
    with pytest.raises(IllegalMove, match="nothing is to be declared"):
        await hub.settle_as(one, Verdict.OVER)


async def test_nor_is_it_forced_elsewhere_beside_a_run_that_may_go_on(hub: Hub) -> None:
    """✗ Forced after it, the successor started while robot-1 ran its predecessor."""
    one = await held_by_one_that_is_away(hub)
    await hub.connect("robot-1")
    two = await hub.node.submit(after=[one])
    assert await hub.seated(two) == "robot-1"
    await hub.disconnect("robot-1")
    await hub.force(one)
    await hub.node.report(one, Status.SUCCEEDED, number=1)
    with pytest.raises(IllegalMove, match="may still run where it was; wait for its word"):
        await hub.force(two)
    await hub.settle_as(one, Verdict.OVER)
    assert (await hub.view(one)).history[-1].reason == "settled as over by ada: looked"
    await hub.force(two)
    assert await hub.seated(two) == "robot-2"


async def test_a_failed_attempt_with_others_left_is_not_the_end(hub: Hub) -> None:
    one = await held_by_one_that_is_away(hub, max_attempts=2)
    held = await hub.node.task(one)
    two = await hub.node.submit(after=[{"task": one, "on": "end"}])
    await hub.force(one)
    await hub.node.report(one, Status.SUCCEEDED, number=1)
    await hub.late(one, held, Status.WAITING)  # failed once, tries again there
    await hub.settle()
    assert (await hub.node.task(two)).allocation is None
    await hub.late(one, held, Status.DEAD, number=2)
    assert await hub.seated(two) == "robot-2"
