"""A task's history: what the journal says of it, in the API's words.

Of a run that reports ten thousand steps the newest counts; so those that another follows at once
are passed over by their headers, and neither their bodies are read nor their number matters.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from shared.core import event as events
from shared.core import instants
from shared.core.clock import at_ms
from shared.core.event import Event
from shared.core.kinds import task_bodies
from shared.core.kinds.task_bodies import (
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
from shared.core.record import Record
from shared.core.task_view import TaskChange
from shared.store import journal
from shared.store.journal import Entry, Verdict
from shared.store.transaction import Reading

PROGRESS = "reported progress"
ENTRIES_MAX = 1000  # with the task itself: one that was retried for years must not fill a page
CHUNK = 2000  # headers looked at in one question: some 300 kB

HEADERS = """SELECT h.at, h.entry, j.origin, j.header
    FROM records r JOIN history h ON h.record = r.id JOIN journal j ON j.entry = h.entry
    WHERE r.kind = 'task' AND r.subject = $1 AND (h.at, h.entry) > ($2, $3)
    ORDER BY h.at, h.entry LIMIT $4"""
ENTRY = """SELECT entry, header, body, received_at, verdict, reason FROM journal
    WHERE entry = $1"""

Said = tuple[Status | None, int | None, str | None]  # status, attempt, reason
Place = tuple[int, int]  # stamp and entry: the order of a history
START: Place = (-1, -1)

_pack = msgspec.msgpack.Encoder().encode


def read(reading: Reading, task_id: str) -> tuple[TaskChange, ...]:
    """Return a task's history as this node holds it, oldest first.

    Of more than ENTRIES_MAX the submission and the newest; ``page`` has them all.
    """
    places = _places(reading, task_id)
    if len(places) > ENTRIES_MAX:
        places = [places[0], *places[1 - ENTRIES_MAX :]]
    return tuple(change for _, change in _changes(reading, places))


def of_new(record: Record) -> tuple[TaskChange, ...]:
    """Return the history of a task that was submitted in the transaction under way.

    All of its events are in its record, so that nothing has to be asked.
    """
    new = sorted(
        (event for register in record.registers.values() for event in register.siblings),
        key=lambda event: event.header.at,
    )
    found = (_change(Entry(0, event, 0, Verdict.APPLIED, None)) for event in new)
    return tuple(change for change in found if change is not None)


def page(
    reading: Reading, task_id: str, limit: int, after: Place
) -> tuple[list[TaskChange], Place | None]:
    """Return a part of a task's history, oldest first.

    Args:
        reading: One state of the database.
        task_id: Of the task.
        limit: Most entries.
        after: Where the part before ended; START: at the beginning.

    Returns:
        The entries, and where they end; None: nothing follows.
    """
    places = _places(reading, task_id)
    changes = _changes(reading, places[bisect_right(places, after) :])
    found = list(islice(changes, limit))
    follows = next(changes, None) is not None
    return [change for _, change in found], found[-1][0] if follows else None


def _places(reading: Reading, task_id: str) -> list[Place]:
    """Return where the events to show stand, but for progress that the same device goes on from."""
    mark = _pack("task.progress") + _pack(task_id) + _pack(task_bodies.PROGRESS)  # as in a header
    found: list[Place | None] = []
    newest: dict[int, int] = {}  # of each origin, where its progress since the last other event is
    after = START
    while True:
        rows = reading.query(HEADERS, task_id, *after, CHUNK)
        for at, entry, origin, header in rows:
            if mark not in header:
                newest.clear()
            else:
                if origin in newest:
                    found[newest[origin]] = None
                newest[origin] = len(found)
            found.append((at, entry))
        if len(rows) < CHUNK:
            return [place for place in found if place is not None]
        after = rows[-1][:2]


def _changes(reading: Reading, places: Sequence[Place]) -> Iterator[tuple[Place, TaskChange]]:
    """Yield what events say and where, without what the next one says as well."""
    last: tuple[Place, TaskChange] | None = None
    for place in places:
        rows = reading.query(ENTRY, place[1])
        change = _change(journal.entry(rows[0])) if rows else None
        if change is None:
            continue
        if last is not None and not _says_it_all(change, last[1]):
            yield last
        last = place, change
    if last is not None:
        yield last


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
    if header.kind not in task_bodies.BODIES:
        return None
    status, attempt, reason = _said(entry)
    return TaskChange(
        dot=entry.event.dot,
        at=instants.text(at_ms(header.at)),
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
        event.body_bytes, type=task_bodies.BODIES[event.header.kind]
    )
    return decoded


def _words(body: msgspec.Struct) -> Said:
    match body:
        case Spec():
            return _submitted(body), None, None
        case Seat(closed=str() as why):
            return None, None, why
        case Seat(allocation=None):
            return Status.QUEUED, None, body.reason or "taken back"
        case Seat(allocation=allocation):
            device = allocation.device if allocation else ""
            why = f": {body.reason}" if body.reason else ""
            return Status.QUEUED, None, f"allocated to {device}{why}"
        case Progress():
            number = body.attempt.number if body.attempt else None
            return None if body.returned else _moved(body), number, _reason(body)
        case _:
            return None, *_requested(body)


def _requested(body: msgspec.Struct) -> tuple[int | None, str | None]:
    """Return attempt and reason of what moves no task by itself."""
    match body:
        case CancelRequest():
            if body.withdrawn:
                return None, "request to cancel withdrawn"
            return None, "cancel requested" + (f": {body.reason}" if body.reason else "")
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
