"""Why a task waits."""

import msgspec
import pytest

from shared.core import waiting
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Progress
from shared.core.kinds.task_spec import Edge, On, OnFailure, Priority, Spec
from shared.core.lifecycle import ENDED, Status

NOW = 1_795_420_800_000
ID = "01933b5e-0000-7000-8000-000000000001"
P, Q = "01933b5e-0000-7000-8000-00000000000a", "01933b5e-0000-7000-8000-00000000000b"


def task(*after: Edge, not_before_ms: int | None = None, retry_ms: int | None = None) -> Task:
    spec = Spec(
        type="wait",
        payload={},
        priority=Priority.NORMAL,
        requester="ann",
        after=after,
        not_before_ms=not_before_ms,
    )
    progress = Progress(Status.WAITING, not_before_ms=retry_ms) if retry_ms else None
    return Task(
        id=ID,
        site="demo",
        spec=spec,
        submitters=("hub",),
        allocation=None,
        holders=(),
        status=Status.WAITING,
        progress=progress,
        priority=Priority.NORMAL,
        why_cancel=None,
        created_ms=NOW,
        updated_ms=NOW,
    )


def why(made: Task, **statuses: Status | None) -> waiting.Waiting | None:
    known = {P: statuses.get("p"), Q: statuses.get("q")}
    return waiting.why(made, NOW, known.get)


def test_nothing_in_the_way() -> None:
    assert why(task()) is None
    assert why(task(not_before_ms=NOW, retry_ms=NOW)) is None


@pytest.mark.parametrize("on", On)
@pytest.mark.parametrize("on_failure", OnFailure)
@pytest.mark.parametrize("status", [*Status, None])
def test_an_edge_opens_or_blocks_or_dooms(
    on: On, on_failure: OnFailure, status: Status | None
) -> None:
    found = why(task(Edge(P, on, on_failure)), p=status)
    if status is Status.SUCCEEDED or (on is On.END and status in ENDED):
        assert found is None
        return
    assert found is not None
    assert found.status is Status.BLOCKED
    assert [(r.reason, r.ref) for r in found.reasons] == [("after", P)]
    dooms = on is On.SUCCESS and on_failure is OnFailure.CANCEL and status in ENDED
    assert (found.doomed is not None) == dooms
    if status is None:
        assert "not known here" in found.reasons[0].message


def test_every_edge_that_blocks_is_told_and_one_dooms_all() -> None:
    found = why(task(Edge(P), Edge(Q)), p=Status.RUNNING, q=Status.DEAD)
    assert found is not None
    assert [r.ref for r in found.reasons] == [P, Q]
    assert found.doomed is not None
    assert Q in found.doomed


def test_a_retry_and_a_start_time_say_until_when() -> None:
    found = why(task(retry_ms=NOW + 5, not_before_ms=NOW + 9))
    assert found is not None
    assert (found.status, found.wake_ms) == (Status.SCHEDULED, NOW + 9)
    assert [r.reason for r in found.reasons] == ["retry", "not_before"]
    later = why(task(not_before_ms=NOW + 9))
    assert later is not None
    assert (later.reasons[0].reason, later.wake_ms) == ("not_before", NOW + 9)
    assert "2026-11-23T08:00:00.009Z" in later.reasons[0].message


def test_a_block_is_told_before_a_time() -> None:
    found = why(task(Edge(P), not_before_ms=NOW + 9), p=Status.RUNNING)
    assert found is not None
    assert (found.status, found.wake_ms) == (Status.BLOCKED, None)
    assert [r.reason for r in found.reasons] == ["after", "not_before"]


def test_what_only_the_dispatcher_or_the_hub_knows() -> None:
    assert waiting.queued("2 of 2 run", ID).status is Status.QUEUED
    assert waiting.blocked_on_device("robot-1 is away", "robot-1").reasons[0].reason == "device"
    assert msgspec.json.encode(waiting.queued("busy").reasons)
