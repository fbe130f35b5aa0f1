"""Routes of conflicts: what concurrent writers said, what is shown, and how a person settles it."""

from functools import partial
from typing import Any, Literal

import msgspec

from shared.api import body as bodies
from shared.api import conditional, idempotency
from shared.api.conditional import Precondition, Seen
from shared.api.context import Topic
from shared.api.pages import (
    LIMIT_DEFAULT,
    Cursor,
    Limit,
    Page,
    read_cursor,
    write_cursor,
)
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json, record
from shared.core import instants
from shared.core import record as records
from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.clock import at_ms
from shared.core.event import Dot, Event, device_of
from shared.core.kinds import KINDS
from shared.core.policy import choose
from shared.core.record import Record
from shared.core.register import Register
from shared.core.vector import Vector
from shared.errors import Clash, Invalid
from shared.store import changes
from shared.store.transaction import Reading, Transaction

KIND = "conflict"

COLUMNS = "id, site, kind, subject, register, status, since, resolved_by, resolved_at"
LIST = f"""SELECT {COLUMNS} FROM conflicts
    WHERE status = $1 AND id > $2 ORDER BY id LIMIT $3"""  # noqa: S608 - columns are ours
FIND = f"SELECT {COLUMNS} FROM conflicts WHERE id = $1"  # noqa: S608
RECEIVED = """SELECT j.received_at FROM journal j JOIN origins o ON o.id = j.origin
    WHERE o.name = $1 AND j.seq = $2"""


class ConflictQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of the list."""

    status: Literal["open", "resolved"] = "open"
    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = None


class Resolution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST …/resolve``: the value that a person chose."""

    value: dict[str, Any]
    seen: Seen | None = None


class Sibling(msgspec.Struct, frozen=True):
    """One of the concurrent changes.

    Attributes:
        dot: Name of the event.
        actor: Who.
        device: Where.
        at: By its author's clock.
        received_at: When it arrived here.
        offline_s: How long after ``at`` that was: about how long its author was out of reach.
        value: What it says; None: this version does not understand it.
    """

    dot: Dot
    actor: str
    device: str
    at: str
    received_at: str | None
    offline_s: int | None
    value: Any


class Conflict(msgspec.Struct, frozen=True):
    """A conflict as the API shows it (SHAPES, Conflict)."""

    id: str
    site: str
    kind: str
    subject: str
    register: str
    status: Literal["open", "resolved"]
    since: str
    policy: str | None
    shown: Any
    siblings: list[Sibling]
    resolved_by: str | None
    resolved_at: str | None
    etag: str


class _Row(msgspec.Struct, frozen=True):
    """A row of the table, in the order of COLUMNS."""

    id: str
    site: str
    kind: str
    subject: str
    register: str
    status: Literal["open", "resolved"]
    since: int
    resolved_by: str | None
    resolved_at: int | None


# ------------------------------------------------------------------ reading


async def list_all(call: Call) -> Answer:
    """Return a page of conflicts, by id."""
    asked = bodies.query(call.request, ConflictQuery)
    return await call.context.replica.read(partial(_page, asked=asked))


async def get(call: Call) -> Answer:
    """Return one conflict."""
    return await call.context.replica.read(partial(_single, conflict=call.id))


def render(reading: Reading, conflict: str) -> Conflict | None:
    """Return a conflict as the API shows it, None if there never was one of this id."""
    rows = reading.query(FIND, conflict)
    return _view(reading, _Row(*rows[0])) if rows else None


def _page(reading: Reading, asked: ConflictQuery) -> Answer:
    (after,) = read_cursor(asked.cursor, tuple[str]) if asked.cursor else ("",)
    rows = [_Row(*row) for row in reading.query(LIST, asked.status, after, asked.limit + 1)]
    items = [_view(reading, row) for row in rows[: asked.limit]]
    following = write_cursor(items[-1].id) if len(rows) > asked.limit else None
    position = str(changes.position(reading))
    return json(Page(items, following), headers={"Skerry-Position": position})


def _single(reading: Reading, conflict: str) -> Answer:
    shown = render(reading, conflict)
    if shown is None:
        not_found(KIND, conflict)
    return record(shown, shown.etag)


