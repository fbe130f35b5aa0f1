"""A device that came back under a new journal: what becomes of the tasks of the old one.

The hub cannot know what the device did with them after the last word it had. A task that declares
a second run harmless (``requeue``) is taken back, unless a former holder has done it, and dealt as
any other: to whom its group, what comes after it and the devices allow by now. Any other becomes
unknown, for a person to settle. Its allocation stays, so that a late report of the old journal
finds its claim. What needed a permit and had none was not started: the hub takes it back.
"""

import msgspec

from hub import evidence
from hub.seats import ACTOR, write_status
from shared.api import task_events
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Attempt, Outcome, Progress
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import Signal, Status, move
from shared.store.transaction import Transaction

BATCH_MAX = 500  # tasks in one transaction

UNFINISHED = (Status.RUNNING, Status.CANCELLING, Status.WAITING)

HELD = """SELECT id, created_at FROM tasks
    WHERE device = $1 AND status = $2 AND (created_at, id) > ($3, $4) AND seated = 1
    ORDER BY created_at, id LIMIT $5"""

Place = tuple[int, str]  # when a task was submitted, Unix ms, and its id
START: Place = (0, "")


def settle(
    tx: Transaction, device: str, incarnation: str, status: Status, after: Place
) -> tuple[int, Place | None]:
    """Settle tasks of one status that a device had under another incarnation.

    Args:
        tx: The transaction.
        device: That came back.
        incarnation: The one that it writes now.
        status: One of UNFINISHED; call for each.
        after: Go on after this place; START: from the beginning.

    Returns:
        How many tasks were settled, and the last place looked at: None at the end.
    """
    rows = tx.query(HELD, device, status.value, *after, BATCH_MAX)
    settled = 0
    for task_id, _ in rows:
        task = tasks.read(tx.record("task", task_id))
        if task is None or task.allocation is None or task.allocation.device != device:
            continue
        if task.allocation.incarnation != incarnation:
            _settle(tx, task)
            settled += 1
    if len(rows) < BATCH_MAX:
        return settled, None
    task_id, created_ms = rows[-1]
    return settled, (created_ms, task_id)


def _settle(tx: Transaction, task: Task) -> None:
    assert task.allocation is not None
    device = task.allocation.device
    reason = f"{device} came back without the journal of {task.allocation.origin}"
    if not evidence.may_act(task):
        task_events.take_back(tx, task, actor=ACTOR, reason=reason)
        return
    is_harmless = task.spec.on_orphan is OnOrphan.REQUEUE
    if not is_harmless or evidence.success(tx, task) is not None:
        status = move(task.status, Signal.LOSE)
        _write(tx, task, status, _ended(task, Outcome.UNKNOWN, tx.now_ms), reason)
        return
    lost = _ended(task, Outcome.LOST, tx.now_ms)
    if task.cancel_asked:
        _write(tx, task, Status.CANCELLED, lost, f"{reason}; its cancellation was asked for")
        return
    if task.status is not Status.WAITING:
        _write(tx, task, move(task.status, Signal.REQUEUE), lost, reason)
    reason = f"{reason}; a second run is harmless"
    # Over: the device has ended what its last run left.
    task_events.take_back(tx, task, actor=ACTOR, reason=reason, moved=True, over=True)


def _ended(task: Task, outcome: Outcome, now_ms: int) -> Attempt | None:
    """Return the task's attempt, ended if it was under way."""
    attempt = task.attempt
    if attempt is None or attempt.ended_ms is not None:
        return attempt
    return msgspec.structs.replace(attempt, ended_ms=now_ms, outcome=outcome)


def _write(
    tx: Transaction, task: Task, status: Status, attempt: Attempt | None, reason: str
) -> None:
    write_status(tx, task, Progress(status, task.allocation, attempt, reason))
