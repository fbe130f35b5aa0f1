"""What comes after a task, and has to come back before that runs anew (model, dispatch 6).

A successor that a device has may be proved there by the run that is given up: it is asked back
first. One that has started there bars the new run.
"""

import msgspec

from shared.api.context import Explain
from shared.core import waiting as reasons
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.lifecycle import ACTING, Status
from shared.core.waiting import Reason, StatusOf, Waiting
from shared.store.transaction import Reading

FOLLOWERS = "SELECT task FROM edges WHERE after = $1 ORDER BY task"
HAS_ACTED = "SELECT 1 FROM attempts WHERE task = $1 LIMIT 1"


class Followers(msgspec.Struct, frozen=True):
    """What comes after a task, as far as it is not in the hub's hands.

    Attributes:
        started: One that has started, or None.
        held: Those that wait at a device and are to come back first, for the first time or for a
            retry.
    """

    started: str | None
    held: tuple[Task, ...]


def followers(reading: Reading, task: Task) -> Followers:
    """Look at the successors of a task."""
    started: str | None = None
    held: list[Task] = []
    for (task_id,) in reading.query(FOLLOWERS, task.id):
        after = tasks.read(reading.record("task", task_id))
        if after is None:
            continue
        if _has_started(reading, after):
            started = started or task_id
        is_held = after.allocation is not None and not after.is_returned
        if is_held and after.status is Status.WAITING:
            held.append(after)
    return Followers(started, tuple(held))


def waiting_for(held: tuple[Task, ...]) -> Waiting:
    """Return the waiting of a task that its successors must come back for."""
    return Waiting(
        Status.BLOCKED,
        tuple(
            Reason("recall", one.id, f"{one.id}, which comes after it, is asked back first")
            for one in held
        ),
    )


def with_recalls(reading: Reading, explain: Explain) -> Explain:
    """Have an explanation say as well what is asked back: it stands in the records.

    So it is told from the moment of a retry on, not only once the sitter has looked.
    """

    def why(task: Task, status_of: StatusOf, now_ms: int, /) -> Waiting | None:
        found = explain(task, status_of, now_ms)
        if task.recall is not None:
            return _with_recall(task, found)
        if task.allocation is not None or not task.holders:
            return found  # most tasks: nothing is asked
        if reasons.why(task, now_ms, status_of) is not None:
            return found
        held = followers(reading, task).held
        return waiting_for(held) if held else found

    return why


def _with_recall(task: Task, found: Waiting | None) -> Waiting | None:
    if found is None or task.recall is None or task.allocation is None:
        return found
    device = task.allocation.device
    because = f": {task.recall.reason}" if task.recall.reason else ""
    asked = Reason("recall", device, f"{device} is asked to give it back{because}")
    return msgspec.structs.replace(found, reasons=(asked, *found.reasons))


def _has_started(reading: Reading, after: Task) -> bool:
    if after.status in ACTING or after.status in (Status.UNKNOWN, Status.SUCCEEDED):
        return True
    return bool(after.holders) and bool(reading.query(HAS_ACTED, after.id))
