"""What the hub asks of a task's events, and the rows that a task makes."""

from collections.abc import Callable
from typing import Any

import msgspec

from shared.core.event import Event, device_of
from shared.core.kinds.kind import Counter, Kind, Lane, Row, SideRow, Table
from shared.core.kinds.task import (
    Task,
    edges_of,
    rank,
    read,
    seat_of,
    submissions_of,
)
from shared.core.kinds.task_bodies import (
    BODIES,
    REGISTER_OF,
    SPEC,
    STATUS,
    Permit,
    Progress,
    Reported,
    Seat,
    StartRequest,
)
from shared.core.kinds.task_spec import Spec
from shared.core.lifecycle import Status
from shared.core.policy import Policy
from shared.core.record import Record
from shared.core.vector import Vector, covers
from shared.errors import Invalid

NO_DEADLINE = 2**53 - 1  # sorts after every other

_spec = msgspec.msgpack.Decoder(Spec).decode
_canonical = msgspec.msgpack.Encoder(order="deterministic").encode
_progress = msgspec.msgpack.Decoder(Progress).decode


def _judge(event: Event, body: Any, find: Callable[[], Record], is_hub: bool) -> str | None:
    """Return why the hub refuses an event of a device, or None."""
    header = event.header
    if header.register != REGISTER_OF[header.kind]:
        return f"{header.kind} does not change register {header.register}"
    if is_hub:
        return None
    record = find()
    if isinstance(body, Spec):
        others = record.register(SPEC).siblings
        is_other = any(not _asks_the_same(e, body) for e in others)
        return "another task has this id" if is_other else None
    task = read(record)
    if task is None:
        return "no such task: its submission did not arrive or was refused"
    device = device_of(header.origin)
    match body:
        case Seat():
            return _judge_seat(task, body, device)
        case Permit():
            return "only the hub permits"
        case Progress():
            return _judge_progress(record, task, body, event)
        case Reported() | StartRequest() if device not in task.holders:
            return f"{device} never had the seat of this task"
        case _:
            return None


def _asks_the_same(event: Event, spec: Spec) -> bool:
    """Say whether a submission repeats another: a client gave one id to two nodes.

    It may be known by another name at each, so the requester is no part of it. Compared as bytes,
    both decoded once: to Python 1 and true are equal, to a handler they are not.
    """
    first = msgspec.structs.replace(_spec(event.body_bytes), requester=spec.requester)
    return _canonical(first) == _canonical(_spec(_canonical(spec)))


def _ran_its_own(record: Record, task: Task, progress: Progress, device: str) -> bool:
    """Say whether a device reports what it did with its own submission of a task.

    The same submission had reached the hub before, which gave it to another, or another one with
    the same id: what this device did meanwhile is evidence of a second run, never the outcome.
    """
    given = progress.allocation
    if given is None or given.epoch is not None or given.device != device:
        return False
    refused = (device_of(origin) for origin in record.register(SPEC).refused)
    return device in task.submitters or device in refused


def _judge_progress(record: Record, task: Task, progress: Progress, event: Event) -> str | None:
    """A device reports for itself, under an allocation that it had, and hides no newer report."""
    device, given = device_of(event.header.origin), progress.allocation
    if given is not None and given.device != device:
        return f"{device} cannot report for {given.device}"
    is_own = _takes_back(task, progress, device) or _ran_its_own(record, task, progress, device)
    if device not in task.holders and not is_own:
        return f"{device} never had the seat of this task"
    if _hides_newer(record, task, progress, event.header.seen):
        return "a report under an older allocation cannot replace what newer ones reported"
    return None


def _hides_newer(record: Record, task: Task, progress: Progress, seen: Vector) -> bool:
    """Say whether evidence would replace reports under the current allocation.

    A former holder that is told what the new one does would otherwise, with its last word, make
    that look as if it had never started.
    """
    if progress.allocation is None or rank(progress.allocation) >= rank(task.allocation):
        return False
    return any(
        covers(seen, e.header.origin, e.header.seq)
        and rank(_progress(e.body_bytes).allocation) > rank(progress.allocation)
        for e in record.register(STATUS).siblings
    )


def _takes_back(task: Task, progress: Progress, device: str) -> bool:
    """Say whether a device cancels its own submission, which nobody has."""
    is_cancel = progress.status is Status.CANCELLED and progress.allocation is None
    return is_cancel and task.origin_device == device and task.allocation is None


