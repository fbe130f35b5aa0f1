"""How a task is shown."""

import pytest

from shared.core import instants, waiting
from shared.core import record as records
from shared.core.kinds.task import read
from shared.core.kinds.task_bodies import (
    CANCEL,
    STATUS,
    Allocation,
    Attempt,
    CancelRequest,
    Failure,
    Outcome,
)
from shared.core.kinds.task_bodies import Progress as Made
from shared.core.lifecycle import Status
from shared.core.record import Record
from shared.core.task_view import ClaimView, attempt_view, shown_status, view
from tests.shared.making import NOW_MS
from tests.shared.tasks import FIRST, SEATED, SUBMITTED, record, task, written

ASKED = written("b.1", 1, CANCEL, CancelRequest())


@pytest.mark.parametrize("word", [s for s in Status if s is not Status.WAITING])
def test_a_status_shows_as_it_is(word: Status) -> None:
    move = written("robot.1", 1, STATUS, Made(word, FIRST))
    assert shown_status(task(SUBMITTED, SEATED, move), None) is word


def test_waiting_shows_what_it_means() -> None:
    made = task(SUBMITTED)
    assert shown_status(made, None) is Status.QUEUED
    assert shown_status(made, waiting.blocked_on_device("nobody can")) is Status.BLOCKED


@pytest.mark.parametrize("word", [Status.RUNNING, Status.CANCELLING])
def test_a_cancel_under_way_shows(word: Status) -> None:
    move = written("robot.1", 1, STATUS, Made(word, FIRST))
    assert shown_status(task(SUBMITTED, SEATED, move, ASKED), None) is Status.CANCELLING


def test_a_cancel_asked_of_a_device_that_has_not_answered_shows() -> None:
    assert shown_status(task(SUBMITTED, SEATED, ASKED), None) is Status.CANCELLING
    assert shown_status(task(SUBMITTED, ASKED), None) is Status.CANCELLING


def test_a_cancel_that_came_too_late_changes_nothing() -> None:
    move = written("robot.1", 1, STATUS, Made(Status.SUCCEEDED, FIRST))
    assert shown_status(task(SUBMITTED, SEATED, move, ASKED), None) is Status.SUCCEEDED


def test_a_waiting_task_says_what_for_and_others_do_not() -> None:
    reason = waiting.queued("2 of 2 run")
    held = record(SUBMITTED)
    made = read(held)
    assert made is not None
    shown = view(made, held, waiting=reason)
    assert shown.waits_for == reason.reasons
    assert shown.priority == "low"
    assert shown.created_at == instants.text(NOW_MS)
    running = record(SUBMITTED, SEATED, written("robot.1", 1, STATUS, Made(Status.RUNNING, FIRST)))
    moved = read(running)
    assert moved is not None
    assert view(moved, running, waiting=reason).waits_for == ()
    assert view(moved, running, waiting=None).device == "robot"


def test_an_attempt_shows_its_claim() -> None:
    attempt = Attempt("t-1", 2, "boot", NOW_MS, NOW_MS + 5, Outcome.FAILED, Failure("x", "y"))
    shown = attempt_view("t", Allocation(None, 0, "robot", "1"), attempt)
    assert shown.claim == ClaimView(None, 0, 2)
    assert (shown.outcome, shown.device) == ("failed", "robot")
    assert shown.ended_at == instants.text(NOW_MS + 5)


def test_the_etag_is_the_records() -> None:
    held: Record = record(SUBMITTED, SEATED)
    made = read(held)
    assert made is not None
    assert view(made, held, waiting=None).etag == records.etag(held)
