"""The hub's leave to start, and the locks that come with it, over a real store."""

from pathlib import Path

import pytest

from hub import permits
from hub.permits import LockRow
from hub.settle import Verdict
from shared.api import task_events
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Claim, StartRequest
from shared.core.lifecycle import Status
from tests.api.nodes import SITE, START_MS
from tests.hub.hubs import Hub, open_hub


async def given(hub: Hub, device: str = "robot-1", **fields: object) -> str:
    """Return a task that a connected device has."""
    if device not in hub.connected:
        await hub.connect(device)
    task_id = await hub.node.submit(device=device, **fields)  # type: ignore[arg-type]
    await hub.seated(task_id)
    return task_id


async def locks(hub: Hub) -> dict[str, str]:
    rows: list[LockRow] = await hub.node.replica.read(permits.rows)
    return {row.name: row.task for row in rows}


async def test_a_request_is_granted_for_its_claim_with_all_its_locks(hub: Hub) -> None:
    task_id = await given(hub, locks=["elevator", "door-3", "local:arm"])
    await hub.ask_start(task_id)
    task = await hub.permitted(task_id)
    assert task.permit is not None
    assert task.permit.locks == ("door-3", "elevator")
    assert task.permit.claim == Claim(hub.node.replica.node.epoch, 1, 1)
    assert await locks(hub) == {"door-3": task_id, "elevator": task_id}


async def test_work_to_be_released_needs_a_permit_and_no_lock(hub: Hub) -> None:
    task_id = await given(hub, offline="release")
    await hub.settle()
    assert not (await hub.node.task(task_id)).is_permitted
    await hub.ask_start(task_id)
    await hub.permitted(task_id)


async def test_one_waits_for_the_other_and_says_for_whom(hub: Hub) -> None:
    """Promise 3: a lock is held by one claim."""
    first, second = [await given(hub, f"robot-{n}", locks=["elevator"]) for n in (1, 2)]
    await hub.ask_start(first)
    await hub.permitted(first)
    await hub.ask_start(second)
    await hub.settle()
    shown = await hub.view(second)
    assert (shown.status, shown.waits_for[0].reason) == ("blocked", "lock")
    assert shown.waits_for[0].ref == first
    await hub.node.report(first, Status.RUNNING, number=1)
    await hub.settle()
    assert not (await hub.node.task(second)).is_permitted
    await hub.node.report(first, Status.SUCCEEDED, number=1)
    await hub.permitted(second)
    assert await locks(hub) == {"elevator": second}


async def test_the_oldest_request_goes_first(hub: Hub) -> None:
    ids = [await given(hub, f"robot-{n}", locks=["elevator"]) for n in range(1, 5)]
    for task_id in ids:
        await hub.ask_start(task_id)
        await hub.settle()
    for task_id in ids:
        await hub.permitted(task_id)
        assert await locks(hub) == {"elevator": task_id}
        await hub.node.report(task_id, Status.SUCCEEDED, number=1)


async def test_a_failed_attempt_frees_its_locks_and_the_next_asks_anew(hub: Hub) -> None:
    task_id = await given(hub, locks=["elevator"])
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    failed = (await hub.node.task(task_id)).attempt
    assert failed is not None
    await hub.node.report(task_id, Status.WAITING, number=1)
    await hub.settle()
    assert await locks(hub) == {}
    assert not (await hub.node.task(task_id)).is_permitted
    await hub.ask_start(task_id)
    task = await hub.permitted(task_id)
    assert task.permit is not None
    assert task.permit.claim.attempt == 2


@pytest.mark.parametrize("end", [Status.CANCELLED, Status.EXPIRED])
async def test_what_ends_without_a_run_frees_its_locks(hub: Hub, end: Status) -> None:
    task_id = await given(hub, locks=["elevator"])
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.node.report(task_id, end)
    await hub.settle()
    assert await locks(hub) == {}


async def test_what_is_given_back_frees_its_locks(hub: Hub) -> None:
    task_id = await given(hub, locks=["elevator"])
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.give_back(task_id)
    await hub.settle()
    assert await locks(hub) == {}


async def test_requests_that_come_late_or_twice_change_nothing(hub: Hub) -> None:
    """Model, dispatch 5: a late grant lets the old holder in beside the next."""
    task_id = await given(hub, locks=["elevator"])
    asked = await hub.node.task(task_id)
    for _ in range(2):
        await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    await again(hub, asked)
    await hub.settle()
    permitted = [kind for kind in await hub.node.kinds(task_id) if kind == "task.permitted"]
    assert len(permitted) == 1
    await hub.node.report(task_id, Status.WAITING, number=1)
    await again(hub, asked)
    await hub.settle()
    assert await locks(hub) == {}
    assert not (await hub.node.task(task_id)).is_permitted


