"""Why a task waits: derived when it is read, never journaled.

The same function serves the dispatcher that decides, the API that explains and the hub that shows:
a reason that is given is the reason that holds.
"""

from collections.abc import Callable

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


StatusOf = Callable[[str], Status | None]  # of a task id; None: not known here


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


def why(task: Task, now_ms: int, status_of: StatusOf) -> Waiting | None:
    """Return why a waiting task cannot start yet; None: it may, as far as the task itself goes.

    Whether anyone has room for it is the dispatcher's to say, see ``queued``.

    Args:
        task: A task whose status is waiting.
        now_ms: Wall clock, Unix ms.
        status_of: Statuses of the tasks that it comes after.
    """
    blocked = [b for b in (_blocked(edge, status_of(edge.task)) for edge in task.spec.after) if b]
    if blocked:
        doomed = next((why_not for _, why_not in blocked if why_not), None)
        return Waiting(Status.BLOCKED, tuple(reason for reason, _ in blocked), None, doomed)
    retry_ms = task.progress.not_before_ms if task.progress else None
    if retry_ms is not None and retry_ms > now_ms:
        text = f"next attempt at {instants.text(retry_ms)}"
        return Waiting(Status.SCHEDULED, (Reason("retry", None, text),), retry_ms)
    start_ms = task.spec.not_before_ms
    if start_ms is not None and start_ms > now_ms:
        text = f"not before {instants.text(start_ms)}"
        return Waiting(Status.SCHEDULED, (Reason("not_before", None, text),), start_ms)
    return None


def queued(message: str, ref: str | None = None) -> Waiting:
    """Return the waiting of a task that could start, had anyone room for it."""
    return Waiting(Status.QUEUED, (Reason("busy", ref, message),))


def blocked_on_device(message: str, ref: str | None = None) -> Waiting:
    """Return the waiting of a task that no device can take at present."""
    return Waiting(Status.BLOCKED, (Reason("device", ref, message),))


def _blocked(edge: Edge, status: Status | None) -> tuple[Reason, str | None] | None:
    """Return the reason an edge gives to wait, and why it never opens, if it does not."""
    if status is Status.SUCCEEDED or (edge.on is On.END and status in ENDED):
        return None
    word = status.value if status else "not known here"
    reason = Reason("after", edge.task, f"{edge.task} is {word}")
    if edge.on is On.SUCCESS and status in ENDED and edge.on_failure is OnFailure.CANCEL:
        return reason, f"its predecessor {edge.task} is {word}"
    return reason, None
