"""The floor: plain sqlite3 inserting the journal's rows, same columns and bytes, and no more.

WAL and ``synchronous=FULL`` as in the store; no indexes, nothing folded, nothing checked.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.figures import Rate
from shared.replica import Replica
from shared.store import database, journal
from shared.store.transaction import Reading

TABLE = """CREATE TABLE journal (
    entry INTEGER PRIMARY KEY,
    origin INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    record INTEGER NOT NULL,
    at INTEGER NOT NULL,
    header BLOB NOT NULL,
    body BLOB NOT NULL,
    hash BLOB,
    received_at INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    reason TEXT,
    verdict_at INTEGER
) STRICT"""
ROWS = """SELECT NULL, origin, seq, record, at, header, body, hash, received_at, verdict, reason,
    verdict_at FROM journal ORDER BY entry DESC LIMIT $1"""

Connection = sqlite3.Connection
Rows = Sequence[tuple[Any, ...]]


def open_table(path: Path) -> sqlite3.Connection:
    """Make a database with nothing but the table."""
    db = database.connect(str(path))
    db.execute(TABLE)
    return db


async def newest_rows(replica: Replica, count: int) -> Rows:
    """Return the newest rows of a journal; SQLite numbers their copies itself."""

    def read(reading: Reading) -> Rows:
        return reading.query(ROWS, count)

    return await replica.read(read)


def insert(db: sqlite3.Connection, rows: Rows) -> None:
    """Insert rows in one durable transaction."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany(journal.INSERT_TOLD, rows)
    db.execute("COMMIT")


def insert_all_s(db: sqlite3.Connection, rows: Rows, group: int) -> float:
    """Insert all rows, so many a commit; return the seconds it took."""
    start = perf_counter()
    for first in range(0, len(rows), group):
        insert(db, rows[first : first + group])
    return perf_counter() - start


def insert_on(db: sqlite3.Connection, rows: Rows, group: int, seconds: float) -> Rate:
    """Insert rows for so long, so many a commit."""
    count = first = 0
    start = now = perf_counter()
    while now - start < seconds:
        insert(db, rows[first : first + group])
        count += group
        first = first + group if first + 2 * group <= len(rows) else 0
        now = perf_counter()
    return Rate(count, now - start)
