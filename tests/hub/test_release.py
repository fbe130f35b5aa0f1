"""What the hub takes from a device that is silent, and what it never does."""

from pathlib import Path
from typing import Any

import pytest

from hub import permits, release
from hub.release import Due, Patience
from hub.settle import Verdict
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Claim,
    Permit,
    Progress,
)
from shared.core.kinds.task_spec import Offline, Priority, Spec
from shared.core.lifecycle import Status
from tests.hub.hubs import Hub, open_hub
from tests.shared.nodes import SITE

PATIENCE = Patience(release_after_s=60, margin_s=30)
GIVEN = Allocation("e", 1, "robot-1", "aaa")
PERMIT = Permit(Claim("e", 1, 1))
TAKEN_BACK = Permit(Claim("e", 1, 0), (), "lock door released by ada")
RELEASE, KEEP = Offline.RELEASE, Offline.KEEP


def task(
    status: Status,
    *,
    permit: Permit | None = None,
    allocation: Allocation | None = GIVEN,
    **spec: Any,
) -> Task:
    running = Attempt("t-1", 1, "boot", 0)
    return Task(
        id="t",
        site="demo",
        spec=Spec("command", {}, Priority.NORMAL, "ada", **spec),
        submitters=("hub",),
        allocation=allocation,
        holders=("robot-1",),
        status=status,
        progress=Progress(status, allocation, running) if status is not Status.WAITING else None,
        priority=Priority.NORMAL,
        why_cancel=None,
        created_ms=0,
        updated_ms=0,
        permit=permit,
    )


@pytest.mark.parametrize(
    ("held", "due"),
    [
        (task(Status.WAITING, offline=RELEASE), Due(60_000, moved=False)),
        (task(Status.WAITING, offline=RELEASE, permit=PERMIT), None),  # it may have started
        (task(Status.WAITING, offline=RELEASE, permit=TAKEN_BACK), None),  # so may this one
        (task(Status.RUNNING, offline=RELEASE, permit=PERMIT), None),
        (
            task(
                Status.WAITING,
                offline=RELEASE,
                permit=PERMIT,
                repeatable=True,
                start_to_close_s=10,
            ),
            Due(40_000, moved=True),
        ),
        (
            task(
                Status.RUNNING,
                offline=RELEASE,
                permit=PERMIT,
                repeatable=True,
                start_to_close_s=10,
            ),
            Due(40_000, moved=True),
        ),
        (task(Status.RUNNING, offline=RELEASE, permit=PERMIT, repeatable=True), None),
        (task(Status.WAITING, offline=KEEP), None),
        (task(Status.RUNNING, offline=KEEP), None),
        (task(Status.UNKNOWN, offline=RELEASE), None),
        (task(Status.SUCCEEDED, offline=RELEASE), None),
        (
            task(Status.WAITING, offline=RELEASE, allocation=Allocation(None, 0, "robot-1", "a")),
            None,  # an agent gave it to itself: it needs no permit
        ),
        (task(Status.WAITING, offline=RELEASE, allocation=None), None),
    ],
)
def test_when_a_task_may_be_given_elsewhere(held: Task, due: Due | None) -> None:
    assert release.due(held, PATIENCE) == due


# ------------------------------------------------------------------ over a real store


