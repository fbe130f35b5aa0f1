"""Unique keys of a site: the first task to arrive stands (model, dispatch 6)."""

from shared.core.kinds.task import Task
from shared.store.transaction import Reading

# Row ids of records are given in the order in which they arrive here.
OTHERS = """SELECT t.id,
        r.id < (SELECT m.id FROM records m WHERE m.kind = 'task' AND m.subject = $4)
    FROM tasks t JOIN records r ON r.kind = 'task' AND r.subject = t.id
    WHERE t.site = $1 AND t.type = $2 AND t.unique_key = $3 AND t.id <> $4
    AND t.status IN ('waiting', 'running', 'cancelling', 'unknown') ORDER BY r.id LIMIT 1"""


def holder(reading: Reading, task: Task) -> str | None:
    """Return another task that is not over and has the same type and key, or None."""
    found = _first_other(reading, task)
    return found[0] if found else None


def stands_before(reading: Reading, task: Task) -> str | None:
    """Return the task of which this one is a duplicate: it arrived first and is not over."""
    found = _first_other(reading, task)
    return found[0] if found and found[1] else None


def _first_other(reading: Reading, task: Task) -> tuple[str, bool] | None:
    if task.spec.unique is None:
        return None
    rows = reading.query(OTHERS, task.site, task.spec.type, task.spec.unique, task.id)
    return (rows[0][0], bool(rows[0][1])) if rows else None
