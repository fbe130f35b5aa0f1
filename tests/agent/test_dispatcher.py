"""The dispatcher on a real journal."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from agent import leftovers
from agent.dispatcher import RETRY_S, STOP_S
from agent.handlers.command import Command
from agent.intake import CLOSE_MAX
from shared.core.kinds.task_bodies import Allocation, Outcome, Seat
from shared.core.kinds.task_spec import Edge, On, OnFailure, OnOrphan, Priority, Spec
from shared.core.lifecycle import Status
from shared.store.store import Store
from shared.store.transaction import Change, Transaction
from tests.agent.robot import (
    DEVICE,
    START_MS,
    VirtualTime,
    append,
    attempt_of,
    eventually,
    robot,
)


async def test_a_task_runs_and_its_outcome_is_recorded(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        task_id = await one.submit({"x": 1})
        task = await one.until(task_id, Status.SUCCEEDED)
        attempt = attempt_of(task)
        assert attempt.outcome is Outcome.SUCCEEDED
        assert attempt.output == {"number": 1}
        assert attempt.boot == "boot-1"
        assert one.handler.runs[0].payload == {"x": 1}
        assert one.handler.runs[0].idempotency_key == task_id


async def test_what_waited_before_the_start_runs_by_priority_then_submission(
    tmp_path: Path,
) -> None:
    async with robot(tmp_path, running=False) as one:
        low = await one.submit(priority=Priority.LOW)
        first, second = await one.submit(), await one.submit()
        critical = await one.submit(priority=Priority.CRITICAL)
    async with robot(tmp_path) as one:
        await one.until(low, Status.SUCCEEDED)
        ran = [run.task_id for run in one.handler.runs]
        assert ran == [critical, *sorted([first, second]), low]


async def test_a_successor_starts_after_its_predecessor(tmp_path: Path) -> None:
    """Promise 3."""
    async with robot(tmp_path, concurrency=4) as one:
        first = await one.submit({"do": "hold"})
        second = await one.submit(after=(Edge(first),), priority=Priority.CRITICAL)
        third = await one.submit(after=(Edge(second, On.END),))
        await eventually(lambda: bool(one.handler.runs))
        one.handler.gate.set()
        await one.until(third, Status.SUCCEEDED)
        assert [run.task_id for run in one.handler.runs] == [first, second, third]


async def test_a_task_after_one_that_ended_long_ago_starts(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        first = await one.submit()
        await one.until(first, Status.SUCCEEDED)
        second = await one.submit({"do": "fail-once"}, after=(Edge(first),))
        task = await one.until(second, Status.SUCCEEDED)
        assert attempt_of(task).number == 2


async def test_an_edge_that_can_never_open_cancels_the_task_or_blocks_it(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        dead = await one.submit({"do": "fail-for-good"})
        cancelled = await one.submit(after=(Edge(dead),))
        chained = await one.submit(after=(Edge(cancelled),))
        blocked = await one.submit(after=(Edge(dead, on_failure=OnFailure.BLOCK),))
        anyway = await one.submit(after=(Edge(dead, On.END),))
        await one.until(chained, Status.CANCELLED)
        task = await one.until(cancelled, Status.CANCELLED)
        assert task.progress is not None
        assert task.progress.reason == f"its predecessor {dead} is dead"
        await one.until(anyway, Status.SUCCEEDED)
        assert (await one.task(blocked)).status is Status.WAITING


async def test_no_more_run_at_once_than_may(tmp_path: Path) -> None:
    async with robot(tmp_path, concurrency=3) as one:
        tasks = [await one.submit({"do": "hold"}) for _ in range(10)]
        await eventually(lambda: len(one.handler.runs) == 3)
        one.handler.gate.set()
        for task_id in tasks:
            await one.until(task_id, Status.SUCCEEDED)
        assert one.handler.most_at_once == 3


async def test_with_concurrency_0_nothing_runs_but_cancels_are_answered(tmp_path: Path) -> None:
    async with robot(tmp_path, concurrency=0) as one:
        assert one.dispatcher.types == ()
        task_id = await one.submit()
        unknown = await one.submit(type_="unheard-of")
        await one.ask_cancel(task_id)
        await one.until(task_id, Status.CANCELLED)
        task = await one.task(unknown)
        assert task.status is Status.WAITING
        waiting = one.dispatcher.explain(task, lambda _: None, START_MS)
        assert waiting is not None
        assert waiting.status is Status.BLOCKED
        assert waiting.reasons[0].message == "robot-1 runs no tasks"


async def test_a_type_nobody_runs_here_is_dead_with_the_reason(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        task = await one.until(await one.submit(type_="unheard-of"), Status.DEAD)
        assert task.progress is not None
        assert task.progress.reason == "robot-1 runs no tasks of type unheard-of"
        assert task.attempt is None


async def test_a_device_can_run_only_what_requires_no_more_than_it_has(tmp_path: Path) -> None:
    async with robot(tmp_path, capabilities=("deliver", "lift")) as one:
        for requires, can in (((), True), (("lift",), True), (("lift", "fly"), False)):
            spec = Spec("scripted", {}, Priority.NORMAL, "ada", requires=requires)
            assert one.dispatcher.can_run(spec) is can


@pytest.mark.parametrize("wish", [{"group": "ward-7"}, {"unique": "round"}])
async def test_a_device_leaves_to_a_hub_in_reach_whose_turn_it_is(
    tmp_path: Path, wish: dict[str, Any]
) -> None:
    async with robot(tmp_path) as one:
        takes = one.dispatcher.takes
        plain = Spec("scripted", {}, Priority.NORMAL, "ada")
        bound = Spec("scripted", {}, Priority.NORMAL, "ada", **wish)
        assert takes(plain, hub_is_here=True)
        assert takes(bound, hub_is_here=False)
        assert not takes(bound, hub_is_here=True)


async def test_a_failure_is_tried_again_after_its_backoff(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit({"do": "fail-once"})
        failed = await one.until_that(
            task_id, lambda t: t.attempts_made == 1 and t.status is Status.WAITING
        )
        assert failed.progress is not None
        assert failed.progress.not_before_ms is not None
        assert START_MS <= failed.progress.not_before_ms <= START_MS + 1000
        assert attempt_of(failed).outcome is Outcome.FAILED
        time.advance(1)
        await one.until(task_id, Status.SUCCEEDED)
        assert await one.attempts(task_id) == [(1, "failed"), (2, "succeeded")]
        keys = {run.idempotency_key for run in one.handler.runs}
        assert len(keys) == 1


@pytest.mark.parametrize("what", ["fail", "bug"])
async def test_attempts_run_out(tmp_path: Path, what: str) -> None:
    async with robot(tmp_path) as one:
        task_id = await one.submit({"do": what}, max_attempts=1)
        task = await one.until(task_id, Status.DEAD)
        error = attempt_of(task).error
        assert error is not None
        assert not error.permanent
        assert attempt_of(task).output == ({"left": "crumbs"} if what == "fail" else None)


@pytest.mark.parametrize("what", ["bug", "bad-check", "bad-output", "fail"])
async def test_one_bad_task_never_stops_the_rest(tmp_path: Path, what: str) -> None:
    """Promise 6."""
    async with robot(tmp_path) as one:
        bad = await one.submit({"do": what}, max_attempts=1)
        good = await one.submit()
        await one.until(good, Status.SUCCEEDED)
        assert (await one.task(bad)).status in (Status.DEAD, Status.SUCCEEDED)


async def test_a_permanent_error_is_not_tried_again(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        task = await one.until(await one.submit({"do": "fail-for-good"}), Status.DEAD)
        assert task.attempts_made == 1


async def test_a_task_waits_for_its_time(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        later = await one.submit(not_before_ms=START_MS + 60_000)
        now = await one.submit(priority=Priority.LOW)
        await one.until(now, Status.SUCCEEDED)
        time.advance(59)
        assert (await one.task(later)).status is Status.WAITING
        time.advance(2)
        await one.until(later, Status.SUCCEEDED)


async def test_listeners_hear_of_a_task_whose_time_has_come_though_nothing_of_it_changed(
    tmp_path: Path,
) -> None:
    """✗ It went on being told as scheduled, at the hub too, while it waited for room."""
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        busy = await one.submit({"do": "hold"})
        await one.until(busy, Status.RUNNING)
        later = await one.submit(not_before_ms=START_MS + 60_000)
        await eventually(lambda: later in one.dispatcher._backlog)
        heard = asyncio.Event()

        def hear(changes: list[Change]) -> None:
            if any(change.subject == later for change in changes):
                heard.set()

        with one.replica.subscribe(hear):
            time.advance(61)
            await asyncio.wait_for(heard.wait(), 5)
        assert await one.why(later) == [("busy", busy)]


async def test_a_wall_clock_set_back_makes_a_task_wait_again(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        busy = await one.submit({"do": "hold"})
        await one.until(busy, Status.RUNNING)
        later = await one.submit(not_before_ms=START_MS + 10_000)
        time.advance(11)
        time.ms -= 11_000
        other = await one.submit(priority=Priority.LOW)
        one.handler.gate.set()
        await one.until(other, Status.SUCCEEDED)
        assert (await one.task(later)).status is Status.WAITING
        time.advance(11)
        await one.until(later, Status.SUCCEEDED)


async def test_a_run_that_takes_too_long_is_ended_and_tried_again(tmp_path: Path) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit({"do": "hold"}, start_to_close_s=5)
        await eventually(lambda: len(one.handler.runs) == 1)
        time.advance(6)
        task = await one.until_that(task_id, lambda t: t.status is Status.WAITING)
        assert attempt_of(task).outcome is Outcome.TIMED_OUT
        assert one.handler.ended == [task_id]
        one.handler.gate.set()
        time.advance(2)
        await one.until(task_id, Status.SUCCEEDED)


async def test_an_argv_off_the_allow_list_is_dead_at_once(tmp_path: Path) -> None:
    command = Command(allow=("echo",), timeout_s=60, output_bytes_max=1000)
    async with robot(tmp_path, handlers={"command": command}) as one:
        task_id = await one.submit({"argv": ["rm", "-rf", "/"]}, type_="command")
        attempt = attempt_of(await one.until(task_id, Status.DEAD))
        assert attempt.error is not None
        assert (attempt.error.type, attempt.error.permanent) == ("not-allowed", True)
        malformed = await one.submit({"argv": []}, type_="command")
        attempt = attempt_of(await one.until(malformed, Status.DEAD))
        assert attempt.error is not None
        assert (attempt.error.type, attempt.error.permanent) == ("invalid", True)


async def test_a_program_that_takes_too_long_is_gone_when_its_task_is_dead(tmp_path: Path) -> None:
    command = Command(allow=("sh",), timeout_s=2, output_bytes_max=1000)
    async with robot(tmp_path, handlers={"command": command}) as one:
        argv = ["sh", "-c", "echo half way; setsid sleep 300 & sleep 300"]
        task_id = await one.submit({"argv": argv}, type_="command", max_attempts=1)
        attempt = attempt_of(await one.until(task_id, Status.DEAD))
        assert attempt.outcome is Outcome.TIMED_OUT
        assert attempt.output is not None
        assert (attempt.output["stdout"], attempt.output["exit_code"]) == ("half way\n", -15)
        assert leftovers.find(tmp_path) == {}


async def test_a_program_that_is_cancelled_keeps_what_it_said(tmp_path: Path) -> None:
    """✗ Its output and its exit status were gone."""
    command = Command(allow=("sh",), timeout_s=60, output_bytes_max=1000)
    async with robot(tmp_path, handlers={"command": command}) as one:
        script = "trap 'echo cleaned up; exit 0' TERM; touch here; sleep 300 & wait"
        task_id = await one.submit({"argv": ["sh", "-c", script]}, type_="command")
        await eventually((tmp_path / "work" / "here").exists)
        await one.ask_cancel(task_id)
        attempt = attempt_of(await one.until(task_id, Status.CANCELLED))
        assert attempt.outcome is Outcome.CANCELLED
        assert attempt.output is not None
        assert (attempt.output["stdout"], attempt.output["exit_code"]) == ("cleaned up\n", 0)


async def test_an_outcome_that_finds_the_disk_full_is_stored_once_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 1."""
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit({"do": "much-output"})
        await eventually(lambda: len(one.handler.runs) == 1)
        await one.replica.run_on_writer(lambda store: limit_pages(store, spare=1))
        one.handler.gate.set()
        await eventually(lambda: "waits for the store" in caplog.text)
        assert (await one.task(task_id)).status is Status.RUNNING
        await one.replica.run_on_writer(lambda store: limit_pages(store, spare=10_000))
        time.advance(RETRY_S + 1)
        task = await one.until(task_id, Status.SUCCEEDED)
        assert len(attempt_of(task).output or {}) == 1
        assert len(one.handler.runs) == 1


