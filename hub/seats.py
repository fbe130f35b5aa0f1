"""What the hub writes of a task while it sits for it, and how it gives the seat and takes it."""

from hub.allocation import Choice
from shared.api import task_events
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, Progress, Seat
from shared.core.lifecycle import Signal, move
from shared.core.waiting import expiry
from shared.store.transaction import Transaction

ACTOR = "hub"


def write_status(tx: Transaction, task: Task, progress: Progress) -> None:
    """Write a move that the hub makes while it sits."""
    task_events.append(tx, task.id, task.site, "task.status", progress, ACTOR)


def write_seat(
    tx: Transaction,
    task: Task,
    choice: Choice,
    *,
    actor: str = ACTOR,
    reason: str | None = None,
    moved: bool = False,
    anew: bool = False,
) -> None:
    """Give a task to a device under the next allocation.

    Args:
        tx: The transaction.
        task: As it is.
        choice: Which device, and why.
        actor: Who decided it.
        reason: For people.
        moved: Whether it is taken from a device that has not said that nothing runs there.
        anew: Whether it is to run anew, and has ``schedule_to_start_s`` from now on.
    """
    # From 1: 0 is what an agent gives itself, and must never outrank or equal the hub's.
    n = task.seat.newest + 1
    device = choice.device
    given = Allocation(tx.node.epoch, n, device.id, device.incarnation)
    holders = tuple(dict.fromkeys((*task.holders, device.id)))
    moved_so_far, over = task_events.after_leaving(task, moved=moved)
    seat = Seat(
        given,
        holders,
        choice.terms,
        n=n,
        moved=moved_so_far,
        over=over,
        reason=reason,
        anew_ms=task_events.anew_ms(tx, task, anew=anew),
    )
    task_events.append(tx, task.id, task.site, "task.allocated", seat, actor)


def take_returned(tx: Transaction, task: Task) -> Task:
    """Sit again for a task that its device gave back."""
    assert task.allocation is not None
    device = task.allocation.device
    said = task.progress.reason if task.progress else None
    reason = f"given back by {device}" + (f": {said}" if said else "")
    refused_by = None if task.recall else device
    task_events.take_back(tx, task, actor=ACTOR, reason=reason, refused_by=refused_by)
    again = tasks.read(tx.record("task", task.id))
    assert again is not None, "it was read a moment ago"
    return again


def cancel(tx: Transaction, task: Task, reason: str | None) -> None:
    """Cancel a task that waits here."""
    write_status(tx, task, Progress(move(task.status, Signal.CANCEL), reason=reason))


def expire(tx: Transaction, task: Task) -> None:
    """Expire a task that waits here and is late."""
    late = expiry(task)
    reason = late.reason if late else None
    write_status(tx, task, Progress(move(task.status, Signal.EXPIRE), reason=reason))
