"""Counters beside the rows that they count."""

import sqlite3

from shared.core.kinds import KINDS
from shared.core.kinds.kind import Table
from shared.store.database import sql


def counted_tables() -> list[Table]:
    """Return the tables of all kinds that have a counter."""
    tables = [t for kind in KINDS.values() for t in (kind.table, *kind.side_tables)]
    return [table for table in tables if table.counter is not None]


def miscounted(db: sqlite3.Connection) -> list[str]:
    """Count the rows of every such table from scratch; say which counters differ."""
    found = []
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
        odd = sorted(set(kept) ^ set(rows))
        if odd or len(kept) != len(rows):
            found.append(f"{counter.name} and the rows of {table.name} differ in {odd}")
    return found


def assert_counted(db: sqlite3.Connection) -> None:
    """Demand that every counter agrees with its rows."""
    assert miscounted(db) == []