def limit_pages(store: Store, *, spare: int) -> None:
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + spare}")


async def test_a_task_that_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        busy = await one.submit({"do": "hold"})
        await one.until(busy, Status.RUNNING)
        task_id = await one.submit()
        await one.ask_cancel(task_id, "no longer needed")
        cancelled = await one.until(task_id, Status.CANCELLED)
        assert cancelled.progress is not None
        assert cancelled.progress.reason == "cancelled by ada: no longer needed"
        assert [run.task_id for run in one.handler.runs] == [busy]


async def test_more_cancels_than_fit_one_turn_are_all_answered(tmp_path: Path) -> None:
    count = CLOSE_MAX + 50
    async with robot(tmp_path, concurrency=0) as one:
        waiting = await asyncio.gather(*(one.submit() for _ in range(count)))
        await asyncio.gather(*(one.ask_cancel(task_id) for task_id in waiting))
        for task_id in waiting:
            await one.until(task_id, Status.CANCELLED)


async def test_a_task_that_runs_is_stopped_then_cancelled(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        task_id = await one.submit({"do": "hold"})
        await eventually(lambda: len(one.handler.runs) == 1)
        await one.ask_cancel(task_id)
        task = await one.until(task_id, Status.CANCELLED)
        assert attempt_of(task).outcome is Outcome.CANCELLED
        assert one.handler.ended == [task_id]
        events = await one.replica.read(
            lambda reading: reading.query(
                "SELECT count(*) FROM journal j JOIN records r ON r.id = j.record "
                "WHERE r.subject = $1",
                task_id,
            )
        )
        # submitted, allocated, running, asked, cancelling, cancelled
        assert events == [(6,)]


async def test_a_run_that_finishes_though_asked_to_stop_has_succeeded(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        task_id = await one.submit({"do": "finish-anyway"})
        await eventually(lambda: len(one.handler.runs) == 1)
        await one.ask_cancel(task_id)
        task = await one.until(task_id, Status.SUCCEEDED)
        assert attempt_of(task).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    "change", [{"device": "robot-2"}, {"incarnation": "abcdef"}, {"epoch": "of-another-hub"}]
)
async def test_a_claim_that_is_not_ours_is_never_run(
    tmp_path: Path, change: dict[str, str]
) -> None:
    """Promise 3."""
    async with robot(tmp_path) as one:
        foreign = await one.submit(allocation=one.allocation(**change), priority=Priority.CRITICAL)
        mine = await one.submit()
        await one.until(mine, Status.SUCCEEDED)
        task = await one.task(foreign)
        assert task.status is Status.WAITING
        assert one.dispatcher.explain(task, lambda _: None, START_MS) is not None
        assert [run.task_id for run in one.handler.runs] == [mine]


async def test_a_drain_lets_runs_end_and_starts_nothing(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        running = await one.submit({"do": "hold"})
        await eventually(lambda: len(one.handler.runs) == 1)
        waiting = await one.submit()
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(one.dispatcher.drain(30))
            await asyncio.sleep(0)
            # ✗ It was about to start, and a hub went on giving it tasks.
            assert await one.why(waiting) == [("device", "robot-1")]
            assert one.dispatcher.is_closing
            one.handler.gate.set()
            await drained
        assert (await one.task(running)).status is Status.SUCCEEDED
        assert (await one.task(waiting)).status is Status.WAITING


@pytest.mark.parametrize(
    ("on_orphan", "status", "outcome"),
    [
        (OnOrphan.ASK, Status.UNKNOWN, Outcome.UNKNOWN),
        (OnOrphan.REQUEUE, Status.WAITING, Outcome.LOST),
    ],
)
async def test_a_run_that_a_drain_has_to_stop_is_no_failure(
    tmp_path: Path, on_orphan: OnOrphan, status: Status, outcome: Outcome
) -> None:
    time = VirtualTime()
    async with robot(tmp_path, time=time) as one:
        task_id = await one.submit({"do": "hold"}, on_orphan=on_orphan)
        await eventually(lambda: len(one.handler.runs) == 1)
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(one.dispatcher.drain(30))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            time.advance(31)
            await drained
        task = await one.task(task_id)
        assert task.status is status
        assert attempt_of(task).outcome is outcome
        assert one.handler.ended == [task_id]


async def test_a_drain_gives_up_on_a_run_that_will_not_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn:
        type = "stubborn"
        timeout_s = 60.0

        def __init__(self) -> None:
            self.gate = asyncio.Event()
            self.asked = asyncio.Event()

        def check(self, payload: object) -> None:
            del payload

        async def run(self, run: object) -> dict[str, object]:
            del run
            while not self.gate.is_set():
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.asked.set()
            return {}

    time, stubborn = VirtualTime(), Stubborn()
    async with robot(tmp_path, time=time, handlers={"stubborn": stubborn}) as one:
        task_id = await one.submit(type_="stubborn")
        await one.until(task_id, Status.RUNNING)
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(one.dispatcher.drain(0))
            await stubborn.asked.wait()
            with caplog.at_level(logging.ERROR):
                time.advance(STOP_S + 1)
                await drained
        assert (await one.task(task_id)).status is Status.RUNNING
        assert "would not stop" in caplog.text
        stubborn.gate.set()
        await one.until(task_id, Status.SUCCEEDED)


@pytest.mark.parametrize(
    ("on_orphan", "cancel", "status", "outcome"),
    [
        (OnOrphan.ASK, False, Status.UNKNOWN, "unknown"),
        (OnOrphan.ASK, True, Status.UNKNOWN, "unknown"),
        (OnOrphan.REQUEUE, True, Status.CANCELLED, "lost"),
        (OnOrphan.REQUEUE, False, Status.SUCCEEDED, "lost"),
    ],
)
async def test_after_a_restart_an_orphan_is_settled_as_its_task_says(
    tmp_path: Path, on_orphan: OnOrphan, cancel: bool, status: Status, outcome: str
) -> None:
    """Promise 3."""
    async with robot(tmp_path) as one:
        task_id = await one.submit({"do": "hold"}, on_orphan=on_orphan)
        await one.until(task_id, Status.RUNNING)
    async with robot(tmp_path, running=False) as one:
        if cancel:
            await one.ask_cancel(task_id)
    async with robot(tmp_path, boot="boot-2") as one:
        one.handler.gate.set()
        await one.until(task_id, status)
        attempts = await one.attempts(task_id)
        assert attempts[0] == (1, outcome)
        ran_again = status is Status.SUCCEEDED
        assert len(attempts) == (2 if ran_again else 1)


async def test_an_outcome_whose_claim_has_passed_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with robot(tmp_path) as one:
        task_id = await one.submit({"do": "hold"})
        await eventually(lambda: len(one.handler.runs) == 1)
        await one.replica.write(
            lambda tx: seat_again(tx, task_id, one.allocation(n=1, device="robot-2"))
        )
        one.handler.gate.set()
        other = await one.submit()
        await one.until(other, Status.SUCCEEDED)
        task = await one.task(task_id)
        assert task.status is Status.WAITING
        assert task.allocation is not None
        assert task.allocation.device == "robot-2"
        assert "ended after its claim had" in caplog.text


def seat_again(tx: Transaction, task_id: str, allocation: Allocation) -> None:
    append(tx, task_id, "task.allocated", Seat(allocation, (DEVICE, allocation.device)))


async def test_explain_names_what_is_in_the_way(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        busy = await one.submit({"do": "hold"})
        await one.until(busy, Status.RUNNING)
        task = await one.task(await one.submit())
        waiting = one.dispatcher.explain(task, lambda _: None, START_MS)
        assert waiting is not None
        assert waiting.status is Status.QUEUED
        assert waiting.reasons[0].ref == busy
        assert one.dispatcher.explain(await one.task(busy), lambda _: None, START_MS) is None