def _view(reading: Reading, row: _Row) -> Conflict:
    kind = KINDS[row.kind]
    register = reading.record(row.kind, row.subject).register(row.register)
    policy = kind.policy(row.register)
    top = choose(register.siblings, policy, kind.severity) if policy else None
    known = [_sibling(reading, e, kind.value(e)) for e in register.siblings]
    parked = [_sibling(reading, e, None) for e in register.parked]
    return Conflict(
        id=row.id,
        site=row.site,
        kind=row.kind,
        subject=row.subject,
        register=row.register,
        status=row.status,
        since=instants.text(row.since),
        policy=policy.value if policy else None,
        shown=kind.value(top) if top else None,
        siblings=known + parked,
        resolved_by=row.resolved_by,
        resolved_at=instants.text_or_none(row.resolved_at),
        etag=records.etag(_alone(row.id, register)),
    )


def _sibling(reading: Reading, event: Event, value: Any) -> Sibling:
    header = event.header
    written_ms = at_ms(header.at)
    rows = reading.query(RECEIVED, header.origin, header.seq)
    received_ms = rows[0][0] if rows else None  # an agent may know it from a snapshot only
    return Sibling(
        dot=event.dot,
        actor=header.actor,
        device=device_of(header.origin),
        at=instants.text(written_ms),
        received_at=instants.text_or_none(received_ms),
        offline_s=None if received_ms is None else max(0, received_ms - written_ms) // 1000,
        value=value,
    )


def _alone(conflict: str, register: Register) -> Record:
    """Return the register in conflict as a record, whose ETag only its own changes move."""
    return Record(KIND, conflict, "", {"siblings": register})


# ------------------------------------------------------------------ settling


async def resolve(call: Call) -> Answer:
    """Settle a conflict with the value that a person chose."""
    asked = await bodies.read(call.request, Resolution)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_resolve, call=call, asked=asked, known=known))


def _resolve(tx: Transaction, call: Call, asked: Resolution, known: Precondition) -> Answer:
    rows = tx.query(FIND, call.id)
    if not rows:
        not_found(KIND, call.id)
    row = _Row(*rows[0])
    register = tx.record(row.kind, row.subject).register(row.register)
    seen = conditional.check(known, _alone(row.id, register))
    if row.status == "resolved" and _has_seen_all(seen, register):
        raise Clash(f"conflict {row.id} was resolved by {row.resolved_by or 'a later change'}")
    event_kind, body = KINDS[row.kind].resolution(row.register, asked.value)
    _forbid_unknown(asked.value, body)
    tx.append(
        site=row.site,
        kind=event_kind,
        subject=row.subject,
        register=row.register,
        body=body,
        actor=call.actor,
        # A sibling that the person had not been shown stays: it is still a conflict.
        seen=seen,
    )
    return _single(tx, row.id)


def _has_seen_all(seen: Vector | None, register: Register) -> bool:
    return seen is None or vectors.dominates(seen, registers.vector(register))


def _forbid_unknown(value: dict[str, Any], body: msgspec.Struct) -> None:
    for name in value:
        if name not in body.__struct_fields__:
            place = f"$.value.{name[:100]}"
            raise Invalid(f"unknown field {name[:100]}", ((place, "unknown field"),))


# ------------------------------------------------------------------ what is served

TOPIC = Topic(name="conflicts", kind=KIND, render=render)

ROUTES = (
    Route(
        method="GET",
        path="/api/conflicts",
        handler=list_all,
        summary="Conflicts: who, where, when, both values, what the policy shows",
        query=ConflictQuery,
        answer=Page[Conflict],
        headers=("Skerry-Position",),
    ),
    Route(
        method="GET",
        path="/api/conflicts/{id}",
        handler=get,
        summary="One conflict",
        answer=Conflict,
        headers=("ETag",),
    ),
    Route(
        method="POST",
        path="/api/conflicts/{id}/resolve",
        handler=resolve,
        summary="Settle a conflict with the value that a person chose",
        body=Resolution,
        answer=Conflict,
        headers=("ETag",),
        is_conditional=True,
    ),
)
