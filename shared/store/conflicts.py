"""Conflicts and losses: rows derived from registers when they are folded, never edited."""

import sqlite3

from shared.core import record as records
from shared.core.clock import at_ms
from shared.core.ids import conflict_id
from shared.core.kinds.kind import Kind
from shared.core.policy import Policy, choose
from shared.core.record import Record
from shared.core.register import Register
from shared.store.database import sql

OPEN = sql(
    """INSERT INTO conflicts (id, site, kind, subject, register, status, since, position)
    VALUES ($1, $2, $3, $4, $5, 'open', $6, $7)
    ON CONFLICT (id) DO UPDATE SET
        since = CASE WHEN conflicts.status = 'open' THEN conflicts.since ELSE excluded.since END,
        status = 'open', position = excluded.position, resolved_by = NULL, resolved_at = NULL"""
)
CLOSE = sql(
    """UPDATE conflicts SET status = 'resolved', resolved_by = $2, resolved_at = $3, position = $4
    WHERE id = $1 AND status = 'open'"""
)
LOSE = sql(
    """INSERT INTO losses (origin, seq, to_origin, to_seq) VALUES ($1, $2, $3, $4)
    ON CONFLICT (origin, seq) DO NOTHING"""
)


def is_open(kind: Kind, register: Register) -> bool:
    """Say whether a register is in conflict: distinct values, or one that is not understood."""
    if register.parked:
        return True
    if len(register.siblings) < 2:
        return False
    first, *rest = [kind.value(e) for e in register.siblings]
    return any(value != first for value in rest)


def derive(
    db: sqlite3.Connection,
    kind: Kind,
    record: Record,
    name: str,
    before: Register,
    position: int,
) -> str | None:
    """Write what a changed register says of conflicts; return the conflict's id if its row changed.

    Args:
        db: The writing transaction.
        kind: Kind of the record.
        record: As it is now.
        name: Register that changed.
        before: That register when the transaction began.
        position: Of the change.
    """
    policy = kind.policy(name)
    if policy is None:
        return None
    now = record.register(name)
    if len(now.siblings) > 1:
        _note_losses(db, kind, now, policy)
    if not is_open(kind, now):
        if not is_open(kind, before):
            return None
        last = records.latest(now)
        was = {(e.header.origin, e.header.seq) for e in before.siblings}
        by_person = last and (last.header.origin, last.header.seq) not in was
        row_id = conflict_id(record.site, record.kind, record.subject, name)
        who = last.header.actor if last and by_person else None
        when = at_ms(last.header.at) if last and by_person else None
        db.execute(CLOSE, (row_id, who, when, position))
        return row_id
    row_id = conflict_id(record.site, record.kind, record.subject, name)
    since = max(at_ms(e.header.at) for e in now.siblings + now.parked)
    db.execute(OPEN, (row_id, record.site, record.kind, record.subject, name, since, position))
    return row_id


def _note_losses(db: sqlite3.Connection, kind: Kind, now: Register, policy: Policy) -> None:
    top = choose(now.siblings, policy, kind.severity)
    if top is None:
        return
    rows = [
        (e.header.origin, e.header.seq, top.header.origin, top.header.seq)
        for e in now.siblings
        if e is not top and kind.value(e) != kind.value(top)
    ]
    db.executemany(LOSE, rows)
