"""The way down: an agent takes a chunk of the hub's feed, with the cursor that it reaches.

What is shown = base, folded with the own events that the hub has not judged. Only this file writes
a base. A refusal needs no undo: the refused event is no longer among the unjudged, so what it had
hidden shows again by itself.
"""

import sqlite3

import msgspec

from shared.core import event as events
from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.event import Event
from shared.core.kinds import KINDS, record_kind
from shared.core.vector import Vector
from shared.errors import BadFrame
from shared.store import journal, typed
from shared.store import node as nodes
from shared.store import records as rows
from shared.store.database import sql
from shared.store.journal import Verdict
from shared.store.transaction import Reading, Transaction
from shared.store.typed import Tally
from shared.sync.frame import Down, RegisterState, VerdictNote

LANES = sql("SELECT lane, cursor, judged FROM lanes")
SET_LANE = sql(
    """INSERT INTO lanes (lane, cursor, judged) VALUES ($1, $2, $3)
    ON CONFLICT (lane) DO UPDATE SET cursor = excluded.cursor, judged = excluded.judged"""
)
FORGET_LANES = sql("DELETE FROM lanes")
FORGET_BASES = sql("UPDATE registers SET base_position = NULL WHERE base_position IS NOT NULL")
EXCEPTIONAL = sql("SELECT DISTINCT record FROM journal WHERE verdict_at IS NOT NULL")
AT = sql("SELECT at FROM journal WHERE origin = $1 AND seq = $2")
SET_VERDICT = sql(
    """UPDATE journal SET verdict = $3, reason = $4, verdict_at = $5
    WHERE origin = (SELECT id FROM origins WHERE name = $1) AND seq = $2
    RETURNING header, body"""
)
COUNTING = sql("SELECT header, body FROM journal WHERE record = $1 AND verdict <> 2 ORDER BY entry")
HEARD = sql("SELECT count(*), min(entry), max(entry) FROM journal WHERE hash IS NULL")
FORGET_HEARD = sql(
    "DELETE FROM journal WHERE hash IS NULL AND entry < $1 RETURNING record, at, entry"
)
FORGET_HISTORY = sql("DELETE FROM history WHERE record = $1 AND at = $2 AND entry = $3")
HEARD_MAX = 20_000  # events of others kept for history here; the hub keeps history whole
HEARD_CHECK = 256  # frames between two looks at that bound


class Lane(msgspec.Struct, frozen=True):
    """How far a lane was followed, and what of our logs the hub had judged there."""

    cursor: int = 0
    judged: dict[str, int] = {}


def lanes(reading: Reading) -> dict[int, Lane]:
    """Return where this agent stands in each lane."""
    return {
        lane: Lane(cursor, msgspec.msgpack.decode(judged, type=dict[str, int]))
        for lane, cursor, judged in reading.query(LANES)
    }


def adopt(tx: Transaction, epoch: str) -> None:
    """Follow this hub epoch: cursors and judgements of another mean nothing in it.

    Bases stay readable until their registers come anew; what was judged before counts as pending,
    so nothing disappears meanwhile.
    """
    if tx.hub_epoch == epoch:
        return
    tx.adopt(epoch)
    tx.execute(FORGET_LANES)
    tx.execute(FORGET_BASES)


def take(tx: Transaction, down: Down) -> int:
    """Store a chunk and the cursor it reaches, in this one transaction; return the cursor.

    Raises:
        BadFrame: It does not continue what is held here. Nothing is stored.
    """
    followed = lanes(tx)
    lane = followed.get(down.lane, Lane())
    if down.since > lane.cursor:
        raise BadFrame(f"lane {down.lane} continues at {lane.cursor}, not at {down.since}", 4409)
    if down.position < lane.cursor:
        return lane.cursor  # an old frame come again: everything in it is older than what is held
    db = tx.db  # all that this group wrote before is in it; what follows gathers until the flush
    # Each lane tells all verdicts. One that was followed beyond this chunk's snapshot told these,
    # and what the hub said since: an older verdict that came over a newer one might be the last to
    # come. (Followed to the middle of a younger snapshot, that lane goes on and tells them anew.)
    is_told = any(other.cursor > down.position for other in followed.values())
    notes = () if is_told else down.verdicts
    refused = [event for note in notes if (event := _note_verdict(tx, note))]
    pending = _Pending(tx, db, down.judged)
    for event in refused:
        _show_again(tx, db, event)
    for state in down.registers:
        _take_register(tx, db, state, down.position, pending)
    cursor = max(lane.cursor, down.upto)
    # A frontier holds for a whole lane only once all that changed up to it is here.
    judged = down.judged if down.upto == down.position else lane.judged
    tx.execute(SET_LANE, down.lane, cursor, msgspec.msgpack.encode(judged))
    if down.registers and down.position % HEARD_CHECK == 0:
        _forget_heard(tx)
    return cursor


