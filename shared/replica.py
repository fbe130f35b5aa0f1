"""A replica: a journal, the records folded from it, and a clock, for asyncio.

One thread owns the writing connection, one the reading one. Writes that arrive while a
transaction is under way gather and share the next one's fsync; the await returns after it. A
transaction crosses to the database thread once; a lone write stays on the loop's thread while the
disk answers at once. Subscribers hear of a change when it is durable.

While nobody reads, the journal leads and the tables follow: a burst of writes costs its events, and
each record that it changed is written once for many of them. Whoever reads sees all that was
acknowledged before: the tables follow first.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, TypeVar

from shared.core.clock import ClockTrust
from shared.core.record import Record
from shared.errors import Busy, StoreClosed, StoreError, StoreFull
from shared.store import database
from shared.store.guard import GuardFile
from shared.store.node import Node
from shared.store.store import Committed, Identity, Outcome, Store
from shared.store.thread import DatabaseThread
from shared.store.transaction import Change, Reading, Transaction

GROUP_MAX = 512  # writes that share a transaction: beyond this the fsync no longer dominates
WAITING_MAX = 8192  # writes that may wait; then callers are told to come back
QUICK_S = 0.002  # a commit that takes less is soon over; the hop to a thread and back costs 0.1 ms
QUICK_RUN = 16  # commits that must have been quick, one after the other
FOLLOW_S = 0.5  # how long the tables may lack a write that nobody has asked for

T = TypeVar("T")
Listener = Callable[[list[Change]], None]
Waiting = tuple[Callable[[Transaction], Any], asyncio.Future[Any]]

log = logging.getLogger(__name__)


class Replica:
    """Durable writes, short reads and changes of one data folder. See ``open_replica``."""

    def __init__(
        self,
        store: Store,
        writer: DatabaseThread,
        reader: DatabaseThread,
        reading: Reading,
    ) -> None:
        self._store = store
        self._writer = writer
        self._reader = reader
        self._reading = reading
        self._waiting: deque[Waiting] = deque()
        self._is_writing = False  # a group is under way, or about to be
        self._idle: asyncio.Future[None] | None = None  # whom ``close`` waits for
        self._listeners: list[Listener] = []
        self._closing = False
        self._quick = 0  # commits in a row that were quick
        self._was_read = False  # since the last group: then the next one writes the tables too
        self._following: asyncio.TimerHandle | None = None

    @property
    def node(self) -> Node:
        """This node as of the last commit: who it is, its logs and their heads, its position."""
        return self._store.node

    @property
    def notice(self) -> str | None:
        """Why this node took a new incarnation when it was opened, or None."""
        return self._store.notice

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Run a function of the current records; return its result after the fsync.

        Args:
            change: Reads and appends through the transaction; runs on the database thread, so it
                must be quick and touch nothing else. If it raises, nothing of it happened.

        Raises:
            Busy: WAITING_MAX writes wait already.
            StoreClosed: The node is going down.
            StoreFull: The disk is full; nothing of it happened.
        """
        if self._closing:
            raise StoreClosed("the node is going down")
        if len(self._waiting) >= WAITING_MAX:
            raise Busy(f"{WAITING_MAX} writes wait for the disk; try again")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append((change, done))
        if not self._is_writing:
            self._is_writing = True
            loop.call_soon(self._start_group)
        return await done

    async def read(self, question: Callable[[Reading], T]) -> T:
        """Run a function of what is committed, in one short read transaction, beside the writer."""
        self._was_read = True
        if self._store.leads:
            try:
                await self.run_on_writer(Store.follow)
            except StoreFull:  # what was acknowledged is shown all the same
                return await self.run_on_writer(partial(Store.foresee, question=question))
        return await self._reader.call(partial(self._answer, question))

    async def read_journal(self, question: Callable[[Reading], T]) -> T:
        """Run a function of the journal alone, which shows at once all that was acknowledged."""
        return await self._reader.call(partial(self._answer, question))

    async def record(self, kind: str, subject: str) -> Record:
        """Return a record as shown here; without registers if nothing is known of it."""
        return await self.read(lambda reading: reading.record(kind, subject))

    def subscribe(self, listener: Listener) -> AbstractContextManager[None]:
        """Call ``listener`` with the changes of every commit, in order, once they are durable.

        It runs on the event loop and must not block.
        """
        return self._subscription(listener)

    async def about_to_leave(self) -> None:
        """Make the guard cover our logs as they are, before anything of them is sent."""
        if self._store.must_guard:
            await self.run_on_writer(lambda store: store.about_to_leave())

    async def run_on_writer(self, work: Callable[[Store], T]) -> T:
        """Run something of the store itself (guard, incarnation) between two transactions."""
        return await self._writer.call(partial(work, self._store))

    async def close(self) -> None:
        """Refuse new writes, wait for those that were accepted, leave the tables complete."""
        self._closing = True
        while self._is_writing:
            self._idle = self._idle or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)
        if self._following is not None:
            self._following.cancel()
        try:
            await self.run_on_writer(Store.follow)
        except StoreError as error:
            log.warning("the tables follow at the next start: %s", error)

    # ------------------------------------------------------------------ group commit

    def _start_group(self) -> None:
        """Hand everything that waits to the database thread, as one transaction."""
        size = min(len(self._waiting), GROUP_MAX)
        group = [self._waiting.popleft() for _ in range(size)]
        writes = [change for change, _ in group]
        commit = partial(self._timed, writes, may_lead=not self._was_read)
        self._was_read = False
        if size > 1 or self._quick < QUICK_RUN or not self._writer.is_idle:
            self._writer.submit(commit, partial(self._end_group, group))
            return
        committed, failed = None, None
        try:
            committed = commit()
        except BaseException as error:  # noqa: BLE001 - it belongs to who asked for the write
            failed = error
        self._end_group(group, committed, failed)

    def _timed(self, writes: list[Callable[[Transaction], Any]], *, may_lead: bool) -> Committed:
        start = perf_counter()
        committed = self._store.commit(writes, may_lead=may_lead)
        self._quick = self._quick + 1 if perf_counter() - start < QUICK_S else 0
        return committed

    def _end_group(
        self, group: list[Waiting], committed: Committed | None, error: BaseException | None
    ) -> None:
        if committed is not None:
            self._tell(committed.changes)
            outcomes = committed.outcomes
        else:
            outcomes = [Outcome(error=error)] * len(group)
        for (_, done), outcome in zip(group, outcomes, strict=True):
            if done.done():  # its caller was cancelled; the write lasts all the same
                continue
            if outcome.error is None:
                done.set_result(outcome.value)
            else:
                done.set_exception(outcome.error)
        if self._waiting:
            self._start_group()
        else:
            self._is_writing = False
            if self._idle is not None:
                self._idle.set_result(None)
                self._idle = None
            if self._following is None and self._store.leads:
                loop = asyncio.get_running_loop()
                self._following = loop.call_later(FOLLOW_S, self._follow)

    def _follow(self) -> None:
        """Have the tables follow after a burst, so that what the disk shows is never old."""
        self._following = None
        self._writer.submit(partial(Store.follow, self._store), _report)

    def _tell(self, changes: list[Change]) -> None:
        if not changes:
            return
        for listener in tuple(self._listeners):
            try:
                listener(changes)
            except Exception:  # one bad listener never stops the rest (promise 6)
                log.exception("a listener failed; the change is durable all the same")

    @contextmanager
    def _subscription(self, listener: Listener) -> Any:
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _answer(self, question: Callable[[Reading], T]) -> T:
        with self._reading.snapshot():
            return question(self._reading)


