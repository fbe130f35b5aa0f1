"""The store: one data folder opened, its transactions, and the identity that goes with it."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

import msgspec

from shared.core.clock import ClockTrust
from shared.errors import StoreCorrupt, StoreError
from shared.store import database, journal
from shared.store import node as nodes
from shared.store.flush import Gathered, Key
from shared.store.guard import Guard, GuardState
from shared.store.node import Node
from shared.store.records import Held, Newest
from shared.store.transaction import Change, Finished, Reading, Transaction

CACHE_RECORDS = 2048  # some 2 KiB each: bounded for small boards, ample for what is hot
LEADING_RECORDS = 2 * CACHE_RECORDS  # none leaves the cache while the tables lack it

T = TypeVar("T")
Write = Callable[[Transaction], Any]


class Identity(msgspec.Struct, frozen=True):
    """Who opens a data folder.

    Attributes:
        role: ``agent`` or ``hub``.
        device: First part of this node's origins.
        sites: Sites that it writes for; an agent has one.
        machine_id: Machine it runs on; None: not compared with the guard's.
    """

    role: str
    device: str
    sites: tuple[str, ...]
    machine_id: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """How one write of a group ended: a value, or the exception it raised."""

    value: Any = None
    error: BaseException | None = None


class Committed(msgspec.Struct, frozen=True):
    """What a commit made true, each write's outcome in order."""

    outcomes: list[Outcome]
    changes: list[Change]


