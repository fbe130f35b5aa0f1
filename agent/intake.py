"""What this device holds, as the journal tells it: what waits, what is over, what is to be stopped.

What waits when the agent starts is read in the order in which it would start, some with each turn:
of a hundred thousand tasks the first runs long before the last is read. Only who stands before whom
in a group must be known of all, and is (``news.held``).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from itertools import islice

from agent import claim, moves, news
from agent.backlog import Backlog
from agent.claim import Move
from agent.news import News, Statuses
from shared.api import pauses
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.lifecycle import ENDED, Signal, Status
from shared.replica import Replica
from shared.store.transaction import Change

CLOSE_MAX = 256  # tasks ended a turn though they never ran; runs do not wait for thousands
READ_MAX = 200  # tasks a read: a long one would pin the journal's WAL


class Intake:
    """Follows the journal for the dispatcher, and writes its moves.

    Attributes:
        backlog: What waits.
        paused: Paused queues by (site, type), and why.
    """

    def __init__(
        self,
        replica: Replica,
        changed: asyncio.Event,
        *,
        types: Sequence[str],
        aging_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        """Build an intake.

        Args:
            replica: The journal.
            changed: Set when there is something to look at.
            types: Task types that this device runs; none: it runs no tasks, and dooms none.
            aging_ms: Waiting that lifts a task by one level; 0: none does.
            now_ms: Wall clock, Unix ms.
        """
        self.backlog = Backlog(aging_ms)
        self.paused: Mapping[tuple[str, str], str | None] = {}
        self._replica = replica
        self._changed = changed
        self._types = frozenset(types)
        self._aging_ms = aging_ms
        self._now_ms = now_ms
        self._news = News(changed)
        self._unread: deque[str] = deque()  # waits, but was not looked at since the start
        self._close: dict[str, Move] = {}  # what becomes of waiting tasks that will not run
        self._cancel: set[str] = set()  # running tasks to stop

    @property
    def has_more(self) -> bool:
        """Whether the next turn has something to do though nothing changes."""
        return bool(self._close or self._unread)

    def on_changes(self, changes: list[Change]) -> None:
        """Note what a commit has changed."""
        self._news.on_changes(changes)

    # ------------------------------------------------------------------ looking

    async def begin(self) -> None:
        """Learn what is held here."""
        device, now_ms = self._replica.node.device, self._now_ms()
        held = await self._replica.read(
            lambda reading: news.held(reading, device, now_ms, self._aging_ms)
        )
        for task_id, site, group, created_ms in held.grouped:
            self.backlog.join(task_id, (site, group), created_ms, now_ms)
        self._unread.extend(held.waiting)

    async def catch_up(self) -> None:
        """Look at what has changed, and at some more of what was held at the start."""
        await self._look_at_queues()
        await self._look(self._take_news())
        part = [self._unread.popleft() for _ in range(min(READ_MAX, len(self._unread)))]
        try:
            await self._look(part)
        except BaseException:
            self._unread.extendleft(reversed(part))
            raise

    async def _look_at_queues(self) -> None:
        if not self._news.take_queues():
            return
        try:
            self.paused = await self._replica.read(pauses.paused)
        except BaseException:
            self._news.note_queues()
            raise

    def _take_news(self) -> Sequence[str]:
        """Take note of what the news tell; return the tasks that have to be read."""
        unread: list[str] = []
        now_ms = self._now_ms()
        for task_id, record in self._news.take().items():
            task = tasks.read(record) if record is not None else None
            if task is None or (task.status is Status.WAITING and task.spec.after):
                unread.append(task_id)  # with the statuses of what it waits for
            else:
                self._hear(task, {}, now_ms)
        return unread

    async def _look(self, task_ids: Sequence[str]) -> None:
        """Read tasks and take note of them."""
        for first in range(0, len(task_ids), READ_MAX):
            part = task_ids[first : first + READ_MAX]
            found = await self._replica.read(partial(news.read, task_ids=part))
            now_ms = self._now_ms()
            for task, statuses in found:
                self._hear(task, statuses, now_ms)

    def _hear(self, task: Task, statuses: Statuses, now_ms: int) -> None:
        """Take note of a task as it is now."""
        node = self._replica.node
        self.backlog.heard(task.id, task.status, now_ms)
        self._close.pop(task.id, None)
        if not claim.is_held(task, node):
            if task.status not in ENDED:  # else it has left by what was heard
                self.backlog.leave(task.id, now_ms)
        elif task.spec.group is not None:
            key = (task.site, task.spec.group)
            self.backlog.join(task.id, key, task.created_ms, now_ms)
        if task.status is not Status.WAITING or not claim.is_ours(task, node):
            self.backlog.remove(task.id)
            if task.cancel_asked and task.status is Status.RUNNING:
                self._cancel.add(task.id)
            return
        move = self._closing(task)
        if move is not None:
            self.backlog.remove(task.id)
            self._close[task.id] = move
        else:
            self.backlog.put(task, now_ms, statuses)

    def _closing(self, task: Task) -> Move | None:
        """Return what becomes of a waiting task that will not run here whatever happens."""
        if task.why_cancel is not None:
            return _close(task.id, Signal.CANCEL, task.why_cancel)
        if task.recall is not None:
            return partial(claim.give_back, task_id=task.id)
        if self._types and task.spec.type not in self._types:
            device = self._replica.node.device
            reason = f"{device} runs no tasks of type {task.spec.type}"
            return _close(task.id, Signal.DIE, reason)
        return None

    # ------------------------------------------------------------------ moving

    def close(self, task_id: str, signal: Signal, reason: str) -> None:
        """Note that a waiting task is over."""
        self._close[task_id] = _close(task_id, signal, reason)

    def closing(self) -> list[tuple[str, Move]]:
        """Return what becomes of some waiting tasks that will not run; noted until written."""
        return list(islice(self._close.items(), CLOSE_MAX))

    def take_cancels(self, running: Set[str]) -> Iterable[str]:
        """Return those of the running tasks that are to be stopped; noted until written."""
        self._cancel &= running
        return tuple(self._cancel)

    async def write(self, made: Mapping[str, Move]) -> Mapping[str, Task | None]:
        """Make moves in one transaction; return the tasks as they are afterwards.

        One that cannot be moved is left alone until it changes; a run of it is then an orphan at
        the next start.

        Raises:
            StoreError: Nothing was written.
        """
        moved = await moves.make(self._replica, made)
        if not moved.is_whole:
            self._changed.set()  # what was written must be acted on first
        for task_id in (*moved.tasks, *moved.failed):
            self._close.pop(task_id, None)
            self._cancel.discard(task_id)
        for task_id in moved.failed:
            self.backlog.remove(task_id)
        now_ms = self._now_ms()
        for task_id, task in moved.tasks.items():
            if task is None or (task.status is Status.WAITING and task.spec.after):
                # It waits again for others, whose statuses are not at hand: look at them.
                self.backlog.remove(task_id)
                self._news.note(task_id, moved.position)
            else:
                self._news.know(task_id, moved.position)
                self._hear(task, {}, now_ms)
        return {**moved.tasks, **dict.fromkeys(moved.failed)}


def _close(task_id: str, signal: Signal, reason: str) -> Move:
    return partial(claim.close, task_id=task_id, signal=signal, reason=reason)
