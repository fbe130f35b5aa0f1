"""What a page of a list reads of its tasks, in two questions instead of three for each task."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.core.record import Record
from shared.store import records as rows
from shared.store.transaction import Reading

ASKED = 64  # ids in one question: a fixed number, so that the statement is prepared once
_VALUES = ", ".join(f"(${n})" for n in range(1, ASKED + 1))
# The newest of each: a task that was tried a thousand times must not be read a thousand times.
LAST = f"""WITH wanted (id) AS (VALUES {_VALUES})
    SELECT a.task, a.epoch, a.n, a.number, a.id, a.device, a.boot, a.started_at, a.ended_at,
        a.outcome, a.error, a.output
    FROM wanted w CROSS JOIN attempts a ON a.task = w.id
        AND (a.epoch, a.n, a.number, a.device) =
        (SELECT l.epoch, l.n, l.number, l.device FROM attempts l WHERE l.task = w.id
        ORDER BY l.started_at DESC, l.n DESC, l.number DESC LIMIT 1)"""  # noqa: S608 - ours

Row = tuple[Any, ...]  # of an attempt, as ``task_queries.ATTEMPTS`` has it


def records(reading: Reading, ids: Sequence[str]) -> dict[str, Record]:
    """Return the records of tasks by id; those that nothing is known of are left out.

    Not of a transaction: that has records which are not written yet.
    """
    return rows.load_many(reading.db, "task", ids)


def last_attempts(reading: Reading, ids: Sequence[str]) -> dict[str, Row]:
    """Return the row of the newest attempt of each task that has one."""
    return {row[0]: row[1:] for some in padded(ids, ASKED) for row in reading.query(LAST, *some)}


def padded(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yield the ids in parts of one size, the last filled up with what is no id."""
    for start in range(0, len(ids), size):
        some = list(ids[start : start + size])
        yield some + [""] * (size - len(some))
