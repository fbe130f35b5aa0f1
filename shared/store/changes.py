"""What changed since a position of this node: for listeners that come back."""

import re

import msgspec

from shared.core.kinds.kind import Lane
from shared.store.transaction import Change, Reading

ROWS_PER_CHANGE = 4  # registers scanned for each record that may be reported

READ_POSITION = "SELECT epoch, position FROM node"
REGISTERS = """SELECT rec.kind, rec.subject, g.position
    FROM registers g JOIN records rec ON rec.id = g.record
    WHERE g.lane = $1 AND g.position > $2 ORDER BY g.position LIMIT $3"""
# A register whose only event was refused is gone; the verdict still tells that its record changed.
VERDICTS = """SELECT rec.kind, rec.subject, j.verdict_at
    FROM journal j JOIN records rec ON rec.id = j.record
    WHERE j.verdict_at IS NOT NULL AND j.verdict_at > $1 ORDER BY j.verdict_at LIMIT $2"""
CONFLICTS = """SELECT 'conflict', id, position FROM conflicts
    WHERE position > $1 ORDER BY position LIMIT $2"""
DEVICES = """SELECT 'device', id, position FROM devices
    WHERE position > $1 ORDER BY position LIMIT $2"""

_POSITION = re.compile(r"([0-9a-f]{1,64}):([0-9]{1,18})")


class Position(msgspec.Struct, frozen=True):
    """A place in the order in which this node's records changed; means nothing elsewhere."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.number}"


def parse(text: str) -> Position | None:
    """Return a position as a client gave it back, None if it is none."""
    found = _POSITION.fullmatch(text)
    return Position(found[1], int(found[2])) if found else None


def position(reading: Reading) -> Position:
    """Return the newest position of what is being read."""
    ((epoch, number),) = reading.query(READ_POSITION)
    return Position(epoch, number)


def since(reading: Reading, after: int, limit: int) -> list[Change] | None:
    """Return what changed after a position, each thing once, in order of its last change.

    Args:
        reading: One state of the database.
        after: Position up to which the asker knows everything.
        limit: How many things at most.

    Returns:
        The changes, or None if there are more, or too many to look through.
    """
    rows_max = limit * ROWS_PER_CHANGE
    found: dict[tuple[str, str], int] = {}
    batches = [reading.query(REGISTERS, int(lane), after, rows_max + 1) for lane in Lane]
    batches += [reading.query(text, after, rows_max + 1) for text in (VERDICTS, CONFLICTS, DEVICES)]
    for batch in batches:
        if len(batch) > rows_max:
            return None
        for kind, subject, at in batch:
            found[kind, subject] = max(at, found.get((kind, subject), 0))
    if len(found) > limit:
        return None
    return sorted(Change(at, kind, subject) for (kind, subject), at in found.items())
