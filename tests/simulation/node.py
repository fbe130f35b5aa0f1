"""A node in virtual time: a store over memory, its two threads, its crashes.

The database and the guard are the disk: they outlive the process. Everything else is lost in a
crash, and what the old process had scheduled never runs.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from shared.core.clock import ClockTrust
from shared.core.event import Event
from shared.errors import SkerryError, StoreFull
from shared.store import database, down, exchange, feed, up
from shared.store.guard import GuardState
from shared.store.store import Committed, Identity, Outcome, Store
from shared.store.transaction import Change, Reading, Transaction
from shared.sync import device, host
from shared.sync.frame import Down
from shared.sync.pieces import Chunk
from tests.simulation.timeline import Action, Timeline, WallClock

Then = Callable[[Outcome], None]
Listener = Callable[[list[Change]], None]

LEAD_SHARE = 0.7  # of the commits may leave the tables behind
PACE_MS_MAX = 4  # a hop to a thread, an fsync: small, but never nothing, so that things cross


class PowerCut(BaseException):
    """The process ends here; not an Exception, because nobody may handle it."""


class MemoryGuard:
    """A guard that lasts as long as the disk."""

    def __init__(self) -> None:
        self.state: GuardState | None = None

    def load(self) -> GuardState | None:
        return self.state

    def save(self, state: GuardState) -> None:
        self.state = state


class Node:
    """One machine.

    Attributes:
        name: Device name.
        site: Site that its people work at; the hub serves all.
        clock: Its wall clock.
        guard: What is on its disk beside the database.
        listeners: Called with the changes of each commit.
        cut: Where the power fails next: ``commit``, ``answer``, ``read``, or nowhere.
        is_full: Whether the next commit finds the disk full.
        is_guard_lost: Whether this life began without the guard, and so under a new incarnation.
        life: Counts starts and crashes: what an older life began means nothing now.
    """

    def __init__(
        self,
        timeline: Timeline,
        rules: "Rules",
        identity: Identity,
        clock: WallClock,
        *,
        seed: str,
        on_commit: "Callable[[Node, list[Outcome], list[Change]], None]",
        on_cut: "Callable[[Node], None]",
    ) -> None:
        self.timeline = timeline
        self.rules = rules
        self.name = identity.device
        self.site = identity.sites[0]
        self.identity = identity
        self.clock = clock
        self._disk = database.connect(":memory:")
        self.guard = MemoryGuard()
        self.listeners: list[Listener] = []
        self.cut: str | None = None
        self.is_full = False
        self.is_guard_lost = False
        self._seed = seed
        self._pace = Random(f"{seed} pace")
        self._lead = Random(f"{seed} lead")
        self._on_commit = on_commit
        self._on_cut = on_cut
        self.life = 0
        self._store: Store | None = None
        self._waiting: list[tuple[Callable[[Transaction], Any], Then]] = []
        self._is_committing = False
        self._reads_at = 0
        self._answers_at = 0

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Start the process on what the disk holds."""
        self.life += 1
        self.is_guard_lost = self.guard.state is None and self.life > 1
        self._store = Store(
            self._disk,
            self.identity,
            self.guard,
            now_ms=self.clock.now_ms,
            trust=lambda: ClockTrust.SYNCED,
            chance=Random(f"{self._seed} chance {self.life}"),
        )
        self._waiting = []
        self._is_committing = False
        self._reads_at = self._answers_at = 0
        self.listeners = []
        self.cut = None
        self.is_full = False

    def crash(self) -> None:
        """End the process: an open transaction is abandoned, memory is lost."""
        self.life += 1
        self._store = None
        if self._disk.in_transaction:
            self._disk.execute("ROLLBACK")

    @property
    def db(self) -> sqlite3.Connection:
        """Its disk; of a process that runs, with tables that have followed the journal."""
        store = self._store
        if store is not None and store.leads and not self._disk.in_transaction:
            store.follow()
            self._on_commit(self, [], [])
        return self._disk

    @property
    def disk(self) -> sqlite3.Connection:
        """Its disk as it is: the journal is whole, tables may be behind it."""
        return self._disk

    @property
    def changes_made(self) -> int:
        """How much was written to its disk."""
        return self._disk.total_changes

    def reading(self) -> Reading:
        """Return a view of what is committed."""
        return Reading(self.db)

    def may_lead(self) -> bool:
        """Say whether nobody has read since the last commit, so that the tables may follow."""
        return self._lead.random() < LEAD_SHARE

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self._store is not None

    @property
    def store(self) -> Store:
        """The store of the running process."""
        assert self._store is not None, f"{self.name} is down"
        return self._store

    def after(self, delay_ms: int, what: str, action: Action) -> None:
        """Run an action later, if this process still lives then."""
        life = self.life

        def run_if_alive() -> None:
            if self.life == life:
                action()

        self.timeline.at(delay_ms, self.name, what, run_if_alive)

    # ------------------------------------------------------------------ the writing thread

    def write(self, change: Callable[[Transaction], Any], then: Then) -> None:
        """Run a write in the next group; what waits meanwhile shares its commit."""
        self._waiting.append((change, then))
        if not self._is_committing:
            self._is_committing = True
            self.after(self._delay(), "commit", self._commit)

    def run_on_writer(self, what: str, work: Callable[[Store], None], then: Action) -> None:
        """Run something of the store itself between two transactions."""

        def run() -> None:
            work(self.store)
            self.after(self._delay(), f"{what} done", then)

        self.after(self._delay(), what, run)

    def _commit(self) -> None:
        group, self._waiting = self._waiting, []
        writes = [change for change, _ in group]
        if self.cut == "commit":
            writes.append(_cut_power)
        if self.is_full:
            writes.append(_find_disk_full)
            self.is_full = False
        try:
            committed = self.rules.commit(self, writes)
            outcomes, changes = committed.outcomes, committed.changes
        except PowerCut:
            self._on_cut(self)
            return
        except StoreFull as error:
            outcomes, changes = [Outcome(error=error)] * len(group), []
        self._on_commit(self, outcomes, changes)
        if self.cut == "answer":
            self._on_cut(self)
            return
        for listener in tuple(self.listeners):
            listener(changes)
        self.after(self._delay(), "answer", lambda: self._answer(group, outcomes))

    def _answer(
        self,
        group: list[tuple[Callable[[Transaction], Any], Then]],
        outcomes: list[Outcome],
    ) -> None:
        for (_, then), outcome in zip(group, outcomes, strict=False):
            then(outcome)
        self._is_committing = bool(self._waiting)
        if self._is_committing:
            self.after(self._delay(), "commit", self._commit)

    # ------------------------------------------------------------------ the reading thread

    def read(self, what: str, question: Callable[[Reading], Any], then: Then) -> None:
        """Ask a question of what is committed, beside the writer; answers keep their order."""
        self._reads_at = max(self._reads_at, self.timeline.now_ms + self._delay())
        self.after(
            self._reads_at - self.timeline.now_ms, what, lambda: self._read(what, question, then)
        )

    def _read(self, what: str, question: Callable[[Reading], Any], then: Then) -> None:
        try:
            outcome = Outcome(value=question(self.reading()))
        except SkerryError as error:
            outcome = Outcome(error=error)
        if self.cut == "read":
            self._on_cut(self)
            return
        self._answers_at = max(self._answers_at, self.timeline.now_ms + self._delay())
        self.after(self._answers_at - self.timeline.now_ms, f"{what} done", lambda: then(outcome))

    def _delay(self) -> int:
        return self._pace.randint(0, PACE_MS_MAX)


