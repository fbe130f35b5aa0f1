"""What webhooks are still to be told: found in the journal, kept in a table until it is told.

Each webhook follows the journal with a cursor of its own; what it finds and the cursor's move are
one transaction. The journal itself is durable, so a kill at any point loses nothing: either the
cursor stands before a change, or the change's event is in the table.
"""

import logging
from collections.abc import Sequence

import msgspec

from hub import webhook_event
from hub.settings import Webhook
from hub.webhook_event import Occurrence
from shared.core import event as events
from shared.core.event import Event
from shared.errors import BadFrame
from shared.store.transaction import Reading, Transaction

PENDING_MAX = 10_000  # of one webhook; as many failed ones are kept
SCAN_MAX = 1000  # positions looked through in one step: 0.1 s if each ends a task
GIVE_UP_MS = 3 * 24 * 3_600_000
FAR_MS = 2 * webhook_event.DELAY_MS_MAX  # nothing waits so long: the clock was put back

KNOWN = "SELECT id FROM webhooks"
FORGET = ("DELETE FROM webhooks WHERE id = $1", "DELETE FROM outbox WHERE webhook = $1")
OPEN = """INSERT INTO webhooks (id, cursor, dropped) SELECT $1, position, 0 FROM node WHERE true
    ON CONFLICT (id) DO NOTHING"""
CURSOR = "SELECT cursor, (SELECT position FROM node) FROM webhooks WHERE id = $1"
MOVE = "UPDATE webhooks SET cursor = $2 WHERE id = $1"

# CROSS JOIN makes SQLite begin with the stretch of the journal; it would look at every task.
_CHANGES = """SELECT {place}, j.header, j.body, t.type, j.record
    FROM journal j CROSS JOIN records r CROSS JOIN tasks t
    WHERE {place} > $1 AND {place} <= $2 AND j.verdict = 1
    AND r.id = j.record AND r.kind = 'task' AND t.id = r.subject"""
# Applied on arrival; or later, when what it waited for had come.
CHANGES = f"""{_CHANGES.format(place="j.entry")} AND j.verdict_at IS NULL
    UNION ALL {_CHANGES.format(place="j.verdict_at")} ORDER BY 1"""
BEFORE = """SELECT j.header, j.body FROM history h JOIN journal j ON j.entry = h.entry
    WHERE h.record = $1 AND j.verdict = 1 AND coalesce(j.verdict_at, j.entry) < $2"""

PUT = """INSERT INTO outbox (webhook, event, task, position, type, at, created_at, attempts,
    next_at, give_up_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $7, $8)
    ON CONFLICT (webhook, event) DO NOTHING"""
COUNT = "SELECT count(*) FROM outbox WHERE webhook = $1 AND (failed_at IS NOT NULL) = $2"
TRIM = """DELETE FROM outbox WHERE webhook = $1 AND event IN (SELECT event FROM outbox
    WHERE webhook = $1 AND (failed_at IS NOT NULL) = $2 ORDER BY position LIMIT $3)"""
DROPPED = "UPDATE webhooks SET dropped = dropped + $2 WHERE id = $1"

# The oldest event of each task only: a task's events are told in order.
DUE = """SELECT event, task, position, type, at, attempts, give_up_at FROM outbox o
    WHERE webhook = $1 AND failed_at IS NULL AND (next_at <= $2 OR next_at > $3)
    AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.webhook = o.webhook AND e.task = o.task
        AND e.position < o.position AND e.failed_at IS NULL)
    ORDER BY next_at, position LIMIT $4"""
NEXT = """SELECT min(next_at) FROM outbox o WHERE webhook = $1 AND failed_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.webhook = o.webhook AND e.task = o.task
        AND e.position < o.position AND e.failed_at IS NULL)"""
REMOVE = "DELETE FROM outbox WHERE webhook = $1 AND event = $2"
SUCCESS = "UPDATE webhooks SET last_success_at = $2 WHERE id = $1"
FAILURE = "UPDATE webhooks SET last_error = $2, last_error_at = $3 WHERE id = $1"
AGAIN = """UPDATE outbox SET attempts = attempts + 1, next_at = $3, failed_at = $4, last_error = $5
    WHERE webhook = $1 AND event = $2"""
REQUEUE = """UPDATE outbox SET failed_at = NULL, attempts = 0, next_at = $2, give_up_at = $3
    WHERE webhook = $1 AND failed_at IS NOT NULL"""

log = logging.getLogger(__name__)


class Found(msgspec.Struct, frozen=True):
    """What a step through the journal found.

    Attributes:
        upto: Position up to which it went.
        is_end: Whether that is the newest.
        occurrences: What is to be told.
    """

    upto: int
    is_end: bool
    occurrences: tuple[Occurrence, ...]


class Letter(msgspec.Struct, frozen=True):
    """A row of the outbox that is due."""

    event: str
    task: str
    position: int
    type: str
    at_ms: int
    attempts: int
    give_up_at: int


