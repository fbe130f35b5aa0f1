"""A task's history: what the journal says of it, the newest events, in the API's words."""

from typing import Any

import msgspec

from shared.core import event as events
from shared.core import instants
from shared.core.clock import Stamp, at_ms
from shared.core.event import Event
from shared.core.kinds import task as tasks
from shared.core.kinds.task import (
    CancelRequest,
    Permit,
    PriorityRequest,
    Progress,
    RecallRequest,
    Reported,
    Seat,
    StartRequest,
)
from shared.core.kinds.task_spec import Spec
from shared.core.lifecycle import Status
from shared.core.task_view import TaskChange
from shared.store import journal
from shared.store.journal import Entry, Verdict
from shared.store.transaction import Reading

PROGRESS = "reported progress"
ENTRIES_MAX = 1000  # events: a task that was retried for years must not fill a page

NEWEST = """SELECT j.entry, j.header, j.body, j.received_at, j.verdict, j.reason
    FROM records r JOIN history h ON h.record = r.id JOIN journal j ON j.entry = h.entry
    WHERE r.kind = 'task' AND r.subject = $1 ORDER BY h.at DESC, h.entry DESC LIMIT $2"""

Said = tuple[Status | None, int | None, str | None]  # status, attempt, reason


def read(reading: Reading, task_id: str) -> tuple[TaskChange, ...]:
    """Return a task's history as this node holds it, oldest first."""
    rows: list[Any] = reading.query(NEWEST, task_id, ENTRIES_MAX)
    found: list[TaskChange] = []
    for row in reversed(rows):
        change = _change(journal.entry(row))
        if change is None:
            continue
        if found and _says_it_all(change, found[-1]):
            found.pop()
        found.append(change)
    return tuple(found)


def _says_it_all(change: TaskChange, before: TaskChange) -> bool:
    """Say whether an entry makes the one before it needless.

    Of progress the newest counts: a run that saves a thousand steps would hide all else. And a
    person who settles or retries does one thing, whatever events it takes.
    """
    words = (change.actor, change.device, change.reason)
    if change.reason is None or words != (before.actor, before.device, before.reason):
        return False
    if change.reason == PROGRESS:
        return change.attempt == before.attempt
    return change.at == before.at


def _change(entry: Entry) -> TaskChange | None:
    """Return an entry as shown; None of a kind that this version does not know."""
    header = entry.event.header
    if header.kind not in tasks.BODIES:
        return None
    status, attempt, reason = _said(entry)
    return TaskChange(
        dot=entry.event.dot,
        at=instants.text(at_ms(Stamp(header.at))),
        actor=header.actor,
        device=events.device_of(header.origin),
        status=status.value if status else None,
        attempt=attempt,
        reason=reason,
    )


def _said(entry: Entry) -> Said:
    """Return what an event says; of a refused one only that, as it did not happen here."""
    if entry.verdict is Verdict.REFUSED:
        return None, None, f"refused: {entry.reason}"
    try:
        body = _decode(entry.event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, None, "not understood by this version"
    said = _words(body)
    if entry.verdict is Verdict.PARKED:
        return None, said[1], f"set aside: {entry.reason}"
    return said


def _decode(event: Event) -> msgspec.Struct:
    decoded: msgspec.Struct = msgspec.msgpack.decode(
        event.body_bytes, type=tasks.BODIES[event.header.kind]
    )
    return decoded


def _words(body: msgspec.Struct) -> Said:
    match body:
        case Spec():
            return _submitted(body), None, None
        case Seat(allocation=None):
            return Status.QUEUED, None, body.reason or "taken back"
        case Seat(allocation=allocation):
            device = allocation.device if allocation else ""
            why = f": {body.reason}" if body.reason else ""
            return Status.QUEUED, None, f"allocated to {device}{why}"
        case Progress():
            number = body.attempt.number if body.attempt else None
            return _moved(body), number, _reason(body)
        case _:
            return None, *_requested(body)


def _requested(body: msgspec.Struct) -> tuple[int | None, str | None]:
    """Return attempt and reason of what moves no task by itself."""
    match body:
        case CancelRequest():
            return None, body.reason or "cancel requested"
        case PriorityRequest():
            return None, f"priority {body.priority.word} requested"
        case RecallRequest():
            return None, body.reason or "recall requested"
        case StartRequest():
            return body.claim.attempt, "asks the hub for leave to start"
        case Permit():
            with_locks = f" with {', '.join(body.locks)}" if body.locks else ""
            return body.claim.attempt or None, body.reason or f"may start{with_locks}"
        case Reported():
            return body.claim.attempt, PROGRESS
        case _:
            return None, None


def _submitted(spec: Spec) -> Status:
    if spec.after:
        return Status.BLOCKED
    return Status.SCHEDULED if spec.not_before_ms is not None else Status.QUEUED


def _moved(progress: Progress) -> Status:
    if progress.status is not Status.WAITING:
        return progress.status
    return Status.QUEUED if progress.not_before_ms is None else Status.SCHEDULED


def _reason(progress: Progress) -> str | None:
    if progress.reason is not None:
        return progress.reason
    error = progress.attempt.error if progress.attempt else None
    return error.message if error else None
