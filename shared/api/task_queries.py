"""What callers may ask about tasks: one, a page of a list, the counts.

All run inside one ``replica.read``. The journal knows ``waiting`` only; scheduled, blocked, queued
and cancelling are derived row by row, so a list or a count of them looks at a bounded number of
rows: a page may be short and still have a next one, and a summary says when it is not exact.
"""

import enum
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from shared.api import pages, task_history
from shared.api.context import Explain
from shared.api.pages import Page
from shared.core import task_view
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Allocation, Attempt, Failure, Outcome, Task
from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import JOURNALED, SHOWN_WAITING, Status
from shared.core.record import Record
from shared.core.task_view import AttemptView, TaskView
from shared.core.waiting import StatusOf, Waiting
from shared.errors import Invalid, NotFound
from shared.store.transaction import Reading

SCAN_MAX = 2000  # rows that one page looks at: some 100 ms on a small board
CHUNK = 500  # rows of one question: each may sort all that match
EXPLAINED_MAX = 5000  # rows that a summary explains
ATTEMPTS_MAX = 1000  # newest, of one task

SHOWN = frozenset(Status) - {Status.WAITING}  # the API's words
UNFINISHED = ("waiting", "running", "cancelling")  # as journaled: what is shown may be another word

STATUS = "SELECT status FROM tasks WHERE id = $1 AND status <> ''"
ATTEMPTS = """SELECT epoch, n, number, id, device, boot, started_at, ended_at, outcome, error,
    output FROM attempts WHERE task = $1 ORDER BY started_at DESC, n DESC, number DESC LIMIT $2"""
COUNTS = """SELECT status, type, priority, count(*) FROM tasks WHERE status <> ''
    GROUP BY status, type, priority"""
OPEN_IDS = """SELECT id FROM tasks WHERE status IN ('waiting', 'running', 'cancelling')
    ORDER BY status, id LIMIT $1"""

_failure = msgspec.json.Decoder(Failure).decode
_output = msgspec.json.Decoder(dict[str, Any]).decode


class Order(enum.StrEnum):
    """Order of a list."""

    NEWEST = "newest"
    URGENT = "urgent"


class TaskFilters(msgspec.Struct, frozen=True):
    """What a list shows; an empty set does not filter.

    Attributes:
        status: The API's words: scheduled, blocked, queued … never waiting.
        type: Task types.
        priority: Priorities.
        device: Devices that have the task, or to which it is pinned.
        requester: Who asked for it.
        order: Newest first, or most urgent first.
    """

    status: frozenset[Status] = frozenset()
    type: frozenset[str] = frozenset()
    priority: frozenset[Priority] = frozenset()
    device: frozenset[str] = frozenset()
    requester: frozenset[str] = frozenset()
    order: Order = Order.NEWEST


class Summary(msgspec.Struct, frozen=True):
    """Counts of tasks (SHAPES, Summary).

    Attributes:
        total: All.
        by_status: Every status, zeros too.
        by_type: Types that there are.
        by_priority: Every priority, zeros too.
        exact: Whether every unfinished task was looked at; else the rest counts as the journal has
            it, waiting as queued.
    """

    total: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    by_priority: dict[str, int]
    exact: bool


# ------------------------------------------------------------------ one task


def get(reading: Reading, task_id: str, explain: Explain, now_ms: int) -> TaskView:
    """Return a task with its attempts, its history and why it waits.

    Raises:
        NotFound: No such task here.
    """
    record = reading.record("task", task_id)
    task = tasks.read(record)
    if task is None:
        raise NotFound(f"no task {task_id} is known here")
    return task_view.view(
        task,
        record,
        waiting=_waiting(task, explain, statuses(reading), now_ms),
        attempts=attempts(reading, task_id, ATTEMPTS_MAX),
        history=task_history.read(reading, task_id),
    )


def attempts(reading: Reading, task_id: str, limit: int) -> tuple[AttemptView, ...]:
    """Return the newest attempts of a task, oldest first, those of older allocations too."""
    rows = reading.query(ATTEMPTS, task_id, limit)
    return tuple(_attempt(task_id, row) for row in reversed(rows))


def statuses(reading: Reading) -> StatusOf:
    """Return a function that tells a task's status as journaled, asking once for each."""
    known: dict[str, Status | None] = {}

    def status_of(task_id: str) -> Status | None:
        if task_id not in known:
            rows = reading.query(STATUS, task_id)
            known[task_id] = Status(rows[0][0]) if rows else None
        return known[task_id]

    return status_of


def _attempt(task_id: str, row: tuple[Any, ...]) -> AttemptView:
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
    return task_view.attempt_view(task_id, Allocation(epoch or None, n, device, ""), attempt)


