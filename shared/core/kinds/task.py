"""Tasks: what is to be done, who may write how it goes, and how it went.

Registers: ``spec`` (the submission), ``seat`` (which device holds it, under which allocation),
``status`` (written by whoever sits) and one for each request that others make of the sitter:
``request.cancel``, ``request.priority``.

One author at a time: the hub, or the submitting agent while it alone knows the task, until the
seat names a device; then that device. What others write into ``status`` is refused; what a device
writes under an allocation that is no longer the newest is kept as evidence and shown in history.
"""

import enum
from typing import Annotated, Any

import msgspec

from shared.core import record as records
from shared.core.clock import Stamp, at_ms
from shared.core.event import device_of
from shared.core.ids import Name, Uuid7
from shared.core.lifecycle import Status
from shared.core.record import Record

SPEC = "spec"
SEAT = "seat"
STATUS = "status"
CANCEL = "request.cancel"
PRIORITY = "request.priority"

SECONDS_MAX = 366 * 24 * 3600
AFTER_MAX = 100
ATTEMPTS_MAX = 100


class Priority(enum.IntEnum):
    """Urgency; the lower number goes first. Stored and sent: never renumbered."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def word(self) -> str:
        """Name in the API."""
        return self.name.lower()


PRIORITY_WORDS = {p.word: p for p in Priority}


class On(enum.StrEnum):
    """When an edge opens: the predecessor succeeded, or ended in any way."""

    SUCCESS = "success"
    END = "end"


class OnFailure(enum.StrEnum):
    """What becomes of a task whose ``success`` edge can no longer open."""

    CANCEL = "cancel"
    BLOCK = "block"


class OnOrphan(enum.StrEnum):
    """What a restarted agent does with a run that it was in the middle of."""

    REQUEUE = "requeue"  # declares a second run harmless
    ASK = "ask"  # the outcome is unknown: a person decides


class Outcome(enum.StrEnum):
    """How an attempt ended. Stored and sent: never renamed."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    UNKNOWN = "unknown"


Seconds = Annotated[float, msgspec.Meta(ge=0, le=SECONDS_MAX)]
# What a column and JSON hold: a device's larger number would fail everybody's writes at the flush.
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Edge(msgspec.Struct, frozen=True):
    """An order constraint: not before ``task`` has got that far."""

    task: Uuid7
    on: On = On.SUCCESS
    on_failure: OnFailure = OnFailure.CANCEL


class Retry(msgspec.Struct, frozen=True):
    """Exponential backoff with full jitter, seconds."""

    base_s: Annotated[float, msgspec.Meta(gt=0, le=SECONDS_MAX)] = 1
    max_s: Annotated[float, msgspec.Meta(gt=0, le=SECONDS_MAX)] = 300


class Spec(msgspec.Struct, frozen=True):
    """Body of ``task.submitted``: what is asked for; it never changes."""

    type: Name
    payload: dict[str, Any]
    priority: Priority
    requester: str
    device: Name | None = None
    requires: tuple[Name, ...] = ()
    after: tuple[Edge, ...] = ()
    not_before_ms: int | None = None
    start_to_close_s: Seconds | None = None
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)] = 3
    retry: Retry = Retry()
    on_orphan: OnOrphan = OnOrphan.ASK


class Allocation(msgspec.Struct, frozen=True):
    """Who may run a task: device and incarnation, numbered by the hub in one of its epochs.

    An agent's own, made in the transaction of the submission, has no epoch and n = 0.
    """

    epoch: str | None
    n: Number
    device: Name
    incarnation: str


