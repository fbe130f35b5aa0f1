"""What callers may ask about tasks: one, or a page of a list.

All run inside one ``replica.read``. The journal knows ``waiting`` only; scheduled, blocked, queued
and cancelling are derived row by row, so a list of them looks at a bounded number of rows: a page
may be short and still have a next one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import msgspec

from shared.api import pages, task_history, task_listing, task_loading
from shared.api.context import Away, Explain, nobody_is_away
from shared.api.followers import with_recalls
from shared.api.grouping import with_groups
from shared.api.pages import Page
from shared.api.pauses import paused_by_record, with_pause, with_pauses
from shared.api.task_listing import Order, Place
from shared.core import task_view
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Failure,
    Outcome,
    Reported,
)
from shared.core.kinds.task_kind import NO_DEADLINE
from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import ENDED, SHOWN_WAITING, Status
from shared.core.record import Record
from shared.core.task_view import Absence, AttemptView, TaskView
from shared.core.waiting import StatusOf, Waiting
from shared.errors import Invalid, NotFound
from shared.store.transaction import Reading, Transaction

SCAN_MAX = 2000  # tasks that one page explains: some 100 ms on a small board
ROWS_MAX = 5000  # rows that one page holds against its other filters: some 20 ms
ATTEMPTS_MAX = 1000  # newest, of one task
END = (None, False)  # in place of a row

SHOWN = frozenset(Status) - {Status.WAITING}  # the API's words
UNFINISHED = ("waiting", "running", "cancelling")  # as journaled: what is shown may be another word

STATUS = "SELECT status FROM tasks WHERE id = $1 AND status <> ''"
ATTEMPTS = """SELECT epoch, n, number, id, device, boot, started_at, ended_at, outcome, error,
    output FROM attempts WHERE task = $1 ORDER BY started_at DESC, n DESC, number DESC LIMIT $2"""

Last = tuple[AttemptView, ...]  # the newest attempt, or nothing

_failure = msgspec.json.Decoder(Failure).decode
_output = msgspec.json.Decoder(dict[str, Any]).decode


class TaskFilters(msgspec.Struct, frozen=True):
    """What a list shows; an empty set does not filter.

    Attributes:
        status: The API's words: scheduled, blocked, queued … never waiting.
        type: Task types.
        priority: Priorities.
        device: Devices that have the task, or to which it is pinned.
        requester: Who asked for it.
        group: Groups.
        order: Newest first, or most urgent first.
    """

    status: frozenset[Status] = frozenset()
    type: frozenset[str] = frozenset()
    priority: frozenset[Priority] = frozenset()
    device: frozenset[str] = frozenset()
    requester: frozenset[str] = frozenset()
    group: frozenset[str] = frozenset()
    order: Order = Order.NEWEST


# ------------------------------------------------------------------ one task


def get(
    reading: Reading,
    task_id: str,
    explain: Explain,
    now_ms: int,
    away: Away = nobody_is_away,
) -> TaskView:
    """Return a task with its attempts, its history and why it waits.

    Args:
        reading: One state of the database.
        task_id: Of the task.
        explain: Why a waiting task waits.
        now_ms: Wall clock, Unix ms.
        away: Which devices are not here.

    Raises:
        NotFound: No such task here.
    """
    record = reading.record("task", task_id)
    task = tasks.read(record)
    if task is None:
        raise NotFound(f"no task {task_id} is known here")
    explain = with_records(reading, explain)
    return task_view.view(
        task,
        record,
        waiting=waiting(task, explain, statuses(reading), now_ms),
        attempts=attempts(reading, task_id, ATTEMPTS_MAX, task.reported),
        history=task_history.read(reading, task_id),
        away=absence(reading, task, away),
    )


def of_new(tx: Transaction, task_id: str, explain: Explain, now_ms: int) -> TaskView:
    """Return a task that was submitted in this very transaction, as ``get`` will once it lasts.

    From its record alone. A question to the tables would have every write of the group before it
    written one by one, where they are written together: at 64 clients that cost a third of the
    submissions.
    """
    record, task = load(tx, task_id)
    assert task is not None, "it was submitted a moment ago"

    def status_of(other: str) -> Status | None:
        before = load(tx, other)[1]
        return before.status if before else None

    why = waiting(task, explain, status_of, now_ms)
    queue = paused_by_record(tx, task.site, task.spec.type)
    if why is not None and queue is not None:
        why = with_pause(task, why, queue.reason)
    return task_view.view(task, record, waiting=why, history=task_history.of_new(record))


def with_records(reading: Reading, explain: Explain) -> Explain:
    """Have an explanation say also what the records of others say: groups, pauses, recalls."""
    return with_recalls(reading, with_pauses(reading, with_groups(reading, explain)))


def absence(reading: Reading, task: Task, away: Away) -> Absence | None:
    """Return that the device which has an unfinished task is not here, if so."""
    if task.allocation is None or task.status in ENDED:
        return None
    return away(reading, task.allocation.device)


def several(
    reading: Reading,
    ids: Iterable[str],
    explain: Explain,
    now_ms: int,
    away: Away = nobody_is_away,
) -> list[TaskView]:
    """Return tasks that are known here, each as lists show it."""
    status_of = statuses(reading)
    explain = with_records(reading, explain)
    found = []
    for task_id in ids:
        record, task = load(reading, task_id)
        if task is not None:
            why = waiting(task, explain, status_of, now_ms)
            last = attempts(reading, task_id, 1, task.reported)
            found.append(_brief(reading, task, record, why, away, last))
    return found


def attempts(
    reading: Reading, task_id: str, limit: int, reported: Reported | None
) -> tuple[AttemptView, ...]:
    """Return the newest attempts of a task, oldest first, those of older allocations too.

    Args:
        reading: One state of the database.
        task_id: Of the task.
        limit: How many at most.
        reported: What the newest run said of itself: shown with the attempt that said it.
    """
    rows = reading.query(ATTEMPTS, task_id, limit)
    return tuple(_attempt(task_id, row, reported) for row in reversed(rows))


def statuses(reading: Reading) -> StatusOf:
    """Return a function that tells a task's status as journaled, asking once for each."""
    known: dict[str, Status | None] = {}

    def status_of(task_id: str) -> Status | None:
        if task_id not in known:
            rows = reading.query(STATUS, task_id)
            known[task_id] = Status(rows[0][0]) if rows else None
        return known[task_id]

    return status_of


