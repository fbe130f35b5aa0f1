"""Why a task waits: derived when it is read, never journaled.

The same function serves the dispatcher that decides, the API that explains and the hub that shows:
a reason that is given is the reason that holds.
"""

from collections.abc import Callable, Sequence

import msgspec

from shared.core import instants
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Edge, On, OnFailure
from shared.core.lifecycle import ENDED, Status


class Reason(msgspec.Struct, frozen=True):
    """Why a task waits (SHAPES, Task): a word, what it refers to, a sentence."""

    reason: str
    ref: str | None
    message: str


PAUSED = "paused"

StatusOf = Callable[[str], Status | None]  # of a task id; None: not known here

_RANK = (Status.BLOCKED, Status.SCHEDULED, Status.QUEUED)


class Waiting(msgspec.Struct, frozen=True):
    """How a waiting task shows, and why.

    Attributes:
        status: scheduled, blocked or queued.
        reasons: At least one.
        wake_ms: When looking again makes sense though nothing else changes, Unix ms, or None.
        doomed: An edge that can never open cancels the task: the reason to give, else None.
    """

    status: Status
    reasons: tuple[Reason, ...]
    wake_ms: int | None = None
    doomed: str | None = None


class Hold(msgspec.Struct, frozen=True):
    """One thing that keeps a task from starting.

    Attributes:
        status: How a task shows that nothing else keeps.
        reason: For people.
        wake_ms: When it passes by itself, Unix ms; None: something else must happen.
    """

    status: Status
    reason: Reason
    wake_ms: int | None = None


class Expiry(msgspec.Struct, frozen=True):
    """When a task that still waits expires, Unix ms, and the reason to give then."""

    at_ms: int
    reason: str


def why(task: Task, now_ms: int, status_of: StatusOf) -> Waiting | None:
    """Return why a waiting task cannot start yet; None: it may, as far as the task itself goes.

    Whether anyone has room for it is the dispatcher's to say, see ``queued``.

    Args:
        task: A task whose status is waiting.
        now_ms: Wall clock, Unix ms.
        status_of: Statuses of the tasks that it comes after.
    """
    found, doomed = holds(task, now_ms, status_of)
    return waiting(found, doomed)


def holds(task: Task, now_ms: int, status_of: StatusOf) -> tuple[tuple[Hold, ...], str | None]:
    """Return what of a task itself keeps it, and why it can never start, if it cannot."""
    spec = task.spec
    if not spec.after:
        if spec.not_before_ms is None and task.progress is None:
            return (), None
        return tuple(_times(task, now_ms)), None
    edges = [_edge(edge, status_of(edge.task)) for edge in spec.after]
    shut = [found for found in edges if found]
    doomed = next((why_not for _, why_not in shut if why_not), None)
    return (*(hold for hold, _ in shut), *_times(task, now_ms)), doomed


def waiting(found: Sequence[Hold], doomed: str | None = None) -> Waiting | None:
    """Return how a task shows that all of these keep; None of nothing.

    It is blocked if anything must happen first, scheduled if only a time must come.
    """
    if not found:
        return None
    status = min((hold.status for hold in found), key=_RANK.index)
    wakes = [hold.wake_ms for hold in found]
    times = [wake for wake in wakes if wake is not None]
    wake_ms = max(times) if len(times) == len(wakes) else None
    return Waiting(status, tuple(hold.reason for hold in found), wake_ms, doomed)


def expiry(task: Task) -> Expiry | None:
    """Return when a waiting task expires, None if it never does."""
    start, close = _start_by(task), close_by(task)
    if start is None or close is None:
        return start or close
    return min(start, close, key=lambda one: one.at_ms)


def _start_by(task: Task) -> Expiry | None:
    """Return until when a task must start.

    Attempts count anew under each allocation, so one that had started would otherwise be late the
    moment somebody decides to run it anew. Being given to another device because the first could
    not start it is no such decision: a command to a machine must not grow younger on its way.
    """
    limit_s, anew_ms = task.spec.schedule_to_start_s, task.seat.anew_ms
    if limit_s is None or task.attempts_made:
        return None
    from_ms, since = (
        (task.created_ms, "its submission") if anew_ms is None else (anew_ms, "being run anew")
    )
    reason = f"it did not start within {limit_s:g} s of {since}"
    return Expiry(from_ms + round(limit_s * 1000), reason)


def close_by(task: Task) -> Expiry | None:
    """Return until when a task must be done, however often it is run anew."""
    limit_s = task.spec.schedule_to_close_s
    if limit_s is None:
        return None
    reason = f"it was not done within {limit_s:g} s of its submission"
    return Expiry(task.created_ms + round(limit_s * 1000), reason)


def queued(message: str, ref: str | None = None) -> Waiting:
    """Return the waiting of a task that could start, had anyone room for it."""
    return Waiting(Status.QUEUED, (Reason("busy", ref, message),))


def paused(type_: str, why: str | None) -> Reason:
    """Return the reason of a task whose queue is paused."""
    return Reason(PAUSED, None, f"the queue {type_} is paused" + (f": {why}" if why else ""))


def blocked_on_device(message: str, ref: str | None = None) -> Waiting:
    """Return the waiting of a task that no device can take at present."""
    return Waiting(Status.BLOCKED, (Reason("device", ref, message),))


def _edge(edge: Edge, status: Status | None) -> tuple[Hold, str | None] | None:
    """Return what a shut edge has to say, and why it never opens, if it does not."""
    if status is Status.SUCCEEDED or (edge.on is On.END and status in ENDED):
        return None
    word = status.value if status else "not known here"
    hold = Hold(Status.BLOCKED, Reason("after", edge.task, f"{edge.task} is {word}"))
    if edge.on is On.SUCCESS and status in ENDED and edge.on_failure is OnFailure.CANCEL:
        return hold, f"its predecessor {edge.task} is {word}"
    return hold, None


def _times(task: Task, now_ms: int) -> list[Hold]:
    found: list[Hold] = []
    retry_ms = task.progress.not_before_ms if task.progress else None
    if retry_ms is not None and retry_ms > now_ms:
        text = f"next attempt at {instants.text(retry_ms)}"
        found.append(Hold(Status.SCHEDULED, Reason("retry", None, text), retry_ms))
    start_ms = task.spec.not_before_ms
    if start_ms is not None and start_ms > now_ms:
        text = f"not before {instants.text(start_ms)}"
        found.append(Hold(Status.SCHEDULED, Reason("not_before", None, text), start_ms))
    return found
