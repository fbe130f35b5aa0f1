"""Tasks: what a record says, and who may write what."""

from typing import Any

import msgspec
import pytest

from shared.core.event import Event
from shared.core.kinds.task import read
from shared.core.kinds.task_bodies import (
    CANCEL,
    PRIORITY,
    REGISTER_OF,
    SEAT,
    SPEC,
    STATUS,
    CancelRequest,
    PriorityRequest,
    Progress,
    Seat,
)
from shared.core.kinds.task_kind import TASK
from shared.core.kinds.task_spec import Edge, Priority
from shared.core.lifecycle import Status
from shared.core.record import Record
from shared.errors import Invalid
from tests.shared.making import NOW_MS, event
from tests.shared.tasks import (
    BEFORE,
    FIRST,
    ID,
    KIND_OF,
    MOVED,
    OWN,
    RUNS,
    SEATED,
    SECOND,
    SPEC_BODY,
    SUBMITTED,
    attempt,
    record,
    task,
    written,
)

# ------------------------------------------------------------------ what a record says


def test_a_task_without_its_submission_is_not_known() -> None:
    assert read(Record("task", ID)) is None
    assert read(record(RUNS)) is None


def test_a_submitted_task_waits() -> None:
    made = task(SUBMITTED)
    assert (made.status, made.allocation, made.attempts_made) == (Status.WAITING, None, 0)
    assert made.origin_device == "hub"
    assert made.priority is Priority.LOW
    assert made.created_ms == made.updated_ms == NOW_MS


def test_the_sitter_says_how_it_goes() -> None:
    made = task(SUBMITTED, SEATED, RUNS)
    assert (made.status, made.attempts_made) == (Status.RUNNING, 1)
    assert made.allocation == FIRST


def test_of_a_repeated_submission_the_first_counts_and_both_are_known() -> None:
    again = msgspec.structs.replace(SPEC_BODY, requester="bo")
    made = task(written("robot.1", 1, SPEC, again, at_ms=NOW_MS - 5), SUBMITTED)
    assert (made.submitters, made.origin_device) == (("robot", "hub"), "robot")
    assert (made.spec.requester, made.created_ms) == ("bo", NOW_MS - 5)


def test_a_stale_claim_is_evidence_and_does_not_show() -> None:
    """Promise 4: it stays a sibling, and its attempt stays a row."""
    late = written("robot.1", 2, STATUS, Progress(Status.SUCCEEDED, FIRST, attempt(1)))
    made = record(SUBMITTED, SEATED, MOVED, RUNS, late)
    shown = read(made)
    assert shown is not None
    assert shown.status is Status.WAITING
    assert shown.attempts_made == 0
    assert late in made.register(STATUS).siblings
    assert TASK.side_rows(late, None)


def test_the_newest_allocations_report_shows_whatever_its_stamp() -> None:
    new = written("other.1", 1, STATUS, Progress(Status.RUNNING, SECOND, attempt(1)), at_ms=5)
    old = written("robot.1", 1, STATUS, Progress(Status.DEAD, FIRST, attempt(3)), at_ms=NOW_MS)
    made = task(SUBMITTED, SEATED, MOVED, old, new)
    assert (made.status, made.attempts_made) == (Status.RUNNING, 1)


def test_a_report_that_arrives_before_its_allocation_counts() -> None:
    """The seat and the status are registers of their own: either may be here first."""
    assert task(SUBMITTED, RUNS).status is Status.RUNNING


def test_concurrent_reports_under_one_allocation_show_the_latest_and_keep_both() -> None:
    one = written("robot.1", 4, STATUS, Progress(Status.SUCCEEDED, FIRST, attempt(1)), at_ms=8)
    two = written("robot.2", 1, STATUS, Progress(Status.DEAD, FIRST, attempt(1)), at_ms=9)
    made = record(SUBMITTED, SEATED, one, two)
    shown = read(made)
    assert shown is not None
    assert shown.status is Status.DEAD
    assert len(made.register(STATUS).siblings) == 2


def test_requests_show_beside_the_status() -> None:
    asked = written("b.1", 1, CANCEL, CancelRequest("wrong press"))
    faster = written("b.1", 2, PRIORITY, PriorityRequest(Priority.HIGH), at_ms=NOW_MS + 7)
    made = task(SUBMITTED, SEATED, RUNS, asked, faster)
    assert made.cancel_asked
    assert made.priority is Priority.HIGH
    assert made.status is Status.RUNNING
    assert made.updated_ms == NOW_MS + 7


