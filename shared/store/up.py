"""The way up: a device reads its own log to send it, the hub takes a stretch of it."""

from collections.abc import Iterable

from shared.core import chain
from shared.core import event as events
from shared.core.event import Event, Pair
from shared.errors import BadFrame
from shared.store import journal, judge
from shared.store import node as nodes
from shared.store.database import sql
from shared.store.judge import React
from shared.store.node import Log
from shared.store.transaction import Reading, Transaction
from shared.sync.frame import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    FRAME_BYTES_MAX,
    Forked,
    Head,
    Stored,
    Up,
)
from shared.sync.pieces import Stretch

HOLD_APART = sql(
    """INSERT INTO held_apart (origin, seq, header, body, device, received_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (origin, seq, header, body) DO NOTHING"""
)
STRETCH_BYTES_MAX = FRAME_BYTES_MAX // 2  # of one write that is larger than a batch should be
HELD_APART_MAX = 100_000  # rows; a device that forks without end must not fill the hub's disk
APART = sql("SELECT max(seq) FROM held_apart WHERE origin = $1")
COUNT_HELD_APART = sql("SELECT count(*) FROM held_apart")
LOGS_OF_DEVICE = sql(
    """SELECT name, head, hash FROM origins
    WHERE site = $1 AND name > $2 AND name < $3 AND head > 0"""
)


def read(reading: Reading, log: Log, after: int) -> Stretch:
    """Read the next batch of a log after an event; empty at its end."""
    previous = chain.GENESIS if after == 0 else journal.hash_at(reading.db, log.id, after)
    if previous is None:
        raise BadFrame(f"the hub is ahead of {log.name} {after}", 4409)
    pairs: list[Pair] = []
    size = whole = 0
    for _, header, body, _ in journal.read_log(reading.db, log.id, after, BATCH_EVENTS_MAX + 1):
        if not events.read(header, body).header.flags & events.JOINED:
            whole = len(pairs)  # what is there so far ends a write
        size += len(header) + len(body)
        if len(pairs) == BATCH_EVENTS_MAX or (size > BATCH_BYTES_MAX and whole):
            # Cut between writes: half of one, judged alone, may mean something else. A task's
            # submission without the seat that came with it would be allocated by the hub.
            return Stretch(log.name, after + 1, previous, pairs[: whole or BATCH_EVENTS_MAX])
        if size > STRETCH_BYTES_MAX and pairs:
            break
        pairs.append(Pair(header, body))
    return Stretch(log.name, after + 1, previous, pairs)


def heads_of(reading: Reading, device: str, site: str) -> dict[str, Head]:
    """Return the hub's copies of a device's logs."""
    rows = reading.query(LOGS_OF_DEVICE, site, f"{device}.", f"{device}/")  # "/" follows "."
    return {
        name: Head(head, digest) for name, head, digest in rows if events.device_of(name) == device
    }


def hash_at(reading: Reading, origin: str, seq: int) -> bytes | None:
    """Return the chain hash that is held at an event."""
    if seq == 0:
        return chain.GENESIS
    rows = reading.query("SELECT id FROM origins WHERE name = $1", origin)
    return journal.hash_at(reading.db, rows[0][0], seq) if rows else None


def apart(reading: Reading, origins: Iterable[str]) -> dict[str, int]:
    """Return how far other copies of logs than those held are held apart."""
    found = {origin: reading.query(APART, origin)[0][0] for origin in origins}
    return {origin: seq for origin, seq in found.items() if seq is not None}


def take(
    tx: Transaction, up: Up, *, device: str, site: str, react: React = judge.no_reaction
) -> Stored | Forked:
    """Store, judge and fold a stretch of a device's log, and let the hub react to what it says.

    A stretch that is held already is recognised by its hashes; one that continues another content
    under the same names is a fork: kept apart, folded nowhere, reported.

    Raises:
        BadFrame: Not this device's log, a gap, or events that do not belong in it. Nothing stored.
    """
    if events.device_of(up.origin) != device:
        raise BadFrame(f"{device} sends the log {up.origin}", 4403)
    log = tx.open_log(up.origin, site)
    if log.site != site or log.own != nodes.OTHER:
        raise BadFrame(f"{up.origin} is not a log of {device} in {site}", 4403)
    last = up.first + len(up.events) - 1
    fork = _first_difference(tx, log, up)
    if fork is not None:
        _hold_apart(tx, up, fork, device)
        return Forked(up.origin, fork, last)
    applied = []
    for pair in up.events[log.head + 1 - up.first :]:
        event = _event(pair, up.origin, (tx.log(up.origin) or log).head + 1)
        if judge.take(tx, event, site):
            applied.append(event)
    applied += judge.come_free(tx, site)
    if applied:
        react(tx, applied, site)
    held = tx.log(up.origin) or log
    # What was sent, not all that is here: of a forked log the sender's next stretch may differ.
    digest = held.hash if last == held.head else journal.hash_at(tx.db, log.id, last)
    return Stored(up.origin, Head(last, digest or b""))


def _event(pair: Pair, origin: str, seq: int) -> Event:
    """Decode an event that stands at a place in a log.

    Raises:
        BadFrame: It is no event, or one of another place.
    """
    event = events.read(pair.header, pair.body)
    if event.header.origin != origin or event.header.seq != seq:
        raise BadFrame(f"{event.dot} where {origin} {seq} was due")
    return event


def _first_difference(tx: Transaction, log: Log, up: Up) -> int | None:
    """Return the number of the first event here that differs from what is held, or None."""
    if up.first > log.head + 1:
        if up.origin in apart(tx, (up.origin,)):
            return up.first  # the other branch is longer than the one that is held
        raise BadFrame(f"{up.origin} continues at {log.head + 1}, not at {up.first}", 4409)
    if up.first == log.head + 1:
        return None if up.previous == log.hash else up.first
    before = up.first - 1
    held = chain.GENESIS if before == 0 else journal.hash_at(tx.db, log.id, before)
    if held != up.previous:
        return up.first
    digest = up.previous
    for offset, pair in enumerate(up.events[: log.head + 1 - up.first]):
        digest = chain.link(digest, pair.header, pair.body)
        if digest != journal.hash_at(tx.db, log.id, up.first + offset):
            return up.first + offset
    return None


def _hold_apart(tx: Transaction, up: Up, fork: int, device: str) -> None:
    ((count,),) = tx.query(COUNT_HELD_APART)
    for offset, pair in enumerate(up.events[fork - up.first :][: HELD_APART_MAX - count]):
        _event(pair, up.origin, fork + offset)  # garbage is no other branch of a log
        tx.execute(HOLD_APART, up.origin, fork + offset, pair.header, pair.body, device, tx.now_ms)
    tx.announce("device", device)
