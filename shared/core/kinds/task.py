"""A task as the rules see it: its record, decoded. ``task_bodies.py`` has what is written."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from shared.core import record as records
from shared.core.clock import at_ms
from shared.core.event import Event, device_of
from shared.core.kinds.task_bodies import (
    CANCEL,
    NOBODY,
    PERMIT,
    PRIORITY,
    PROGRESS,
    RECALL,
    SEAT,
    SPEC,
    START,
    STATUS,
    Allocation,
    Attempt,
    CancelRequest,
    Claim,
    Permit,
    PriorityRequest,
    Progress,
    RecallRequest,
    Reported,
    Seat,
    StartRequest,
)
from shared.core.kinds.task_spec import Edge, Priority, Spec
from shared.core.lifecycle import ENDED, Status
from shared.core.record import Record

B = TypeVar("B")

_spec = msgspec.msgpack.Decoder(Spec).decode
_seat = msgspec.msgpack.Decoder(Seat).decode
_progress = msgspec.msgpack.Decoder(Progress).decode
_cancel = msgspec.msgpack.Decoder(CancelRequest).decode
_priority = msgspec.msgpack.Decoder(PriorityRequest).decode
_reported = msgspec.msgpack.Decoder(Reported).decode
_start = msgspec.msgpack.Decoder(StartRequest).decode
_permit = msgspec.msgpack.Decoder(Permit).decode
_recall = msgspec.msgpack.Decoder(RecallRequest).decode


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
