"""Counters beside the rows that they count."""

import sqlite3

from shared.core.kinds import KINDS
from shared.core.kinds.kind import Table
from shared.store.database import sql


def counted_tables() -> list[Table]:
    """Return the tables of all kinds that have a counter."""
    tables = [t for kind in KINDS.values() for t in (kind.table, *kind.side_tables)]
    return [table for table in tables if table.counter is not None]


def assert_counted(db: sqlite3.Connection) -> None:
    """Count the rows of every such table from scratch, and compare."""
    for table in counted_tables():
        counter = table.counter
        assert counter is not None
        names = ", ".join(counter.columns)
        shown = ", ".join(f"coalesce({column}, '')" for column in counter.columns)
        places = ", ".join(str(n + 1) for n in range(len(counter.columns)))
        rows = db.execute(
            sql(f"SELECT {shown}, count(*) FROM {table.name} GROUP BY {places}")
        ).fetchall()
        kept = db.execute(f"SELECT {names}, count FROM {counter.name}").fetchall()
        assert sorted(kept) == sorted(rows), table.name
