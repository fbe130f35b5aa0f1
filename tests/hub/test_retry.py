"""A person lets a dead task run again; what comes after it bars that, or is asked back first."""

from typing import Any

import pytest

from hub.retry import retry
from hub.settle import Verdict
from shared.api import task_queries
from shared.core.lifecycle import Status
from shared.core.task_view import TaskView
from shared.errors import IllegalMove
from shared.store.transaction import Transaction
from tests.hub.hubs import Hub


async def dead(hub: Hub, **fields: Any) -> str:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(**fields)
    await hub.seated(task_id)
    await hub.node.report(task_id, Status.DEAD, number=3)
    return task_id


def retried(tx: Transaction, hub: Hub, task_id: str) -> TaskView:
    """Let a dead task run again; return what the caller is answered."""
    retry(tx, task_id, "ada")
    return task_queries.get(tx, task_id, hub.explain, hub.node.clock())


async def test_a_dead_task_runs_again_wherever_it_fits_with_new_attempts(hub: Hub) -> None:
    task_id = await dead(hub)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.node.cancel(await hub.node.submit())  # something else goes on
    await hub.node.retry(task_id, "bo", "the lift is mended")
    assert await hub.seated(task_id) == "robot-2"
    reasons = [change.reason for change in (await hub.view(task_id)).history]
    assert "retried by bo: the lift is mended" in reasons
    task = await hub.node.task(task_id)
    assert task.allocation is not None
    assert (task.allocation.n, task.attempts_made, task.status) == (2, 0, Status.WAITING)
    await hub.node.report(task_id, Status.SUCCEEDED, number=1)
    shown = await hub.view(task_id)
    assert {a.claim.n for a in shown.attempts} == {1, 2}
    assert not shown.double_run, "the first had ended before the second was dealt"


async def test_what_could_only_expire_is_not_retried(hub: Hub) -> None:
    task_id = await dead(hub, schedule_to_close_s=60)
    await hub.pass_s(60)
    assert "too late" in await hub.retry_refused(task_id)
    assert (await hub.node.task(task_id)).status is Status.DEAD


async def test_a_retry_has_the_whole_time_to_start_again(hub: Hub) -> None:
    task_id = await dead(hub, schedule_to_start_s=60)
    await hub.pass_s(3600)
    await hub.disconnect("robot-1")
    await hub.node.retry(task_id)
    await hub.pass_s(59)
    assert (await hub.node.task(task_id)).status is Status.WAITING
    await hub.pass_s(1)
    task = await hub.until(lambda t: t.status is Status.EXPIRED, task_id)
    assert task.progress is not None
    assert task.progress.reason == "it did not start within 60 s of being run anew"


async def test_each_retry_counts_from_itself(hub: Hub) -> None:
    """Also of a task that a person has settled as dead, which nobody has to give back."""
    task_id = await dead(hub, schedule_to_start_s=60, max_attempts=1)
    await hub.node.retry(task_id)
    await hub.seated(task_id)
    await hub.node.report(task_id, Status.UNKNOWN, number=1)
    await hub.settle_as(task_id, Verdict.DEAD)
    await hub.pass_s(3600)
    await hub.disconnect("robot-1")
    await hub.node.retry(task_id)
    await hub.settle()
    assert (await hub.node.task(task_id)).status is Status.WAITING


async def test_another_device_has_no_longer_to_start_what_the_first_only_gave_back(
    hub: Hub,
) -> None:
    """A command to a machine must not grow younger on its way from one to the next."""
    await hub.connect("robot-1")
    task_id = await hub.node.submit(schedule_to_start_s=60)
    await hub.seated(task_id)
    await hub.pass_s(50)
    await hub.give_back(task_id)
    await hub.connect("robot-2")
    await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)
    assert (await hub.node.task(task_id)).seat.anew_ms is None


async def test_what_had_started_has_the_whole_time_again_wherever_it_goes(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(schedule_to_start_s=60)
    await hub.seated(task_id)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    await hub.pass_s(3600)
    task = await hub.node.task(task_id)
    await hub.node.report(task_id, Status.WAITING, attempt=task.attempt, returned=True)
    await hub.connect("robot-2")
    task = await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)
    assert (task.status, task.attempts_made) == (Status.WAITING, 0)
    assert task.seat.anew_ms == hub.node.clock()


async def test_successors_at_the_hub_simply_go_on_waiting(hub: Hub) -> None:
    task_id = await dead(hub)
    two = await hub.node.submit(after=[{"task": task_id, "on_failure": "block"}])
    await hub.node.retry(task_id)
    assert await hub.seated(task_id) == "robot-1"
    # Its predecessor is at robot-1 again, which can prove the edge by itself.
    assert await hub.seated(two) == "robot-1"


