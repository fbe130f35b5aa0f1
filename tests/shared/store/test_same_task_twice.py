"""One task id given to two nodes, one of them or both away: nothing of what either did is lost."""

from functools import partial

import msgspec

from hub import evidence
from shared.api import task_loading, task_queries
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Outcome,
    Progress,
    Seat,
)
from shared.core.lifecycle import Status
from shared.core.task_view import is_double
from shared.store import up
from shared.store.journal import Verdict
from tests.shared.making import NOW_MS
from tests.shared.nodes import SITE, Node, open_node
from tests.shared.store.test_up import log, stretch
from tests.shared.tasks import ID, SPEC_BODY, written

OWN = Allocation(None, 0, "a", "1")
DEALT = Allocation("e1", 1, "other", "1")


def submitted_and_dealt() -> Node:
    hub = open_node("hub", "hub")
    for kind, body in (("task.submitted", SPEC_BODY), ("task.allocated", Seat(DEALT, ("other",)))):
        hub.write(
            lambda tx, kind=kind, body=body: tx.append(  # type: ignore[misc]
                site=SITE,
                kind=kind,
                subject=ID,
                register=task_bodies.REGISTER_OF[kind],
                body=body,
                actor="ada",
            )
        )
    return hub


def test_what_the_other_did_is_kept_as_an_attempt_and_decides_nothing() -> None:
    """Promises 3 and 4."""
    hub = submitted_and_dealt()
    ran = Attempt("t-1", 1, "boot", NOW_MS, NOW_MS + 5, Outcome.SUCCEEDED)
    told = log(
        written("a.1", 1, task_bodies.SPEC, SPEC_BODY, at_ms=NOW_MS + 9),
        written("a.1", 2, task_bodies.SEAT, Seat(OWN, ("a",))),
        written("a.1", 3, task_bodies.STATUS, Progress(Status.SUCCEEDED, OWN, ran)),
    )
    hub.write(lambda tx: up.take(tx, stretch(told, 1, 3), device="a", site=SITE))
    assert hub.verdicts() == [
        (2, int(Verdict.REFUSED), "the hub has this task, or has allocated it")
    ]
    shown = tasks.read(hub.reading.record("task", ID))
    assert shown is not None
    assert (shown.status, shown.allocation) == (Status.WAITING, DEALT)
    assert shown.submitters == ("hub", "a")
    assert hub.reading.query("SELECT device, outcome FROM attempts") == [("a", "succeeded")]


def test_what_a_device_did_with_another_task_of_the_same_id_is_kept_too() -> None:
    """✗ Its attempt and its output were gone from every node, and nothing told that it ran."""
    hub = submitted_and_dealt()
    ran = Attempt("t-1", 1, "boot", NOW_MS, NOW_MS + 5, Outcome.SUCCEEDED, output={"stdout": "one"})
    other = msgspec.structs.replace(SPEC_BODY, payload={"seconds": 99})
    told = log(
        written("a.1", 1, task_bodies.SPEC, other, at_ms=NOW_MS + 9),
        written("a.1", 2, task_bodies.SEAT, Seat(OWN, ("a",))),
        written("a.1", 3, task_bodies.STATUS, Progress(Status.SUCCEEDED, OWN, ran)),
    )
    hub.write(partial(up.take, up=stretch(told, 1, 3), device="a", site=SITE))
    assert [seq for seq, _, _ in hub.verdicts()] == [1, 2], (
        "the submission and the seat are refused"
    )
    shown = tasks.read(hub.reading.record("task", ID))
    assert shown is not None
    assert (shown.status, shown.allocation, shown.submitters) == (Status.WAITING, DEALT, ("hub",))
    (kept,) = task_queries.attempts(hub.reading, ID, 10, None)
    assert (kept.device, kept.output) == ("a", {"stdout": "one"})
    assert evidence.success(hub.reading, shown) is None, "it is no success of this task"


def test_two_agents_that_were_away_each_keep_the_attempt_they_made() -> None:
    """Promise 4: both gave themselves the first number, and neither run hides the other."""
    hub = open_node("hub", "hub")
    for device, outcome in (("a", Outcome.SUCCEEDED), ("b", Outcome.FAILED)):
        own = Allocation(None, 0, device, "1")
        ran = Attempt(f"t-{device}", 1, "boot", NOW_MS, NOW_MS + 5, outcome)
        status = Status.SUCCEEDED if outcome is Outcome.SUCCEEDED else Status.DEAD
        told = log(
            written(f"{device}.1", 1, task_bodies.SPEC, SPEC_BODY),
            written(f"{device}.1", 2, task_bodies.SEAT, Seat(own, (device,))),
            written(f"{device}.1", 3, task_bodies.STATUS, Progress(status, own, ran)),
        )
        hub.write(partial(up.take, up=stretch(told, 1, 3), device=device, site=SITE))
    first_stands = "a was given the same task, and took it first"
    assert hub.verdicts() == [(2, int(Verdict.REFUSED), first_stands)]
    shown = tasks.read(hub.reading.record("task", ID))
    assert shown is not None
    assert (shown.status, shown.allocation) == (Status.SUCCEEDED, Allocation(None, 0, "a", "1"))
    acted = task_queries.attempts(hub.reading, ID, 10, None)
    assert {(one.device, one.outcome) for one in acted} == {("a", "succeeded"), ("b", "failed")}
    assert is_double(shown, acted)
    given_later = msgspec.structs.replace(shown, holders=("a", "b"))
    assert is_double(given_later, acted), "the hub gave it to both, after what they did"
    ran_once = [one for one in acted if one.device == "b"]
    assert not is_double(given_later, ran_once)
    by_itself = [one for one in acted if one.device not in shown.holders]
    assert by_itself
    assert not is_double(shown, by_itself), "refused the seat, it ran, and nobody else did"
    assert len(task_loading.last_attempts(hub.reading, [ID])) == 1