def _attempt(task_id: str, row: tuple[Any, ...], reported: Reported | None) -> AttemptView:
    epoch, n, number, id_, device, boot, started_ms, ended_ms, outcome, error, output = row
    attempt = Attempt(
        id=id_,
        number=number,
        boot=boot,
        started_ms=started_ms,
        ended_ms=ended_ms,
        outcome=Outcome(outcome) if outcome else None,
        error=_failure(error) if error else None,
        output=_output(output) if output else None,
    )
    allocation = Allocation(epoch or None, n, device, "")
    return task_view.attempt_view(task_id, allocation, attempt, reported)


def waiting(task: Task, explain: Explain, status_of: StatusOf, now_ms: int) -> Waiting | None:
    """Return why a task waits; None of one that does not."""
    return explain(task, status_of, now_ms) if task.status is Status.WAITING else None


# ------------------------------------------------------------------ lists


def page(
    reading: Reading,
    filters: TaskFilters,
    limit: int,
    cursor: str | None,
    explain: Explain,
    now_ms: int,
    scan_max: int = SCAN_MAX,
    rows_max: int = ROWS_MAX,
    away: Away = nobody_is_away,
) -> Page[TaskView]:
    """Return a page of tasks, each with its last attempt and no history.

    Args:
        reading: One state of the database.
        filters: What to show, in which order.
        limit: Most items, at least 1.
        cursor: ``next`` of the page before.
        explain: Why a waiting task waits.
        now_ms: Wall clock, Unix ms.
        scan_max: Tasks to explain.
        rows_max: Rows to look at.
        away: Which devices are not here.

    Returns:
        At most ``limit`` items; fewer, with a ``next``, if too few of the rows looked at matched.

    Raises:
        Invalid: A cursor that is none, or of another order; a status that the API does not show.
    """
    place = _read_cursor(cursor, filters.order)
    items: list[TaskView] = []
    status_of = statuses(reading)
    explain = with_records(reading, explain)
    rows = task_listing.scan(reading, _wanted(filters), filters.order, place)
    explained = looked_at = 0
    while True:
        some: list[str] = []  # read together: as many as the page has room for
        room = min(limit - len(items), scan_max - explained)
        while len(some) < room and looked_at < rows_max:
            here, matches = next(rows, END)
            if here is None:
                break
            place, looked_at = here, looked_at + 1
            if matches:
                some.append(here.id)
        explained += len(some)
        for task, record, last in _loaded(reading, some):
            why = waiting(task, explain, status_of, now_ms)
            if not filters.status or task_view.shown_status(task, why) in filters.status:
                items.append(_brief(reading, task, record, why, away, last))
        is_full = len(items) == limit or explained == scan_max or looked_at == rows_max
        if is_full or not some:
            is_end = next(rows, END)[0] is None
            return Page(items, None if is_end else _cursor(filters.order, place))