def _judge_seat(task: Task, seat: Seat, device: str) -> str | None:
    """A device may seat itself on its own submission, if nobody has it and it is not over.

    Of two nodes whose client gave both the same submission, what the first to arrive did stands.
    """
    own = seat.allocation
    if own is None or own.epoch is not None or own.device != device:
        return "only the hub allocates to others"
    if device not in task.submitters:
        return f"{device} did not submit this task"
    given = task.allocation
    if (given is not None and given.epoch is not None) or (given is None and task.holders):
        return "the hub has this task, or has allocated it"
    if given is not None and given.device != device:
        return f"{given.device} was given the same task, and took it first"
    if given is None and task.status is not Status.WAITING:
        return f"the same task was given to the hub, and is {task.status} there"
    return None


def _policy(_register: str) -> Policy | None:
    return None


def _no_severity(_event: Event) -> int:
    return 0


def _value(event: Event) -> Any:
    return msgspec.msgpack.decode(event.body_bytes)


def _resolution(register: str, _value: Any) -> tuple[str, msgspec.Struct]:
    raise Invalid(f"register {register} of a task has no conflicts to resolve")


TASKS = Table(
    "tasks",
    (
        "id",
        "site",
        "type",
        "priority",
        "status",
        "device",
        "requester",
        "submitter",
        "created_at",
        "updated_at",
        "seated",
        "group_key",
        "deadline",
        "unique_key",
        "released",
    ),
    counter=Counter("task_counts", ("site", "status", "type", "priority")),
)
ATTEMPTS = Table(
    "attempts",
    (
        "task",
        "epoch",
        "n",
        "number",
        "device",
        "id",
        "boot",
        "started_at",
        "ended_at",
        "outcome",
        "error",
        "output",
    ),
    key=5,
    settled="ended_at",
    counter=Counter("attempt_counts", ("outcome",)),
)


EDGES = Table("edges", ("after", "task"), key=2)


def _row(record: Record) -> Row:
    task = read(record)
    if task is None:
        nothing = (record.subject, record.site, "", 0, "", None, "", "", 0, 0, 0, None)
        return (*nothing, NO_DEADLINE, None, 0)
    return (
        task.id,
        task.site,
        task.spec.type,
        task.priority.value,
        task.status.value,
        task.shown_device,
        task.spec.requester,
        task.origin_device,
        task.created_ms,
        task.updated_ms,
        1 if task.allocation and not task.is_returned else 0,
        task.spec.group,
        _deadline(task.spec.deadline_ms),
        task.spec.unique,
        1 if task.spec.asks_hub else 0,
    )


def _deadline(deadline_ms: int | None) -> int:
    """Return what the column holds: a device may write any number, a column takes 64 bits."""
    return NO_DEADLINE if deadline_ms is None else max(0, min(deadline_ms, NO_DEADLINE))


def _side_rows(event: Event, body: msgspec.Struct | None) -> tuple[SideRow, ...]:
    if event.header.kind == "task.submitted":
        after = (body if isinstance(body, Spec) else _spec(event.body_bytes)).after
        return tuple(SideRow(EDGES, (edge.task, event.header.subject)) for edge in after)
    if event.header.kind != "task.status":
        return ()
    progress = body if isinstance(body, Progress) else _progress(event.body_bytes)
    attempt, allocation = progress.attempt, progress.allocation
    if attempt is None or allocation is None:
        return ()
    row = (
        event.header.subject,
        allocation.epoch or "",
        allocation.n,
        attempt.number,
        allocation.device,
        attempt.id,
        attempt.boot,
        attempt.started_ms,
        attempt.ended_ms,
        attempt.outcome.value if attempt.outcome else None,
        msgspec.json.encode(attempt.error).decode() if attempt.error else None,
        msgspec.json.encode(attempt.output).decode() if attempt.output is not None else None,
    )
    return (SideRow(ATTEMPTS, row),)


def _devices(record: Record) -> tuple[str, ...]:
    """Return the devices that hold a task: who submitted it and who ever had its seat.

    One whose submission was refused because another has the id is shown that one: what it took as
    a write must not be gone from it without a word (promise 4).
    """
    submissions = submissions_of(record)
    if not submissions:
        return ()
    submitters = (device_of(event.header.origin) for event in submissions)
    refused = (device_of(origin) for origin in record.register(SPEC).refused)
    return tuple(dict.fromkeys((*submitters, *seat_of(record).holders, *refused)))


def _related(record: Record) -> tuple[str, ...]:
    return tuple(edge.task for edge in edges_of(record))


TASK = Kind(
    name="task",
    lane=Lane.CONTROL,
    bodies=BODIES,
    judge=_judge,
    policy=_policy,
    severity=_no_severity,
    value=_value,
    resolution=_resolution,
    table=TASKS,
    row=_row,
    side_tables=(ATTEMPTS, EDGES),
    side_rows=_side_rows,
    devices=_devices,
    related=_related,
)
