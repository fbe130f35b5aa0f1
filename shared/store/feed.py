"""The hub's feed: what concerns a device and has changed since its cursor, one lane at a time.

The feed carries states, not events: each changed register as it is now, in the order of its last
change. So a device that was away for a week gets each register once, a device that has followed
gets each change, and a chunk that arrives twice changes nothing. A cursor at position p means: the
device holds every register of the lane whose last change is not after p.
"""

from collections.abc import Mapping
from typing import NamedTuple

from shared.core import event as events
from shared.core.kinds.kind import Lane
from shared.store import scope, up
from shared.store.database import sql
from shared.store.transaction import Reading
from shared.sync.frame import BATCH_BYTES_MAX, RegisterState, VerdictNote
from shared.sync.pieces import Chunk

SCAN_MAX = 1000  # rows looked at for one chunk

POSITION = sql("SELECT position FROM node")
RECORDS = sql(
    """SELECT r.position, e.kind, e.subject, e.site, r.name, r.shown, e.site = $3
    FROM registers r JOIN records e ON e.id = r.record
    WHERE r.lane = 1 AND r.position > $1 ORDER BY r.position LIMIT $2"""
)
CONTROL = sql(
    """SELECT r.position, e.kind, e.subject, e.site, r.name, r.shown,
        EXISTS (SELECT 1 FROM scope s WHERE s.device = $3 AND s.record = r.record)
        OR EXISTS (SELECT 1 FROM scope s WHERE s.device = $4 AND s.record = r.record)
    FROM registers r JOIN records e ON e.id = r.record
    WHERE r.lane = 0 AND r.position > $1 ORDER BY r.position LIMIT $2"""
)
ENTERED = sql(
    """SELECT s.entered, e.kind, e.subject, e.site, r.name, r.shown, 1
    FROM scope s JOIN records e ON e.id = s.record JOIN registers r ON r.record = s.record
    WHERE s.device = $3 AND s.entered > $1 ORDER BY s.entered LIMIT $2"""
)
REST = sql(
    """SELECT r.position, e.kind, e.subject, e.site, r.name, r.shown, 1
    FROM registers r JOIN records e ON e.id = r.record
    WHERE e.kind = $1 AND e.subject = $2 AND r.position > $3"""
)
VERDICTS = sql(
    """SELECT j.verdict_at, o.name, j.seq, j.verdict, j.reason
    FROM journal j JOIN origins o ON o.id = j.origin
    WHERE j.verdict_at > $1 AND o.name > $2 AND o.name < $3
    ORDER BY j.verdict_at LIMIT $4"""
)
VERDICTS_MAX = 1000


class _Row(NamedTuple):
    position: int
    kind: str
    subject: str
    site: str
    name: str
    state: bytes
    concerns: int

    def state_of(self) -> RegisterState:
        """Return the register as it travels."""
        return RegisterState(self.kind, self.subject, self.site, self.name, self.state)


def read(reading: Reading, *, device: str, site: str, lane: int, cursor: int) -> Chunk:
    """Read the next chunk of a lane; call it inside one snapshot."""
    ((position,),) = reading.query(POSITION)
    rows, scanned_to = _scan(reading, device, site, lane, cursor)
    verdicts, told_to = _verdicts(reading, device, cursor)
    upto = min(position, scanned_to or position, told_to or position)
    registers: dict[tuple[str, str, str], RegisterState] = {}
    size, last = 0, cursor
    for row in rows:
        if row.position > upto:
            break
        if size > BATCH_BYTES_MAX and row.position != last:
            upto = last  # whole positions only: a record that enters comes in one piece
            break
        last = row.position
        if row.concerns:
            size += len(row.state)
            registers[row.kind, row.subject, row.name] = row.state_of()
    told = upto
    if upto < position and told_to is None:
        told = position  # those states are of now: verdicts that made them must come along
        for row in _rest(reading, registers, upto):
            registers[row.kind, row.subject, row.name] = row.state_of()
    heads = up.heads_of(reading, device, site)
    return Chunk(
        upto=upto,
        position=position,
        judged={name: head.seq for name, head in heads.items()},
        registers=list(registers.values()),
        verdicts=[note for at, note in verdicts if at <= told],
    )


def _rest(
    reading: Reading, registers: Mapping[tuple[str, str, str], RegisterState], upto: int
) -> list[_Row]:
    """Return what a cut chunk would leave out of the records that it holds: no record in halves.

    An ETag joins what was seen over a record's registers. Read between two halves, it would claim
    an older event of a register that its reader had not been shown yet.
    """
    whole = dict.fromkeys((kind, subject) for kind, subject, _ in registers)
    return [_Row(*row) for key in whole for row in reading.query(REST, *key, upto)]


def _scan(
    reading: Reading, device: str, site: str, lane: int, cursor: int
) -> tuple[list[_Row], int | None]:
    """Return rows in the order of change and, if there are more, how far they are complete."""
    if lane == Lane.RECORDS:
        rows = [_Row(*row) for row in reading.query(RECORDS, cursor, SCAN_MAX, site)]
        return rows, rows[-1].position if len(rows) == SCAN_MAX else None
    everybody = scope.everybody(site)
    scans = [reading.query(CONTROL, cursor, SCAN_MAX, device, everybody)]
    scans += [reading.query(ENTERED, cursor, SCAN_MAX, name) for name in (device, everybody)]
    lists = [[_Row(*row) for row in scan] for scan in scans]
    # Past the end of the shortest list the others' rows are missing, and its last position may be
    # split: both are left for the next chunk.
    ends = [rows[-1].position - 1 for rows in lists if len(rows) == SCAN_MAX]
    found = [row for rows in lists for row in rows]
    return sorted(found, key=lambda row: row.position), min(ends, default=None)


def _verdicts(
    reading: Reading, device: str, cursor: int
) -> tuple[list[tuple[int, VerdictNote]], int | None]:
    rows = reading.query(VERDICTS, cursor, f"{device}.", f"{device}/", VERDICTS_MAX)
    notes = [
        (at, VerdictNote(origin, *rest))
        for at, origin, *rest in rows
        if events.device_of(origin) == device  # names may hold dots: "a.b" is not "a"
    ]
    return notes, rows[-1][0] if len(rows) == VERDICTS_MAX else None
