"""Moving a task to another device, because a person says so."""

from collections.abc import Mapping

import msgspec

from hub import allocation, dealing, evidence, groups, permits, recall, seats
from hub.allocation import DeviceState
from hub.round import choose_other
from shared.api import task_actions, task_events
from shared.core import instants
from shared.core import record as records
from shared.core.clock import at_ms
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import CANCEL, RECALL
from shared.core.lifecycle import ACTING, ENDED, Status
from shared.core.waiting import why
from shared.errors import IllegalMove, Refused
from shared.store.transaction import Transaction

ANSWER_MS = 15_000  # for a device that is here: a command takes ten seconds to be killed
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
    """Give a task to another device under a new allocation, and the rest of its group with it.

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
            asked to let go, it waits for another task, one before it is in doubt, or it is known to
            have succeeded.
        Refused: No device, or not the one named, can take it.
    """
    task = task_actions.known(tx, task_id)
    held = task.allocation
    if task.status not in MOVABLE or held is None:
        raise IllegalMove(_why_not(task))
    holder = devices.get(held.device)
    if holder is not None and holder.connected:
        _must_have_been_asked(tx, task, held.device)
    moving = (task, *_mates(tx, task, held.device))
    waiting = why(task, tx.now_ms, lambda other: dealing.status(tx, other))
    if waiting is not None and waiting.status is Status.BLOCKED:
        raise IllegalMove(f"{waiting.reasons[0].message}; {_remedy(tx, waiting.reasons[0].ref)}")
    doubt = dealing.edge_in_doubt(tx, task)
    if doubt is not None:
        raise IllegalMove(f"{doubt.reasons[0].message}; wait for its word, or settle that as over")
    for one in moving:
        won = evidence.success(tx, one)
        if won is not None:
            raise IllegalMove(f"attempt {won.attempt} at {won.device} succeeded already")
    if device is None and task.spec.device == held.device:
        raise Refused(f"it is for {held.device}; name the device to move it to")
    choice = choose_other(
        tx, _wanted(task, device), devices, but=held.device, goal=allocation.goal(task)
    )
    if isinstance(choice, allocation.NoDevice):
        raise Refused(choice.reason)
    words = f"forced by {actor}: {reason}"
    for one in moving:
        _move(tx, one, choice, actor, words if one is task else f"{words} (with {task.id})")
    return any(evidence.may_act(one) for one in moving)


def _must_have_been_asked(tx: Transaction, task: Task, device: str) -> None:
    """Refuse to take a task from a device that is here and answers, or still may.

    Raises:
        IllegalMove: Nobody asked it to let go, or only a moment ago.
    """
    record = tx.record("task", task.id)
    registers = [CANCEL] if task.cancel_asked else []
    registers += [RECALL] if task.recall else []
    if not registers:
        raise IllegalMove(f"{device} has it and is here; cancel it, and it answers")
    asked = [records.latest(record.register(name)) for name in registers]
    asked_ms = min(at_ms(event.header.at) for event in asked if event is not None)
    if asked_ms <= tx.now_ms < asked_ms + ANSWER_MS:  # a device's clock may be ahead by years
        until = instants.text(asked_ms + ANSWER_MS)
        raise IllegalMove(f"{device} is here, and has until {until} to stop it and say so")


def _remedy(tx: Transaction, before: str | None) -> str:
    """Return what to do about a predecessor that a task waits for."""
    task = tasks.read(tx.record("task", before)) if before else None
    if task is None or task.status not in ENDED:
        return "move that first"
    if task.status is Status.DEAD:
        return "retry that, or cancel this one"
    return "it never will be otherwise: cancel this one"


def _mates(tx: Transaction, task: Task, device: str) -> tuple[Task, ...]:
    """Return the rest of a task's group that its device has: at two devices it has no order."""
    found = tuple(task_actions.known(tx, other) for other in groups.mates(tx, task, device))
    for one in found:
        if one.status is Status.UNKNOWN:
            raise IllegalMove(f"the outcome of {one.id} of its group is unknown; settle that first")
    return tuple(one for one in found if one.allocation is not None)


def _move(tx: Transaction, task: Task, choice: allocation.Choice, actor: str, words: str) -> None:
    recall.ask_back(tx, task, actor)
    permits.release_all(tx, task.id)
    task_events.withdraw_cancel(tx, task, actor)
    moved = evidence.may_act(task)
    seats.write_seat(tx, task, choice, actor=actor, reason=words, moved=moved, anew=True)


def _why_not(task: Task) -> str:
    if task.status is Status.UNKNOWN:
        return "the outcome of the task is unknown; settle it"
    if task.status not in MOVABLE:
        return f"the task is {task.status}; there is nothing to move"
    return "nobody has the task; the hub gives it to a device as soon as one can take it"


def _wanted(task: Task, device: str | None) -> allocation.Need:
    wanted = allocation.need(task)
    return wanted if device is None else msgspec.structs.replace(wanted, device=device)
