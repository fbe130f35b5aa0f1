"""What a webhook is told: which change of a task is an event, its id, its signature. Pure."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from random import Random

import msgspec

from shared.core.clock import Stamp, at_ms
from shared.core.event import Event
from shared.core.kinds import task as tasks
from shared.core.kinds.task_bodies import Progress, Seat
from shared.core.lifecycle import Status
from shared.core.task_view import TaskView

STATUS_KIND = "task.status"
SEAT_KIND = "task.allocated"
BASE_MS = 1000
DELAY_MS_MAX = 3_600_000
DOUBLINGS_MAX = 20  # past the cap long before; keeps the power small

_progress = msgspec.msgpack.Decoder(Progress).decode
_seat = msgspec.msgpack.Decoder(Seat).decode


class Occurrence(msgspec.Struct, frozen=True):
    """A change of a task's status that somebody outside wants to know of.

    Attributes:
        id: The same whoever derives it and however often.
        task: Id of the task.
        type: ``task.succeeded``.
        at_ms: When its author says that it happened.
        position: Where it stands in this hub's order.
    """

    id: str
    task: str
    type: str
    at_ms: int
    position: int


class Body(msgspec.Struct, frozen=True):
    """The JSON of a delivery; ``task`` is what GET gives when it is sent."""

    id: str
    type: str
    at: str
    task: TaskView


def occurrence(event: Event, position: int) -> tuple[Status, Occurrence] | None:
    """Return what a status event of a task says; None of any other event."""
    if event.header.kind != STATUS_KIND:
        return None
    said = _progress(event.body_bytes)
    task_id = event.header.subject
    happened = Occurrence(
        id=event_id(task_id, said),
        task=task_id,
        type=f"task.{said.status.value}",
        at_ms=at_ms(Stamp(event.header.at)),
        position=position,
    )
    return said.status, happened


def is_evidence(event: Event, before: Iterable[Event]) -> bool:
    """Say whether a status event came under an allocation that was no longer the newest.

    It then stands in the task's history and did not change its status.

    Args:
        event: The status event.
        before: Events of its task that had arrived before it.
    """
    seats = [e for e in before if e.header.kind == SEAT_KIND]
    if not seats:
        return False
    newest = max(seats, key=lambda e: (e.header.at, e.header.origin, e.header.seq))
    given = _seat(newest.body_bytes).allocation
    return tasks.rank(_progress(event.body_bytes).allocation) < tasks.rank(given)


def event_id(task_id: str, said: Progress) -> str:
    """Return the id of an event: derived from task, claim and status."""
    given = said.allocation
    claim = (given.epoch or "", str(given.n)) if given else ("", "")
    number = str(said.attempt.number) if said.attempt else ""
    name = "\0".join((task_id, *claim, number, said.status.value))
    return f"e-{sha256(name.encode()).hexdigest()[:32]}"


def signature(secret: str, now_ms: int, body: bytes) -> str:
    """Return the header ``Skerry-Signature`` of a body sent now."""
    seconds = str(now_ms // 1000)
    digest = hmac.new(secret.encode(), seconds.encode() + b"." + body, sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def delay_ms(attempts: int, chance: Random) -> int:
    """Return how long to wait after so many failed tries: exponential, full jitter, capped."""
    longest = min(DELAY_MS_MAX, BASE_MS << min(attempts, DOUBLINGS_MAX))
    return chance.randint(0, longest)