def open_all(tx: Transaction, webhooks: Sequence[Webhook]) -> dict[str, int]:
    """Let new webhooks begin with what happens from now on; forget those no longer set.

    Returns:
        How many pending events each forgotten one had.
    """
    ids = [webhook.id for webhook in webhooks]
    gone = [webhook_id for (webhook_id,) in tx.query(KNOWN) if webhook_id not in ids]
    forgotten = {webhook_id: _count(tx, webhook_id, failed=False) for webhook_id in gone}
    for webhook_id in gone:
        for text in FORGET:
            tx.execute(text, webhook_id)
    for webhook_id in ids:
        tx.execute(OPEN, webhook_id)
    return forgotten


def cursor(reading: Reading, webhook_id: str) -> int:
    """Return how far a webhook has looked through the journal."""
    ((position, _),) = reading.query(CURSOR, webhook_id)
    return int(position)


def look(reading: Reading, webhook: Webhook, after: int, scan_max: int = SCAN_MAX) -> Found:
    """Look for what a webhook wants to know, from a position on."""
    ((_, newest),) = reading.query(CURSOR, webhook.id)
    upto = min(newest, after + scan_max)
    found = []
    for place, header, body, type_, record in reading.query(CHANGES, after, upto):
        if webhook.types and type_ not in webhook.types:
            continue
        try:
            one = _occurrence(reading, webhook, events.read(header, body), place, record)
        except (BadFrame, msgspec.MsgspecError):  # one bad event never stops the rest (promise 6)
            log.exception("webhook %s: position %s is not understood", webhook.id, place)
            continue
        if one is not None:
            found.append(one)
    return Found(upto, upto == newest, tuple(found))


def _occurrence(
    reading: Reading, webhook: Webhook, event: Event, place: int, record: int
) -> Occurrence | None:
    said = webhook_event.occurrence(event, place)
    if said is None or said[0].value not in webhook.on:
        return None
    before = (events.read(*row) for row in reading.query(BEFORE, record, place))
    return None if webhook_event.is_evidence(event, before) else said[1]


def put(tx: Transaction, webhook_id: str, found: Found, pending_max: int = PENDING_MAX) -> int:
    """Keep what a step found and move the cursor; returns how many old ones had to go."""
    now = tx.now_ms
    for one in found.occurrences:
        row = (one.id, one.task, one.position, one.type, one.at_ms, now, now + GIVE_UP_MS)
        tx.execute(PUT, webhook_id, *row)
    tx.execute(MOVE, webhook_id, found.upto)
    return _trim(tx, webhook_id, pending_max, failed=False)


def due(reading: Reading, webhook_id: str, now_ms: int, limit: int) -> list[Letter]:
    """Return what is to be sent now: at most one event of each task."""
    rows = reading.query(DUE, webhook_id, now_ms, now_ms + FAR_MS, limit)
    return [Letter(*row) for row in rows]


def next_at(reading: Reading, webhook_id: str) -> int | None:
    """Return when something is due next, Unix ms; None: nothing is pending."""
    ((at,),) = reading.query(NEXT, webhook_id)
    return None if at is None else int(at)


def delivered(tx: Transaction, webhook_id: str, event: str) -> None:
    """Note that the receiver has an event."""
    tx.execute(REMOVE, webhook_id, event)
    tx.execute(SUCCESS, webhook_id, tx.now_ms)


def drop(tx: Transaction, webhook_id: str, event: str, error: str) -> None:
    """Drop an event that the receiver wants no more; counted."""
    tx.execute(REMOVE, webhook_id, event)
    tx.execute(DROPPED, webhook_id, 1)
    tx.execute(FAILURE, webhook_id, error, tx.now_ms)


def put_off(tx: Transaction, webhook_id: str, letter: Letter, error: str, delay_ms: int) -> bool:
    """Note a try that went wrong; returns whether it was the last."""
    now = tx.now_ms
    is_last = now >= letter.give_up_at
    at = max(now, min(now + delay_ms, letter.give_up_at))
    tx.execute(AGAIN, webhook_id, letter.event, at, now if is_last else None, error)
    tx.execute(FAILURE, webhook_id, error, now)
    if is_last:
        _trim(tx, webhook_id, PENDING_MAX, failed=True)
    return is_last


def requeue(tx: Transaction, webhook_id: str) -> None:
    """Let what was given up be tried again, for as long as something new."""
    tx.execute(REQUEUE, webhook_id, tx.now_ms, tx.now_ms + GIVE_UP_MS)
    _trim(tx, webhook_id, PENDING_MAX, failed=False)


def _count(reading: Reading, webhook_id: str, *, failed: bool) -> int:
    ((count,),) = reading.query(COUNT, webhook_id, int(failed))
    return int(count)


def _trim(tx: Transaction, webhook_id: str, most: int, *, failed: bool) -> int:
    excess = _count(tx, webhook_id, failed=failed) - most
    if excess <= 0:
        return 0
    tx.execute(TRIM, webhook_id, int(failed), excess)
    tx.execute(DROPPED, webhook_id, excess)
    return excess