def test_rows_follow_the_record() -> None:
    row = dict(zip(TASK.table.columns, TASK.row(record(SUBMITTED, SEATED, RUNS)), strict=True))
    assert row["status"] == "running"
    assert row["device"] == "robot"
    assert row["seated"] == 1
    assert TASK.row(record(RUNS))[4] == "", "not submitted yet"


def test_who_holds_a_task_and_what_it_waits_for() -> None:
    spec = msgspec.structs.replace(SPEC_BODY, after=(Edge(BEFORE),))
    made = record(written("tablet.1", 1, SPEC, spec), SEATED, MOVED)
    assert TASK.devices(made) == ("tablet", "robot", "other")
    assert TASK.related(made) == (BEFORE,)
    assert TASK.devices(record(RUNS)) == ()


def test_a_task_has_no_conflicts_to_resolve() -> None:
    with pytest.raises(Invalid):
        TASK.resolution(STATUS, {})
    assert all(TASK.policy(register) is None for register in REGISTER_OF.values())


# ------------------------------------------------------------------ who may write what

SUBMITTED_BY_ROBOT = written("robot.1", 1, SPEC, SPEC_BODY)
AS_BO = msgspec.structs.replace(SPEC_BODY, requester="bo")
OTHER_SPEC = msgspec.structs.replace(SPEC_BODY, payload={"seconds": 2})
DEALT_TO_OTHER = written("hub.1", 3, SEAT, Seat(SECOND, ("other",)))
OWN_SEAT = written("robot.1", 2, SEAT, Seat(OWN, ("robot",)))
SUBMITTED_BY_OTHER = written("other.1", 1, SPEC, SPEC_BODY)
OTHERS_OWN = msgspec.structs.replace(OWN, device="other")
CANCELLED_BY_HUB = written("hub.1", 4, STATUS, Progress(Status.CANCELLED))


def judged(by: str, register: str, body: Any, *held: Event, is_hub: bool = False) -> str | None:
    return TASK.judge(written(by, 9, register, body), body, lambda: record(*held), is_hub)


ACCEPTED = {
    "a device submits": ("robot.1", SPEC, SPEC_BODY, ()),
    "it repeats its submission": ("robot.1", SPEC, SPEC_BODY, (SUBMITTED_BY_ROBOT,)),
    "it repeats what the hub was asked": ("robot.1", SPEC, AS_BO, (SUBMITTED,)),
    "it tells what it did with that": (
        "robot.1",
        STATUS,
        Progress(Status.SUCCEEDED, OWN),
        (SUBMITTED, SUBMITTED_BY_ROBOT, DEALT_TO_OTHER),
    ),
    "it seats itself on its own": ("robot.1", SEAT, Seat(OWN, ("robot",)), (SUBMITTED_BY_ROBOT,)),
    "the holder reports": ("robot.1", STATUS, Progress(Status.RUNNING, FIRST), (SUBMITTED, SEATED)),
    "a former holder reports": (
        "robot.1",
        STATUS,
        Progress(Status.SUCCEEDED, FIRST),
        (SUBMITTED, SEATED, MOVED),
    ),
    "anybody asks to cancel": ("tablet.1", CANCEL, CancelRequest(), (SUBMITTED,)),
    "anybody asks for priority": (
        "tablet.1",
        PRIORITY,
        PriorityRequest(Priority.HIGH),
        (SUBMITTED,),
    ),
}
REFUSED = {
    "another took the id": ("tablet.1", SPEC, OTHER_SPEC, (SUBMITTED_BY_ROBOT,)),
    "the hub took the id": ("robot.1", SPEC, OTHER_SPEC, (SUBMITTED,)),
    "a submission never changes": ("robot.1", SPEC, OTHER_SPEC, (SUBMITTED_BY_ROBOT,)),
    "who repeats a submission reports under the hub's allocation": (
        "robot.1",
        STATUS,
        Progress(Status.RUNNING, SECOND),
        (SUBMITTED, SUBMITTED_BY_ROBOT, DEALT_TO_OTHER),
    ),
    "it takes the seat that the hub gave": (
        "robot.1",
        SEAT,
        Seat(OWN, ("robot",)),
        (SUBMITTED, SUBMITTED_BY_ROBOT, DEALT_TO_OTHER),
    ),
    "status before the submission": ("robot.1", STATUS, Progress(Status.RUNNING), ()),
    "request before the submission": ("robot.1", CANCEL, CancelRequest(), ()),
    "status by a stranger": (
        "tablet.1",
        STATUS,
        Progress(Status.RUNNING, FIRST),
        (SUBMITTED, SEATED),
    ),
    "a holder reports for another": (
        "robot.1",
        STATUS,
        Progress(Status.RUNNING, SECOND),
        (SUBMITTED, SEATED, MOVED),
    ),
    "status before any seat": ("robot.1", STATUS, Progress(Status.RUNNING), (SUBMITTED,)),
    "a device allocates in the hub's epoch": (
        "robot.1",
        SEAT,
        Seat(FIRST, ("robot",)),
        (SUBMITTED_BY_ROBOT,),
    ),
    "a device seats another": (
        "robot.1",
        SEAT,
        Seat(msgspec.structs.replace(OWN, device="other"), ("other",)),
        (SUBMITTED_BY_ROBOT,),
    ),
    "a device takes what it did not submit": (
        "robot.1",
        SEAT,
        Seat(OWN, ("robot",)),
        (SUBMITTED,),
    ),
    "a device takes back what the hub dealt": (
        "robot.1",
        SEAT,
        Seat(OWN, ("robot",)),
        (SUBMITTED_BY_ROBOT, SEATED),
    ),
    "another that was given the same took it first": (
        "other.1",
        SEAT,
        Seat(OTHERS_OWN, ("other",)),
        (SUBMITTED_BY_ROBOT, OWN_SEAT, SUBMITTED_BY_OTHER),
    ),
    "the hub, which was given the same, has cancelled it": (
        "robot.1",
        SEAT,
        Seat(OWN, ("robot",)),
        (SUBMITTED, SUBMITTED_BY_ROBOT, CANCELLED_BY_HUB),
    ),
    "a device clears a seat": ("robot.1", SEAT, Seat(None, ()), (SUBMITTED_BY_ROBOT, OWN_SEAT)),
}


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(case: tuple[str, str, Any, tuple[Event, ...]]) -> None:
    by, register, body, held = case
    assert judged(by, register, body, *held) is None


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_a_reason(case: tuple[str, str, Any, tuple[Event, ...]]) -> None:
    """Promise 5."""
    by, register, body, held = case
    assert judged(by, register, body, *held)


