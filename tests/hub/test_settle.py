"""A person says how an unknown task ended."""

from typing import Any

import pytest

from hub.settle import Verdict
from shared.core.lifecycle import Status
from shared.errors import IllegalMove
from tests.hub.hubs import Hub


async def unknown(hub: Hub, **fields: Any) -> str:
    """Return a task that acted at robot-1, nobody knows how it ended."""
    await hub.connect("robot-1")
    task_id = await hub.node.submit(**fields)
    assert await hub.seated(task_id) == "robot-1"
    await hub.node.report(task_id, Status.UNKNOWN, number=1)
    return task_id


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.SUCCEEDED, Status.SUCCEEDED),
        (Verdict.DEAD, Status.DEAD),
        (Verdict.CANCELLED, Status.CANCELLED),
    ],
)
async def test_an_unknown_task_is_settled_for_good(
    hub: Hub, verdict: Verdict, status: Status
) -> None:
    task_id = await unknown(hub)
    held = await hub.node.task(task_id)
    await hub.settle_as(task_id, verdict, attempt=held.attempt and held.attempt.id)
    shown = await hub.view(task_id)
    assert (shown.status, shown.device, shown.double_run) == (status, "robot-1", False)
    *before, last = shown.history
    assert (last.actor, last.status) == ("ada", status)
    assert last.reason == f"settled as {verdict} by ada: looked"
    assert before[-1].status == Status.UNKNOWN, "a settlement is one entry"
    # What the device still says of it is evidence and changes nothing.
    await hub.late(task_id, held, Status.SUCCEEDED)
    await hub.settle()
    assert (await hub.view(task_id)).status == status
    with pytest.raises(IllegalMove):
        await hub.settle_as(task_id, Verdict.SUCCEEDED)


async def test_settled_for_another_run_it_is_given_anew_and_both_runs_show(hub: Hub) -> None:
    task_id = await unknown(hub)
    await hub.settle_as(task_id, Verdict.RETRY)
    task = await hub.until(lambda t: t.allocation is not None, task_id)
    assert task.allocation is not None
    assert (task.allocation.n, task.status, task.attempts_made) == (2, Status.WAITING, 0)
    assert not (await hub.view(task_id)).double_run
    await hub.node.report(task_id, Status.SUCCEEDED, number=1)
    shown = await hub.view(task_id)
    assert ([a.claim.n for a in shown.attempts], shown.double_run) == ([1, 2], True)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.UNKNOWN}))
async def test_only_an_unknown_task_is_settled(hub: Hub, status: Status) -> None:
    task_id = await unknown(hub)
    await hub.node.report(task_id, status, number=1)
    with pytest.raises(IllegalMove):
        await hub.settle_as(task_id, Verdict.DEAD)


async def test_a_settlement_names_the_attempt_that_it_means(hub: Hub) -> None:
    task_id = await unknown(hub)
    with pytest.raises(IllegalMove, match="in question"):
        await hub.settle_as(task_id, Verdict.DEAD, attempt="another")


async def test_a_success_of_an_older_allocation_makes_a_waiting_task_unknown(hub: Hub) -> None:
    """Model, dispatch 3: else it is dealt with the success in hand."""
    task_id = await unknown(hub)
    held = await hub.node.task(task_id)
    await hub.disconnect("robot-1")
    await hub.settle_as(task_id, Verdict.RETRY)
    await hub.settle()
    await hub.late(task_id, held, Status.SUCCEEDED)
    task = await hub.until(lambda t: t.status is Status.UNKNOWN, task_id)
    assert task.progress is not None
    assert "robot-1 reports" in (task.progress.reason or "")
    with pytest.raises(IllegalMove, match="succeeded; settle it as that"):
        await hub.settle_as(task_id, Verdict.RETRY)
    await hub.settle_as(task_id, Verdict.SUCCEEDED)
    assert (await hub.view(task_id)).status == "succeeded"