class Store:
    """Runs groups of writes in one transaction each.

    Not thread-safe: all calls come from one thread (or, inline, from the simulator).

    Attributes:
        node: This node as of the last commit.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        identity: Identity,
        guard: Guard,
        *,
        now_ms: Callable[[], int],
        trust: Callable[[], ClockTrust],
        chance: Random,
    ) -> None:
        """Open the database: migrate, mint or check identity, take a new incarnation if due."""
        self._db = db
        self._guard = guard
        self._identity = identity
        self._now_ms = now_ms
        self._trust = trust
        self._chance = chance
        self._cache: OrderedDict[Key, Held] = OrderedDict()
        self._gathered = Gathered()  # what the tables do not show yet
        self._newest = Newest(db)
        self._is_committing = False
        self.notice: str | None = None  # why this node took a new incarnation at start
        with database.translated():
            database.migrate(db)
            self.node = self._open()
        self._left = self._raise_guard()

    # ------------------------------------------------------------------ transactions

    def commit(self, writes: Sequence[Write], *, may_lead: bool = False) -> Committed:
        """Run writes in one transaction, each under its own savepoint, and fsync.

        Args:
            writes: In the order in which they run.
            may_lead: The journal may get ahead of the tables; ``follow`` before anybody reads.

        Returns:
            Outcomes in order, once everything is durable.

        Raises:
            StoreError: The transaction failed as a whole; nothing of it happened.
        """
        with database.translated():
            try:
                transaction = self._transaction()
                outcomes = [_run(transaction, write) for write in writes]
                may_lead = may_lead and len(self._cache) < LEADING_RECORDS
                self._is_committing = True
                transaction.commit(may_lead=may_lead)
            except BaseException:
                self._recover()
                raise
            else:
                finished = transaction.result()
                self._become(finished)
            finally:
                self._is_committing = False
        return Committed(outcomes, finished.changes)

    @property
    def leads(self) -> bool:
        """Whether the journal holds events that the tables do not show yet."""
        return not self._gathered.is_empty

    def follow(self) -> None:
        """Have the tables show all that the journal holds.

        Raises:
            StoreError: They do not; nothing is lost.
        """
        if self.leads:
            self.commit(())

    def foresee(self, question: Callable[[Reading], T]) -> T:
        """Answer a question as if the tables had followed: for a disk too full to have them do so.

        Raises:
            StoreFull: Too much for memory is lacking.
        """
        with database.translated():
            try:
                transaction = self._transaction()
                transaction.follow()
                return question(transaction)
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def reading(self) -> Reading:
        """Return a view of what the tables show, on the writer's connection."""
        return Reading(self._db)

    def _transaction(self) -> Transaction:
        return Transaction(
            self._db,
            self.node,
            self._cache,
            self._gathered,
            newest=self._newest,
            now_ms=self._now_ms(),
            trust=self._trust(),
        )

    def _become(self, finished: Finished) -> None:
        self.node = finished.node
        self._gathered = finished.gathered
        cache = self._cache
        for key, value in finished.held.items():
            cache[key] = value
            cache.move_to_end(key)
        if self.leads:
            return  # a record that leaves the cache is read from the tables, which lack it yet
        while len(cache) > CACHE_RECORDS:
            cache.popitem(last=False)

    def _recover(self) -> None:
        """After a failed commit only the disk knows the head: read it again."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._load()

    def _load(self) -> Node | None:
        """Read the node, and gather anew what its journal holds and its tables do not show."""
        self._cache.clear()
        self._gathered = Gathered()
        node = nodes.load(self._db)
        if node is not None:
            self.node = node
            transaction = self._transaction()
            for tail in journal.read_tail(self._db, node.position):
                transaction.refold(tail)
            self._become(transaction.result())
        return node

    # ------------------------------------------------------------------ identity and guard

    def about_to_leave(self) -> None:
        """Make the guard cover every event of our own logs, before any of them leaves.

        All of the durable head at once: what is not sent now will be soon, and one fsync serves
        a whole backlog.
        """
        if self.must_guard:
            self._left = self._raise_guard()

    @property
    def must_guard(self) -> bool:
        """Whether an event of ours lasts that the guard does not cover yet; any thread may ask.

        A reader may see a commit before ``node`` tells of it: while one is under way, maybe.
        """
        if self._is_committing:  # asked first: once it is over, ``node`` is the new one
            return True
        node = self.node
        return any(node.logs[name].head > self._left.get(name, 0) for name in node.writes.values())

    def new_incarnation(self, reason: str) -> None:
        """Close this node's logs and go on under new names: another holds the old ones."""
        self.follow()
        self.notice = reason
        with database.translated(), _immediate(self._db):
            self._db.execute("UPDATE origins SET own = 2 WHERE own = 1")
            self._renew_epoch()
            self._mint_logs()
        self.node = self._loaded()
        self._left = self._raise_guard()

    def _open(self) -> Node:
        identity = self._identity
        if self._load() is None:
            with _immediate(self._db):
                nodes.mint(self._db, identity.role, identity.device, self._random(8))
                self._mint_logs()
            return self._loaded()
        self.follow()
        node = self.node
        if node.role != identity.role:
            raise StoreError(f"this data folder is a {node.role}'s; choose another --data")
        reason = self._rolled_back(node)
        with _immediate(self._db):
            if reason is not None:
                self.notice = reason
                self._db.execute("UPDATE origins SET own = 2 WHERE own = 1")
                self._renew_epoch()
            self._db.execute("UPDATE node SET device = ?", (identity.device,))
            self._mint_logs()
        return self._loaded()

    def _rolled_back(self, node: Node) -> str | None:
        """Return why the journal cannot go on under its names, or None."""
        if node.device != self._identity.device:
            return f"the device was called {node.device}"
        saved = self._guard.load()
        if saved is None:
            return "guard.json is missing or unreadable: this may be a copy"
        mine, theirs = self._identity.machine_id, saved.machine_id
        if mine is not None and theirs is not None and mine != theirs:
            return "the journal was written on another machine"
        for name, left in saved.left.items():
            log = node.logs.get(name)
            if log is None or log.head < left:
                head = log.head if log else 0
                return f"the journal ends at {name} {head}, but {left} had left this device"
        return None

    def _renew_epoch(self) -> None:
        """Positions that were given out, to devices or live listeners, mean nothing any more."""
        self._db.execute("UPDATE node SET epoch = ?", (self._random(8),))

    def _mint_logs(self) -> None:
        have = {
            site
            for (site,) in self._db.execute("SELECT site FROM origins WHERE own = 1").fetchall()
        }
        for site in self._identity.sites:
            if site not in have:
                name = f"{self._identity.device}.{self._random(3)}"
                nodes.add_log(self._db, name, site, nodes.OWN_NOW)

    def _raise_guard(self) -> dict[str, int]:
        own = [log for log in self.node.logs.values() if log.own == nodes.OWN_NOW]
        left = {log.name: log.head for log in own}
        incarnation = own[0].name.rpartition(".")[2] if own else ""
        self._guard.save(GuardState(incarnation, self._identity.machine_id, left))
        return left

    def _loaded(self) -> Node:
        node = nodes.load(self._db)
        if node is None:
            raise StoreCorrupt("the node's own row is missing")
        return node

    def _random(self, size: int) -> str:
        return self._chance.randbytes(size).hex()


def _run(transaction: Transaction, write: Write) -> Outcome:
    """Run one write; its own failure is its outcome, the disk's is everybody's."""
    try:
        return Outcome(value=transaction.attempt(write))
    except (sqlite3.Error, StoreError):
        raise
    except Exception as error:  # noqa: BLE001 - one write's refusal must not spoil the others
        return Outcome(error=error)


@contextmanager
def _immediate(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
