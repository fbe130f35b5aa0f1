"""One writing transaction: many writes, each whole or not at all, one fsync.

Changes gather in memory as immutable values; ``flush`` writes each touched record once, however
many events changed it. A write that raises is undone by putting the former values back, which
costs nothing; only a write that asks SQL questions of its own needs a savepoint in the database,
and takes it then. Nothing here is visible to anyone before ``Store.commit`` has fsynced.

The journal leads, the tables follow: a transaction may end with its events in the journal alone.
All else that it changed is a fold of those events, stays gathered for a later transaction, and is
gathered anew by ``refold`` if the process dies before that.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from shared.core import chain, clock
from shared.core import event as events
from shared.core import record as records
from shared.core import register as registers
from shared.core.clock import ClockTrust, Stamp
from shared.core.event import Event
from shared.core.kinds import KINDS, record_kind
from shared.core.record import Record
from shared.core.register import Register
from shared.core.vector import Vector
from shared.errors import Refused, TooLarge
from shared.store import flush, journal
from shared.store import node as nodes
from shared.store import records as rows
from shared.store.database import sql
from shared.store.flush import Gathered, Key, Touched
from shared.store.journal import Tail, Verdict
from shared.store.node import Log, Node
from shared.store.records import Held, Newest

UPDATE_NODE = sql("UPDATE node SET position = $1, stamp = $2, hub_epoch = $3 WHERE id = 1")
LEAD_BYTES_MAX = 2 * 1024 * 1024  # of events that the tables may lack: some 8,000 small ones
_ABSENT: Any = object()
T = TypeVar("T")
Former = tuple[MutableMapping[Any, Any], Any, Any]  # mapping, key, what stood there


class Change(msgspec.Struct, frozen=True, order=True):
    """What a subscriber hears: this record is another now.

    ``conflict`` and ``device`` are kinds here too.

    Attributes:
        position: Of the change, in this node's order.
        kind: Kind of record.
        subject: Its id.
        record: As it is now, for who would only read it again; None: it was not at hand.
    """

    position: int
    kind: str
    subject: str
    record: Record | None = None


class Reading:
    """What may be asked of a store, inside a write or beside it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def record(self, kind: str, subject: str) -> Record:
        """Return a record as shown here; without registers if nothing is known of it."""
        held = rows.load(self._db, kind, subject)
        return held.record if held else Record(kind, subject)

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a SELECT with ``$n`` parameters."""
        return self._db.execute(sql(text), values).fetchall()

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, for the queries of this package."""
        return self._db

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one state of the database throughout; keep it short, it pins the WAL."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")


class Finished(msgspec.Struct, frozen=True):
    """What a transaction makes true.

    Attributes:
        node: The node after it.
        held: Records that it looked at, as they are now.
        gathered: What the tables do not show yet.
        changes: What subscribers hear.
    """

    node: Node
    held: dict[Key, Held]
    gathered: Gathered
    changes: list[Change]


