"""The waiting tasks of this device, indexed so that a decision looks at few of them: no I/O.

``candidates`` hands out the tasks among which ``schedule.decide`` would choose if it saw all of
them: the doomed and the most urgent that may start. A test holds the two together. Everything
else stands in a heap by the time it waits for, or under the predecessors that it waits for.
"""

import heapq
from collections.abc import Iterator, Mapping

import msgspec

from agent import schedule
from shared.core import waiting
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status

DOOMED_MAX = 256  # handed out at once: a cancelled chain of thousands must not stop the starts


class Backlog:
    """Waiting tasks; changed by its owner only."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._ready: list[schedule.Order] = []
        self._later: list[tuple[int, str]] = []
        self._doomed: dict[str, None] = {}
        # The heap entry that counts of each task: older ones are skipped when they come up,
        # because taking them out of the middle of a heap would cost a pass over it.
        self._entry: dict[str, schedule.Order | tuple[int, str]] = {}
        self._followers: dict[str, set[str]] = {}
        self._statuses: dict[str, Status | None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks

    def status_of(self, task_id: str) -> Status | None:
        """Return the status of a predecessor, as last heard."""
        return self._statuses.get(task_id)

    def put(self, task: Task, now_ms: int, statuses: Mapping[str, Status | None]) -> None:
        """Take a task, or its newer version.

        Args:
            task: Its status is waiting.
            now_ms: Wall clock, Unix ms.
            statuses: Statuses of its predecessors.
        """
        self._tasks[task.id] = _lean(task)
        for edge in task.spec.after:
            self._followers.setdefault(edge.task, set()).add(task.id)
            self.heard(edge.task, statuses.get(edge.task), now_ms)
        self._place(self._tasks[task.id], now_ms)

    def remove(self, task_id: str) -> None:
        """Let go of a task; without effect if it is not here."""
        task = self._tasks.pop(task_id, None)
        if task is None:
            return
        self._entry.pop(task_id, None)
        self._doomed.pop(task_id, None)
        for edge in task.spec.after:
            followers = self._followers.get(edge.task, set())
            followers.discard(task_id)
            if not followers:
                self._followers.pop(edge.task, None)
                self._statuses.pop(edge.task, None)

    def heard(self, task_id: str, status: Status | None, now_ms: int) -> None:
        """Note the status of a task that others may come after."""
        if self._statuses.get(task_id) is status:
            return
        followers = self._followers.get(task_id)
        if followers is None:
            return
        self._statuses[task_id] = status
        for follower in followers:
            self._place(self._tasks[follower], now_ms)

    def candidates(self, now_ms: int, room: int) -> list[Task]:
        """Hand out doomed tasks and the ``room`` most urgent that may start.

        They stay here, but are not handed out again before they were put or ``restored``.
        """
        while self._later and self._later[0][0] <= now_ms:
            entry = heapq.heappop(self._later)
            if self._entry.get(entry[-1]) is entry:
                self._place(self._tasks[entry[-1]], now_ms)
        chosen = [self._tasks[i] for i in list(self._doomed)[:DOOMED_MAX]]
        for task in chosen:
            del self._doomed[task.id]
        # The range stands first: it is exhausted before one task too many leaves its heap.
        chosen += (task for _, task in zip(range(room), self._urgent(), strict=False))
        return chosen

    def restore(self, task_id: str, now_ms: int) -> None:
        """Put a task that was handed out back in its place."""
        task = self._tasks.get(task_id)
        if task is not None:
            self._place(task, now_ms)

    def wake_ms(self) -> int | None:
        """Return when the first task that waits for a time may start, Unix ms."""
        while self._later and self._entry.get(self._later[0][-1]) is not self._later[0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def _urgent(self) -> Iterator[Task]:
        while self._ready:
            entry = heapq.heappop(self._ready)
            if self._entry.get(entry[-1]) is entry:
                del self._entry[entry[-1]]
                yield self._tasks[entry[-1]]

    def _place(self, task: Task, now_ms: int) -> None:
        self._entry.pop(task.id, None)
        self._doomed.pop(task.id, None)
        why = waiting.why(task, now_ms, self.status_of)
        if why is None:
            urgent = schedule.order(task)
            self._entry[task.id] = urgent
            heapq.heappush(self._ready, urgent)
        elif why.doomed is not None:
            self._doomed[task.id] = None
        elif why.wake_ms is not None:
            later = (why.wake_ms, task.id)
            self._entry[task.id] = later
            heapq.heappush(self._later, later)


def _lean(task: Task) -> Task:
    """Drop what no decision needs: a hundred thousand payloads would not fit a small board."""
    spec = msgspec.structs.replace(task.spec, payload={})
    progress = task.progress
    if progress is not None:
        progress = msgspec.structs.replace(progress, attempt=None)
    return msgspec.structs.replace(task, spec=spec, progress=progress)
