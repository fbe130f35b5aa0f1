"""Rows of records: loading registers, and writing a changed record once per transaction."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import msgspec

from shared.core import register as registers
from shared.core.kinds.kind import Row, Table
from shared.core.record import Record
from shared.store.database import sql


class Held(msgspec.Struct, frozen=True, gc=False):
    """A record as this node holds it.

    Attributes:
        id: Row id; given when the record is first touched.
        record: Registers as shown here.
        is_new: Not in the database yet.
        row: Its row of the typed table as last written; None: look there.
    """

    id: int
    record: Record
    is_new: bool = False
    row: Row | None = None


FIND = sql("SELECT id, site FROM records WHERE kind = $1 AND subject = $2")
REGISTERS = sql("SELECT name, shown FROM registers WHERE record = $1")
ASKED = 64  # subjects in one question: a fixed number, so that the statement is prepared once
_MARKS = ", ".join(f"${n}" for n in range(2, ASKED + 2))
MANY = sql(
    f"""SELECT r.subject, r.site, g.name, g.shown FROM records r JOIN registers g ON g.record = r.id
    WHERE r.kind = $1 AND r.subject IN ({_MARKS})"""  # noqa: S608 - ours
)
NEWEST = sql("SELECT coalesce(max(subject), '') FROM records WHERE kind = $1")
BASE = sql("SELECT name, base FROM registers WHERE record = $1 AND base IS NOT NULL")
INSERT_RECORD = sql("INSERT INTO records (id, kind, subject, site) VALUES ($1, $2, $3, $4)")
SET_SITE = sql("UPDATE records SET site = $2 WHERE id = $1")
WRITE_SHOWN = sql(
    """INSERT INTO registers (record, name, lane, position, shown) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (record, name) DO UPDATE
    SET position = excluded.position, shown = excluded.shown"""
)
WRITE_BASE = sql(
    "UPDATE registers SET base = $3, base_position = $4 WHERE record = $1 AND name = $2"
)
BASE_POSITION = sql(
    "SELECT base_position, base IS NOT NULL FROM registers WHERE record = $1 AND name = $2"
)


class Newest:
    """The greatest subject of each kind in the tables: what is beyond it is not there.

    What nobody names has a UUIDv7, and those rise: nearly every new task is known to be new without
    a question. One that the tables lost again (a rollback) stays noted; that costs a question.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._subjects: dict[str, str] = {}

    def is_before(self, kind: str, subject: str) -> bool:
        """Say whether the tables cannot hold a record, as all of its kind are before it."""
        newest = self._subjects.get(kind)
        if newest is None:
            ((newest,),) = self._db.execute(NEWEST, (kind,))
            self._subjects[kind] = newest
        return newest < subject

    def note(self, held: Iterable[Held]) -> None:
        """Note records that get their rows."""
        subjects = self._subjects
        for one in held:
            kind, subject = one.record.kind, one.record.subject
            if kind in subjects and subject > subjects[kind]:
                subjects[kind] = subject


def load(db: sqlite3.Connection, kind: str, subject: str) -> Held | None:
    """Read a record with all its registers; None if this node knows nothing of it."""
    row = db.execute(FIND, (kind, subject)).fetchone()
    if row is None:
        return None
    row_id, site = row
    held = {name: registers.unpack(data) for name, data in db.execute(REGISTERS, (row_id,))}
    return Held(row_id, Record(kind, subject, site, held))


def load_many(db: sqlite3.Connection, kind: str, subjects: Sequence[str]) -> dict[str, Record]:
    """Read records of one kind by subject; those of which nothing is known are left out."""
    found: dict[str, Record] = {}
    for start in range(0, len(subjects), ASKED):
        some = subjects[start : start + ASKED]
        padded = (*some, *("",) * (ASKED - len(some)))
        held: dict[str, dict[str, registers.Register]] = {}
        sites: dict[str, str] = {}
        for subject, site, name, shown in db.execute(MANY, (kind, *padded)):
            held.setdefault(subject, {})[name] = registers.unpack(shown)
            sites[subject] = site
        for subject, given in held.items():
            found[subject] = Record(kind, subject, sites[subject], given)
    return found


def load_base(db: sqlite3.Connection, row_id: int) -> Mapping[str, registers.Register]:
    """Read the registers as the hub last told them."""
    return {name: registers.unpack(data) for name, data in db.execute(BASE, (row_id,))}


@cache
def upsert(table: Table) -> str:
    """Return the statement that writes a row of a typed table."""
    names = ", ".join(table.columns)
    marks = ", ".join(f"${i + 1}" for i in range(len(table.columns)))
    keys = ", ".join(table.columns[: table.key])
    rest = ", ".join(f"{c} = excluded.{c}" for c in table.columns[table.key :])
    action = f"UPDATE SET {rest}" if rest else "NOTHING"
    settled = table.settled
    guard = f" WHERE excluded.{settled} IS NOT NULL OR {table.name}.{settled} IS NULL"
    return sql(
        f"INSERT INTO {table.name} ({names}) VALUES ({marks}) "  # noqa: S608 - names are ours
        f"ON CONFLICT ({keys}) DO {action}{guard if settled else ''}"
    )


@cache
def insert(table: Table) -> str:
    """Return the statement that adds a row to a typed table."""
    names = ", ".join(table.columns)
    marks = ", ".join(f"${i + 1}" for i in range(len(table.columns)))
    return sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})")  # noqa: S608 - names are ours


@cache
def update(table: Table, changed: tuple[int, ...]) -> str:
    """Return the statement that writes some columns of a row, given those and then its key.

    SQLite moves a row in every index of which a column is named, whether it changes or not.
    """
    values = ", ".join(f"{table.columns[at]} = ${i + 1}" for i, at in enumerate(changed))
    return sql(f"UPDATE {table.name} SET {values} WHERE {_is_key(table, len(changed))}")  # noqa: S608 - names are ours


@cache
def select(table: Table) -> str:
    """Return the question for a whole row of a typed table."""
    names = ", ".join(table.columns)
    return sql(f"SELECT {names} FROM {table.name} WHERE {_is_key(table)}")  # noqa: S608 - names are ours


@cache
def delete(table: Table) -> str:
    """Return the statement that removes a row of a typed table."""
    return sql(f"DELETE FROM {table.name} WHERE {_is_key(table)}")  # noqa: S608 - names are ours


def _is_key(table: Table, first: int = 0) -> str:
    keys = table.columns[: table.key]
    return " AND ".join(f"{column} = ${first + i + 1}" for i, column in enumerate(keys))


def insert_new(db: sqlite3.Connection, held: Iterable[Held]) -> None:
    """Give new records their rows."""
    rows = [(h.id, h.record.kind, h.record.subject, h.record.site) for h in held]
    if rows:
        db.executemany(INSERT_RECORD, rows)
