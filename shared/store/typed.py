"""Writing typed rows: only what has changed of each, and the counters that go with them."""

import sqlite3
from collections import Counter as Multiset
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import itemgetter

from shared.core.kinds.kind import Counter, Row, Table
from shared.store import records as rows
from shared.store.database import sql

Change = tuple[Row | None, Row]  # a row as it was, None: there was none, and as it is


class Tally:
    """Differences of counters, gathered while rows are written and written once.

    In the transaction of the rows: so they agree after a crash, and after a write is undone.
    """

    def __init__(self) -> None:
        self._changes: Multiset[tuple[Table, Row]] = Multiset()

    def move(self, table: Table, old: Row | None, new: Row | None) -> None:
        """Note that a row of a table is another now; None: it is not there."""
        before = None if old is None else _counted(table, old)
        after = None if new is None else _counted(table, new)
        if before == after:
            return
        if before is not None:
            self._changes[table, before] -= 1
        if after is not None:
            self._changes[table, after] += 1

    def write(self, db: sqlite3.Connection) -> None:
        """Write the differences; a counter that reaches nothing goes."""
        for (table, values), change in self._changes.items():
            counter = table.counter
            if change and counter is not None:
                db.execute(_add(counter), (*values, change))
                if change < 0:
                    db.execute(_drop(counter), values)


def write(db: sqlite3.Connection, table: Table, changes: Iterable[Change], tally: Tally) -> None:
    """Write rows of a table, each given with the row that stands there."""
    batches: dict[str, list[Sequence[object]]] = {}
    for old, new in changes:
        if old is None:
            batches.setdefault(rows.insert(table), []).append(new)
        else:
            changed = tuple(i for i, value in enumerate(new) if value != old[i])
            if not changed:
                continue
            values = (*(new[i] for i in changed), *new[: table.key])
            batches.setdefault(rows.update(table, changed), []).append(values)
        if table.counter is not None:
            tally.move(table, old, new)
    for text, batch in batches.items():
        db.executemany(text, batch)


def add(db: sqlite3.Connection, table: Table, given: Iterable[Row], tally: Tally) -> None:
    """Write rows of a table of which none stands there yet; of one key what counts in the end."""
    made = _last(table, given)
    if table.counter is not None:
        for row in made.values():
            tally.move(table, None, row)
    db.executemany(rows.insert(table), list(made.values()))


def upsert(db: sqlite3.Connection, table: Table, given: Iterable[Row], tally: Tally) -> None:
    """Write rows of a table of which one may stand there already, unknown to the caller."""
    made = _last(table, given)
    if table.counter is not None:
        for key, row in made.items():
            old = standing(db, table, key)
            if old is None or not _outlasts(table, old, row):
                tally.move(table, old, row)
    db.executemany(rows.upsert(table), list(made.values()))


def replace(db: sqlite3.Connection, table: Table, old: Iterable[Row], new: Iterable[Row]) -> None:
    """Have the rows of one record in a table be these instead of those that stand there."""
    standing_now = {row[: table.key]: row for row in old}
    wanted = {row[: table.key]: row for row in new}
    gone = [key for key in standing_now if key not in wanted]
    if gone:
        db.executemany(rows.delete(table), gone)
    changed = [row for key, row in wanted.items() if standing_now.get(key) != row]
    if changed:
        db.executemany(rows.upsert(table), changed)


def remove(db: sqlite3.Connection, table: Table, key: Row) -> None:
    """Remove a row of a table, if it is there."""
    tally = Tally()
    if table.counter is not None:
        tally.move(table, standing(db, table, key), None)
    db.execute(rows.delete(table), key)
    tally.write(db)


def standing(db: sqlite3.Connection, table: Table, key: Row) -> Row | None:
    """Return the row that stands in a table under a key."""
    row: Row | None = db.execute(rows.select(table), key).fetchone()
    return row


def _last(table: Table, given: Iterable[Row]) -> dict[Row, Row]:
    """Return of each key the row that counts in the end, by the rule of ``settled``."""
    found: dict[Row, Row] = {}
    for row in given:
        key = row[: table.key]
        former = found.get(key)
        if former is None or not _outlasts(table, former, row):
            found[key] = row
    return found


def _outlasts(table: Table, old: Row, new: Row) -> bool:
    """Say whether a row stays though another of its key came later: it is settled, that is not."""
    if table.settled is None:
        return False
    settled = table.columns.index(table.settled)
    return old[settled] is not None and new[settled] is None


def _counted(table: Table, row: Row) -> Row:
    values = _pick(table)(row)
    return tuple("" if value is None else value for value in values) if None in values else values


@cache
def _pick(table: Table) -> Callable[[Row], Row]:
    counted = table.counter.columns if table.counter else ()
    places = [table.columns.index(column) for column in counted]
    if len(places) == 1:  # of which itemgetter gives no tuple
        return lambda row: (row[places[0]],)
    return itemgetter(*places)


@cache
def _add(counter: Counter) -> str:
    names = ", ".join(counter.columns)
    marks = ", ".join(f"${i + 1}" for i in range(len(counter.columns) + 1))
    return sql(
        f"INSERT INTO {counter.name} ({names}, count) VALUES ({marks}) "  # noqa: S608 - names are ours
        f"ON CONFLICT ({names}) DO UPDATE SET count = {counter.name}.count + excluded.count"
    )


@cache
def _drop(counter: Counter) -> str:
    keys = " AND ".join(f"{column} = ${i + 1}" for i, column in enumerate(counter.columns))
    return sql(f"DELETE FROM {counter.name} WHERE {keys} AND count = 0")  # noqa: S608 - names are ours
