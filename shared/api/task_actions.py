"""What callers may do with a task that exists: cancel, retry, change the priority.

A node writes a task's status only while it sits for it: the hub until an allocation is made, an
agent while it alone knows its own submission. To everybody else's tasks it adds requests, which
stay on the record until the sitter answers (``docs/architecture.md``, the seat).
"""

import msgspec

from shared.api import task_events
from shared.core import record as records
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import CancelRequest, PriorityRequest, Progress
from shared.core.kinds.task_spec import (
    Priority,
)
from shared.core.lifecycle import ENDED, Signal, Status, move
from shared.core.record import Record
from shared.core.vector import Vector, covers
from shared.core.waiting import close_by
from shared.errors import IllegalMove, NotFound, Stale
from shared.store.transaction import Transaction

# ------------------------------------------------------------------ cancel


def cancel(
    tx: Transaction,
    task_id: str,
    actor: str,
    seen: Vector | None = None,
    reason: str | None = None,
) -> None:
    """Cancel a task that nobody has, at once; ask for it of whoever has it.

    Asking again changes nothing.

    Args:
        tx: The transaction.
        task_id: Of the task.
        actor: Who cancels.
        seen: What the caller had seen of the record; None: what this node shows.
        reason: For people.

    Raises:
        NotFound: No such task here.
        IllegalMove: It has ended, or nobody knows whether it did.
    """
    task = known(tx, task_id)
    if task.status in ENDED:
        raise IllegalMove(f"the task is {task.status} already; nothing is left to cancel")
    if task.status is Status.UNKNOWN:
        raise IllegalMove("the outcome of the task is unknown; settle it instead of cancelling it")
    if task.cancel_asked:
        return
    at_hub = tx.node.role == "hub"
    if task.allocation is not None or not at_hub:
        request = CancelRequest(reason)
        task_events.append(tx, task_id, task.site, "task.cancel_requested", request, actor, seen)
    if task.allocation is None and (at_hub or _known_here_alone(tx, tx.record("task", task_id))):
        # An agent writes both: had its submission reached the hub and been allocated there after
        # all, this status is refused, and the request remains for the device to answer.
        words = tasks.cancelled_by(actor, reason)
        progress = Progress(move(task.status, Signal.CANCEL), reason=words)
        task_events.append(tx, task_id, task.site, "task.status", progress, actor)


def _known_here_alone(tx: Transaction, record: Record) -> bool:
    """Whether a submission was written on this agent and is not known to have reached the hub."""
    submitted = records.latest(record.register(task_bodies.SPEC))
    if submitted is None:
        return False
    log = tx.node.logs.get(submitted.header.origin)
    return log is not None and bool(log.own) and submitted.header.seq > log.acked


# ------------------------------------------------------------------ retry


def refuse_late(tx: Transaction, task: Task) -> None:
    """Refuse to run a task anew that could only expire.

    Raises:
        IllegalMove: So it is.
    """
    late = close_by(task)
    if late is not None and late.at_ms <= tx.now_ms:
        raise IllegalMove("it is too late: its schedule_to_close_s is over; submit it anew")


def retried_by(actor: str, reason: str | None) -> str:
    """Return why a task runs anew, for people."""
    return f"retried by {actor}" + (f": {reason}" if reason else "")


def retry(tx: Transaction, task_id: str, actor: str, reason: str | None = None) -> None:
    """Let a dead task that this agent gave itself run again here; ``hub/retry.py`` has the rest.

    Args:
        tx: The transaction.
        task_id: Of the task.
        actor: Who wants it.
        reason: For people.

    Raises:
        NotFound: No such task here.
        IllegalMove: It is not dead, or could only expire; or another comes after it, which may
            have acted on its end; or it is the hub that gave it its device.
    """
    task = known(tx, task_id)
    if task.status is not Status.DEAD:
        raise IllegalMove(f"the task is {task.status}; only a dead one can be retried")
    refuse_late(tx, task)
    followers = tx.query("SELECT task FROM edges WHERE after = $1 ORDER BY task LIMIT 1", task_id)
    if followers:
        raise IllegalMove(
            f"{followers[0][0]} comes after this task and may have acted on its end; "
            "retry it at the hub, or submit it anew"
        )
    _retry_here(tx, task, actor, retried_by(actor, reason))
    task_events.withdraw_cancel(tx, task, actor)


def _retry_here(tx: Transaction, task: Task, actor: str, words: str) -> None:
    held = task.allocation
    if held is None or held.epoch is not None or held.device != tx.node.device:
        raise IllegalMove("only the hub can retry a task that this agent did not give itself")
    seat = task_events.own_seat(tx, task.site, held.n + 1, task.holders, anew_ms=tx.now_ms)
    seat = msgspec.structs.replace(seat, reason=words)
    task_events.append(tx, task.id, task.site, "task.allocated", seat, actor)


# ------------------------------------------------------------------ priority


def set_priority(
    tx: Transaction, task_id: str, priority: Priority, actor: str, seen: Vector | None = None
) -> None:
    """Change the priority of a task that waits.

    Raises:
        NotFound: No such task here.
        IllegalMove: It no longer waits, or is to be cancelled.
    """
    task = known(tx, task_id)
    if task.status is not Status.WAITING:
        raise IllegalMove(f"the task is {task.status}; only a waiting one changes its priority")
    if task.cancel_asked:
        raise IllegalMove("the task is being cancelled; its priority no longer matters")
    if task.priority is priority:
        return
    body = PriorityRequest(priority)
    task_events.append(tx, task_id, task.site, "task.priority_requested", body, actor, seen)


# ------------------------------------------------------------------ parts


def must_have_seen(record: Record, seen: Vector | None) -> None:
    """Refuse a decision about a task that has moved on since its author looked.

    A seat has one author, so nothing can be concurrent with it: what others merge, is stale here.
    What a run says of itself on its way, and what was only asked for, makes no decision stale.

    Args:
        record: The task's.
        seen: What the author had seen of it; None: what this node shows.

    Raises:
        Stale: Somebody has it, or has moved it, otherwise by now.
    """
    if seen is None:
        return
    for register in (task_bodies.SEAT, task_bodies.STATUS):
        for event in record.register(register).siblings:
            if not covers(seen, event.header.origin, event.header.seq):
                raise Stale(f"{record.subject} has changed since; read it again")


def known(tx: Transaction, task_id: str) -> Task:
    """Return a task.

    Raises:
        NotFound: No such task here.
    """
    task = tasks.read(tx.record("task", task_id))
    if task is None:
        raise NotFound(f"no task {task_id} is known here")
    return task