def _waiting(task: Task, explain: Explain, status_of: StatusOf, now_ms: int) -> Waiting | None:
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
) -> Page[TaskView]:
    """Return a page of tasks, each with its last attempt and no history.

    Args:
        reading: One state of the database.
        filters: What to show, in which order.
        limit: Most items, at least 1.
        cursor: ``next`` of the page before.
        explain: Why a waiting task waits.
        now_ms: Wall clock, Unix ms.
        scan_max: Rows to look at.

    Returns:
        At most ``limit`` items; fewer, with a ``next``, if too few of ``scan_max`` rows matched.

    Raises:
        Invalid: A cursor that is none, or of another order; a status that the API does not show.
    """
    place = _read_cursor(cursor, filters.order)
    items: list[TaskView] = []
    status_of = statuses(reading)
    seen, chunk = 0, min(CHUNK, scan_max)
    while seen < scan_max:
        rows = _rows(reading, filters, place, chunk)
        for priority, task_id in rows:
            if len(items) == limit:
                return Page(items, _cursor(filters.order, place))
            place, seen = (priority, task_id), seen + 1
            item = _item(reading, task_id, filters, explain, status_of, now_ms)
            if item is not None:
                items.append(item)
        if len(rows) < chunk:
            return Page(items, None)
    return Page(items, _cursor(filters.order, place))


def _item(
    reading: Reading,
    task_id: str,
    filters: TaskFilters,
    explain: Explain,
    status_of: StatusOf,
    now_ms: int,
) -> TaskView | None:
    """Return a row's task if the status that it shows is asked for."""
    record, task = _load(reading, task_id)
    if task is None:
        return None
    waiting = _waiting(task, explain, status_of, now_ms)
    if filters.status and task_view.shown_status(task, waiting) not in filters.status:
        return None
    last = attempts(reading, task_id, 1)
    return task_view.view(task, record, waiting=waiting, attempts=last)


def _load(reading: Reading, task_id: str) -> tuple[Record, Task | None]:
    record = reading.record("task", task_id)
    return record, tasks.read(record)


Place = tuple[int, str] | None  # priority and id of the last row that was looked at


def _rows(reading: Reading, filters: TaskFilters, after: Place, limit: int) -> list[Any]:
    """Return ``(priority, id)`` of the next rows that may match, by an index of their order."""
    where, values = ["status <> ''"], []

    def one_of(column: str, wanted: list[Any]) -> None:
        values.extend(wanted)
        marks = ", ".join(f"${len(values) - len(wanted) + i + 1}" for i in range(len(wanted)))
        where.append(f"{column} IN ({marks})")

    for column, wanted in (
        ("status", _journaled(filters.status)),
        ("type", sorted(filters.type)),
        ("priority", sorted(p.value for p in filters.priority)),
        ("device", sorted(filters.device)),
        ("requester", sorted(filters.requester)),
    ):
        if wanted:
            one_of(column, wanted)
    urgent = filters.order is Order.URGENT
    if after is not None:
        values.extend(after if urgent else after[1:])
        top = len(values)
        where.append(f"(priority, id) > (${top - 1}, ${top})" if urgent else f"id < ${top}")
    order = "priority, id" if urgent else "id DESC"
    values.append(limit)
    return reading.query(
        f"SELECT priority, id FROM tasks WHERE {' AND '.join(where)} "  # noqa: S608 - ours, no input
        f"ORDER BY {order} LIMIT ${len(values)}",
        *values,
    )


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
    id: str


def _cursor(order: Order, place: Place) -> str | None:
    return None if place is None else pages.write_cursor(order.value, *place)


def _read_cursor(cursor: str | None, order: Order) -> Place:
    if cursor is None:
        return None
    found = pages.read_cursor(cursor, _Cursor)
    if found.order is not order:
        raise Invalid("the cursor is of another order; start over", (("$.cursor", "bad"),))
    return found.priority, found.id


# ------------------------------------------------------------------ counts


def summary(
    reading: Reading, explain: Explain, now_ms: int, explained_max: int = EXPLAINED_MAX
) -> Summary:
    """Count tasks by status, type and priority, deriving what so many unfinished ones show."""
    by_status = {status.value: 0 for status in Status if status in SHOWN}
    by_priority = {priority.word: 0 for priority in Priority}
    by_type: dict[str, int] = {}
    journaled = dict.fromkeys((status.value for status in JOURNALED), 0)
    for status, type_, priority, count in reading.query(COUNTS):
        journaled[status] += count
        by_type[type_] = by_type.get(type_, 0) + count
        by_priority[Priority(priority).word] += count
    for was, shown in _shown_open(reading, explain, now_ms, explained_max):
        journaled[was.value] -= 1
        by_status[shown.value] += 1
    left = sum(journaled[word] for word in UNFINISHED)
    by_status["queued"] += journaled.pop(Status.WAITING.value)
    for word, count in journaled.items():
        by_status[word] += count
    return Summary(sum(by_type.values()), by_status, by_type, by_priority, exact=left == 0)


def _shown_open(
    reading: Reading, explain: Explain, now_ms: int, limit: int
) -> Iterator[tuple[Status, Status]]:
    """Yield the status of unfinished tasks as journaled and as shown."""
    status_of = statuses(reading)
    for (task_id,) in reading.query(OPEN_IDS, limit):
        _, task = _load(reading, task_id)
        if task is not None:
            waiting = _waiting(task, explain, status_of, now_ms)
            yield task.status, task_view.shown_status(task, waiting)