class Seat(msgspec.Struct, frozen=True):
    """Body of ``task.allocated``: the newest allocation, and every device that ever had one.

    Attributes:
        allocation: None: nobody has it any more, the hub sits.
        holders: Devices that ever held the seat; their reports are evidence, never refused.
        terms: Why this device: the terms of the choice, name and value.
    """

    allocation: Allocation | None
    holders: tuple[str, ...]
    terms: dict[str, float] = {}


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt did not succeed. A permanent one is not retried."""

    type: str
    message: str
    permanent: bool = False


class Attempt(msgspec.Struct, frozen=True):
    """One run of a task. Claim = (allocation, number)."""

    id: str
    number: Number
    boot: str
    started_ms: Number
    ended_ms: Number | None = None
    outcome: Outcome | None = None
    error: Failure | None = None
    output: dict[str, Any] | None = None


class Progress(msgspec.Struct, frozen=True):
    """Body of ``task.status``: a move of the task by its sitter.

    Attributes:
        status: One that the journal knows.
        allocation: The allocation under which it was made; None: by the hub, before any.
        attempt: The attempt that it is about, or None.
        reason: For people: why.
        not_before_ms: Waiting for a retry until then, Unix ms.
    """

    status: Status
    allocation: Allocation | None = None
    attempt: Attempt | None = None
    reason: str | None = None
    not_before_ms: int | None = None


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
}
REGISTER_OF = {
    "task.submitted": SPEC,
    "task.allocated": SEAT,
    "task.status": STATUS,
    "task.cancel_requested": CANCEL,
    "task.priority_requested": PRIORITY,
}

_spec = msgspec.msgpack.Decoder(Spec).decode
_seat = msgspec.msgpack.Decoder(Seat).decode
_progress = msgspec.msgpack.Decoder(Progress).decode
_cancel = msgspec.msgpack.Decoder(CancelRequest).decode
_priority = msgspec.msgpack.Decoder(PriorityRequest).decode


# ------------------------------------------------------------------ what a record says


class Task(msgspec.Struct, frozen=True):
    """A task as the rules see it: its record, decoded.

    Attributes:
        id: UUIDv7.
        site: Its site.
        spec: What was asked for.
        origin_device: Device that submitted it (the hub's name, if it came by the hub).
        allocation: The newest allocation, None while nobody has it.
        holders: Devices that ever held the seat.
        status: As the journal knows it: ``waiting`` is not yet told apart.
        progress: The newest move under the current allocation, or None.
        priority: As asked for, or as changed since.
        cancel_asked: Whether somebody asked to cancel it.
        created_ms: When it was submitted, Unix ms.
        updated_ms: When it last changed, Unix ms.
    """

    id: str
    site: str
    spec: Spec
    origin_device: str
    allocation: Allocation | None
    holders: tuple[str, ...]
    status: Status
    progress: Progress | None
    priority: Priority
    cancel_asked: bool
    created_ms: int
    updated_ms: int

    @property
    def attempt(self) -> Attempt | None:
        """The newest attempt under the current allocation."""
        return self.progress.attempt if self.progress else None

    @property
    def attempts_made(self) -> int:
        """Number of the newest attempt under the current allocation; 0 before the first."""
        return self.attempt.number if self.attempt else 0


def read(record: Record) -> Task | None:
    """Decode a task's record; None while its submission is not known here."""
    submitted = records.latest(record.register(SPEC))
    if submitted is None:
        return None
    spec = _spec(submitted.body_bytes)
    seat_event = records.latest(record.register(SEAT))
    seat = _seat(seat_event.body_bytes) if seat_event else Seat(None, ())
    progress = _current(record, seat.allocation)
    asked = records.latest(record.register(PRIORITY))
    newest = max(
        (e.header.at for r in record.registers.values() for e in r.siblings),
        default=submitted.header.at,
    )
    return Task(
        id=record.subject,
        site=record.site,
        spec=spec,
        origin_device=device_of(submitted.header.origin),
        allocation=seat.allocation,
        holders=seat.holders,
        status=progress.status if progress else Status.WAITING,
        progress=progress,
        priority=_priority(asked.body_bytes).priority if asked else spec.priority,
        cancel_asked=any(
            not _cancel(e.body_bytes).withdrawn for e in record.register(CANCEL).siblings
        ),
        created_ms=at_ms(Stamp(submitted.header.at)),
        updated_ms=at_ms(Stamp(newest)),
    )


def rank(allocation: Allocation | None) -> int:
    """Order of allocations within one hub epoch: -1 before any, then their numbers."""
    return -1 if allocation is None else allocation.n


def _current(record: Record, allocation: Allocation | None) -> Progress | None:
    """Return the newest move that was made under the newest allocation.

    An older allocation's report is evidence: it stays in history and does not show here.
    """
    siblings = record.register(STATUS).siblings
    if not siblings:
        return None
    moves = [(e, _progress(e.body_bytes)) for e in siblings]
    mine = [(e, p) for e, p in moves if rank(p.allocation) >= rank(allocation)]
    if not mine:
        return None
    top = max(mine, key=lambda m: (rank(m[1].allocation), m[0].header.at, m[0].dot))
    return top[1]