class _Pending:
    """Own events that the hub had not judged at a frontier."""

    def __init__(self, tx: Transaction, db: sqlite3.Connection, judged: Vector) -> None:
        self._judged = judged
        self._db = db
        own = [log for log in tx.logs() if log.own != nodes.OTHER]
        behind = [log for log in own if log.head > judged.get(log.name, 0)]
        self.is_empty = not behind
        # While every verdict on our events of a record was plain applied, what showed before is
        # part of base and pending: joining is the same fold, without reading a backlog's events
        # again for every chunk. One refused or parked, even for a while, leaves its ``seen`` in
        # our cover and not in the hub's: then only a fold anew tells.
        self.exceptional = set() if self.is_empty else {row for (row,) in db.execute(EXCEPTIONAL)}
        self._after_at = min(
            (self._at(log.id, judged.get(log.name, 0)) for log in behind), default=0
        )

    def of(self, record: int, register: str) -> list[Event]:
        """Return those of one register, in the order in which they were written."""
        if self.is_empty:
            return []
        return [
            event
            for event in journal.unjudged(self._db, record, self._after_at)
            if event.header.register == register
            and event.header.seq > self._judged.get(event.header.origin, 0)
        ]

    def _at(self, log: int, seq: int) -> int:
        row = self._db.execute(AT, (log, seq)).fetchone()
        return row[0] if row else -1


def _take_register(
    tx: Transaction, db: sqlite3.Connection, state: RegisterState, position: int, pending: _Pending
) -> None:
    key = (state.kind, state.subject)
    held = tx.row(key)
    row = db.execute(rows.BASE_POSITION, (held.id, state.name)).fetchone()
    based_at, has_base = row or (None, False)
    if based_at is not None and based_at > position:
        return  # a newer base is here already
    try:
        base = registers.unpack(state.state)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(f"{state.subject} {state.name}: not a register: {error}") from error
    tx.set_site(key, state.site)
    shown = tx.register(key, state.name)
    is_of_former_epoch = bool(has_base) and based_at is None
    now = base if pending.is_empty else None
    if now is None and not is_of_former_epoch and held.id not in pending.exceptional:
        now = registers.join(shown, base)
    if now is None:
        now = base
        for event in pending.of(held.id, state.name):
            now = registers.fold(now, event)
    if now != shown or row is None:
        tx.set_register(key, state.name, now, tx.next_position())
    tx.set_base(key, state.name, state.state, position)
    kind = KINDS.get(state.kind)
    for event in base.siblings + base.parked:
        tx.observe(event.header.at)
        _hear(tx, db, held.id, event)
        if kind is not None and event in base.siblings:
            tx.applied(event)


def _hear(tx: Transaction, db: sqlite3.Connection, record: int, event: Event) -> None:
    """Keep another's event for history; it is part of no log here."""
    header = event.header
    log = tx.open_log(header.origin, header.site)
    if log.own != nodes.OTHER:
        return
    entry = tx.next_position()
    heard = db.execute(
        journal.INSERT_HEARD,
        (
            entry,
            log.id,
            header.seq,
            record,
            header.at,
            event.header_bytes,
            event.body_bytes,
            tx.now_ms,
        ),
    )
    if heard.rowcount:  # else it is here already
        db.execute(journal.NOTE, (record, header.at, entry))


def _note_verdict(tx: Transaction, note: VerdictNote) -> Event | None:
    """Mark an own event as judged otherwise than applied; return it if it was refused."""
    told = (note.origin, note.seq, note.verdict, note.reason, tx.next_position())
    marked = tx.query(SET_VERDICT, *told)
    if not marked or note.verdict != Verdict.REFUSED:
        return None
    event = events.read(*marked[0])
    _remove_sides(tx, event)
    return event


def _remove_sides(tx: Transaction, event: Event) -> None:
    """Remove the rows that a refused event made, but for what other events say in them.

    An attempt whose end is refused has begun all the same.
    """
    kind = KINDS.get(record_kind(event.header.kind))
    made = kind.side_rows(event, None) if kind else ()
    if kind is None or not made:
        return
    for side in made:
        typed.remove(tx.db, side.table, side.row[: side.table.key])
    gone = {(side.table, side.row[: side.table.key]) for side in made}
    tally = Tally()
    for header, body in tx.query(COUNTING, tx.row((kind.name, event.header.subject)).id):
        for side in kind.side_rows(events.read(header, body), None):
            if (side.table, side.row[: side.table.key]) in gone:
                typed.upsert(tx.db, side.table, [side.row], tally)
    tally.write(tx.db)


def _show_again(tx: Transaction, db: sqlite3.Connection, event: Event) -> None:
    """Show a register that has no base without an own event that was refused.

    Where there is a base, the refusal comes with the next one, in the register's own lane. Not
    before: this chunk's frontier also covers applied events that the old base does not hold, and
    folded onto that they would vanish for a while. A record that does not concern this device
    never gets a base, and would show the refused event for ever.
    """
    key = (record_kind(event.header.kind), event.header.subject)
    name = event.header.register
    held = tx.row(key)
    if name in rows.load_base(db, held.id):
        return
    now = registers.refuse(registers.EMPTY, event)
    for mine in _Pending(tx, db, vectors.EMPTY).of(held.id, name):
        now = registers.fold(now, mine)
    tx.set_register(key, name, now, tx.next_position())


def _forget_heard(tx: Transaction) -> None:
    ((count, _, newest),) = tx.query(HEARD)
    if count > HEARD_MAX:
        for forgotten in tx.query(FORGET_HEARD, newest - HEARD_MAX):
            tx.execute(FORGET_HISTORY, *forgotten)
