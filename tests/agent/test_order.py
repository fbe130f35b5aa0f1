"""Who goes first and who waits for what: order, groups, locks, permits, times; a real journal."""

import asyncio
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from agent import claim, news
from agent.limits import Limits, Rate
from agent.order import order
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Outcome, Seat
from shared.core.kinds.task_spec import Edge, Offline, Priority
from shared.core.lifecycle import Status
from tests.agent.robot import (
    DEVICE,
    START_MS,
    Robot,
    Scripted,
    VirtualTime,
    append,
    attempt_of,
    eventually,
    robot,
)

HELD: dict[str, Any] = {"do": "hold"}


async def ran(one: Robot, *tasks: str) -> list[str]:
    """Wait until all have succeeded; return in which order runs began."""
    for task_id in tasks:
        await one.until(task_id, Status.SUCCEEDED)
    return [run.task_id for run in one.handler.runs]


# ------------------------------------------------------------------ order


async def test_what_has_waited_long_goes_before_newer_work_of_a_higher_priority(
    tmp_path: Path,
) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time, aging_s=900) as one:
        busy = await one.submit(HELD, start_to_close_s=9999)
        await one.until(busy, Status.RUNNING)
        low = await one.submit(priority=Priority.LOW)
        time.advance(1801)
        high = await one.submit(priority=Priority.HIGH)
        critical = await one.submit(priority=Priority.CRITICAL)
        one.handler.gate.set()
        assert await ran(one, low, high, critical) == [busy, critical, low, high]


async def test_among_equals_the_earlier_deadline_goes_first(tmp_path: Path) -> None:
    async with robot(tmp_path, running=False) as one:
        none = await one.submit()
        late = await one.submit(deadline_ms=START_MS + 9000)
        soon = await one.submit(deadline_ms=START_MS + 1000)
    async with robot(tmp_path) as one:
        assert await ran(one, none, late, soon) == [soon, late, none]


# ------------------------------------------------------------------ groups


async def test_a_group_runs_one_at_a_time_in_order_whatever_the_priority(tmp_path: Path) -> None:
    """Promise 3."""
    time = VirtualTime()
    async with robot(tmp_path, time=time, concurrency=4) as one:
        first = await one.submit(HELD, group="beds")
        await one.until(first, Status.RUNNING)
        time.advance(1)
        second = await one.submit({"do": "fail-once"}, group="beds")
        time.advance(1)
        third = await one.submit(group="beds", priority=Priority.CRITICAL)
        other = await one.submit(group="meals")
        await one.until(other, Status.SUCCEEDED)
        await one.until_why(second, ("group", first))
        await one.until_why(third, ("group", second))
        one.handler.gate.set()
        await one.until_that(second, lambda t: t.attempts_made == 1 and t.status is Status.WAITING)
        await one.until_why(third, ("group", second))  # one that waits for a retry keeps its place
        time.advance(5)
        order = await ran(one, first, second, third)
        assert order == [first, other, second, second, third]


async def test_one_whose_outcome_nobody_knows_stands_in_the_way_of_its_group(
    tmp_path: Path,
) -> None:
    async with robot(tmp_path) as one:
        lost = await one.submit(HELD, group="beds")
        await one.until(lost, Status.RUNNING)
    async with robot(tmp_path, boot="boot-2") as one:
        await one.until(lost, Status.UNKNOWN)
        second = await one.submit(group="beds")
        other = await one.submit()
        await one.until(other, Status.SUCCEEDED)
        await one.until_why(second, ("group", lost))


