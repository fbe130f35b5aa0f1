"""How a run ended, and what follows for its task."""

from typing import Any

import msgspec
import pytest

from agent.attempt import (
    OUTPUT_BYTES_MAX,
    Failed,
    Result,
    Stopped,
    Succeeded,
    abandon,
    backoff_s,
    conclude,
    fitting,
)
from agent.timers import Stop
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Failure,
    Outcome,
    Progress,
)
from shared.core.kinds.task_spec import ATTEMPTS_MAX, OnOrphan, Priority, Retry, Spec
from shared.core.lifecycle import Status

NOW_MS = 1_790_000_000_000
SEAT = Allocation("e1", 4, "robot-1", "a1")
SAD = Failure("sad", "it did not work")
WHY = "cancelled by ada: not needed"
HOPELESS = Failure("sad", "it never will", permanent=True)


def acting(
    status: Status = Status.RUNNING,
    *,
    number: int = 1,
    on_orphan: OnOrphan = OnOrphan.ASK,
    why_cancel: str | None = None,
) -> Task:
    attempt = Attempt("0199", number, "boot-1", NOW_MS - 5000)
    spec = Spec("x", {}, Priority.NORMAL, "ada", max_attempts=3, on_orphan=on_orphan)
    return Task(
        id="t",
        site="demo",
        spec=spec,
        submitters=("robot-1",),
        allocation=SEAT,
        holders=("robot-1",),
        status=status,
        progress=Progress(status, SEAT, attempt),
        priority=Priority.NORMAL,
        why_cancel=why_cancel,
        created_ms=NOW_MS,
        updated_ms=NOW_MS,
    )


RUNNING, CANCELLING = acting(), acting(Status.CANCELLING, why_cancel=WHY)
REQUEUE = acting(on_orphan=OnOrphan.REQUEUE)
LAST = acting(number=3)


@pytest.mark.parametrize(
    ("task", "result", "status", "outcome"),
    [
        (RUNNING, Succeeded({}), Status.SUCCEEDED, Outcome.SUCCEEDED),
        (CANCELLING, Succeeded({}), Status.SUCCEEDED, Outcome.SUCCEEDED),
        (RUNNING, Failed(SAD), Status.WAITING, Outcome.FAILED),
        (LAST, Failed(SAD), Status.DEAD, Outcome.FAILED),
        (RUNNING, Failed(HOPELESS), Status.DEAD, Outcome.FAILED),
        (CANCELLING, Failed(SAD), Status.CANCELLED, Outcome.FAILED),
        (CANCELLING, Failed(HOPELESS), Status.CANCELLED, Outcome.FAILED),
        (RUNNING, Stopped(Stop.TIMEOUT), Status.WAITING, Outcome.TIMED_OUT),
        (LAST, Stopped(Stop.TIMEOUT), Status.DEAD, Outcome.TIMED_OUT),
        (CANCELLING, Stopped(Stop.CANCEL), Status.CANCELLED, Outcome.CANCELLED),
        (CANCELLING, Stopped(Stop.TIMEOUT), Status.CANCELLED, Outcome.TIMED_OUT),
        (RUNNING, Stopped(Stop.SHUTDOWN), Status.UNKNOWN, Outcome.UNKNOWN),
        (RUNNING, Stopped(Stop.SHUTDOWN, acted=False), Status.WAITING, Outcome.LOST),
        (REQUEUE, Stopped(Stop.SHUTDOWN), Status.WAITING, Outcome.LOST),
        (CANCELLING, Stopped(Stop.SHUTDOWN), Status.UNKNOWN, Outcome.UNKNOWN),
        (CANCELLING, Stopped(Stop.SHUTDOWN, acted=False), Status.CANCELLED, Outcome.LOST),
    ],
)
def test_what_follows_from_the_end_of_a_run(
    task: Task, result: Result, status: Status, outcome: Outcome
) -> None:
    progress = conclude(task, result, now_ms=NOW_MS, jitter=0.5)
    assert progress.status is status
    assert progress.allocation == SEAT
    assert progress.attempt is not None
    assert progress.attempt.outcome is outcome
    assert progress.attempt.ended_ms == NOW_MS
    assert task.attempt is not None
    assert progress.attempt.id == task.attempt.id
    retried = status is Status.WAITING and outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
    assert progress.not_before_ms == (NOW_MS + 500 if retried else None)


@pytest.mark.parametrize(("limit_s", "words"), [(2.5, "than 2.5 s"), (None, "than it may")])
def test_a_run_that_took_too_long_says_how_long_it_might(limit_s: float | None, words: str) -> None:
    spec = msgspec.structs.replace(RUNNING.spec, start_to_close_s=limit_s)
    task = msgspec.structs.replace(RUNNING, spec=spec)
    progress = conclude(task, Stopped(Stop.TIMEOUT), now_ms=NOW_MS, jitter=0.5)
    assert progress.reason == f"it took longer {words}, and was ended"


def test_an_orphan_whose_cancel_was_not_answered_is_cancelled_if_it_may_be_lost() -> None:
    task = acting(on_orphan=OnOrphan.REQUEUE, why_cancel=WHY)
    progress = abandon(task, now_ms=NOW_MS, repeatable=False, reason="gone")
    assert progress.status is Status.CANCELLED


def test_a_task_that_takes_the_agent_down_each_time_is_not_tried_for_ever() -> None:
    task = acting(number=ATTEMPTS_MAX, on_orphan=OnOrphan.REQUEUE)
    progress = abandon(task, now_ms=NOW_MS, repeatable=False, reason="the agent ended")
    assert progress.status is Status.DEAD
    assert progress.reason == f"the agent ended, for the {ATTEMPTS_MAX}th time with this task"


@pytest.mark.parametrize(
    ("made", "jitter", "expected_s"),
    [(1, 1.0, 2.0), (2, 1.0, 4.0), (3, 0.5, 4.0), (10, 1.0, 60.0), (99, 1.0, 60.0), (5, 0.0, 0.0)],
)
def test_backoff_doubles_up_to_its_cap(made: int, jitter: float, expected_s: float) -> None:
    assert backoff_s(Retry(base_s=2, max_s=60), made, jitter) == expected_s


class Unheard:
    pass


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ({"a": [1, None, "ä"]}, {"a": [1, None, "ä"]}),
        ({"b": b"\x00"}, {"b": "AA=="}),
        ({1: "one"}, {"1": "one"}),
    ],
)
def test_an_output_that_fits_is_kept(output: Any, kept: dict[str, Any]) -> None:
    assert fitting(output) == kept


@pytest.mark.parametrize(
    "output", [{"a": Unheard()}, {"a": 2**80}, ["a"], {"a": "x" * OUTPUT_BYTES_MAX}]
)
def test_an_output_that_does_not_fit_is_replaced_by_a_note(output: Any) -> None:
    kept = fitting(output)
    assert list(kept) == ["omitted"]
    assert len(msgspec.msgpack.encode(kept)) < 4096
