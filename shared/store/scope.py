"""Which devices a record of the control lane concerns: those it names, for a time all of its site.

A window opens by the clock and not by a change, so somebody has to look: ``windows.turn`` enters
what came near since, at a position of its own, and devices that follow the lane get it like any
change.
"""

import sqlite3
from collections.abc import Mapping

from shared.core.kinds import KINDS
from shared.core.kinds.kind import Kind, Lane
from shared.store import records as rows
from shared.store.database import sql
from shared.store.records import Held

ENTER = sql(
    """INSERT INTO scope (device, record, entered) VALUES ($1, $2, $3)
    ON CONFLICT (device, record) DO NOTHING"""
)
LEAVE = sql("DELETE FROM scope WHERE device = $1 AND record = $2")
NOTE_WINDOW = sql(
    """INSERT INTO scope_windows (record, device, opens, closes, is_open)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (record) DO UPDATE SET device = excluded.device, opens = excluded.opens,
    closes = excluded.closes, is_open = excluded.is_open"""
)

Key = tuple[str, str]
Row = tuple[str, int, int]  # of scope


def everybody(site: str) -> str:
    """Return what stands for every device of a site; no device can be called so."""
    return f"*{site}"


def enter(
    db: sqlite3.Connection,
    held: Mapping[Key, Held],
    changed: Mapping[Key, int],
    *,
    hub: str,
    now_ms: int,
) -> None:
    """Note whom changed records concern, and with them their predecessors.

    Not the hub itself: it needs no telling of what its own people ask for.
    """
    batch: list[Row] = []
    for key, position in changed.items():
        kind = KINDS.get(key[0])
        if kind is None or kind.lane is not Lane.CONTROL:
            continue
        others = _devices(db, held, kind, key, position)
        batch += [row for row in others if row[0] != hub]
        batch += _window(db, held[key], kind, position, now_ms)
    if batch:
        db.executemany(ENTER, batch)


def _devices(
    db: sqlite3.Connection, held: Mapping[Key, Held], kind: Kind, key: Key, position: int
) -> list[Row]:
    record = held[key].record
    devices = kind.devices(record)
    batch = [(device, held[key].id, position) for device in devices]
    for subject in kind.related(record):
        other = held.get((key[0], subject)) or rows.load(db, key[0], subject)
        if other is not None:
            batch += [(device, other.id, position) for device in devices]
    return batch


def _window(
    db: sqlite3.Connection, held: Held, kind: Kind, position: int, now_ms: int
) -> list[Row]:
    """Note when a record concerns everybody.

    Whom it concerned it goes on to concern until the new window closes: they have to hear where
    the record went.
    """
    window = kind.window(held.record)
    if window is None:
        return []
    device = everybody(held.record.site)
    is_open = window.start_ms <= now_ms < window.end_ms
    db.execute(NOTE_WINDOW, (held.id, device, window.start_ms, window.end_ms, int(is_open)))
    return [(device, held.id, position)] if is_open else []