async def test_a_successor_at_a_device_comes_back_before_the_retry_is_dealt(hub: Hub) -> None:
    """Model, dispatch 6: dead, the proof under way, retried: both would run."""
    task_id = await dead(hub)
    two = await hub.node.submit(after=[{"task": task_id, "on": "end"}])
    assert await hub.seated(two) == "robot-1"
    first = await hub.node.replica.write(lambda tx: retried(tx, hub, task_id))
    assert (first.status, first.waits_for[0].reason) == ("blocked", "recall"), "at once"
    await hub.settle()
    waiting = await hub.view(task_id)
    assert waiting.waits_for == first.waits_for
    recalled = await hub.view(two)
    assert recalled.recall is not None
    assert recalled.waits_for[0].message.startswith("robot-1 is asked to give it back: ")
    assert (waiting.status, waiting.allocation) == ("blocked", None)
    assert (waiting.waits_for[0].reason, waiting.waits_for[0].ref) == ("recall", two)
    asked = await hub.node.task(two)
    assert asked.recall is not None
    await hub.give_back(two, "recalled")
    assert await hub.seated(task_id) == "robot-1"
    assert (await hub.view(two)).status == "blocked"
    await hub.node.report(task_id, Status.SUCCEEDED, number=1)
    task = await hub.until(lambda t: t.allocation is not None, two)
    assert task.allocation is not None
    assert task.allocation.n == 2


async def test_a_successor_that_has_started_bars_the_retry(hub: Hub) -> None:
    task_id = await dead(hub)
    two = await hub.node.submit(after=[{"task": task_id, "on": "end"}])
    await hub.seated(two)
    await hub.node.report(two, Status.RUNNING, number=1)
    assert "has started" in await hub.retry_refused(task_id)
    await hub.node.report(two, Status.SUCCEEDED, number=1)
    assert "has started" in await hub.retry_refused(task_id)
    assert (await hub.node.task(task_id)).status is Status.DEAD
    assert (await hub.node.task(task_id)).allocation is not None, "nothing of it was written"


async def test_a_successor_that_starts_meanwhile_ends_the_retry(hub: Hub) -> None:
    task_id = await dead(hub)
    two = await hub.node.submit(after=[{"task": task_id, "on": "end"}])
    await hub.seated(two)
    await hub.node.retry(task_id)
    await hub.settle()
    await hub.node.report(two, Status.RUNNING, number=1)  # the recall came too late
    task = await hub.until(lambda t: t.status is Status.DEAD, task_id)
    assert task.progress is not None
    assert task.progress.reason == f"{two}, which comes after it, has started"
    assert (await hub.view(two)).recall is not None, "it has not answered"
    await hub.node.report(two, Status.SUCCEEDED, number=1)
    assert (await hub.view(two)).recall is None, "its end is the answer"


async def test_a_known_success_bars_the_retry(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit()
    await hub.seated(task_id)
    held = await hub.node.task(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.force(task_id)
    await hub.node.report(task_id, Status.DEAD, number=1)
    await hub.late(task_id, held, Status.SUCCEEDED)
    assert "succeeded; submit it anew" in await hub.retry_refused(task_id)


@pytest.mark.parametrize("by_force", [False, True])
async def test_a_successor_is_asked_back_by_whatever_runs_its_predecessor_anew(
    hub: Hub, by_force: bool
) -> None:
    await hub.connect("robot-1")
    one = await hub.node.submit()
    two = await hub.node.submit(after=[one])
    assert await hub.seated(two) == await hub.seated(one) == "robot-1"
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    if by_force:
        await hub.force(one)
    else:
        await hub.node.report(one, Status.UNKNOWN, number=1)
        await hub.settle_as(one, Verdict.RETRY)
    assert (await hub.until(lambda t: t.recall is not None, two)).allocation is not None


async def test_a_successor_is_asked_back_though_another_has_started(hub: Hub) -> None:
    """✗ it starts by what the run had proved whose task is moved (the simulator)."""
    await hub.connect("robot-1")
    one = await hub.node.submit()
    started, tried, waits = [await hub.node.submit(after=[one]) for _ in range(3)]
    for task_id in (one, started, tried, waits):
        await hub.seated(task_id)
    await hub.node.report(started, Status.RUNNING, number=1)
    await hub.node.report(tried, Status.RUNNING, number=1)
    await hub.node.report(tried, Status.WAITING, number=1)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.force(one)
    recalled = [(await hub.node.task(i)).recall is not None for i in (started, tried, waits)]
    assert recalled == [False, True, True]


async def test_a_retry_gives_way_to_whoever_has_its_unique_key_by_now(hub: Hub) -> None:
    task_id = await dead(hub, unique="bed-4")
    other = await hub.node.submit(unique="bed-4")
    assert other in await hub.retry_refused(task_id)
    await hub.node.report(other, Status.SUCCEEDED, number=1)
    await hub.node.retry(task_id)
    with pytest.raises(IllegalMove):
        await hub.node.retry(task_id)
