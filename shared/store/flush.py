"""What gathers until the tables follow the journal, and how it is written: each record once."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.core import register as registers
from shared.core.kinds import KINDS, lane_of
from shared.core.kinds.kind import Row, SideRow, Table
from shared.store import conflicts, journal, scope, typed
from shared.store import records as rows
from shared.store.database import sql
from shared.store.node import Log
from shared.store.records import Held
from shared.store.typed import Tally

Key = tuple[str, str]

UPDATE_LOG = sql("UPDATE origins SET head = $2, hash = $3, acked = $4, own = $5 WHERE id = $1")


class Touched(msgspec.Struct, frozen=True, gc=False):
    """A record that has changed.

    Attributes:
        before: As it was at the last flush.
        moved: Position of the last change of each register that has changed.
    """

    before: Held
    moved: dict[str, int]


@dataclass
class Gathered:
    """Changes not written yet.

    Attributes:
        journal: Rows of the journal: events pending or applied.
        told: The same of events refused or parked, of which the author is told.
        history: Of each event, when it was written: record, stamp, entry.
        side_rows: Rows of second tables, of events that count, with their records.
        bases: Registers as the hub told them, packed, with the hub's position.
        sites: Records that learned their site after they got their row.
        logs: Names of changed logs.
        records: What has become of each record that was touched.
        size: Bytes of the events; what a write that failed had added stays counted.
    """

    journal: list[tuple[Any, ...]] = field(default_factory=list)
    told: list[tuple[Any, ...]] = field(default_factory=list)
    history: list[tuple[int, int, int]] = field(default_factory=list)
    side_rows: list[tuple[Key, SideRow]] = field(default_factory=list)
    bases: dict[tuple[Key, str], tuple[bytes, int]] = field(default_factory=dict)
    sites: dict[Key, str] = field(default_factory=dict)
    logs: set[str] = field(default_factory=set)
    records: dict[Key, Touched] = field(default_factory=dict)
    size: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.journal or self.told or self.logs or self.records)

    @property
    def lengths(self) -> tuple[int, int, int, int]:
        """How long the lists are, to cut them back to."""
        return len(self.journal), len(self.told), len(self.history), len(self.side_rows)

    def truncate(self, lengths: tuple[int, int, int, int]) -> None:
        """Cut the lists back."""
        del self.journal[lengths[0] :]
        del self.told[lengths[1] :]
        del self.history[lengths[2] :]
        del self.side_rows[lengths[3] :]


@dataclass(frozen=True)
class Written:
    """What a flush has made of the rows.

    Attributes:
        conflicts: Ids of conflicts whose rows changed.
        rows: Typed rows as they stand now, of the records that changed.
    """

    conflicts: list[str]
    rows: Mapping[Key, Row]


def write(
    db: sqlite3.Connection,
    gathered: Gathered,
    held: Mapping[Key, Held],
    logs: Iterable[Log],
    *,
    hub: str | None,
    now_ms: int,
) -> Written:
    """Write everything gathered, of records and logs as they are now.

    Args:
        db: The writing connection.
        gathered: What.
        held: Records as they are now.
        logs: Logs likewise.
        hub: Name of this node; None: it is an agent.
        now_ms: Wall clock, Unix ms.
    """
    rows.insert_new(db, (held[key] for key in gathered.records if held[key].is_new))
    if gathered.journal:
        db.executemany(journal.INSERT_SILENT, gathered.journal)
    if gathered.told:
        db.executemany(journal.INSERT_TOLD, gathered.told)
    db.executemany(journal.NOTE, gathered.history)
    for key, site in gathered.sites.items():
        db.execute(rows.SET_SITE, (held[key].id, site))
    _write_registers(db, gathered, held)
    tally = Tally()
    made = _write_typed_rows(db, gathered, held, tally)
    _write_side_rows(db, gathered, tally)
    tally.write(db)
    if hub is not None:
        changed = {
            key: max(one.moved.values()) for key, one in gathered.records.items() if one.moved
        }
        scope.enter(db, held, changed, hub=hub, now_ms=now_ms)
    for log in logs:
        db.execute(UPDATE_LOG, (log.id, log.head, log.hash, log.acked, log.own))
    return Written(_derive_conflicts(db, gathered, held), made)


def _write_registers(db: sqlite3.Connection, gathered: Gathered, held: Mapping[Key, Held]) -> None:
    shown = []
    for key, touched in gathered.records.items():
        mine, lane = held[key], int(lane_of(key[0]))
        for name, position in touched.moved.items():
            packed = registers.pack(mine.record.register(name))
            # Not bytes: see ``Transaction.store_event``.
            shown.append((mine.id, name, lane, position, bytearray(packed)))
    bases = [
        (held[key].id, name, packed, position)
        for (key, name), (packed, position) in gathered.bases.items()
    ]
    for text, batch in (
        (rows.WRITE_SHOWN, shown),
        (rows.WRITE_BASE, bases),
    ):
        if batch:
            db.executemany(text, batch)


def _write_typed_rows(
    db: sqlite3.Connection,
    gathered: Gathered,
    held: Mapping[Key, Held],
    tally: Tally,
) -> dict[Key, Row]:
    batches: dict[Table, list[typed.Change]] = {}
    made: dict[Key, Row] = {}
    for key, touched in gathered.records.items():
        kind = KINDS.get(key[0])
        if kind is None or not touched.moved:
            continue
        made[key] = kind.row(held[key].record)
        before = touched.before
        old = before.row
        if old is None and not before.is_new:
            old = typed.standing(db, kind.table, made[key][: kind.table.key])
        batches.setdefault(kind.table, []).append((old, made[key]))
        if kind.parts is not None:
            was = () if before.is_new else kind.part_rows(before.record)
            typed.replace(db, kind.parts, was, kind.part_rows(held[key].record))
    for table, batch in batches.items():
        typed.write(db, table, batch, tally)
    return made


def _write_side_rows(db: sqlite3.Connection, gathered: Gathered, tally: Tally) -> None:
    added: dict[Table, list[Row]] = {}
    others: dict[Table, list[Row]] = {}
    for key, side in gathered.side_rows:
        touched = gathered.records.get(key)
        batches = added if touched is not None and touched.before.is_new else others
        batches.setdefault(side.table, []).append(side.row)
    for table, batch in added.items():
        typed.add(db, table, batch, tally)
    for table, batch in others.items():
        typed.upsert(db, table, batch, tally)


def _derive_conflicts(
    db: sqlite3.Connection, gathered: Gathered, held: Mapping[Key, Held]
) -> list[str]:
    found = []
    for key, touched in gathered.records.items():
        kind = KINDS.get(key[0])
        for name, position in touched.moved.items():
            if kind is None or kind.policy(name) is None:
                continue
            before = touched.before.record.register(name)
            conflict = conflicts.derive(db, kind, held[key].record, name, before, position)
            if conflict is not None:
                found.append(conflict)
    return found
