"""What the seated device writes of a task, inside a transaction that proves its claim.

Each function returns the task as it is afterwards, also when it wrote nothing because the claim is
not (any more) what the caller thought. None: there is no such task here.
"""

import logging
from collections.abc import Callable

import msgspec

from agent import testimony
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Attempt, Progress, StartRequest
from shared.core.lifecycle import ACTING, ENDED, Signal, Status, move
from shared.store.node import Node
from shared.store.transaction import Transaction

log = logging.getLogger(__name__)

Move = Callable[[Transaction], Task | None]


def was_given(task: Task, node: Node) -> bool:
    """Say whether the task's allocation names this journal of this device."""
    seat = task.allocation
    if seat is None:
        return False
    return seat.device == node.device and node.writes.get(task.site) == seat.origin


def is_held(task: Task, node: Node) -> bool:
    """Say whether the task is at this device and not over, whether it may start it or not."""
    seat = task.allocation
    is_here = seat is not None and seat.device == node.device and not task.is_returned
    return is_here and task.status not in ENDED


def is_ours(task: Task, node: Node) -> bool:
    """Say whether this device may start the task.

    Only the hub epoch adopted last allocates; its own allocation has none (model, dispatch 3-4).
    What it has given back it never starts under the same allocation again.
    """
    seat = task.allocation
    if seat is None or task.is_returned:
        return False
    return was_given(task, node) and seat.epoch in (None, node.hub_epoch)


def start(tx: Transaction, task_id: str, *, attempt_id: str, boot: str) -> Task | None:
    """Write the intent to run a task. Its predecessors need no second look: an end is final."""
    task = tasks.read(tx.record("task", task_id))
    if task is None or not _may_start(task, tx.node):
        return task
    if task.spec.asks_hub and not task.is_permitted:
        return task
    attempt = Attempt(id=attempt_id, number=task.attempts_made + 1, boot=boot, started_ms=tx.now_ms)
    return report(tx, task, Progress(move(task.status, Signal.START), task.allocation, attempt))


def ask(tx: Transaction, task_id: str) -> Task | None:
    """Ask for the hub's permit to start a task; once for each claim, it stays on the record."""
    task = tasks.read(tx.record("task", task_id))
    if task is None or not _may_start(task, tx.node):
        return task
    claim = task.next_claim
    if claim is None or task.is_permitted or task.start_asked == claim:
        return task
    tx.append(
        site=task.site,
        kind="task.start_requested",
        subject=task.id,
        register=task_bodies.START,
        body=StartRequest(claim),
        actor=tx.node.device,
    )
    return msgspec.structs.replace(task, start_asked=claim)


def give_back(tx: Transaction, task_id: str) -> Task | None:
    """Answer a recall: give a task back to the hub, unless it runs: then its end is the answer.

    Also one that waits for a retry: its run has really ended, so nothing of it acts here.
    """
    task = tasks.read(tx.record("task", task_id))
    if task is None or task.recall is None or not is_ours(task, tx.node):
        return task
    if task.status is not Status.WAITING:
        return task
    reason = task.recall.reason or "recalled"
    progress = Progress(Status.WAITING, task.allocation, task.attempt, reason, returned=True)
    return report(tx, task, progress)


def _may_start(task: Task, node: Node) -> bool:
    if task.status is not Status.WAITING or not is_ours(task, node):
        return False
    return not task.cancel_asked and task.recall is None


def close(tx: Transaction, task_id: str, *, signal: Signal, reason: str) -> Task | None:
    """End a task that waits here, because it was cancelled or can never run."""
    task = tasks.read(tx.record("task", task_id))
    if task is None or task.status is not Status.WAITING or not is_ours(task, tx.node):
        return task
    status = move(task.status, signal)
    return report(tx, task, Progress(status, task.allocation, task.attempt, reason))


def begin_cancel(tx: Transaction, task_id: str, attempt: Attempt) -> Task | None:
    """Write that a running attempt is about to be stopped on request."""
    task = tasks.read(tx.record("task", task_id))
    if task is None or task.status is not Status.RUNNING or not is_current(task, attempt):
        return task
    status = move(task.status, Signal.ASK_CANCEL)
    return report(tx, task, Progress(status, task.allocation, task.attempt, "cancel requested"))


def settle(
    tx: Transaction, claimed: Task, attempt: Attempt, conclude: Callable[[Task], Progress]
) -> Task | None:
    """Write how an attempt ended: what follows for the task if its claim is current, else evidence.

    Args:
        tx: The transaction.
        claimed: The task as it was when it was started; its allocation is half of the claim.
        attempt: The other half.
        conclude: What follows for the task as it is now.
    """
    task = tasks.read(tx.record("task", claimed.id))
    if task is None:
        return None
    if task.allocation != claimed.allocation:
        log.warning("attempt %s of %s ended after its claim had", attempt.id, claimed.id)
        ran = Progress(Status.RUNNING, claimed.allocation, attempt)
        running = msgspec.structs.replace(claimed, status=Status.RUNNING, progress=ran)
        testimony.testify(tx, tx.record("task", task.id), conclude(running))
        testimony.let_go(tx, tx.record("task", task.id))
        return task
    if task.status not in ACTING or not is_current(task, attempt):
        log.warning("attempt %s of %s ended, and had been settled before", attempt.id, claimed.id)
        return task
    return report(tx, task, conclude(task))


def is_current(task: Task, attempt: Attempt) -> bool:
    """Say whether an attempt is the newest of the task's current allocation."""
    newest = task.attempt
    return newest is not None and (newest.id, newest.number) == (attempt.id, attempt.number)


def report(tx: Transaction, task: Task, progress: Progress) -> Task:
    """Append a status event and return the task after it."""
    tx.append(
        site=task.site,
        kind="task.status",
        subject=task.id,
        register=task_bodies.STATUS,
        body=progress,
        actor=tx.node.device,
    )
    return tasks.moved(task, progress, tx.record("task", task.id))
