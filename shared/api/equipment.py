"""Routes of equipment: what there is, and what people and machines report of it."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec

from shared.api import body as bodies
from shared.api import conditional, idempotency
from shared.api.conditional import Precondition, Seen
from shared.api.context import NodeContext, Topic
from shared.api.equipment_history import HistoryPage, HistoryQuery, history
from shared.api.pages import Page, PageQuery, read_cursor, write_cursor
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json, record
from shared.api.sites import choose
from shared.core.ids import Name
from shared.core.kinds import equipment as kind
from shared.core.kinds.equipment import Equipment, State, Text
from shared.core.vector import Vector
from shared.errors import Clash
from shared.store import changes
from shared.store.transaction import Reading, Transaction

KIND = "equipment"
INT_MAX = 2**63 - 1  # what every replica and every JSON reader in use can hold

LIST = "SELECT id FROM equipment WHERE retired = 0 AND id > $1 ORDER BY id LIMIT $2"

Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Integer = Annotated[int, msgspec.Meta(ge=-INT_MAX, le=INT_MAX)]
Value = Text | bool | Integer | float
DisplayName = Annotated[str, msgspec.Meta(max_length=kind.NAME_MAX)]
Attributes = Annotated[dict[Key, Value], msgspec.Meta(max_length=100)]
AttributeChanges = Annotated[dict[Key, Value | None], msgspec.Meta(max_length=100)]


class NewEquipment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/equipment``."""

    id: Name
    site: Name | None = None
    name: DisplayName | None = None
    attributes: Attributes = {}


class EquipmentChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PATCH``: what is left out stays, ``null`` removes."""

    name: DisplayName | msgspec.UnsetType | None = msgspec.UNSET
    attributes: AttributeChanges = {}
    seen: Seen | None = None


class StateReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PUT …/state``: what a person saw."""

    state: State
    reason: Text | None = None
    note: Text | None = None
    seen: Seen | None = None


class RemoveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of ``DELETE``, which has no body to carry ``seen``."""

    seen: Seen | None = None


# ------------------------------------------------------------------ reading


async def list_all(call: Call) -> Answer:
    """Return a page of the equipment in use, by id."""
    asked = bodies.query(call.request, PageQuery)
    return await call.context.replica.read(partial(_page, context=call.context, asked=asked))


async def get(call: Call) -> Answer:
    """Return one piece of equipment."""
    return await call.context.replica.read(partial(_single, context=call.context, subject=call.id))


def render(reading: Reading, context: NodeContext, subject: str) -> Equipment | None:
    """Return a piece of equipment as the API shows it; None if it is not in use."""
    found = reading.record(KIND, subject)
    return kind.view(found, stale=context.is_stale(found)) if kind.exists(found) else None


def _page(reading: Reading, context: NodeContext, asked: PageQuery) -> Answer:
    (after,) = read_cursor(asked.cursor, tuple[str]) if asked.cursor else ("",)
    ids = [row[0] for row in reading.query(LIST, after, asked.limit + 1)]
    shown = [render(reading, context, subject) for subject in ids[: asked.limit]]
    following = write_cursor(ids[asked.limit - 1]) if len(ids) > asked.limit else None
    page = Page([item for item in shown if item], following)
    return json(page, headers={"Skerry-Position": str(changes.position(reading))})


def _single(
    reading: Reading, context: NodeContext, subject: str, status: int = 200, location: bool = False
) -> Answer:
    shown = render(reading, context, subject)
    if shown is None:
        not_found(KIND, subject)
    headers = {"Location": f"/api/equipment/{subject}"} if location else {}
    return record(shown, shown.etag, status, headers)


# ------------------------------------------------------------------ writing


async def create(call: Call) -> Answer:
    """Take equipment into use."""
    asked = await bodies.read(call.request, NewEquipment)
    site = choose(call.context, asked.site)
    return await idempotency.write(call, partial(_create, call=call, asked=asked, site=site))


async def change(call: Call) -> Answer:
    """Change its name and attributes."""
    asked = await bodies.read(call.request, EquipmentChange)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_change, call=call, asked=asked, known=known))


async def report(call: Call) -> Answer:
    """Report the state that a person saw."""
    asked = await bodies.read(call.request, StateReport)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_report, call=call, asked=asked, known=known))


async def remove(call: Call) -> Answer:
    """Take equipment out of use; its history stays."""
    asked = bodies.query(call.request, RemoveQuery)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_remove, call=call, known=known))


def _create(tx: Transaction, call: Call, asked: NewEquipment, site: str) -> Answer:
    held = tx.record(KIND, asked.id)
    if kind.exists(held):
        raise Clash(f"equipment {asked.id!r} exists; change it with PATCH")
    author = _Author(tx, call.actor, site, asked.id)
    author.write(kind.Created())
    if kind.is_retired(held):  # back in use: its history and last reports stay, the rest is new
        author.write(kind.Retired(retired=False))
    if asked.name != kind.name(held):
        author.write(kind.Named(asked.name))
    for key in dict.fromkeys((*asked.attributes, *kind.attributes(held))):
        author.write_attribute(key, asked.attributes.get(key))
    return _single(tx, call.context, asked.id, status=201, location=True)


def _change(tx: Transaction, call: Call, asked: EquipmentChange, known: Precondition) -> Answer:
    author = _author_of(tx, call, known)
    if asked.name is not msgspec.UNSET:
        author.write(kind.Named(asked.name))
    for key, value in asked.attributes.items():
        author.write_attribute(key, value)
    return _single(tx, call.context, call.id)


def _report(tx: Transaction, call: Call, asked: StateReport, known: Precondition) -> Answer:
    body = kind.Report(asked.state, asked.reason, asked.note)
    _author_of(tx, call, known).write(body)
    return _single(tx, call.context, call.id)


def _remove(tx: Transaction, call: Call, known: Precondition) -> Answer:
    _author_of(tx, call, known).write(kind.Retired(retired=True))
    return Answer(204)


_PLACES: dict[type[msgspec.Struct], tuple[str, str]] = {
    kind.Created: ("equipment.created", "created"),
    kind.Retired: ("equipment.retired", "retired"),
    kind.Named: ("equipment.name", "name"),
    kind.Report: ("equipment.state", kind.PERSON),
}


@dataclass(frozen=True)
class _Author:
    """Somebody who writes one piece of equipment in one transaction."""

    tx: Transaction
    actor: str
    site: str
    subject: str
    seen: Vector | None = None

    def write(self, body: msgspec.Struct) -> None:
        """Write a body into the register it belongs to."""
        event_kind, register = _PLACES[type(body)]
        self._append(event_kind, register, body)

    def write_attribute(self, key: str, value: str | bool | float | None) -> None:
        """Set an attribute; None removes it."""
        body = kind.Attribute(value)
        self._append("equipment.attribute", kind.ATTRIBUTE_PREFIX + key, body)

    def _append(self, event_kind: str, register: str, body: msgspec.Struct) -> None:
        self.tx.append(
            site=self.site,
            kind=event_kind,
            subject=self.subject,
            register=register,
            body=body,
            actor=self.actor,
            seen=self.seen,
        )


def _author_of(tx: Transaction, call: Call, known: Precondition) -> _Author:
    """Return the caller as author of equipment in use, who has seen what the request says."""
    held = tx.record(KIND, call.id)
    if not kind.exists(held):
        not_found(KIND, call.id)
    return _Author(tx, call.actor, held.site, call.id, conditional.check(known, held))


# ------------------------------------------------------------------ what is served


def topic(context: NodeContext) -> Topic:
    """Return the live topic of equipment."""
    return Topic(
        name=KIND,
        kind=KIND,
        render=lambda reading, subject: render(reading, context, subject),
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/equipment",
        handler=list_all,
        summary="Equipment in use, by id",
        query=PageQuery,
        answer=Page[Equipment],
        headers=("Skerry-Position",),
    ),
    Route(
        method="POST",
        path="/api/equipment",
        handler=create,
        summary="Take equipment into use",
        status=201,
        body=NewEquipment,
        answer=Equipment,
        headers=("Location", "ETag"),
    ),
    Route(
        method="GET",
        path="/api/equipment/{id}",
        handler=get,
        summary="One piece of equipment",
        answer=Equipment,
        headers=("ETag",),
    ),
    Route(
        method="PATCH",
        path="/api/equipment/{id}",
        handler=change,
        summary="Change name and attributes; null removes",
        body=EquipmentChange,
        answer=Equipment,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="DELETE",
        path="/api/equipment/{id}",
        handler=remove,
        summary="Take it out of use; its history stays",
        status=204,
        query=RemoveQuery,
        is_conditional=True,
    ),
    Route(
        method="PUT",
        path="/api/equipment/{id}/state",
        handler=report,
        summary="Report the state that a person saw",
        body=StateReport,
        answer=Equipment,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="GET",
        path="/api/equipment/{id}/history",
        handler=history,
        summary="Every report in [from, to), oldest first, the losing ones too",
        query=HistoryQuery,
        answer=HistoryPage,
    ),
)
