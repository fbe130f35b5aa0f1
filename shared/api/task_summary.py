"""Counts of tasks: from counters that are kept with the rows, so a million cost what ten do.

What unfinished tasks show (scheduled, blocked, queued, cancelling) is derived, task by task, so of
those a bounded number is looked at, and the answer says whether that was all.
"""

from collections.abc import Iterator

import msgspec

from shared.api import task_queries
from shared.api.context import Explain
from shared.api.followers import with_recalls
from shared.api.grouping import with_groups
from shared.core import task_view
from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import JOURNALED, Status
from shared.store.transaction import Reading

EXPLAINED_MAX = 5000  # unfinished tasks that a summary explains

COUNTS = "SELECT status, type, priority, count FROM task_counts WHERE status <> ''"
OPEN_IDS = """SELECT id FROM tasks WHERE status IN ('waiting', 'running', 'cancelling')
    ORDER BY status, created_at, id LIMIT $1"""


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


def summary(
    reading: Reading, explain: Explain, now_ms: int, explained_max: int = EXPLAINED_MAX
) -> Summary:
    """Count tasks by status, type and priority, deriving what so many unfinished ones show."""
    by_status = {status.value: 0 for status in Status if status in task_queries.SHOWN}
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
    left = sum(journaled[word] for word in task_queries.UNFINISHED)
    by_status["queued"] += journaled.pop(Status.WAITING.value)
    for word, count in journaled.items():
        by_status[word] += count
    return Summary(sum(by_type.values()), by_status, by_type, by_priority, exact=left == 0)


def _shown_open(
    reading: Reading, explain: Explain, now_ms: int, limit: int
) -> Iterator[tuple[Status, Status]]:
    """Yield the status of unfinished tasks as journaled and as shown."""
    status_of = task_queries.statuses(reading)
    explain = with_recalls(reading, with_groups(reading, explain))  # a pause changes no status
    for (task_id,) in reading.query(OPEN_IDS, limit):
        _, task = task_queries.load(reading, task_id)
        if task is not None:
            waiting = task_queries.waiting(task, explain, status_of, now_ms)
            yield task.status, task_view.shown_status(task, waiting)