async def again(hub: Hub, asked: Task) -> None:
    """Let a request of an earlier claim arrive once more."""
    assert asked.next_claim is not None
    request = StartRequest(asked.next_claim)
    await hub.node.replica.write(
        lambda tx: task_events.append(
            tx, asked.id, SITE, "task.start_requested", request, "dispatcher"
        )
    )


@pytest.mark.parametrize("what", ["cancel", "away", "other incarnation"])
async def test_what_may_not_start_gets_no_permit(hub: Hub, what: str) -> None:
    task_id = await given(hub, locks=["elevator"])
    if what == "cancel":
        await hub.node.cancel(task_id)
    elif what == "away":
        await hub.disconnect("robot-1")
    else:
        await hub.connect("robot-1", "bbb")
    await hub.ask_start(task_id)
    await hub.settle()
    assert not (await hub.node.task(task_id)).is_permitted
    assert await locks(hub) == {}
    if what == "away":
        await hub.connect("robot-1")
        await hub.permitted(task_id)


async def test_one_that_is_away_keeps_nobody_waiting(hub: Hub) -> None:
    first, second = [await given(hub, f"robot-{n}", locks=["elevator"]) for n in (1, 2)]
    await hub.disconnect("robot-1")
    await hub.ask_start(first)
    await hub.settle()
    await hub.ask_start(second)
    await hub.permitted(second)


# ------------------------------------------------------------------ silence, and persons


async def test_a_silent_holder_keeps_its_locks_until_a_person_speaks(hub: Hub) -> None:
    """Model, dispatch 5: suspect, never free by itself."""
    first, second = [await given(hub, f"robot-{n}", locks=["elevator"]) for n in (1, 2)]
    await hub.ask_start(first)
    await hub.permitted(first)
    await hub.node.report(first, Status.RUNNING, number=1)
    await hub.disconnect("robot-1")
    await hub.ask_start(second)
    await hub.pass_s(7 * 24 * 3600)
    assert await locks(hub) == {"elevator": first}
    assert "nobody hears its device" in (await hub.view(second)).waits_for[0].message
    await free(hub, "elevator")
    await hub.permitted(second)
    # The first goes on without it, and what it says later frees nothing of the second.
    await hub.node.report(first, Status.SUCCEEDED, number=1)
    await hub.settle()
    assert await locks(hub) == {"elevator": second}


async def test_freed_by_a_person_what_has_not_started_asks_anew(hub: Hub) -> None:
    task_id = await given(hub, locks=["elevator", "door-3"])
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    await hub.disconnect("robot-1")
    await hub.settle()
    await free(hub, "elevator")
    assert not (await hub.node.task(task_id)).is_permitted
    assert await locks(hub) == {}
    await hub.connect("robot-1")
    await hub.ask_start(task_id)
    await hub.permitted(task_id)
    assert set(await locks(hub)) == {"elevator", "door-3"}


async def free(hub: Hub, name: str) -> None:
    await hub.node.replica.write(
        lambda tx: permits.release(tx, SITE, name, reason="I looked", actor="ada")
    )
    hub.granter.poke()


async def test_settled_or_forced_a_task_lets_its_locks_go(hub: Hub) -> None:
    first, second = [await given(hub, "robot-1", locks=[name]) for name in ("a", "b")]
    for task_id in (first, second):
        await hub.ask_start(task_id)
        await hub.permitted(task_id)
        await hub.node.report(task_id, Status.RUNNING, number=1)
    await hub.node.report(first, Status.UNKNOWN, number=1)
    await hub.settle()
    assert set(await locks(hub)) == {"a", "b"}, "what is unknown may still act"
    await hub.settle_as(first, Verdict.DEAD)
    assert set(await locks(hub)) == {"b"}
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.force(second, "robot-2")
    assert await locks(hub) == {}


async def test_locks_and_requests_outlast_a_restart(tmp_path: Path) -> None:
    async with open_hub(tmp_path) as hub:
        first, second = [await given(hub, f"robot-{n}", locks=["elevator"]) for n in (1, 2)]
        await hub.ask_start(first)
        await hub.permitted(first)
        await hub.ask_start(second)
        await hub.settle()
    here = {"robot-1", "robot-2"}
    async with open_hub(tmp_path, here, start_ms=START_MS + 1) as hub:
        await hub.settle()
        assert await locks(hub) == {"elevator": first}
        assert (await hub.view(second)).waits_for[0].ref == first
        await hub.node.report(first, Status.SUCCEEDED, number=1)
        await hub.permitted(second)
