"""Queues: whether the tasks of one type may start anywhere in a site.

One register, ``paused``: the latest word counts, whoever said it. Runs go on; nothing is lost.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from shared.core import instants
from shared.core import record as records
from shared.core.clock import at_ms
from shared.core.event import Event
from shared.core.ids import Name, is_name
from shared.core.kinds.kind import Kind, Lane, Row, SideRow, Table
from shared.core.policy import Policy
from shared.core.record import Record
from shared.errors import Invalid

PAUSED = "paused"
REASON_MAX = 2000

Text = Annotated[str, msgspec.Meta(max_length=REASON_MAX)]


class Paused(msgspec.Struct, frozen=True):
    """Body of ``queue.paused``; ``paused: false`` lets it go on."""

    paused: bool
    reason: Text | None = None


BODIES: dict[str, type[msgspec.Struct]] = {"queue.paused": Paused}

_paused = msgspec.msgpack.Decoder(Paused).decode


class Queue(msgspec.Struct, frozen=True):
    """A queue as its record says; one that nobody ever paused has no record.

    Attributes:
        type: Type of its tasks.
        site: Its site.
        paused: Whether its tasks may not start.
        reason: For people: why it was paused, or goes on.
        actor: Who said so.
        at: When, RFC 3339.
        etag: Of the record.
    """

    type: Name
    site: Name
    paused: bool
    reason: str | None
    actor: str | None
    at: str | None
    etag: str


def subject(site: str, type_: str) -> str:
    """Return the id of a queue's record."""
    return f"{site}:{type_}"


def view(record: Record) -> Queue:
    """Return what a queue's record says."""
    site, _, type_ = record.subject.partition(":")
    last = records.latest(record.register(PAUSED))
    said = _paused(last.body_bytes) if last else Paused(paused=False)
    return Queue(
        type=type_,
        site=site,
        paused=said.paused,
        reason=said.reason,
        actor=last.header.actor if last else None,
        at=instants.text(at_ms(last.header.at)) if last else None,
        etag=records.etag(record),
    )


# ------------------------------------------------------------------ the kind


def _judge(event: Event, _body: Any, _record: Callable[[], Record], _is_hub: bool) -> str | None:
    header = event.header
    if header.register != PAUSED:
        return f"{header.kind} does not change register {header.register}"
    site, _, type_ = header.subject.partition(":")
    if site != header.site or not is_name(type_):
        return f"{header.subject} is no queue of {header.site}"
    return None


def _policy(_register: str) -> Policy | None:
    return None


def _no_severity(_event: Event) -> int:
    return 0


def _value(event: Event) -> Any:
    return msgspec.to_builtins(_paused(event.body_bytes))


def _resolution(register: str, _value: Any) -> tuple[str, msgspec.Struct]:
    raise Invalid(f"register {register} of a queue has no conflicts to resolve")


QUEUES = Table("queues", ("id", "site", "type", "paused", "reason"))


def _row(record: Record) -> Row:
    shown = view(record)
    return (record.subject, record.site, shown.type, int(shown.paused), shown.reason)


def _no_side_rows(_event: Event, _body: object) -> tuple[SideRow, ...]:
    return ()


def _everybody(_record: Record) -> tuple[str, ...]:
    return ()


QUEUE = Kind(
    name="queue",
    lane=Lane.RECORDS,
    bodies=BODIES,
    judge=_judge,
    policy=_policy,
    severity=_no_severity,
    value=_value,
    resolution=_resolution,
    table=QUEUES,
    row=_row,
    side_rows=_no_side_rows,
    devices=_everybody,
    related=_everybody,
)