async def test_a_cancelled_member_makes_way(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        first = await one.submit(HELD, group="beds")
        await one.until(first, Status.RUNNING)
        second = await one.submit(group="beds", after=(Edge(first),))
        third = await one.submit(group="beds")
        await one.ask_cancel(first)
        await one.until(second, Status.CANCELLED)
        await one.until(third, Status.SUCCEEDED)


# ------------------------------------------------------------------ locks


async def test_a_local_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    async with robot(tmp_path, concurrency=4) as one:
        arm = await one.submit(HELD, locks=("local:arm", "local:door"))
        await one.until(arm, Status.RUNNING)
        both = await one.submit(locks=("local:arm", "local:camera"))
        door = await one.submit(locks=("local:door",))
        camera = await one.submit(locks=("local:camera",))
        await one.until(camera, Status.SUCCEEDED)  # both has none of its locks before it has all
        await one.until_why(both, ("lock", arm))
        waiting = one.dispatcher.explain(await one.task(door), lambda _: None, START_MS)
        assert waiting is not None
        assert waiting.status is Status.BLOCKED
        assert waiting.reasons[0].message == f"{arm} holds local:door"
        one.handler.gate.set()
        await ran(one, both, door)


# ------------------------------------------------------------------ permits and recalls


@pytest.mark.parametrize(
    ("wish", "reason"),
    [({"offline": Offline.RELEASE}, "device"), ({"locks": ("lift",)}, "lock")],
)
async def test_what_asks_the_hub_starts_with_its_permit_for_this_claim_only(
    tmp_path: Path, wish: dict[str, Any], reason: str
) -> None:
    """Promise 3."""
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        given = await one.adopt_hub("e1")
        task_id = await one.submit({"do": "fail-once"}, allocation=given, **wish)
        await one.until_that(task_id, lambda t: t.start_asked == t.next_claim)
        other = await one.submit()
        await one.until(other, Status.SUCCEEDED)  # it takes no room while it waits
        await one.until_why(task_id, (reason, None))
        await one.permit(task_id)
        failed = await one.until_that(
            task_id, lambda t: t.attempts_made == 1 and t.status is Status.WAITING
        )
        assert not failed.is_permitted
        time.advance(2)
        again = await one.until_that(task_id, lambda t: t.start_asked == t.next_claim)
        assert again.start_asked is not None
        assert again.start_asked.attempt == 2
        await one.permit(task_id)
        await one.until(task_id, Status.SUCCEEDED)
        assert await events_of(one, task_id, "request.start") == 2


async def test_a_request_for_a_permit_stays_over_a_restart_and_is_not_made_twice(
    tmp_path: Path,
) -> None:
    async with robot(tmp_path) as one:
        given = await one.adopt_hub("e1")
        task_id = await one.submit(allocation=given, offline=Offline.RELEASE)
        await one.until_that(task_id, lambda t: t.start_asked is not None)
    async with robot(tmp_path, boot="boot-2") as one:
        await one.until(await one.submit(), Status.SUCCEEDED)
        assert await events_of(one, task_id, "request.start") == 1
        await one.permit(task_id)
        await one.until(task_id, Status.SUCCEEDED)


async def events_of(one: Robot, task_id: str, register: str) -> int:
    """Count the events of one register: each was written by this device after the other."""
    record = await one.replica.record("task", task_id)
    rows = await one.replica.read(
        lambda reading: reading.query(
            "SELECT count(*) FROM journal j JOIN records r ON r.id = j.record "
            "WHERE r.subject = $1 AND instr(j.header, $2)",
            task_id,
            register.encode(),
        )
    )
    assert record.register(register).siblings
    return int(rows[0][0])


async def test_a_recalled_task_is_given_back_and_never_starts_under_that_allocation(
    tmp_path: Path,
) -> None:
    """Promise 3."""
    async with robot(tmp_path) as one:
        given = await one.adopt_hub("e1")
        busy = await one.submit(HELD)
        await one.until(busy, Status.RUNNING)
        task_id = await one.submit(allocation=given, group="beds")
        behind = await one.submit(group="beds")
        await one.recall(task_id)
        task = await one.until_that(task_id, lambda t: t.is_returned)
        assert task.status is Status.WAITING
        assert task.progress is not None
        assert task.progress.reason == "needed elsewhere"
        assert await one.why(task_id) == [("device", DEVICE)]
        one.handler.gate.set()
        assert await ran(one, busy, behind) == [busy, behind]
        again = replace(given, n=2)
        await one.replica.write(
            lambda tx: append(tx, task_id, "task.allocated", Seat(again, (DEVICE,)))
        )
        await one.until(task_id, Status.SUCCEEDED)


async def test_a_recall_of_one_that_runs_or_of_an_older_allocation_changes_nothing(
    tmp_path: Path,
) -> None:
    async with robot(tmp_path) as one:
        given = await one.adopt_hub("e1")
        running = await one.submit(HELD, allocation=replace(given, n=2))
        await one.until(running, Status.RUNNING)
        older = await one.submit(allocation=replace(given, n=2))
        await one.recall(running, n=2)
        await one.recall(older, n=1)
        one.handler.gate.set()
        assert await ran(one, running, older) == [running, older]


@pytest.mark.parametrize("stop", ["recall", "permit", "cancel"])
async def test_the_transaction_of_a_start_looks_again(tmp_path: Path, stop: str) -> None:
    """Promise 3: what arrives between the decision and its commit counts."""
    async with robot(tmp_path, running=False) as one:
        given = await one.adopt_hub("e1")
        offline = Offline.RELEASE if stop == "permit" else Offline.KEEP
        task_id = await one.submit(allocation=given, offline=offline)
        if stop == "recall":
            await one.recall(task_id)
        elif stop == "cancel":
            await one.ask_cancel(task_id)
        start = partial(claim.start, task_id=task_id, attempt_id="a", boot="boot-1")
        task = await one.replica.write(start)
        assert task == await one.task(task_id)
        assert task.status is Status.WAITING


# ------------------------------------------------------------------ times


async def test_one_that_waits_longer_than_it_may_expires(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        busy = await one.submit(HELD)
        await one.until(busy, Status.RUNNING)
        start = await one.submit(schedule_to_start_s=10)
        close = await one.submit(schedule_to_close_s=20)
        patient = await one.submit()
        time.advance(11)
        task = await one.until(start, Status.EXPIRED)
        assert reason_of(task) == "it did not start within 10 s of its submission"
        assert (await one.task(close)).status is Status.WAITING
        time.advance(10)
        task = await one.until(close, Status.EXPIRED)
        assert reason_of(task) == "it was not done within 20 s of its submission"
        one.handler.gate.set()
        await one.until(patient, Status.SUCCEEDED)


async def test_a_limit_passed_while_the_agent_was_away_counts_from_the_record(
    tmp_path: Path,
) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time, running=False) as one:
        task_id = await one.submit(schedule_to_start_s=10)
    time.advance(11)
    async with robot(tmp_path, time=time) as one:
        await one.until(task_id, Status.EXPIRED)
        assert one.handler.runs == []


async def test_one_that_has_started_once_does_not_expire_for_its_start(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit({"do": "fail-once"}, schedule_to_start_s=10)
        await one.until_that(task_id, lambda t: t.attempts_made == 1 and t.status is Status.WAITING)
        time.advance(60)
        await one.until(task_id, Status.SUCCEEDED)


async def test_a_run_beyond_the_time_of_its_task_is_stopped_for_good(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit(HELD, schedule_to_close_s=30)
        await eventually(lambda: len(one.handler.runs) == 1)
        time.advance(31)
        attempt = attempt_of(await one.until(task_id, Status.DEAD))
        assert attempt.outcome is Outcome.TIMED_OUT
        assert attempt.error is not None
        assert (attempt.error.type, attempt.error.permanent) == ("timed-out", True)
        assert one.handler.ended == [task_id]


async def test_a_run_without_a_heartbeat_is_stopped_and_tried_again(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit(HELD, heartbeat_s=5)
        await eventually(lambda: len(one.handler.runs) == 1)
        time.advance(6)
        task = await one.until_that(
            task_id, lambda t: t.status is Status.WAITING and t.attempts_made == 1
        )
        error = attempt_of(task).error
        assert error is not None
        assert (error.type, error.permanent) == ("heartbeat-missed", False)
        one.handler.gate.set()
        time.advance(2)
        await one.until(task_id, Status.SUCCEEDED)


async def test_a_run_that_tells_its_progress_is_not_taken_for_stuck(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit(HELD, heartbeat_s=5, start_to_close_s=100)
        await eventually(lambda: len(one.handler.runs) == 1)
        (run,) = one.handler.runs
        for step in range(4):
            time.advance(4)
            run.progress({"step": step})
            # Whoever was woken by the time has looked before more of it passes.
            await one.until(await one.submit(schedule_to_start_s=0), Status.EXPIRED)
        assert (await one.task(task_id)).attempts_made == 1
        one.handler.gate.set()
        await one.until(task_id, Status.SUCCEEDED)


def reason_of(task: Task) -> str | None:
    return task.progress.reason if task.progress else None


# ------------------------------------------------------------------ queues


async def test_no_more_of_a_type_run_at_once_than_its_queue_allows(tmp_path: Path) -> None:
    limits = {"scripted": Limits(concurrency=2)}
    async with robot(tmp_path, concurrency=5, limits=limits) as one:
        made = [await one.submit(HELD) for _ in range(5)]
        await eventually(lambda: len(one.handler.runs) == 2)
        running = [run.task_id for run in one.handler.runs]
        waits = next(task_id for task_id in made if task_id not in running)
        await one.until_why(waits, ("busy", running[0]))
        one.handler.gate.set()
        await ran(one, *made)
        assert one.handler.most_at_once == 2


async def test_starts_beyond_a_rate_wait_until_it_allows_them(tmp_path: Path) -> None:
    time = VirtualTime()
    limits = {"scripted": Limits(rate=Rate(count=2, per_s=60))}
    async with robot(tmp_path, time=time, concurrency=5, limits=limits) as one:
        made = [await one.submit() for _ in range(3)]
        await eventually(lambda: len(one.handler.runs) == 2)
        (waits,) = set(made) - {run.task_id for run in one.handler.runs}
        await one.until_why(waits, ("busy", None))
        waiting = one.dispatcher.explain(await one.task(waits), lambda _: None, time.now_ms())
        assert waiting is not None
        assert waiting.status is Status.QUEUED
        assert waiting.wake_ms == START_MS + 60_000
        time.advance(59)
        await asyncio.sleep(0)
        assert len(one.handler.runs) == 2
        time.advance(1)
        await one.until(waits, Status.SUCCEEDED)


async def test_a_paused_queue_starts_nothing_and_loses_nothing_over_a_restart(
    tmp_path: Path,
) -> None:
    async with robot(tmp_path, handlers={"other": Scripted("other")}) as one:
        running = await one.submit(HELD)
        await one.until(running, Status.RUNNING)
        await one.pause()
        waits = await one.submit()
        other = await one.submit(type_="other")
        one.handler.gate.set()
        await one.until(running, Status.SUCCEEDED)  # what runs goes on
        await one.until(other, Status.SUCCEEDED)
        await one.until_why(waits, ("paused", None))
    async with robot(tmp_path, handlers={"other": Scripted("other")}, boot="boot-2") as one:
        other = await one.submit(type_="other")
        await one.until(other, Status.SUCCEEDED)
        task = await one.task(waits)
        waiting = one.dispatcher.explain(task, lambda _: None, START_MS)
        assert waiting is not None
        assert waiting.status is Status.QUEUED
        assert waiting.reasons[0].message == "the queue scripted is paused: lunch"
        await one.pause(paused=False)
        await one.until(waits, Status.SUCCEEDED)


# ------------------------------------------------------------------ many


async def test_the_order_of_reading_at_a_start_is_the_order_of_starting(tmp_path: Path) -> None:
    time, chance, aging_ms = VirtualTime(), Random(11), 900_000
    async with robot(tmp_path, time=time, running=False) as one:
        for _ in range(120):
            time.advance(chance.choice((0, 1, 200)))
            await one.submit(
                priority=chance.choice(list(Priority)),
                deadline_ms=chance.choice((None, None, START_MS, START_MS + 9000)),
                group=chance.choice((None, "beds", "meals")),
            )
        await one.submit(allocation=one.allocation(device="robot-2"))
        time.ms -= 3_000_000  # a wall clock set back: some are of the future
        for aging in (aging_ms, 0):
            question = partial(news.held, device=DEVICE, now_ms=time.now_ms(), aging_ms=aging)
            held = await one.replica.read(question)
            made = [await one.task(task_id) for task_id in held.waiting]
            places = [order(task, time.now_ms(), aging) for task in made]
            assert len(places) == 120
            assert places == sorted(places)
            grouped = {task.id for task in made if task.spec.group is not None}
            assert {task_id for task_id, *_ in held.grouped} == grouped


async def test_more_than_one_read_of_waiting_tasks_run_in_their_order_after_a_start(
    tmp_path: Path,
) -> None:
    async with robot(tmp_path, running=False) as one:
        made = await asyncio.gather(*(one.submit() for _ in range(450)))
        high = await one.submit(priority=Priority.HIGH)
    async with robot(tmp_path) as one:
        assert await ran(one, high, *made) == [high, *sorted(made)]
