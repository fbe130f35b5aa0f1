"""Moving a task to another device, because a person says so."""

from collections.abc import Mapping

import msgspec

from hub import allocation, evidence, permits, recall, seats
from hub.allocation import DeviceState
from hub.round import choose_other
from shared.api import task_actions, task_events
from shared.core.kinds.task import Task
from shared.core.lifecycle import ACTING, Status
from shared.errors import IllegalMove, Refused
from shared.store.transaction import Transaction

MOVABLE = ACTING | {Status.WAITING}


def force(
    tx: Transaction,
    task_id: str,
    devices: Mapping[str, DeviceState],
    *,
    device: str | None,
    reason: str,
    actor: str,
) -> bool:
    """Give a task to another device under a new allocation.

    Args:
        tx: The hub's transaction.
        task_id: Of the task.
        devices: The fleet.
        device: Where to, also if it was pinned elsewhere; None: as allocation chooses.
        reason: For people.
        actor: Who decides.

    Returns:
        Whether a double run is possible.

    Raises:
        NotFound: No such task.
        IllegalMove: It has ended or is unknown, nobody has it, its device is here and was not
            asked to let go, or it is known to have succeeded.
        Refused: No device, or not the one named, can take it.
    """
    task = task_actions.known(tx, task_id)
    held = task.allocation
    if task.status not in MOVABLE or held is None:
        raise IllegalMove(_why_not(task))
    holder = devices.get(held.device)
    if holder is not None and holder.connected and not (task.cancel_asked or task.recall):
        raise IllegalMove(f"{held.device} has it and is here; cancel it, and it answers")
    won = evidence.success(tx, task)
    if won is not None:
        raise IllegalMove(f"attempt {won.attempt} at {won.device} succeeded already")
    choice = choose_other(
        tx, _wanted(task, device), devices, but=held.device, goal=allocation.goal(task)
    )
    if isinstance(choice, allocation.NoDevice):
        raise Refused(choice.reason)
    is_possible = evidence.may_act(task)
    recall.ask_back(tx, task, actor)
    permits.release_all(tx, task.id)
    task_events.withdraw_cancel(tx, task, actor)
    words = f"forced by {actor}: {reason}"
    seats.write_seat(tx, task, choice, actor=actor, reason=words, moved=is_possible)
    return is_possible


def _why_not(task: Task) -> str:
    if task.status is Status.UNKNOWN:
        return "nobody knows how the task ended; settle it"
    if task.status not in MOVABLE:
        return f"the task is {task.status}; there is nothing to move"
    return "nobody has the task; the hub gives it to a device as soon as one can take it"


def _wanted(task: Task, device: str | None) -> allocation.Need:
    wanted = allocation.need(task)
    return wanted if device is None else msgspec.structs.replace(wanted, device=device)
