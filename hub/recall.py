"""Asking successors back before their predecessor runs anew (model, dispatch 6).

A successor that a device has may be proved there by the run that is given up. So before a task is
given again, those of its successors that wait at a device are recalled; one that has started
there bars it.
"""

import msgspec

from shared.api import task_events
from shared.core.kinds import task as tasks
from shared.core.kinds.task import RecallRequest, Task
from shared.core.lifecycle import ACTING, Status
from shared.store.transaction import Reading, Transaction

FOLLOWERS = "SELECT task FROM edges WHERE after = $1 ORDER BY task"
HAS_ACTED = "SELECT 1 FROM attempts WHERE task = $1 LIMIT 1"


class Followers(msgspec.Struct, frozen=True):
    """What comes after a task, as far as it is not in the hub's hands.

    Attributes:
        started: One that has started, or None.
        held: Those that wait at a device and are to come back first.
    """

    started: str | None
    held: tuple[Task, ...]


def followers(reading: Reading, task: Task) -> Followers:
    """Look at the successors of a task."""
    held: list[Task] = []
    for (task_id,) in reading.query(FOLLOWERS, task.id):
        after = tasks.read(reading.record("task", task_id))
        if after is None:
            continue
        if _has_started(reading, after):
            return Followers(task_id, ())
        if after.status is Status.WAITING and after.allocation is not None:
            held.append(after)
    return Followers(None, tuple(one for one in held if not one.is_returned))


def ask_back(tx: Transaction, task: Task, actor: str) -> Followers:
    """Ask the devices that have successors of a task to give them back; asking again is nothing."""
    found = followers(tx, task)
    for after in found.held:
        given = after.allocation
        if given is None or after.recall is not None:
            continue
        request = RecallRequest(given.epoch, given.n, f"{task.id}, which it comes after, runs anew")
        task_events.append(tx, after.id, after.site, "task.recall_requested", request, actor)
    return found


def _has_started(reading: Reading, after: Task) -> bool:
    if after.status in ACTING or after.status in (Status.UNKNOWN, Status.SUCCEEDED):
        return True
    return bool(after.holders) and bool(reading.query(HAS_ACTED, after.id))
