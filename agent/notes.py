"""What a run says of itself on its way, kept in the journal: shown at the hub, resumed from here.

Progress is for people: the newest value is written at most every few seconds, whatever a handler
tells in between. A saved step is a promise: it lasts before the handler goes on.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from agent import claim as claims
from agent.pause import WaitFor
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Attempt, Claim, Reported
from shared.errors import Busy, StoreError
from shared.replica import Replica
from shared.store.transaction import Transaction

EVERY_S = 2.0  # a bar that moves for people; a thousand robots at that pace are 500 events a second


class JournalNotes:
    """The notes of one run, written in the background from the first word on until ``end``.

    Attributes:
        saved: What was saved last, by this run or an earlier one of the allocation.
    """

    def __init__(
        self,
        replica: Replica,
        task: Task,
        attempt: Attempt,
        *,
        beat: Callable[[], None],
        wait: WaitFor,
        group: asyncio.TaskGroup,
    ) -> None:
        """Build the notes of a run.

        Args:
            replica: The journal.
            task: As it was when the attempt started.
            attempt: The attempt.
            beat: Called with each sign of life.
            wait: How to pause between two writes.
            group: Where the writing in the background runs.
        """
        self.saved: Any = task.reported.saved if task.reported else None
        self._replica = replica
        self._task = task
        self._attempt = attempt
        self._beat = beat
        self._wait = wait
        self._group = group
        self._keeping: asyncio.Task[None] | None = None  # most runs say nothing, and need none
        self._latest: dict[str, Any] | None = None
        self._written: dict[str, Any] | None = None
        self._dirty = asyncio.Event()
        self._writing = asyncio.Lock()  # else progress could take back a step saved meanwhile

    def progress(self, value: dict[str, Any]) -> None:
        """Keep it in place of the one before; it is written soon."""
        self._latest = value
        self._beat()
        self._dirty.set()
        if self._keeping is None:
            name = f"notes of {self._attempt.id}"
            self._keeping = self._group.create_task(self._keep(), name=name)

    def end(self) -> None:
        """Write nothing more in the background: the run has ended."""
        if self._keeping is not None:
            self._keeping.cancel()

    async def save(self, state: Any) -> None:
        """Return once the step lasts.

        Raises:
            StoreError: It was not kept.
            Busy: Too many writes wait; it was not kept.
        """
        async with self._writing:
            await self._write(state)
            self.saved = state
        self._beat()

    async def _keep(self) -> None:
        """Write progress as it comes, the newest only, never more often than every EVERY_S."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                async with self._writing:
                    await self._write(self.saved)
            except (StoreError, Busy):
                self._dirty.set()  # progress is not worth a run: the next round tries again
            await self._wait(asyncio.Event(), EVERY_S)

    @property
    def unwritten(self) -> Reported | None:
        """What was told last, unless it is written: the end of the run takes it along."""
        if self._latest is self._written:
            return None
        return Reported(self._claim(), self._latest, self.saved)

    async def _write(self, saved: Any) -> None:
        said = Reported(self._claim(), self._latest, saved)
        await self._replica.write(lambda tx: report(tx, self._task, self._attempt, said))
        self._written = said.progress

    def _claim(self) -> Claim:
        given = self._task.allocation
        assert given is not None, "nothing runs without an allocation"
        return Claim(given.epoch, given.n, self._attempt.number)


def report(tx: Transaction, claimed: Task, attempt: Attempt, said: Reported) -> None:
    """Write what a run says, if its claim still is the current one: a late word says nothing."""
    task = tasks.read(tx.record("task", claimed.id))
    if task is None or task.allocation != claimed.allocation:
        return
    if not claims.is_current(task, attempt):
        return
    tx.append(
        site=task.site,
        kind="task.progress",
        subject=task.id,
        register=task_bodies.PROGRESS,
        body=said,
        actor=tx.node.device,
    )
