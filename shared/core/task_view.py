"""A task as the API shows it (SHAPES, Task)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from shared.core import doubt, instants
from shared.core import record as records
from shared.core.doubt import Last
from shared.core.event import Dot
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Claim,
    Failure,
    Reported,
)
from shared.core.kinds.task_spec import Check, Edge, Retry
from shared.core.lifecycle import ACTING, ENDED, Status
from shared.core.record import Record
from shared.core.waiting import Reason, Waiting


class ClaimView(msgspec.Struct, frozen=True):
    """What an attempt's outcome counts for: allocation and attempt number."""

    epoch: str | None
    n: int
    attempt: int


class AttemptView(msgspec.Struct, frozen=True):
    """An attempt as the API shows it."""

    id: str
    task: str
    device: str
    boot: str
    claim: ClaimView
    started_at: str
    ended_at: str | None
    outcome: str | None
    progress: dict[str, Any] | None
    error: Failure | None
    output: dict[str, Any] | None


class AllocationView(msgspec.Struct, frozen=True):
    """Which device has a task, and why this one: the terms of the choice."""

    epoch: str | None
    n: int
    device: str
    terms: dict[str, float]


class Absence(msgspec.Struct, frozen=True):
    """A device that has a task and is not here; ``since`` null: it was never heard."""

    device: str
    since: str | None


class RecallView(msgspec.Struct, frozen=True):
    """The device that has a task is asked to give it back, and has not answered."""

    reason: str | None


class TaskChange(msgspec.Struct, frozen=True):
    """An entry of a task's history."""

    dot: Dot
    at: str
    actor: str
    device: str
    status: str | None
    attempt: int | None
    reason: str | None


class TaskView(msgspec.Struct, frozen=True):
    """A task as the API shows it.

    ``double_run``: it was moved away from a device that had not said that nothing runs there, and
    attempts under both allocations are known. ``in_doubt``: numbers of older allocations under
    which it may still act. ``away``: the device that has it is not here, so what is shown is what
    it said last. Only as far as ``attempts`` are listed.
    """

    id: str
    site: str
    type: str
    title: str | None
    payload: dict[str, Any]
    priority: str
    requester: str
    device: str | None
    allocation: AllocationView | None
    double_run: bool
    in_doubt: tuple[int, ...]
    recall: RecallView | None
    away: Absence | None
    requires: tuple[str, ...]
    after: tuple[Edge, ...]
    not_before: str | None
    start_to_close_s: float | None
    max_attempts: int
    retry: Retry
    on_orphan: str
    group: str | None
    locks: tuple[str, ...]
    checks: tuple[Check, ...]
    deadline: str | None
    schedule_to_start_s: float | None
    schedule_to_close_s: float | None
    heartbeat_s: float | None
    offline: str
    repeatable: bool
    unique: str | None
    status: str
    waits_for: tuple[Reason, ...]
    attempts: Sequence[AttemptView]
    history: Sequence[TaskChange]
    created_at: str
    updated_at: str
    etag: str


def shown_status(task: Task, waiting: Waiting | None) -> Status:
    """Return the status to show: what waiting means here, and a cancel that is under way."""
    if task.status is Status.WAITING and task.cancel_asked:
        return Status.CANCELLING  # asked of whoever sits, who has not answered yet
    if task.status in ACTING and task.cancel_asked:
        return Status.CANCELLING
    if task.status is Status.WAITING:
        return waiting.status if waiting else Status.QUEUED
    return task.status


