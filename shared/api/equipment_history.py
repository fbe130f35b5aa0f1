"""History of equipment: every report by time, with what became of it."""

import datetime
from functools import partial
from typing import Annotated, Any

import msgspec

from shared.api import body as bodies
from shared.api.pages import LIMIT_DEFAULT, Cursor, Limit, read_cursor, write_cursor
from shared.api.problem import not_found
from shared.api.route import Answer, Call, json
from shared.core import instants
from shared.core.clock import at_ms, from_ms
from shared.core.event import Dot, Event, device_of
from shared.core.kinds import KINDS
from shared.core.kinds.equipment import MACHINE
from shared.store import changes, journal
from shared.store.journal import Entry
from shared.store.transaction import Reading

CHUNK = 1000  # rows looked at in one step
CHUNKS_MAX = 10  # steps of one request; a page may come out short, its cursor goes on
STAMP_MAX = 2**63 - 1  # of a column; year 6429

FIND = "SELECT id FROM records WHERE kind = 'equipment' AND subject = $1"
LOSS = "SELECT to_origin, to_seq FROM losses WHERE origin = $1 AND seq = $2"

Stored = Annotated[int, msgspec.Meta(ge=0, le=STAMP_MAX)]
Instant = Annotated[datetime.datetime, msgspec.Meta(tz=True)]


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """A row's place in a history."""

    at: Stored
    entry: Stored


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of a history: ``[from, to)``, by the authors' clocks."""

    from_: Instant | None = msgspec.field(default=None, name="from")
    to: Instant | None = None
    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = None


class HistoryEntry(msgspec.Struct, frozen=True):
    """One report.

    Attributes:
        dot: Name of the event.
        at: By its author's clock.
        received_at: When it arrived here.
        clock: How far the author trusted its clock.
        state: What was reported; None: this version does not understand it.
        reason: As reported.
        note: As reported.
        actor: Who.
        device: Where.
        source: ``person`` or ``machine``.
        lost_to: The concurrent report that was shown instead.
        refused: Why the hub refused it, if it did.
    """

    dot: Dot
    at: str
    received_at: str
    clock: str
    state: str | None
    reason: str | None
    note: str | None
    actor: str
    device: str
    source: str
    lost_to: Dot | None
    refused: str | None


class HistoryPage(msgspec.Struct, frozen=True):
    """A part of a history, oldest first, and the entry before ``from``."""

    items: list[HistoryEntry]
    next: str | None
    carried: HistoryEntry | None


async def history(call: Call) -> Answer:
    """Return a part of a history."""
    asked = bodies.query(call.request, HistoryQuery)
    return await call.context.replica.read(partial(_history, subject=call.id, asked=asked))


def _history(reading: Reading, subject: str, asked: HistoryQuery) -> Answer:
    rows = reading.query(FIND, subject)
    if not rows:
        not_found("equipment", subject)
    ((row_id,),) = rows
    start = _stamp(asked.from_, 0)
    place = read_cursor(asked.cursor, _Place) if asked.cursor else _Place(start, 0)
    found, following = _scan(reading, row_id, place, _stamp(asked.to, STAMP_MAX), asked.limit)
    carried = _before(reading, row_id, start) if asked.from_ else None
    page = HistoryPage(
        [_view(reading, entry) for entry in found],
        following,
        _view(reading, carried) if carried else None,
    )
    return json(page, headers={"Skerry-Position": str(changes.position(reading))})


def _scan(
    reading: Reading, row_id: int, place: _Place, end: int, limit: int
) -> tuple[list[Entry], str | None]:
    """Return reports from a place on, and the cursor of those that follow."""
    found: list[Entry] = []
    for _ in range(CHUNKS_MAX):
        rows = reading.query(journal.OF_RECORD, row_id, place.at, place.entry, end, CHUNK)
        for entry in map(journal.entry, rows):
            if len(found) == limit:
                return found, write_cursor(place.at, place.entry)
            place = _Place(entry.event.header.at, entry.entry)
            if _is_report(entry.event):
                found.append(entry)
        if len(rows) < CHUNK:
            return found, None
    return found, write_cursor(place.at, place.entry)


def _before(reading: Reading, row_id: int, stamp: int) -> Entry | None:
    """Return the last report before a stamp."""
    rows = reading.query(journal.BEFORE, row_id, stamp, CHUNK)
    return next((e for e in map(journal.entry, rows) if _is_report(e.event)), None)


def _is_report(event: Event) -> bool:
    return event.header.kind == "equipment.state"


def _view(reading: Reading, entry: Entry) -> HistoryEntry:
    header = entry.event.header
    lost = reading.query(LOSS, header.origin, header.seq)
    value = _value(entry.event)
    return HistoryEntry(
        dot=entry.event.dot,
        at=instants.text(at_ms(header.at)),
        received_at=instants.text(entry.received_ms),
        clock=header.clock,
        state=value.get("state"),
        reason=value.get("reason"),
        note=value.get("note"),
        actor=header.actor,
        device=device_of(header.origin),
        source="machine" if header.register == MACHINE else "person",
        lost_to=Dot(*lost[0]) if lost else None,
        refused=entry.reason,
    )


def _value(event: Event) -> dict[str, Any]:
    try:
        value: dict[str, Any] = KINDS["equipment"].value(event)
    except msgspec.DecodeError:  # kept and shown, though a later version wrote it
        return {}
    return value


def _stamp(moment: datetime.datetime | None, default: int) -> int:
    if moment is None:
        return default
    return min(from_ms(max(instants.ms(moment), 0)), STAMP_MAX)
