"""What is written of a task: its registers, and the bodies of its events.

``task_spec.py`` has what is asked for, ``task.py`` what a record of these says.

Registers: ``spec`` (the submission), ``seat`` (which device holds it, under which allocation),
``status`` (written by whoever sits), ``progress`` (what a run says of itself on its way) and
``permit`` (the hub's leave to start one claim). Then one for each request that others make of the
sitter: ``request.cancel``, ``request.priority``, ``request.recall``; and ``request.start``, with
which the device asks for a permit.

One author at a time: the hub, or the submitting agent while it alone knows the task, until the
seat names a device; then that device. What others write into ``status`` is refused; what a device
writes under an allocation that is no longer the newest is kept as evidence and shown in history.

The bodies that are written most leave out what has its default: nearly half of a task's bytes. So
these defaults are part of the format, and never change.
"""

import enum
from typing import Annotated, Any

import msgspec

from shared.core.ids import Name
from shared.core.kinds.task_spec import Priority, Spec
from shared.core.lifecycle import Status

SPEC = "spec"
SEAT = "seat"
STATUS = "status"
CANCEL = "request.cancel"
PROGRESS = "progress"
PERMIT = "permit"
PRIORITY = "request.priority"
RECALL = "request.recall"
START = "request.start"


class Outcome(enum.StrEnum):
    """How an attempt ended. Stored and sent: never renamed."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    UNKNOWN = "unknown"


# What a column and JSON hold: a device's larger number would fail everybody's writes at the flush.
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Allocation(msgspec.Struct, frozen=True, gc=False):
    """Who may run a task: device and incarnation, numbered by the hub in one of its epochs.

    An agent's own, made in the transaction of the submission, has no epoch and n = 0.
    """

    epoch: str | None
    n: Number
    device: Name
    incarnation: str

    @property
    def origin(self) -> str:
        """The log of the device that it is given to."""
        return f"{self.device}.{self.incarnation}"


class Seat(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Body of ``task.allocated``: the newest allocation, and every device that ever had one.

    Attributes:
        allocation: None: nobody has it any more, the hub sits.
        holders: Devices that ever held the seat; their reports are evidence, never refused.
        terms: Why this device: the terms of the choice, name and value.
        n: Number of the newest allocation so far: it goes on rising while nobody has the task.
        moved: Allocations taken from their devices without these having said that nothing runs.
        over: Numbers of those of ``moved`` that are over: by what their device has said since, by
            what the hub knows, or because a person says so.
        refused_by: The device that gave the task back of its own accord, and not asked to.
        reason: For people: why it changed hands.
        closed: For people: why a former allocation is over, if this event says no more than that.
        anew_ms: When somebody last decided to run it anew, Unix ms: ``schedule_to_start_s`` counts
            from then. None: from its submission.
    """

    allocation: Allocation | None
    holders: tuple[str, ...]
    terms: dict[str, float] = {}
    n: Number = 0
    moved: tuple[Allocation, ...] = ()
    over: tuple[Number, ...] = ()
    refused_by: str | None = None
    reason: str | None = None
    closed: str | None = None
    anew_ms: Number | None = None

    @property
    def newest(self) -> int:
        """Number of the newest allocation so far; 0: none, or one that an agent gave itself."""
        return max(self.n, self.allocation.n if self.allocation else 0)

    @property
    def doubtful(self) -> tuple[Allocation, ...]:
        """Those of ``moved`` that nobody has called over; known runs may say more (``doubt``)."""
        return tuple([one for one in self.moved if one.n not in self.over])


NOBODY = Seat(None, ())


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why an attempt did not succeed. A permanent one is not retried."""

    type: str
    message: str
    permanent: bool = False


class Attempt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One run of a task. Claim = (allocation, number)."""

    id: str
    number: Number
    boot: str
    started_ms: Number
    ended_ms: Number | None = None
    outcome: Outcome | None = None
    error: Failure | None = None
    output: dict[str, Any] | None = None


class Progress(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Body of ``task.status``: a move of the task by its sitter.

    Attributes:
        status: One that the journal knows.
        allocation: The allocation under which it was made; None: by the hub, before any.
        attempt: The attempt that it is about, or None.
        reason: For people: why.
        not_before_ms: Waiting for a retry until then, Unix ms.
        returned: The device gives the task back: it will not start it under this allocation.
    """

    status: Status
    allocation: Allocation | None = None
    attempt: Attempt | None = None
    reason: str | None = None
    not_before_ms: int | None = None
    returned: bool = False


class Claim(msgspec.Struct, frozen=True, gc=False):
    """One attempt under one allocation: what an outcome, a permit or a report is about."""

    epoch: str | None
    n: Number
    attempt: Number


class Reported(msgspec.Struct, frozen=True, gc=False):
    """Body of ``task.progress``: what a run says of itself. Written seldom, see the agent.

    Attributes:
        claim: The run.
        progress: For people, the handler's own keys.
        saved: The last step that lasts, from which ``resume`` goes on; None: none yet.
    """

    claim: Claim
    progress: dict[str, Any] | None = None
    saved: Any = None


class StartRequest(msgspec.Struct, frozen=True):
    """Body of ``task.start_requested``: the device would start this claim now."""

    claim: Claim


class Permit(msgspec.Struct, frozen=True):
    """Body of ``task.permitted``: this claim may start, and has these locks, all of them.

    With ``reason``: a person has taken a lock away since; attempt 0 is no claim, so none may start.
    """

    claim: Claim
    locks: tuple[str, ...] = ()
    reason: str | None = None


class RecallRequest(msgspec.Struct, frozen=True):
    """Body of ``task.recall_requested``: give this allocation back unless it has started."""

    epoch: str | None
    n: Number
    reason: str | None = None


class CancelRequest(msgspec.Struct, frozen=True):
    """Body of ``task.cancel_requested``; a retry withdraws the request that it had seen."""

    reason: str | None = None
    withdrawn: bool = False


class PriorityRequest(msgspec.Struct, frozen=True):
    """Body of ``task.priority_requested``."""

    priority: Priority


BODIES: dict[str, type[msgspec.Struct]] = {
    "task.submitted": Spec,
    "task.allocated": Seat,
    "task.status": Progress,
    "task.cancel_requested": CancelRequest,
    "task.priority_requested": PriorityRequest,
    "task.progress": Reported,
    "task.start_requested": StartRequest,
    "task.permitted": Permit,
    "task.recall_requested": RecallRequest,
}
REGISTER_OF = {
    "task.submitted": SPEC,
    "task.allocated": SEAT,
    "task.status": STATUS,
    "task.cancel_requested": CANCEL,
    "task.priority_requested": PRIORITY,
    "task.progress": PROGRESS,
    "task.start_requested": START,
    "task.permitted": PERMIT,
    "task.recall_requested": RECALL,
}