def _report(_: None, error: BaseException | None) -> None:
    if error is not None:
        log.warning("the tables follow later: %s", error)


@asynccontextmanager
async def open_replica(
    folder: Path,
    identity: Identity,
    *,
    now_ms: Callable[[], int],
    trust: Callable[[], ClockTrust],
    chance: Random,
) -> AsyncIterator[Replica]:
    """Open a data folder for this process alone, and close it clean.

    Args:
        folder: Made if it does not exist.
        identity: Role, device and sites.
        now_ms: Wall clock, Unix ms.
        trust: How far to trust it at present.
        chance: Source of incarnations and epochs.

    Raises:
        StoreLocked: Another process runs on the folder.
        StoreTooNew: A newer version wrote it.
        StoreCorrupt: It is damaged.
    """
    path = str(folder / database.FILE)
    with database.folder_lock(folder), closing(database.connect(path)) as writing:
        store = Store(
            writing, identity, GuardFile(folder), now_ms=now_ms, trust=trust, chance=chance
        )
        with (
            closing(database.connect(path, read_only=True)) as reading,
            closing(DatabaseThread("journal-writer")) as writer,
            closing(DatabaseThread("journal-reader")) as reader,
        ):
            replica = Replica(store, writer, reader, Reading(reading))
            try:
                yield replica
            finally:
                await replica.close()