@pytest.mark.parametrize("n", [0, 1])  # 1: tried again there, by a person
def test_what_another_did_that_was_given_the_same_task_does_not_show(n: int) -> None:
    """✗ a task that has succeeded is dead, one that was cancelled succeeds (the simulator)."""
    own = msgspec.structs.replace(OTHERS_OWN, n=n)
    theirs = written("other.1", 3, STATUS, Progress(Status.DEAD, own))
    done = written("robot.1", 3, STATUS, Progress(Status.SUCCEEDED, OWN))
    both = (SUBMITTED_BY_ROBOT, SUBMITTED_BY_OTHER)
    ran = read(record(*both, OWN_SEAT, done, theirs))
    assert ran is not None
    assert ran.status is Status.SUCCEEDED
    never = read(record(SUBMITTED, SUBMITTED_BY_OTHER, CANCELLED_BY_HUB, theirs))
    assert never is not None
    assert never.status is Status.CANCELLED


def test_the_hub_may_seat_anybody_and_an_event_stays_in_its_register() -> None:
    assert judged("hub.1", SEAT, Seat(SECOND, ()), SUBMITTED, SEATED, is_hub=True) is None
    wrong = event("robot.1", 9, kind="task.status", subject=ID, register=SEAT, body={})
    assert TASK.judge(wrong, Progress(Status.RUNNING), lambda: record(SUBMITTED, SEATED), False)
    assert TASK.judge(wrong, Progress(Status.RUNNING), lambda: record(SUBMITTED, SEATED), True)


@pytest.mark.parametrize("register", sorted({SPEC, SEAT, STATUS, CANCEL, PRIORITY}))
def test_each_kind_has_its_register(register: str) -> None:
    assert KIND_OF[register] in TASK.bodies


def test_evidence_does_not_replace_what_the_newer_allocation_reported() -> None:
    """The simulator's find: a former holder's last word made the new one start again."""
    newer = written("other.1", 1, STATUS, Progress(Status.UNKNOWN, SECOND, attempt(1)))
    held = (SUBMITTED, MOVED, newer)
    late = Progress(Status.SUCCEEDED, FIRST, attempt(1))
    for seen, is_taken in (({}, True), ({"robot.1": 3}, True), ({"other.1": 1}, False)):
        event = written("robot.1", 9, STATUS, late, **seen)
        reason = TASK.judge(event, late, lambda: record(*held), False)
        assert (reason is None) is is_taken