def _cut_power(_tx: Transaction) -> None:
    raise PowerCut


def _find_disk_full(_tx: Transaction) -> None:
    raise StoreFull("the disk is full; free space on it")


# ------------------------------------------------------------------ production, in a table


def commit(node: Node, writes: Sequence[Callable[[Transaction], Any]]) -> Committed:
    """Run a group of writes in one transaction."""
    return node.store.commit(writes, may_lead=node.may_lead())


def guard(node: Node, then: Callable[[], None]) -> None:
    """Make the guard cover what is about to leave, between two transactions."""
    if node.store.must_guard:
        node.run_on_writer("guard", Store.about_to_leave, then)
    else:
        then()


def take_down(node: Node, chunk: Down, then: Then) -> None:
    """Store a chunk of the feed and the cursor that it reaches."""
    node.write(lambda tx: down.take(tx, chunk), then)


def restart(_node: Node) -> None:
    """Do nothing to the disk between a crash and the next start."""


@dataclass(frozen=True)
class Rules:
    """Production code, by what the world needs of it.

    It has no hooks for faults of its own making: a planted bug is a table with another function
    in one place (``planted.py``).
    """

    append: Callable[..., Event] = Transaction.append
    commit: Callable[[Node, Sequence[Callable[[Transaction], Any]]], Committed] = commit
    guard: Callable[[Node, Callable[[], None]], None] = guard
    restart: Callable[[Node], None] = restart
    receive_device: Callable[[device.State, device.Input], device.Step] = device.receive
    receive_host: Callable[[host.State, host.Input], host.Step] = host.receive
    adopt: Callable[[Transaction, str], Mapping[int, int]] = exchange.adopt
    take_down: Callable[[Node, Down, Then], None] = take_down
    take_up: Callable[..., Any] = up.take
    read_feed: Callable[..., Chunk] = feed.read
