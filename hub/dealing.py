"""A task that nobody has: it ends here, goes to a device, or waits for something that is said."""

import msgspec

from hub import allocation, evidence, groups, recall, unique
from hub.allocation import DeviceState, Need
from hub.groups import Turn
from hub.round import Room, Round, Terms
from hub.seats import ACTOR, cancel, expire, write_seat, write_status
from shared.api.followers import waiting_for
from shared.core import record as records
from shared.core.clock import Stamp, at_ms
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Progress
from shared.core.lifecycle import Signal, Status, move
from shared.core.record import Record
from shared.core.waiting import Reason, Waiting, blocked_on_device, expiry, why
from shared.store.transaction import Transaction

REFUSED_MS = 60_000  # before a device that gave a task back of its own accord may get it again


def is_ended(tx: Transaction, task: Task, terms: Terms, found: Round) -> bool:
    """End a task that nobody has, if there is a reason to; say whether there was."""
    if task.cancel_asked:
        cancel(tx, task, task.why_cancel)
        return True
    won = evidence.success(tx, task)
    if won is not None:
        reason = f"{won.device} reports that attempt {won.attempt} had succeeded"
        write_status(tx, task, Progress(move(task.status, Signal.LOSE), reason=reason))
        return True
    if task.holders and (started := recall.followers(tx, task).started) is not None:
        reason = f"{started}, which comes after it, has started"
        write_status(tx, task, Progress(move(task.status, Signal.DIE), reason=reason))
        return True
    first = unique.stands_before(tx, task)
    if first is not None:
        cancel(tx, task, f"duplicate of {first}")
        return True
    if is_late(task, terms, found):
        expire(tx, task)
        return True
    return False


def is_late(task: Task, terms: Terms, found: Round) -> bool:
    """Say whether a task that has not started has expired; if not yet, note when to look again."""
    late = expiry(task)
    if late is None:
        return False
    if late.at_ms <= terms.now_ms:
        return True
    found.look_at(task.id, late.at_ms)
    return False


def deal(
    tx: Transaction, task: Task, record: Record, room: Room, terms: Terms, found: Round
) -> None:
    """Give a task that nobody has to a device, or note what it waits for."""
    waiting = why(task, terms.now_ms, lambda other: status(tx, other))
    if waiting is not None and waiting.doomed is not None:
        cancel(tx, task, waiting.doomed)
        return
    turn = _turn(tx, task)
    if isinstance(turn, Waiting):
        found.waits[task.id] = turn
        return
    only = turn.only
    is_blocked = waiting is not None and waiting.status is Status.BLOCKED
    if is_blocked:
        home = allocation.home(task, lambda other: tasks.read(tx.record("task", other)))
        if home is None or only not in (None, home):
            return  # its predecessors bring it up again
        only = home
    # Also before its not_before: that is the device's business.
    wanted = _need(task, record, terms, found)
    choice = room.choose(wanted, allocation.goal(task), only)
    if choice is not None:
        write_seat(tx, task, choice)
    elif not is_blocked:
        found.stuck[task.id] = wanted
        _say_why(task, wanted, room.device(only) if only else None, found)


def _turn(tx: Transaction, task: Task) -> Turn | Waiting:
    """Say whether it is a task's turn, as far as other tasks go."""
    after = recall.ask_back(tx, task, ACTOR).held if task.holders else ()
    if after:
        return waiting_for(after)
    return edge_in_doubt(tx, task) or groups.turn(tx, task)


def _say_why(task: Task, wanted: Need, only: DeviceState | None, found: Round) -> None:
    """Note why no device can take a task, if the devices alone do not explain it."""
    if only is not None:
        why_not = allocation.unfit(wanted, only) or f"{only.id} cannot take it"
        text = f"{only.id} has the rest of its group, and {why_not}"
        found.waits[task.id] = Waiting(Status.BLOCKED, (Reason("group", only.id, text),))
    elif wanted.but is not None:
        text = f"{wanted.but} has given it back, and no other device can take it"
        found.waits[task.id] = blocked_on_device(text, wanted.but)


def _need(task: Task, record: Record, terms: Terms, found: Round) -> Need:
    """Return what a task needs; not at once the device that has just given it back."""
    wanted = allocation.need(task)
    refused_by, given_back = task.seat.refused_by, records.latest(record.register(task_bodies.SEAT))
    if refused_by is None or given_back is None:
        return wanted
    again_ms = at_ms(Stamp(given_back.header.at)) + REFUSED_MS
    if again_ms <= terms.now_ms:
        return wanted
    found.look_at(task.id, again_ms)
    return msgspec.structs.replace(wanted, but=refused_by)


def edge_in_doubt(tx: Transaction, task: Task) -> Waiting | None:
    """An edge is proved only once all that was dealt of the predecessor has ended."""
    for edge in task.spec.after:
        before = tasks.read(tx.record("task", edge.task))
        if before is not None and evidence.still_open(tx, before):
            text = f"{edge.task} was moved, and may still run where it was"
            return Waiting(Status.BLOCKED, (Reason("after", edge.task, text),))
    return None


def status(tx: Transaction, task_id: str) -> Status | None:
    """Return a task's status as journaled."""
    task = tasks.read(tx.record("task", task_id))
    return task.status if task else None
