"""Turning of the time: records that come near enter the scope of their site, past ones leave it."""

from shared.store import scope
from shared.store.database import sql
from shared.store.transaction import Reading, Transaction

TURN_MAX = 500  # records in one transaction
TO_OPEN = sql(
    """SELECT w.record, w.device, e.kind, e.subject
    FROM scope_windows w JOIN records e ON e.id = w.record
    WHERE w.is_open = 0 AND w.opens <= $1 AND w.closes > $1 ORDER BY w.opens LIMIT $2"""
)
OPENED = sql("UPDATE scope_windows SET is_open = 1 WHERE record = $1")
TO_CLOSE = sql("SELECT record, device FROM scope_windows WHERE closes <= $1 LIMIT $2")
CLOSED = sql("DELETE FROM scope_windows WHERE record = $1")


def is_due(reading: Reading, now_ms: int) -> bool:
    """Say whether a window is to be opened or closed."""
    return any(reading.query(text, now_ms, 1) for text in (TO_OPEN, TO_CLOSE))


def turn(tx: Transaction) -> bool:
    """Open and close windows that are due; say whether there may be more.

    Devices hear of a record that entered as of a change. One that left they keep as it was.
    """
    opening = tx.query(TO_OPEN, tx.now_ms, TURN_MAX)
    for row, device, kind, subject in opening:
        tx.execute(scope.ENTER, device, row, tx.announce(kind, subject))
        tx.execute(OPENED, row)
    closing = tx.query(TO_CLOSE, tx.now_ms, TURN_MAX)
    for row, device in closing:
        tx.execute(scope.LEAVE, device, row)
        tx.execute(CLOSED, row)
    return len(opening) == TURN_MAX or len(closing) == TURN_MAX