def view(
    task: Task,
    record: Record,
    *,
    waiting: Waiting | None,
    attempts: Sequence[AttemptView] = (),
    acted: Sequence[AttemptView] | None = None,
    history: Sequence[TaskChange] = (),
    away: Absence | None = None,
) -> TaskView:
    """Return the task as the API shows it.

    Args:
        task: The task.
        record: Its record.
        waiting: Why it waits, if its status is waiting.
        attempts: Those to show.
        acted: All of them, where only the newest are to be shown.
        history: What to show of it.
        away: That the device which has it is not here.
    """
    known = attempts if acted is None else acted
    spec = task.spec
    status = shown_status(task, waiting)
    is_waiting = task.status is Status.WAITING and status is not Status.CANCELLING
    return TaskView(
        id=task.id,
        site=task.site,
        type=spec.type,
        title=spec.title,
        payload=spec.payload,
        priority=task.priority.word,
        requester=spec.requester,
        device=task.shown_device,
        allocation=_allocation(task),
        double_run=is_double(task, known),
        in_doubt=_in_doubt(task, known),
        recall=_recall(task),
        away=away,
        requires=spec.requires,
        after=spec.after,
        not_before=instants.text_or_none(spec.not_before_ms),
        start_to_close_s=spec.start_to_close_s,
        max_attempts=spec.max_attempts,
        retry=spec.retry,
        on_orphan=spec.on_orphan.value,
        group=spec.group,
        locks=spec.locks,
        checks=spec.checks,
        deadline=instants.text_or_none(spec.deadline_ms),
        schedule_to_start_s=spec.schedule_to_start_s,
        schedule_to_close_s=spec.schedule_to_close_s,
        heartbeat_s=spec.heartbeat_s,
        offline=spec.offline.value,
        repeatable=spec.repeatable,
        unique=spec.unique,
        status=status.value,
        waits_for=waiting.reasons if waiting and is_waiting else (),
        attempts=attempts,
        history=history,
        created_at=instants.text(task.created_ms),
        updated_at=instants.text(task.updated_ms),
        etag=records.etag(record),
    )


def is_double(task: Task, attempts: Sequence[AttemptView]) -> bool:
    """Say whether a task is known to have acted twice over.

    Under an allocation that was moved, and a later one; or at a device that was given the same
    submission by its client, while another node had it too.
    """
    acted = {attempt.claim.n for attempt in attempts}
    is_moved = any(one.n in acted and max(acted) > one.n for one in task.seat.moved)
    return is_moved or _is_given_twice(task, attempts)


def _is_given_twice(task: Task, attempts: Sequence[AttemptView]) -> bool:
    """Say whether a device acted on a submission of its own, beside another that had the task.

    It may have been given the task by the hub as well, before or after that.
    """
    is_apart = any(
        attempt.device not in task.holders
        or (attempt.claim.epoch is None and attempt.device in task.denied)
        for attempt in attempts
    )
    allocations = {(one.claim.epoch, one.claim.n, one.device) for one in attempts}
    return is_apart and len(allocations) > 1


def _in_doubt(task: Task, attempts: Sequence[AttemptView]) -> tuple[int, ...]:
    if not doubt.is_in_doubt(task):
        return ()
    last: dict[tuple[int, str], Last] = {}
    for shown in sorted(attempts, key=lambda one: (one.claim.n, one.claim.attempt)):
        is_permanent = shown.error is not None and shown.error.permanent
        last[shown.claim.n, shown.device] = Last(shown.claim.attempt, shown.outcome, is_permanent)
    return doubt.still_open(task, last)


def _recall(task: Task) -> RecallView | None:
    """Return that a device is asked to give a task back; what has ended is its answer."""
    if task.recall is None or task.status in ENDED:
        return None
    return RecallView(task.recall.reason)


def _allocation(task: Task) -> AllocationView | None:
    given = task.allocation
    if given is None:
        return None
    return AllocationView(given.epoch, given.n, given.device, task.seat.terms)


def attempt_view(
    task_id: str, allocation: Allocation, attempt: Attempt, reported: Reported | None = None
) -> AttemptView:
    """Return an attempt as the API shows it, with what was reported if that was its run."""
    claim = Claim(allocation.epoch, allocation.n, attempt.number)
    told = reported if reported and reported.claim == claim else None
    return AttemptView(
        id=attempt.id,
        task=task_id,
        device=allocation.device,
        boot=attempt.boot,
        claim=ClaimView(claim.epoch, claim.n, claim.attempt),
        started_at=instants.text(attempt.started_ms),
        ended_at=instants.text_or_none(attempt.ended_ms),
        outcome=attempt.outcome.value if attempt.outcome else None,
        progress=told.progress if told else None,
        error=attempt.error,
        output=attempt.output,
    )
