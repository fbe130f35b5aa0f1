"""What starts now, and why the rest waits: pure.

Tasks are looked at in their order (``order.py``); each that nothing keeps takes its place in the
room. What a task itself says (predecessors, times) is judged by ``shared.core.waiting``, its group
by ``groups.py``, locks, queues and permits by the gates of ``room.py``: the reason shown is the
reason that holds.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from agent import order as orders
from agent import room as rooms
from agent.room import Room
from shared.core import waiting as reasons
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.waiting import Hold, Reason, StatusOf, Waiting

Ahead = Callable[[Task], str | None]  # the member before a task in its group, None: none


class Alone(msgspec.Struct, frozen=True):
    """A device that no hub is set up for: what it cannot run itself, nobody gives to another.

    Attributes:
        types: Task types that it runs.
        capabilities: What it has.
    """

    types: frozenset[str]
    capabilities: frozenset[str]


class Decision(msgspec.Struct, frozen=True):
    """What to do with the waiting tasks that were looked at.

    Each is in one of start, doomed, expired and waits; those of ``ask`` and ``check`` are in waits
    as well.

    Attributes:
        start: Tasks to start now, the most urgent first.
        ask: Tasks that would start now, had the hub been asked for their permit.
        check: Tasks that would start now, had their checks been asked.
        doomed: Tasks that can never start, with the reason to cancel them for.
        expired: Tasks that have waited too long, with the reason.
        waits: Why each of the others waits.
        wake_ms: When one of those may start though nothing else changes, Unix ms, or None.
    """

    start: tuple[str, ...]
    ask: tuple[str, ...]
    check: tuple[str, ...]
    doomed: Mapping[str, str]
    expired: Mapping[str, str]
    waits: Mapping[str, Waiting]
    wake_ms: int | None


def decide(
    now_ms: int,
    waiting: Sequence[Task],
    room: Room,
    *,
    status_of: StatusOf,
    ahead: Ahead,
    aging_ms: int = 0,
) -> Decision:
    """Decide what starts.

    Args:
        now_ms: Wall clock, Unix ms.
        waiting: Waiting tasks of this device; all of them, or those that could be chosen.
        room: What is taken.
        status_of: Statuses of the tasks that others come after.
        ahead: Who is before a task in its group.
        aging_ms: Waiting that lifts a task by one level; 0: none does.
    """
    start: list[str] = []
    ask: list[str] = []
    check: list[str] = []
    left: list[Task] = []
    doomed: dict[str, str] = {}
    expired: dict[str, str] = {}
    for task in sorted(waiting, key=lambda one: orders.order(one, now_ms, aging_ms)):
        doom = _doom(task, status_of)
        expiry = reasons.expiry(task)
        if doom is not None:
            doomed[task.id] = doom
        elif expiry is not None and expiry.at_ms <= now_ms:
            expired[task.id] = expiry.reason
        elif _holds(task, now_ms, room, status_of, ahead):
            left.append(task)
        elif rooms.must_check(room, task, now_ms):
            check.append(task.id)
            left.append(task)
            room = rooms.with_asking(room, task)
        elif rooms.must_ask(task):
            ask.append(task.id)
            left.append(msgspec.structs.replace(task, start_asked=task.next_claim))
            room = rooms.with_request(room, task)
        else:
            start.append(task.id)
            room = rooms.with_run(room, task, now_ms)
    # Against the room as it is then: the reason given is the one that anybody who asks is given.
    waits = {task.id: why(task, now_ms, room, status_of=status_of, ahead=ahead) for task in left}
    wakes = [wait.wake_ms for wait in waits.values() if wait.wake_ms is not None]
    wake_ms = min(wakes, default=None)
    return Decision(tuple(start), tuple(ask), tuple(check), doomed, expired, waits, wake_ms)


def why(task: Task, now_ms: int, room: Room, *, status_of: StatusOf, ahead: Ahead) -> Waiting:
    """Return why a task of this device waits, by the rules of ``decide``."""
    found = reasons.waiting(_holds(task, now_ms, room, status_of, ahead))
    found = found or reasons.waiting(rooms.said_before(room, task))
    return found or reasons.queued("it is about to start")


def explain(
    task: Task,
    now_ms: int,
    room: Room,
    *,
    status_of: StatusOf,
    ahead: Ahead,
    is_ours: Callable[[Task], bool],
    device: str,
    alone: Alone | None = None,
    hub_is_here: bool = True,
) -> Waiting | None:
    """Return why any one task waits, seen from this device; None if it does not wait.

    Args:
        task: The task.
        now_ms: Wall clock, Unix ms.
        room: What is taken.
        status_of: Statuses of the tasks that it comes after.
        ahead: Who is before a task in its group.
        is_ours: Whether this device may start a task.
        device: This device.
        alone: What it can do, if no hub is set up; None: one is.
        hub_is_here: Whether the link to that is up.
    """
    if task.status is not Status.WAITING:
        return None
    seat = task.allocation
    if seat is None:
        unseated = _unseated(task, device, alone, hub_is_here=hub_is_here)
        theirs = reasons.why(task, now_ms, status_of)
        if theirs is None or theirs.status is not Status.BLOCKED:
            return unseated
        return _beside(theirs, *unseated.reasons)
    if seat.device != device:
        theirs = reasons.why(task, now_ms, status_of)
        return theirs or reasons.queued(f"{seat.device} has it", seat.device)
    if task.is_returned:
        return reasons.blocked_on_device(f"{device} has given it back to the hub", device)
    if not is_ours(task):
        return reasons.blocked_on_device(
            f"{device} was dealt it before it lost its journal or changed its hub", device
        )
    found = why(task, now_ms, room, status_of=status_of, ahead=ahead)
    if room.capacity == 0 and found.status is Status.QUEUED:
        return reasons.blocked_on_device(f"{device} runs no tasks", device)
    if hub_is_here or not rooms.needs_permit(task):
        return found
    return _beside(found, Reason("device", None, "the hub is out of reach"))


def _beside(found: Waiting, *others: Reason) -> Waiting:
    return msgspec.structs.replace(found, reasons=(*found.reasons, *others))


def _unseated(task: Task, device: str, alone: Alone | None, *, hub_is_here: bool) -> Waiting:
    """Return why a task that no device has waits, seen from a device that did not take it."""
    if alone is not None:
        words = _left(task, device, alone)
    elif hub_is_here:
        words = "the hub has not chosen a device yet"
    else:
        words = "the hub is out of reach, and has not chosen a device as far as is known here"
    return reasons.blocked_on_device(words, task.spec.device)


def _left(task: Task, device: str, alone: Alone) -> str:
    """Return why a task that this device did not take stays where it is, without a hub."""
    spec = task.spec
    missing = ", ".join(sorted(set(spec.requires) - alone.capabilities))
    if spec.device not in (None, device):
        return f"it is for {spec.device}, and no hub is set up here to give it there"
    if spec.type not in alone.types:
        why_not = f"{device} runs no tasks of type {spec.type}"
    elif missing:
        why_not = f"{device} does not have {missing}"
    elif spec.asks_hub:
        return "only a hub can give leave to start it, and none is set up here"
    else:
        why_not = f"{device} cannot tell alone whether it may start"
    return f"{why_not}, and no hub is set up here to give it to another device"


def _doom(task: Task, status_of: StatusOf) -> str | None:
    return reasons.holds(task, 0, status_of)[1] if task.spec.after else None


def _holds(
    task: Task, now_ms: int, room: Room, status_of: StatusOf, ahead: Ahead
) -> tuple[Hold, ...]:
    """Return all that keeps a task; that the room is full, or its permit missing, if only that."""
    found = list(reasons.holds(task, now_ms, status_of)[0])
    before = ahead(task)
    if before is not None:
        text = f"{before} is before it in group {task.spec.group}"
        found.append(Hold(Status.BLOCKED, Reason("group", before, text)))
    found += rooms.unchecked(room, task, now_ms)
    # Whoever is right before it in its group is reason enough, whether that runs or waits.
    found += rooms.all_holds(room, task, now_ms, but=rooms.GROUP if before else None)
    if rooms.needs_permit(task) and not rooms.must_ask(task):
        found.append(rooms.without_permit(task))
    elif not found and room.closed is not None:
        found.append(Hold(Status.BLOCKED, Reason("device", room.device, room.closed)))
    elif not found and room.is_full:
        found.append(rooms.full(room))
    return tuple(found)
