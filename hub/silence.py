"""A task that a device has: taken from one that is silent, where its rules say so."""

import msgspec

from hub import allocation, dealing, evidence, groups, recall, release, unique
from hub.round import Room, Round, Terms
from hub.seats import ACTOR, cancel, expire, write_seat
from shared.api import task_events
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import CancelRequest
from shared.core.lifecycle import Status
from shared.core.waiting import why
from shared.store.transaction import Transaction


def look(tx: Transaction, task: Task, room: Room, terms: Terms, found: Round) -> None:
    """Take a task from a silent device where its rules say so; ask a duplicate to end."""
    first = unique.stands_before(tx, task) if task.status is Status.WAITING else None
    if first is not None and not task.cancel_asked:
        request = CancelRequest(f"duplicate of {first}")
        task_events.append(tx, task.id, task.site, "task.cancel_requested", request, ACTOR)
        return
    assert task.allocation is not None
    holder = room.device(task.allocation.device)
    if holder is None or holder.connected:
        return
    if _is_ended(tx, task, terms, found):
        return
    due = release.due(task, terms.patience)
    if due is None:
        return
    due_ms = terms.silent.get(holder.id, terms.boot_ms) + due.after_ms
    if due_ms > terms.boot_ms:
        found.look_again(task.id, due_ms)
        return
    if not due.moved and evidence.success(tx, task) is not None:
        # A former holder has done it: back here it becomes unknown, and is not dealt once more.
        task_events.take_back(tx, task, actor=ACTOR, reason=f"{holder.id} is away and need not")
        return
    if _is_tied(tx, task, terms):
        return
    wanted = msgspec.structs.replace(allocation.need(task), but=holder.id)
    choice = room.choose(wanted, allocation.goal(task))
    if choice is None:
        found.stuck[task.id] = wanted
        return
    recall.ask_back(tx, task, ACTOR)
    write_seat(tx, task, choice, reason=f"{holder.id} is silent", moved=due.moved, anew=due.moved)


def _is_ended(tx: Transaction, task: Task, terms: Terms, found: Round) -> bool:
    """End a task that its absent device cannot start, if there is a reason to.

    It need not be silent for a while: whatever it asks for once it is back, it no longer has it.
    """
    assert task.allocation is not None
    if evidence.may_act(task):
        return False
    is_late = dealing.is_late(task, terms, found)
    if not task.cancel_asked and not is_late:
        return False
    reason = f"{task.allocation.device} is away and cannot start it"
    task_events.take_back(tx, task, actor=ACTOR, reason=reason)
    if task.cancel_asked:
        cancel(tx, task, task.why_cancel)
    else:
        expire(tx, task)
    return True


def _is_tied(tx: Transaction, task: Task, terms: Terms) -> bool:
    """Say whether a task belongs where it is, by its edges or its group."""
    waiting = why(task, terms.now_ms, lambda other: dealing.status(tx, other))
    if waiting is not None and waiting.status is Status.BLOCKED:
        return True
    is_in_doubt = dealing.edge_in_doubt(tx, task) is not None
    return is_in_doubt or groups.turn(tx, task) != groups.Turn()