def _loaded(reading: Reading, ids: Sequence[str]) -> Iterator[tuple[Task, Record, Last]]:
    """Yield the tasks of a part of a page in its order, with the newest attempt of each."""
    records = task_loading.records(reading, ids)
    last = task_loading.last_attempts(reading, ids)
    for task_id in ids:
        record = records.get(task_id)
        task = tasks.read(record) if record is not None else None
        if record is not None and task is not None:
            row = last.get(task_id)
            yield task, record, (_attempt(task_id, row, task.reported),) if row else ()


def _brief(
    reading: Reading, task: Task, record: Record, why: Waiting | None, away: Away, last: Last
) -> TaskView:
    # All of them only of the few that may have run twice: it shows in lists as well (promise 4).
    may_be_double = bool(task.seat.moved) or len(task.submitters) > 1
    acted = attempts(reading, task.id, ATTEMPTS_MAX, task.reported) if may_be_double else last
    return task_view.view(
        task,
        record,
        waiting=why,
        attempts=last,
        acted=acted,
        away=absence(reading, task, away),
    )


def load(reading: Reading, task_id: str) -> tuple[Record, Task | None]:
    """Return a task's record, and what it says: None while its submission is not known."""
    record = reading.record("task", task_id)
    return record, tasks.read(record)


def _wanted(filters: TaskFilters) -> task_listing.Wanted:
    """Return what rows must hold, by column."""
    found: dict[str, list[str] | list[int]] = {
        "status": _journaled(filters.status),
        "type": sorted(filters.type),
        "priority": sorted(p.value for p in filters.priority),
        "device": sorted(filters.device),
        "requester": sorted(filters.requester),
        "group_key": sorted(filters.group),
    }
    return {column: values for column, values in found.items() if values}


def _journaled(shown: frozenset[Status]) -> list[str]:
    """Return the journal's words behind the API's."""
    if not shown <= SHOWN:
        known = ", ".join(sorted(SHOWN))
        raise Invalid(f"no such status is shown; one of {known}", (("$.status", "unknown"),))
    words: set[str] = set()
    for status in shown:
        if status in SHOWN_WAITING:
            words.add(Status.WAITING.value)
        elif status is Status.CANCELLING:
            words.update(UNFINISHED)  # asked for, not answered: the row still has the old word
        else:
            words.add(status.value)
    return sorted(words)


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    order: Order
    priority: Annotated[int, msgspec.Meta(ge=0, le=Priority.LOW.value)]
    deadline: Annotated[int, msgspec.Meta(ge=0, le=NO_DEADLINE)]
    created_ms: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    id: str


def _cursor(order: Order, place: Place | None) -> str | None:
    if place is None:
        return None
    return pages.write_cursor(order.value, *msgspec.structs.astuple(place))


def _read_cursor(cursor: str | None, order: Order) -> Place | None:
    if cursor is None:
        return None
    found = pages.read_cursor(cursor, _Cursor)
    if found.order is not order:
        message = f"a cursor of order={found.order}; give that order with it, or start over"
        raise Invalid(message, (("$.cursor", message),))
    return Place(found.priority, found.deadline, found.created_ms, found.id)
