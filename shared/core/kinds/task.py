"""Tasks: who may write how it goes, and how it went. ``task_spec.py`` has what is asked for.

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
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

from shared.core import record as records
from shared.core.clock import at_ms
from shared.core.event import Event, device_of
from shared.core.ids import Name
from shared.core.kinds.task_spec import Edge, Priority, Spec
from shared.core.lifecycle import ENDED, Status
from shared.core.record import Record

SPEC = "spec"
SEAT = "seat"
STATUS = "status"
CANCEL = "request.cancel"
PROGRESS = "progress"
PERMIT = "permit"
PRIORITY = "request.priority"
RECALL = "request.recall"
START = "request.start"

B = TypeVar("B")


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

_spec = msgspec.msgpack.Decoder(Spec).decode
_seat = msgspec.msgpack.Decoder(Seat).decode
_progress = msgspec.msgpack.Decoder(Progress).decode
_cancel = msgspec.msgpack.Decoder(CancelRequest).decode
_priority = msgspec.msgpack.Decoder(PriorityRequest).decode
_reported = msgspec.msgpack.Decoder(Reported).decode
_start = msgspec.msgpack.Decoder(StartRequest).decode
_permit = msgspec.msgpack.Decoder(Permit).decode
_recall = msgspec.msgpack.Decoder(RecallRequest).decode


# ------------------------------------------------------------------ what a record says


class Task(msgspec.Struct, frozen=True, gc=False):
    """A task as the rules see it: its record, decoded.

    Attributes:
        id: UUIDv7.
        site: Its site.
        spec: What was asked for.
        submitters: Devices that submitted it (the hub's name, if it came by the hub), the first one
            first: a client may repeat a submission at another node.
        allocation: The newest allocation, None while nobody has it.
        holders: Devices that ever held the seat.
        status: As the journal knows it: ``waiting`` is not yet told apart.
        progress: The newest move under the current allocation, or None.
        priority: As asked for, or as changed since.
        why_cancel: Who asks to cancel it and why, for people; None: nobody does.
        recall: The request to give the current allocation back, or None.
        start_asked: The claim that its device would start, and waits for leave to; None: none.
        permit: The hub's newest leave to start a claim, or None.
        reported: What the newest run said of itself, or None.
        seat: Who has it, and how it came to that.
        denied: Devices that gave themselves the seat, and were refused it by the hub.
        created_ms: When it was submitted, Unix ms.
        updated_ms: When it last changed, Unix ms.
    """

    id: str
    site: str
    spec: Spec
    submitters: tuple[str, ...]
    allocation: Allocation | None
    holders: tuple[str, ...]
    status: Status
    progress: Progress | None
    priority: Priority
    why_cancel: str | None
    created_ms: int
    updated_ms: int
    recall: RecallRequest | None = None
    start_asked: Claim | None = None
    permit: Permit | None = None
    reported: Reported | None = None
    seat: Seat = NOBODY
    denied: tuple[str, ...] = ()

    @property
    def cancel_asked(self) -> bool:
        """Whether somebody asks to cancel it."""
        return self.why_cancel is not None

    @property
    def shown_device(self) -> str | None:
        """The device that has it, had it when it ended, or else is the one that may."""
        if self.allocation is not None:
            return self.allocation.device
        if self.status in ENDED and self.holders:
            return self.holders[-1]
        return self.spec.device

    @property
    def origin_device(self) -> str:
        """The device that submitted it first."""
        return self.submitters[0]

    @property
    def attempt(self) -> Attempt | None:
        """The newest attempt under the current allocation."""
        return self.progress.attempt if self.progress else None

    @property
    def attempts_made(self) -> int:
        """Number of the newest attempt under the current allocation; 0 before the first."""
        return self.attempt.number if self.attempt else 0

    @property
    def next_claim(self) -> Claim | None:
        """The claim of the next attempt under the current allocation; None while nobody has it."""
        given = self.allocation
        return Claim(given.epoch, given.n, self.attempts_made + 1) if given else None

    @property
    def is_returned(self) -> bool:
        """Whether its device has given it back, and the hub has not yet taken it."""
        return self.allocation is not None and self.progress is not None and self.progress.returned

    @property
    def is_permitted(self) -> bool:
        """Whether the next claim has the hub's leave to start."""
        return self.permit is not None and self.permit.claim == self.next_claim

    @property
    def was_permitted(self) -> bool:
        """Whether the next claim may have begun by the hub's leave, as far as the hub knows.

        A person who frees a lock takes the leave back (attempt 0), but not from a device that
        nobody hears.
        """
        given, permit = self.allocation, self.permit
        if given is None or permit is None:
            return False
        return self.is_permitted or permit.claim == Claim(given.epoch, given.n, 0)


def read(record: Record) -> Task | None:
    """Return what a task's record says; None while its submission is not known here."""
    task: Task | None = record.decoded
    if task is None:
        task = _decode(record)
        if task is not None:
            records.remember(record, task)
    return task


def submitted(record: Record, spec: Spec, seat: Seat = NOBODY) -> Task:
    """Return a task of which nothing is known yet but this, without decoding it.

    Args:
        record: With its submission, and with the seat if its device took it at once.
        spec: As it was submitted.
        seat: As it was taken.
    """
    (first,) = record.register(SPEC).siblings
    task = Task(
        id=record.subject,
        site=record.site,
        spec=spec,
        submitters=(device_of(first.header.origin),),
        allocation=seat.allocation,
        holders=seat.holders,
        status=Status.WAITING,
        progress=None,
        priority=spec.priority,
        why_cancel=None,
        created_ms=at_ms(first.header.at),
        updated_ms=at_ms(records.newest(record)),
        seat=seat,
    )
    records.remember(record, task)
    return task


def moved(task: Task, progress: Progress, after: Record) -> Task:
    """Return a task after a move by its device: what ``read`` would, without decoding it again.

    Args:
        task: As it was.
        progress: The move, under the task's own allocation, made with all seen that was there.
        after: Its record since.
    """
    now = msgspec.structs.replace(
        task, status=progress.status, progress=progress, updated_ms=at_ms(records.newest(after))
    )
    records.remember(after, now)
    return now


def _decode(record: Record) -> Task | None:
    submissions = submissions_of(record)
    if not submissions:
        return None
    submitted = submissions[0]
    spec = _spec(submitted.body_bytes)
    seat = seat_of(record)
    progress = _current(record, seat)
    asked = _body(record, PRIORITY, _priority)
    asked_start = _body(record, START, _start)
    return Task(
        id=record.subject,
        site=record.site,
        spec=spec,
        submitters=tuple(dict.fromkeys([device_of(e.header.origin) for e in submissions])),
        allocation=seat.allocation,
        holders=seat.holders,
        status=progress.status if progress else Status.WAITING,
        progress=progress,
        priority=asked.priority if asked else spec.priority,
        why_cancel=_why_cancel(record),
        created_ms=at_ms(submitted.header.at),
        updated_ms=at_ms(records.newest(record)),
        recall=_recall_of(record, seat.allocation),
        start_asked=asked_start.claim if asked_start else None,
        permit=_body(record, PERMIT, _permit),
        reported=_reported_of(record, seat.allocation),
        seat=seat,
        denied=tuple([device_of(origin) for origin in record.register(SEAT).refused]),
    )


def submissions_of(record: Record) -> tuple[Event, ...]:
    """Return the submissions of a task; repeated at another node, what came first counts."""
    submissions = record.register(SPEC).siblings
    if len(submissions) > 1:
        return tuple(sorted(submissions, key=lambda e: (e.header.at, e.dot)))
    return submissions


def last_said(record: Record, origin: str, allocation: Allocation | None) -> int:
    """Return the number of the newest move of a log under an allocation that stands; 0: none."""
    own = [e for e in record.register(STATUS).siblings if e.header.origin == origin]
    under = [e.header.seq for e in own if _progress(e.body_bytes).allocation == allocation]
    return max(under, default=0)


def is_let_go(record: Record, allocation: Allocation) -> bool:
    """Say whether a device's word that it has let go of an allocation stands in a record."""
    said = [_progress(e.body_bytes) for e in record.register(STATUS).siblings]
    return any(one.returned and one.allocation == allocation for one in said)


def seat_of(record: Record) -> Seat:
    """Return who has a task."""
    return _body(record, SEAT, _seat) or NOBODY


def edges_of(record: Record) -> tuple[Edge, ...]:
    """Return what a task comes after, without reading the rest of it."""
    submissions = submissions_of(record)
    return _spec(submissions[0].body_bytes).after if submissions else ()


def _body(record: Record, register: str, decode: Callable[[bytes], B]) -> B | None:
    """Return the newest body of a register; None of an empty one."""
    held = record.registers.get(register)
    last = records.latest(held) if held is not None else None
    return decode(last.body_bytes) if last is not None else None


def cancelled_by(actor: str, reason: str | None) -> str:
    """Return why a task is cancelled, for people."""
    return f"cancelled by {actor}" + (f": {reason}" if reason else "")


def _why_cancel(record: Record) -> str | None:
    """Return who asks to cancel a task and why; None once all who did have taken it back."""
    asked = [(e, _cancel(e.body_bytes)) for e in record.register(CANCEL).siblings]
    standing = [(e, request) for e, request in asked if not request.withdrawn]
    if not standing:
        return None
    event, request = max(standing, key=lambda one: (one[0].header.at, one[0].dot))
    return cancelled_by(event.header.actor, request.reason)


def _recall_of(record: Record, allocation: Allocation | None) -> RecallRequest | None:
    """Return the request that names the current allocation; one of an older one was answered."""
    asked = _body(record, RECALL, _recall)
    if asked is None or allocation is None:
        return None
    return asked if (asked.epoch, asked.n) == (allocation.epoch, allocation.n) else None


def _reported_of(record: Record, allocation: Allocation | None) -> Reported | None:
    """Return what a run under the current allocation said of itself last."""
    said = _body(record, PROGRESS, _reported)
    if said is None or allocation is None:
        return None
    return said if (said.claim.epoch, said.claim.n) == (allocation.epoch, allocation.n) else None


def rank(allocation: Allocation | None) -> tuple[int, int]:
    """Order of allocations within one hub epoch: none, an agent's own, the hub's by number.

    An agent that retries offline numbers on without the hub: that must never outrank the hub's.
    """
    if allocation is None:
        return 0, 0
    return (1 if allocation.epoch is None else 2), allocation.n


def _current(record: Record, seat: Seat) -> Progress | None:
    """Return the newest move that was made under the newest allocation."""
    siblings = record.register(STATUS).siblings
    moves = [(e, _progress(e.body_bytes)) for e in siblings]
    shown = [(e, move) for e, move in moves if _shows(move, seat)]
    if len(shown) > 1:
        return max(shown, key=lambda m: (rank(m[1].allocation), m[0].header.at, m[0].dot))[1]
    return shown[0][1] if shown else None


def _shows(move: Progress, seat: Seat) -> bool:
    """Say whether a move shows: an older allocation's report is evidence, and stays in history.

    So is what another device did that was given the same submission by its client. While the hub
    has the task back, only its own moves count.
    """
    given, moved = seat.allocation, move.allocation
    if given is None and seat.holders:
        return moved is None
    if moved is not None and moved.epoch is None:
        is_its_own = given is not None and (given.epoch, given.device) == (None, moved.device)
        return is_its_own and rank(moved) >= rank(given)
    return rank(moved) >= rank(given)