class Transaction(Reading):
    """The writes of one group. Built by ``Store.commit`` for each group anew."""

    def __init__(
        self,
        db: sqlite3.Connection,
        node: Node,
        cache: Mapping[Key, Held],
        gathered: Gathered,
        *,
        newest: Newest,
        now_ms: int,
        trust: ClockTrust,
    ) -> None:
        """Begin where the last one ended.

        Args:
            db: The writing connection.
            node: The node as of the last commit.
            cache: Records as of the last commit; all those that ``gathered`` changes are there.
            gathered: What the tables do not show yet.
            newest: The greatest subjects in the tables.
            now_ms: Wall clock, Unix ms.
            trust: How far to trust it.
        """
        super().__init__(db)
        self.node = node
        self.now_ms = now_ms
        self._trust = trust.value
        self._own_verdict = Verdict.APPLIED if node.is_hub else Verdict.PENDING
        self._cache = cache
        self._newest = newest
        self._held: dict[Key, Held] = {}
        self._logs: dict[str, Log] = dict(node.logs)
        self._changes: dict[Key, int] = {}
        self._counts = _Counts(
            node.position, node.stamp, node.next_record, node.parked, node.hub_epoch
        )
        self._gathered = gathered
        self._must_follow = False
        self._undo: list[Former] = []
        self._is_one_of_many = False  # one write, which may fail alone
        self._written: set[str] = set()  # own logs that this write has appended to
        self._savepoint = False

    # ------------------------------------------------------------------ what a write may do

    def record(self, kind: str, subject: str) -> Record:
        """Return a record with all that this group has written so far."""
        return self.row((kind, subject)).record

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a SELECT that sees what this group has written so far."""
        return self.db.execute(sql(text), values).fetchall()

    def execute(self, text: str, *values: Any) -> None:
        """Run a statement on a table that is no record's (devices, answers)."""
        self.db.execute(sql(text), values)

    def announce(self, kind: str, subject: str) -> int:
        """Give the next position to a change outside the records, and tell subscribers of it."""
        self._must_follow = True  # no event stands for the position
        position = self.next_position()
        self._put(self._changes, (kind, subject), position)
        return position

    def append(
        self,
        *,
        site: str,
        kind: str,
        subject: str,
        register: str,
        body: msgspec.Struct,
        actor: str,
        seen: Vector | None = None,
    ) -> Event:
        """Write one event through this node's own log and fold it.

        Args:
            site: Site of the record and the log.
            kind: ``record-kind.verb``.
            subject: Id of the record.
            register: Register to change.
            body: Its new value.
            actor: Who did it.
            seen: What the author had seen; None: all that this node shows. Clipped to what is held.

        Raises:
            Refused: The record belongs to another site, or this node has no log there.
        """
        origin = self.node.writes.get(site)
        if origin is None:
            raise Refused(f"this node does not serve site {site}")
        log = self._logs[origin]
        key = (record_kind(kind), subject)
        held = self._sited(key, site, log)
        if held.record.site != site:
            raise Refused(f"{subject} belongs to site {held.record.site}, not {site}")
        current = held.record.register(register)
        event = events.make(
            origin=origin,
            seq=log.head + 1,
            at=clock.tick(self._counts.stamp, self.now_ms),
            clock=self._trust,
            site=site,
            kind=kind,
            subject=subject,
            register=register,
            seen=registers.vector(current) if seen is None else records.clip(seen, current),
            actor=actor,
            body=body,
            flags=events.JOINED if origin in self._written else 0,
        )
        self._written.add(origin)
        if event.size > events.BODY_BYTES_MAX:
            raise TooLarge(f"a change of {event.size} bytes; at most {events.BODY_BYTES_MAX}")
        entry = self._store(event, held, log, self._own_verdict)
        self._show(key, held, register, registers.fold(current, event), entry)
        self._derive(key, event, body)
        return event

    def begin_part(self) -> None:
        """Let what this write appends from here on travel, and be judged, without what came before.

        A write of many independent records need not fit one frame then.
        """
        self._written.clear()

    # ------------------------------------------------------------------ for sync: logs and bases

    def log(self, origin: str) -> Log | None:
        """Return a log as this group has left it."""
        return self._logs.get(origin)

    def logs(self) -> Iterable[Log]:
        """Return every log."""
        return self._logs.values()

    def open_log(self, origin: str, site: str) -> Log:
        """Return a log, starting to hold it if it is new."""
        log = self._logs.get(origin)
        if log is None:
            log = nodes.add_log(self.db, origin, site, nodes.OTHER)
            self._put(self._logs, origin, log)
        return log

    def set_log(self, log: Log) -> None:
        """Change what is known of a log otherwise than by its next event."""
        self._must_follow = True
        self._set_log(log)

    def _set_log(self, log: Log) -> None:
        self._put(self._logs, log.name, log)
        self._gathered.logs.add(log.name)  # stays if the write fails: its row is written as it was

    def register(self, key: Key, name: str) -> Register:
        """Return a register as shown here."""
        return self.row(key).record.register(name)

    def row(self, key: Key) -> Held:
        """Return a record as it is now, with its id, giving it a row if it is new."""
        held = self._held.get(key) or self._cache.get(key)
        if held is None and not self._newest.is_before(*key):
            held = rows.load(self._db, *key)
            if held is not None:
                self._held[key] = held  # as the database has it: nothing to undo
        if held is None:
            held = Held(self._counts.next_record, Record(*key), is_new=True)
            self._counts.next_record += 1
            self._put(self._held, key, held)
        return held

    def store_event(self, event: Event, verdict: Verdict, reason: str | None = None) -> int:
        """Append the next event of a complete log to the journal; returns its entry.

        A record gets its site from its first event.
        """
        header = event.header
        log = self._logs[header.origin]
        held = self._sited((record_kind(header.kind), header.subject), header.site, log)
        return self._store(event, held, log, verdict, reason)

    def _store(
        self, event: Event, held: Held, log: Log, verdict: Verdict, reason: str | None = None
    ) -> int:
        header = event.header
        digest = chain.link(log.hash, event.header_bytes, event.body_bytes)
        entry = self._enter(event, held, log, digest, self.now_ms)
        row = (
            entry,
            log.id,
            header.seq,
            held.id,
            header.at,
            # sqlite3 asks its adapters for every bytes and None, and never for a bytearray: over a
            # batch that costs more than the copies.
            bytearray(event.header_bytes),
            bytearray(event.body_bytes),
            bytearray(digest),
            self.now_ms,
            int(verdict),
        )
        if verdict in (Verdict.REFUSED, Verdict.PARKED):
            self._must_follow = True
            self._gathered.told.append((*row, reason, entry))
            self._counts.parked += verdict is Verdict.PARKED
        else:
            self._gathered.journal.append(row)
        return entry

    def refold(self, tail: Tail) -> None:
        """Gather anew what an event in the journal has changed that the tables do not show."""
        event = events.read(tail.header, tail.body)
        header = event.header
        key = (record_kind(header.kind), header.subject)
        held = self._held.get(key) or rows.load(self._db, *key)
        held = held or Held(tail.record, Record(*key), is_new=True)
        self._held[key] = held
        self._counts.next_record = max(self._counts.next_record, tail.record + 1)
        self._counts.position = tail.entry - 1
        log = self._logs[header.origin]
        held = self._sited(key, header.site, log)
        self._enter(event, held, log, tail.hash, tail.received_ms)
        current = held.record.register(header.register)
        self._show(key, held, header.register, registers.fold(current, event), tail.entry)
        self._derive(key, event, None)

    def _sited(self, key: Key, site: str, log: Log) -> Held:
        """Return a record for which a log has an event: the first one gives it its site.

        One that names another site than its log's will be refused, and gives none.
        """
        held = self.row(key)
        if held.record.site or site != log.site:
            return held
        self.set_site(key, site)
        return self.row(key)

    def _enter(self, event: Event, held: Held, log: Log, digest: bytes, received_ms: int) -> int:
        """Move on by the next event of a log: its head, its record's history, our clock.

        Returns:
            Its entry.
        """
        header, counts, gathered = event.header, self._counts, self._gathered
        self._set_log(Log(log.id, log.name, log.site, header.seq, digest, log.acked, log.own))
        stamp = header.at
        if log.own != nodes.OWN_NOW:
            stamp = clock.observe(counts.stamp, stamp, received_ms)
        if stamp > counts.stamp:
            counts.stamp = stamp
        counts.position = entry = counts.position + 1
        gathered.history.append((held.id, header.at, entry))
        gathered.size += event.size
        return entry

    def set_register(self, key: Key, name: str, register: Register, position: int) -> None:
        """Change what a register shows, at a position of this node."""
        self._show(key, self.row(key), name, register, position)

    def _show(self, key: Key, held: Held, name: str, register: Register, position: int) -> None:
        touched = self._touch(key, held)
        before = touched.before.record.registers.get(name)
        if registers.is_disputed(register) or (before and registers.is_disputed(before)):
            self._must_follow = True  # each state that is committed leaves its conflicts and losses
        record = records.with_register(held.record, name, register, held.record.site)
        self._put(self._held, key, Held(held.id, record, held.is_new))
        self._put(self._changes, key, position)
        self._put(touched.moved, name, position)

    def set_base(self, key: Key, name: str, packed: bytes, hub_position: int) -> None:
        """Remember a register as the hub told it; the register must be shown already."""
        self._must_follow = True
        self.touch(key)
        self._put(self._gathered.bases, (key, name), (packed, hub_position))

    def set_site(self, key: Key, site: str) -> None:
        """Say which site a record belongs to."""
        held = self.row(key)
        if held.record.site == site:
            return
        record = Record(key[0], key[1], site, held.record.registers)
        if not held.is_new:
            self._must_follow = True
            self.touch(key)
            self._put(self._gathered.sites, key, site)
        self._put(self._held, key, Held(held.id, record, held.is_new))
        for name, register in record.registers.items():
            # Of refused events, which gave no site: a feed that passed them must tell them now.
            self.set_register(key, name, register, self.next_position())

    def touch(self, key: Key) -> None:
        """Have a record's row written, though perhaps nothing that it shows has changed."""
        self._touch(key, self.row(key))

    def _touch(self, key: Key, held: Held) -> Touched:
        """Return what has become of a record since the last flush."""
        touched = self._gathered.records.get(key)
        if touched is None:
            touched = Touched(held, {})
            self._put(self._gathered.records, key, touched)
        return touched

    def applied(self, event: Event, body: msgspec.Struct | None = None) -> None:
        """Derive side rows from an event that counts.

        Args:
            event: The event.
            body: Its body; None: it has to be decoded.
        """
        self._derive((record_kind(event.header.kind), event.header.subject), event, body)

    def _derive(self, key: Key, event: Event, body: msgspec.Struct | None) -> None:
        kind = KINDS.get(key[0])
        if kind is not None and kind.side_tables:
            self._gathered.side_rows += [(key, side) for side in kind.side_rows(event, body)]

    def count_parked(self, change: int) -> None:
        """Count events that may be judged again."""
        self._must_follow = True
        self._counts.parked += change

    @property
    def parked(self) -> int:
        """How many events may be judged again once something arrives."""
        return self._counts.parked

    @property
    def hub_epoch(self) -> str | None:
        """Agent: hub epoch adopted last."""
        return self._counts.hub_epoch

    def adopt(self, hub_epoch: str) -> None:
        """Agent: follow this hub epoch from now on."""
        self._must_follow = True
        self._counts.hub_epoch = hub_epoch

    def observe(self, stamp: Stamp) -> None:
        """Move the clock past a stamp seen in a base."""
        self._must_follow = True
        self._counts.stamp = clock.observe(self._counts.stamp, stamp, self.now_ms)

    def next_position(self) -> int:
        """Give the next position of this node."""
        self._counts.position += 1
        return self._counts.position

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, with all that this group wrote so far exposed to it."""
        self._must_follow = True
        self._begin()
        if self._is_one_of_many and not self._savepoint:
            self._db.execute("SAVEPOINT one_write")
            self._savepoint = True
        if not self._gathered.is_empty:
            self.flush()
        return self._db

    # ------------------------------------------------------------------ one write among several

    def attempt(self, write: "Callable[[Transaction], T]") -> T:
        """Run one write; if it raises, nothing of it stays and the exception goes on."""
        self._undo.clear()
        counts = self._counts.copy()
        gathered, lengths = self._gathered, self._gathered.lengths
        self._is_one_of_many, self._savepoint = True, False
        self._written.clear()
        try:
            result = write(self)
        except BaseException:
            _restore(self._undo)
            self._gathered, self._counts = gathered, counts
            gathered.truncate(lengths)
            if self._savepoint and self._db.in_transaction:  # a full disk has undone it all
                self._db.execute("ROLLBACK TO one_write")
            raise
        finally:
            if self._savepoint and self._db.in_transaction:
                self._db.execute("RELEASE one_write")
            self._is_one_of_many, self._savepoint = False, False
        return result

    def flush(self) -> None:
        """Write what has gathered: each record once. What it wrote can still be undone."""
        self._begin()
        gathered, self._gathered = self._gathered, Gathered()
        held = {key: self.row(key) for key in gathered.records}
        self._newest.note(mine for mine in held.values() if mine.is_new)
        logs = [self._logs[name] for name in gathered.logs if name in self._logs]
        hub = self.node.device if self.node.is_hub else None
        written = flush.write(self._db, gathered, held, logs, hub=hub, now_ms=self.now_ms)
        for key, touched in gathered.records.items():
            mine = held[key]
            row = written.rows.get(key, touched.before.row)
            self._put(self._held, key, Held(mine.id, mine.record, row=row))
        for conflict in written.conflicts:
            self._put(self._changes, ("conflict", conflict), self._counts.position)

    # ------------------------------------------------------------------ the two ways to end

    def commit(self, *, may_lead: bool) -> None:
        """Write what has to last, and have it last.

        Args:
            may_lead: The tables may follow later, if all that was written follows from events and
                they are not far behind.
        """
        if may_lead and not self._must_follow and self._gathered.size < LEAD_BYTES_MAX:
            self._lead()
        else:
            self.follow()
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def follow(self) -> None:
        """Write everything: the tables show all that the journal holds."""
        self.flush()
        counts = self._counts
        self._db.execute(UPDATE_NODE, (counts.position, counts.stamp, counts.hub_epoch))

    def _lead(self) -> None:
        """Write the events alone."""
        written, self._gathered.journal = self._gathered.journal, []
        if len(written) == 1:  # a transaction by itself
            self._db.execute(journal.INSERT_SILENT, written[0])
        elif written:
            self._begin()
            self._db.executemany(journal.INSERT_SILENT, written)

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def result(self) -> Finished:
        """Return what becomes true once the commit has lasted."""
        counts = self._counts
        node = Node(
            role=self.node.role,
            device=self.node.device,
            epoch=self.node.epoch,
            hub_epoch=counts.hub_epoch,
            position=counts.position,
            stamp=counts.stamp,
            next_record=counts.next_record,
            parked=counts.parked,
            logs=self._logs,
            writes=self.node.writes,
        )
        changes = []
        for key, position in self._changes.items():
            held = self._held.get(key)
            changes.append(Change(position, *key, held.record if held else None))
        return Finished(node, self._held, self._gathered, sorted(changes))

    # ------------------------------------------------------------------ changes that can be undone

    def _put(self, mapping: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((mapping, key, mapping.get(key, _ABSENT)))
        mapping[key] = value


class _Counts(msgspec.Struct):
    position: int
    stamp: Stamp
    next_record: int
    parked: int
    hub_epoch: str | None

    def copy(self) -> "_Counts":
        return _Counts(self.position, self.stamp, self.next_record, self.parked, self.hub_epoch)


def _restore(undo: list[Former]) -> None:
    for mapping, key, value in reversed(undo):
        if value is _ABSENT:
            mapping.pop(key, None)
        else:
            mapping[key] = value
