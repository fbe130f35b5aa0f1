"""Tasks: what is to be done, who may write how it goes, and how it went.

Registers: ``spec`` (the submission), ``seat`` (which device holds it, under which allocation),
``status`` (written by whoever sits) and one for each request that others make of the sitter:
``request.cancel``, ``request.priority``.

One author at a time: the hub, or the submitting agent while it alone knows the task, until the
seat names a device; then that device. What others write into ``status`` is refused; what a device
writes under an allocation that is no longer the newest is kept as evidence and shown in history.
"""

import enum
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from shared.core import record as records
from shared.core.clock import Stamp, at_ms
from shared.core.event import Event, device_of
from shared.core.ids import Name, Uuid7
from shared.core.kinds.kind import Kind, Lane, Row, SideRow, Table
from shared.core.lifecycle import Status
from shared.core.policy import Policy
from shared.core.record import Record
from shared.errors import Invalid

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


def progress_of(event: Event) -> Progress:
    """Decode the body of a ``task.status`` event."""
    return _progress(event.body_bytes)


# ------------------------------------------------------------------ the kind


def _judge(event: Event, body: Any, find: Callable[[], Record], is_hub: bool) -> str | None:
    """Return why the hub refuses an event of a device, or None."""
    header = event.header
    if header.register != REGISTER_OF[header.kind]:
        return f"{header.kind} does not change register {header.register}"
    if is_hub:
        return None
    record = find()
    if isinstance(body, Spec):
        others = [e for e in record.register(SPEC).siblings if e.header.origin != header.origin]
        return "another task has this id" if others else None
    task = read(record)
    if task is None:
        return "no such task: its submission did not arrive or was refused"
    device = device_of(header.origin)
    if isinstance(body, Seat):
        return _judge_seat(task, body, device)
    if isinstance(body, Progress) and device not in task.holders:
        if _takes_back(task, body, device):
            return None
        return f"{device} never had the seat of this task"
    return None


def _takes_back(task: Task, progress: Progress, device: str) -> bool:
    """Say whether a device cancels its own submission, which nobody has."""
    is_cancel = progress.status is Status.CANCELLED and progress.allocation is None
    return is_cancel and task.origin_device == device and task.allocation is None


def _judge_seat(task: Task, seat: Seat, device: str) -> str | None:
    """A device may seat itself on its own submission, never take a seat that the hub gave."""
    own = seat.allocation
    if own is None or own.epoch is not None or own.device != device:
        return "only the hub allocates to others"
    if task.origin_device != device:
        return f"{device} did not submit this task"
    if task.allocation is not None and task.allocation.epoch is not None:
        return "the hub allocated this task"
    return None


def _policy(_register: str) -> Policy | None:
    return None


def _no_severity(_event: Event) -> int:
    return 0


def _value(event: Event) -> Any:
    return msgspec.msgpack.decode(event.body_bytes)


def _resolution(register: str, _value: Any) -> tuple[str, msgspec.Struct]:
    raise Invalid(f"register {register} of a task has no conflicts to resolve")


TASKS = Table(
    "tasks",
    (
        "id",
        "site",
        "type",
        "priority",
        "status",
        "device",
        "requester",
        "submitter",
        "created_at",
        "updated_at",
        "seated",
    ),
)
ATTEMPTS = Table(
    "attempts",
    (
        "task",
        "epoch",
        "n",
        "number",
        "id",
        "device",
        "boot",
        "started_at",
        "ended_at",
        "outcome",
        "error",
        "output",
    ),
    key=4,
    settled="ended_at",
)


EDGES = Table("edges", ("after", "task"), key=2)


def _row(record: Record) -> Row:
    task = read(record)
    if task is None:
        return (record.subject, record.site, "", 0, "", None, "", "", 0, 0, 0)
    return (
        task.id,
        task.site,
        task.spec.type,
        task.priority.value,
        task.status.value,
        task.allocation.device if task.allocation else task.spec.device,
        task.spec.requester,
        task.origin_device,
        task.created_ms,
        task.updated_ms,
        1 if task.allocation else 0,
    )


def _side_rows(event: Event) -> tuple[SideRow, ...]:
    if event.header.kind == "task.submitted":
        after = _spec(event.body_bytes).after
        return tuple(SideRow(EDGES, (edge.task, event.header.subject)) for edge in after)
    if event.header.kind != "task.status":
        return ()
    progress = _progress(event.body_bytes)
    attempt, allocation = progress.attempt, progress.allocation
    if attempt is None or allocation is None:
        return ()
    row = (
        event.header.subject,
        allocation.epoch or "",
        allocation.n,
        attempt.number,
        attempt.id,
        allocation.device,
        attempt.boot,
        attempt.started_ms,
        attempt.ended_ms,
        attempt.outcome.value if attempt.outcome else None,
        msgspec.json.encode(attempt.error).decode() if attempt.error else None,
        msgspec.json.encode(attempt.output).decode() if attempt.output is not None else None,
    )
    return (SideRow(ATTEMPTS, row),)


def _devices(record: Record) -> tuple[str, ...]:
    """Return the devices that hold a task: who submitted it and who ever had its seat."""
    task = read(record)
    if task is None:
        return ()
    return tuple(dict.fromkeys((task.origin_device, *task.holders)))


def _related(record: Record) -> tuple[str, ...]:
    task = read(record)
    return tuple(edge.task for edge in task.spec.after) if task else ()


TASK = Kind(
    name="task",
    lane=Lane.CONTROL,
    bodies=BODIES,
    judge=_judge,
    policy=_policy,
    severity=_no_severity,
    value=_value,
    resolution=_resolution,
    table=TASKS,
    row=_row,
    side_tables=(ATTEMPTS, EDGES),
    side_rows=_side_rows,
    devices=_devices,
    related=_related,
)
