"""What the attempts known here say of allocations that are no longer the current one.

Nothing of an older allocation is ever obeyed (``docs/tasks.md``), but it counts as knowledge: a
known success bars another run, and an order constraint waits until all that was dealt has ended.
"""

import msgspec

from shared.core import doubt
from shared.core.doubt import Last
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, Failure
from shared.core.lifecycle import ACTING
from shared.store.transaction import Reading

SUCCESS = """SELECT id, device, epoch FROM attempts WHERE task = $1 AND outcome = 'succeeded'
    ORDER BY n DESC, number DESC"""
LAST = """SELECT n, device, number, outcome, error FROM attempts
    WHERE task = $1 ORDER BY n, number"""
OTHERS = """SELECT 1 FROM attempts
    WHERE task = $1 AND n = $2 AND device <> $3 AND ended_at IS NULL LIMIT 1"""

_failure = msgspec.json.Decoder(Failure).decode


class Success(msgspec.Struct, frozen=True):
    """An attempt that succeeded, and where."""

    attempt: str
    device: str


def success(reading: Reading, task: Task) -> Success | None:
    """Return a success that is known of a task, under whichever allocation.

    Not what a device did with another submission under the same id, which the hub refused.
    """
    if not task.holders:
        return None
    rows = reading.query(SUCCESS, task.id)
    own = [
        Success(one, device) for one, device, epoch in rows if epoch or device in task.submitters
    ]
    return own[0] if own else None


def still_open(reading: Reading, task: Task) -> tuple[int, ...]:
    """Return the older allocations of a task that may still act, or act again."""
    if not doubt.is_in_doubt(task):
        return ()
    last = {
        (n, device): Last(number, outcome, error is not None and _failure(error).permanent)
        for n, device, number, outcome, error in reading.query(LAST, task.id)
    }
    return doubt.still_open(task, last)


def others_run(reading: Reading, task: Task, given: Allocation) -> bool:
    """Say whether another device is known to run a task under the number of an allocation."""
    return bool(reading.query(OTHERS, task.id, given.n, given.device))


def may_act(task: Task) -> bool:
    """Say whether the device that has a task may act, or may have acted, without being heard.

    It may not if it needs the hub's permit for its next attempt, and has none.
    """
    held = task.allocation
    if held is None:
        return False
    waits_for_permit = task.spec.asks_hub and held.epoch is not None and not task.was_permitted
    return task.status in ACTING or not waits_for_permit
