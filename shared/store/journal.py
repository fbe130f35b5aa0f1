"""The journal: rows of events, and the questions asked of them."""

import enum
import sqlite3
from collections.abc import Iterator

import msgspec

from shared.core import event as events
from shared.core.event import Event
from shared.store.database import sql


class Verdict(enum.IntEnum):
    """What the hub said of an event. Stored and sent: never renumbered."""

    PENDING = 0
    APPLIED = 1
    REFUSED = 2
    PARKED = 3


class Entry(msgspec.Struct, frozen=True):
    """An event as it lies in the journal."""

    entry: int
    event: Event
    received_ms: int
    verdict: Verdict
    reason: str | None


class Tail(msgspec.Struct, frozen=True):
    """An event that the journal holds and the tables do not show yet."""

    entry: int
    record: int
    header: bytes
    body: bytes
    hash: bytes
    received_ms: int


INSERT_TOLD = sql(
    """INSERT INTO journal
    (entry, origin, seq, record, at, header, body, hash, received_at, verdict, reason, verdict_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"""
)
INSERT_SILENT = sql(
    """INSERT INTO journal
    (entry, origin, seq, record, at, header, body, hash, received_at, verdict, reason, verdict_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL)"""
)
INSERT_HEARD = sql(
    """INSERT INTO journal
    (entry, origin, seq, record, at, header, body, hash, received_at, verdict, reason, verdict_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, 1, NULL, NULL)
    ON CONFLICT (origin, seq) DO NOTHING"""
)
NOTE = sql("INSERT INTO history (record, at, entry) VALUES ($1, $2, $3)")
LOG = sql(
    """SELECT seq, header, body, hash FROM journal
    WHERE origin = $1 AND seq > $2 ORDER BY seq LIMIT $3"""
)
TAIL = sql(
    """SELECT entry, record, header, body, hash, received_at FROM journal
    WHERE entry > $1 ORDER BY entry"""
)
HASH_AT = sql("SELECT hash FROM journal WHERE origin = $1 AND seq = $2")
UNJUDGED = sql(
    """SELECT j.header, j.body FROM history h
    JOIN journal j ON j.entry = h.entry JOIN origins o ON o.id = j.origin
    WHERE h.record = $1 AND h.at > $2 AND o.own <> 0 AND j.verdict IN (0, 3) ORDER BY h.at"""
)
OF_RECORD = sql(
    """SELECT j.entry, j.header, j.body, j.received_at, j.verdict, j.reason
    FROM history h JOIN journal j ON j.entry = h.entry
    WHERE h.record = $1 AND (h.at, h.entry) > ($2, $3) AND h.at < $4
    ORDER BY h.at, h.entry LIMIT $5"""
)
BEFORE = sql(
    """SELECT j.entry, j.header, j.body, j.received_at, j.verdict, j.reason
    FROM history h JOIN journal j ON j.entry = h.entry
    WHERE h.record = $1 AND h.at < $2 ORDER BY h.at DESC, h.entry DESC LIMIT $3"""
)


def read_log(
    db: sqlite3.Connection, origin: int, after: int, limit: int
) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Yield ``(seq, header, body, hash)`` of a log, from the event after ``after``."""
    yield from db.execute(LOG, (origin, after, limit))


def read_tail(db: sqlite3.Connection, position: int) -> Iterator[Tail]:
    """Yield the events that came after a position, in the order of arrival."""
    for row in db.execute(TAIL, (position,)):
        yield Tail(*row)


def hash_at(db: sqlite3.Connection, origin: int, seq: int) -> bytes | None:
    """Return the chain hash at an event, None if it is not held."""
    row = db.execute(HASH_AT, (origin, seq)).fetchone()
    return row[0] if row else None


def unjudged(db: sqlite3.Connection, record: int, after_at: int) -> list[Event]:
    """Return an agent's own events of a record, newer than a stamp, but those refused."""
    return [events.read(h, b) for h, b in db.execute(UNJUDGED, (record, after_at))]


def entry(row: tuple[int, bytes, bytes, int, int, str | None]) -> Entry:
    """Decode a row of OF_RECORD or BEFORE."""
    number, header, body, received_ms, verdict, reason = row
    return Entry(number, events.read(header, body), received_ms, Verdict(verdict), reason)
