"""What the journal says has changed: tasks that this device should look at, and its queues.

What is known of a task comes from two sides: from the results of our own writes, and from what the
journal says has changed. Taking our own writes for news would double the cost of a task, so each
result carries the position at which it held, and older news of that task is dropped.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.record import Record
from shared.store.transaction import Change, Reading

STATUS = "SELECT status FROM tasks WHERE id = $1"
WAITING = """SELECT id FROM tasks WHERE device = $1 AND status = 'waiting' AND seated = 1
    ORDER BY CASE WHEN $3 = 0 OR priority <= 1 OR created_at >= $2 THEN priority
        WHEN priority - ($2 - created_at) / $3 < 1 THEN 1
        ELSE priority - ($2 - created_at) / $3 END,
    deadline, created_at, id"""
GROUPED = """SELECT id, site, group_key, created_at FROM tasks
    WHERE device = $1 AND status IN ('waiting', 'running', 'cancelling', 'unknown')
    AND seated = 1 AND group_key IS NOT NULL"""

Statuses = Mapping[str, Status | None]


class Held(msgspec.Struct, frozen=True):
    """What a device holds when its agent starts.

    Attributes:
        waiting: Ids of the tasks that wait, as ``order.py`` would have them, ``not_before`` apart.
        grouped: Members of groups that are not over: id, site, group, created_ms.
    """

    waiting: list[str]
    grouped: list[tuple[str, str, str, int]]


class Changed(msgspec.Struct, frozen=True):
    """A task that changed at a position; its record as it is then, if that was told."""

    position: int
    record: Record | None


class News:
    """Notes of what has changed. ``heard`` is set while there are any."""

    def __init__(self, heard: asyncio.Event) -> None:
        self._heard = heard
        self._dirty: dict[str, Changed] = {}  # not yet looked at
        self._fresh: dict[str, int] = {}  # known as of this position, from our own writes
        self._queues = True  # whether pauses have to be looked at

    def on_changes(self, changes: list[Change]) -> None:
        """Note what a commit has changed."""
        for change in changes:
            if change.kind == "task":
                self.note(change.subject, change.position, change.record)
            elif change.kind == "queue":
                self.note_queues()
                self._heard.set()

    def note(self, task_id: str, position: int, record: Record | None = None) -> None:
        """Note that a task has to be looked at."""
        self._dirty[task_id] = Changed(position, record)
        self._heard.set()

    def know(self, task_id: str, position: int) -> None:
        """Note that a task is known as of a position."""
        self._fresh[task_id] = position

    def take_queues(self) -> bool:
        """Say whether pauses have to be looked at, and forget it."""
        changed, self._queues = self._queues, False
        return changed

    def note_queues(self) -> None:
        """Note that pauses have to be looked at."""
        self._queues = True

    def take(self) -> dict[str, Record | None]:
        """Return the tasks to look at, with what is known of them, and forget them."""
        dirty, self._dirty = self._dirty, {}
        if not dirty:
            return {}
        found = {i: one.record for i, one in dirty.items() if self._fresh.get(i, 0) < one.position}
        newest = max(one.position for one in dirty.values())
        self._fresh = {i: at for i, at in self._fresh.items() if at > newest}
        return found


def held(reading: Reading, device: str, now_ms: int, aging_ms: int) -> Held:
    """Return what a device holds; the database sorts, which holds nobody up."""
    waiting = [task_id for (task_id,) in reading.query(WAITING, device, now_ms, aging_ms)]
    grouped = [
        (task_id, site, group, created_ms)
        for task_id, site, group, created_ms in reading.query(GROUPED, device)
    ]
    return Held(waiting, grouped)


def read(reading: Reading, task_ids: Iterable[str]) -> Sequence[tuple[Task, Statuses]]:
    """Read tasks, and of those that wait the statuses of what they wait for."""
    found: list[tuple[Task, Statuses]] = []
    for task_id in task_ids:
        task = tasks.read(reading.record("task", task_id))
        if task is None:
            continue
        edges = task.spec.after if task.status is Status.WAITING else ()
        found.append((task, {edge.task: _status(reading, edge.task) for edge in edges}))
    return found


def _status(reading: Reading, task_id: str) -> Status | None:
    rows = reading.query(STATUS, task_id)
    return Status(rows[0][0]) if rows and rows[0][0] else None
