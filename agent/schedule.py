"""What starts now, and why the rest waits: pure.

Order: priority, then submission. Whatever a task itself says (predecessors, times) is judged by
``shared.core.waiting``, so that the reason shown is the reason that holds.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from shared.core import waiting as reasons
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.waiting import StatusOf, Waiting

Order = tuple[int, int, str]


class Decision(msgspec.Struct, frozen=True):
    """What to do with the waiting tasks that were looked at; each is in one of the three.

    Attributes:
        start: Tasks to start now, the most urgent first.
        doomed: Tasks that can never start, with the reason to cancel them for.
        waits: Why each of the others waits.
        wake_ms: When one of those may start though nothing else changes, Unix ms, or None.
    """

    start: tuple[str, ...]
    doomed: Mapping[str, str]
    waits: Mapping[str, Waiting]
    wake_ms: int | None


def order(task: Task) -> Order:
    """Return where a task stands in the queue: the smaller goes first."""
    return (task.priority.value, task.created_ms, task.id)


def decide(
    now_ms: int,
    waiting: Sequence[Task],
    running: Sequence[str],
    *,
    capacity: int,
    status_of: StatusOf,
) -> Decision:
    """Decide what starts.

    Args:
        now_ms: Wall clock, Unix ms.
        waiting: Waiting tasks of this device; all of them, or those that could be chosen.
        running: Ids of the tasks that run.
        capacity: How many may run at once.
        status_of: Statuses of the tasks that others come after.
    """
    start: list[str] = []
    doomed: dict[str, str] = {}
    waits: dict[str, Waiting] = {}
    room = capacity - len(running)
    for task in sorted(waiting, key=order):
        why = reasons.why(task, now_ms, status_of)
        if why is None and len(start) < room:
            start.append(task.id)
        elif why is None:
            waits[task.id] = busy(running, capacity)
        elif why.doomed is not None:
            doomed[task.id] = why.doomed
        else:
            waits[task.id] = why
    wakes = [wait.wake_ms for wait in waits.values() if wait.wake_ms is not None]
    return Decision(tuple(start), doomed, waits, min(wakes, default=None))


def explain(
    task: Task,
    now_ms: int,
    *,
    running: Sequence[str],
    capacity: int,
    status_of: StatusOf,
    is_ours: Callable[[Task], bool],
    device: str,
) -> Waiting | None:
    """Return why any one task waits, by the rules of ``decide``; None if it does not wait."""
    if task.status is not Status.WAITING:
        return None
    seat = task.allocation
    if seat is None:
        return reasons.blocked_on_device("the hub has not chosen a device yet", task.spec.device)
    why = reasons.why(task, now_ms, status_of)
    if why is not None:
        return why
    if seat.device != device:
        return reasons.queued(f"{seat.device} has it", seat.device)
    if not is_ours(task):
        return reasons.blocked_on_device(
            f"{device} was dealt it before it lost its journal or changed its hub", device
        )
    if capacity == 0:
        return reasons.blocked_on_device(f"{device} runs no tasks", device)
    return busy(running, capacity)


def busy(running: Sequence[str], capacity: int) -> Waiting:
    """Return the waiting of a task that only lacks room."""
    if len(running) < capacity:
        return reasons.queued("it is about to start")
    what = "1 task runs" if len(running) == 1 else f"{len(running)} tasks run"
    return reasons.queued(f"{what} here, at most {capacity} may", next(iter(running), None))