async def test_before_its_permit_a_task_leaves_a_silent_device(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(offline="release")
    await hub.seated(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.pass_s(59)
    assert await hub.seated(task_id) == "robot-1"
    await hub.pass_s(1)
    task = await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)
    assert task.allocation is not None
    assert (task.allocation.n, task.allocation.device) == (2, "robot-2")
    assert task.seat.moved == (), "robot-1 can no longer start it"
    assert (await hub.view(task_id)).history[-1].reason == (
        "allocated to robot-2: robot-1 is silent"
    )


async def test_a_device_that_comes_back_in_time_keeps_it(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(offline="release")
    await hub.seated(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.pass_s(59)
    await hub.connect("robot-1")
    await hub.pass_s(600)
    assert await hub.seated(task_id) == "robot-1"


async def test_it_stays_as_long_as_no_other_device_fits(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(offline="release")
    await hub.seated(task_id)
    await hub.disconnect("robot-1")
    await hub.pass_s(600)
    assert await hub.seated(task_id) == "robot-1"
    await hub.connect("robot-2")
    await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)


@pytest.mark.parametrize("offline", ["keep", "release"])
async def test_what_may_have_started_only_a_person_moves(hub: Hub, offline: str) -> None:
    """Promise 3: of all but repeatable work the hub infers nothing from silence."""
    await hub.connect("robot-1")
    task_id = await hub.node.submit(offline=offline, start_to_close_s=1)
    await hub.seated(task_id)
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.pass_s(7 * 24 * 3600)
    assert await hub.seated(task_id) == "robot-1"


async def test_who_frees_the_lock_of_a_silent_device_does_not_move_its_task(hub: Hub) -> None:
    """Promise 3: it may have started by the permit that it had (the simulator found both run)."""
    await hub.connect("robot-1")
    task_id = await hub.node.submit(offline="release", locks=["door"])
    await hub.seated(task_id)
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.node.replica.write(
        lambda tx: permits.release(tx, SITE, "door", reason="I looked", actor="ada")
    )
    await hub.pass_s(7 * 24 * 3600)
    assert await hub.seated(task_id) == "robot-1"
    assert await hub.force(task_id, "robot-2") is True, "a double run is possible"


async def test_repeatable_work_is_given_again_and_the_double_run_shows(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(offline="release", repeatable=True, start_to_close_s=100)
    await hub.seated(task_id)
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    held = await hub.node.task(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.pass_s(129)
    assert await hub.seated(task_id) == "robot-1"
    await hub.pass_s(1)
    task = await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)
    assert [one.n for one in task.seat.moved] == [1]
    assert not task.is_permitted, "the new holder asks for itself"
    await hub.node.report(task_id, Status.SUCCEEDED, number=1)
    await hub.late(task_id, held, Status.SUCCEEDED)
    shown = await hub.view(task_id)
    assert (shown.status, shown.double_run, len(shown.attempts)) == ("succeeded", True, 2)


async def test_who_was_permitted_and_lets_go_unstarted_frees_its_locks(hub: Hub) -> None:
    """✗ Its locks stayed suspect until a person spoke, and the next holder waited for them."""
    await hub.connect("robot-1")
    task_id = await hub.node.submit(
        offline="release", repeatable=True, start_to_close_s=10, locks=["lift"]
    )
    await hub.seated(task_id)
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    held = await hub.node.task(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.pass_s(40)
    await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)
    await hub.ask_start(task_id)
    await hub.settle()
    assert not (await hub.node.task(task_id)).is_permitted
    await hub.let_go(task_id, held)
    await hub.permitted(task_id)
    assert (await hub.view(task_id)).in_doubt == ()


async def test_one_that_comes_after_a_run_in_doubt_stays(hub: Hub) -> None:
    await hub.connect("robot-1")
    one = await hub.node.submit()
    two = await hub.node.submit(offline="release", after=[one])
    assert [await hub.seated(task_id) for task_id in (one, two)] == ["robot-1"] * 2
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.force(one)
    await hub.node.report(one, Status.SUCCEEDED, number=1)
    await hub.pass_s(60)
    assert await hub.seated(two) == "robot-1"
    await hub.settle_as(one, Verdict.OVER)
    await hub.pass_s(60)
    task = await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), two)
    assert task.allocation is not None


@pytest.mark.parametrize("fields", [{"offline": "release"}, {"locks": ["lift"]}])
async def test_a_cancelled_one_need_not_wait_for_a_device_that_cannot_start_it(
    hub: Hub, fields: dict[str, Any]
) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(**fields)
    await hub.seated(task_id)
    await hub.disconnect("robot-1")
    await hub.node.cancel(task_id, reason="no longer needed")
    task = await hub.until(lambda t: t.status is Status.CANCELLED, task_id)
    assert task.progress is not None
    assert task.progress.reason == "cancelled by ada: no longer needed"


@pytest.mark.parametrize("fields", [{"offline": "release"}, {"locks": ["lift"]}])
@pytest.mark.parametrize("limit", ["schedule_to_start_s", "schedule_to_close_s"])
async def test_one_that_its_absent_device_cannot_start_expires_in_time(
    hub: Hub, limit: str, fields: dict[str, Any]
) -> None:
    """✗ It waited for the device to come back, or for its silence to have lasted."""
    await hub.connect("robot-1")
    limits: dict[str, Any] = {limit: 9}
    task_id = await hub.node.submit(**fields, **limits)
    kept = await hub.node.submit(**limits)  # the device may have started it by now
    assert [await hub.seated(one) for one in (task_id, kept)] == ["robot-1"] * 2
    await hub.disconnect("robot-1")
    await hub.pass_s(8)
    assert (await hub.node.task(task_id)).status is Status.WAITING
    await hub.pass_s(1)
    task = await hub.until(lambda t: t.status is Status.EXPIRED, task_id)
    assert task.allocation is None
    assert (await hub.node.task(kept)).status is Status.WAITING


async def test_what_a_former_holder_has_done_is_not_dealt_once_more(hub: Hub) -> None:
    """Model, dispatch 3: not dealt again with the success in hand (the simulator found it)."""
    await hub.connect("robot-1")
    task_id = await hub.node.submit(offline="release")
    await hub.seated(task_id)
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    held = await hub.node.task(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.force(task_id, "robot-2")
    await hub.disconnect("robot-2")
    await hub.late(task_id, held, Status.SUCCEEDED)
    await hub.connect("robot-3")
    await hub.pass_s(60)
    task = await hub.until(lambda t: t.status is Status.UNKNOWN, task_id)
    assert task.holders == ("robot-1", "robot-2")


async def test_a_restarted_hub_waits_the_whole_time_again(tmp_path: Path) -> None:
    """Model, dispatch 2: it was the hub that heard nobody."""
    async with open_hub(tmp_path) as hub:
        await hub.connect("robot-1")
        task_id = await hub.node.submit(offline="release")
        await hub.seated(task_id)
        later_ms = hub.node.clock.ms + 600_000
    async with open_hub(tmp_path, start_ms=later_ms) as hub:
        await hub.connect("robot-2")
        await hub.pass_s(59)
        assert await hub.seated(task_id) == "robot-1"
        await hub.pass_s(1)
        await hub.until(lambda t: t.holders == ("robot-1", "robot-2"), task_id)
