"""What a node knows of itself and of the logs it holds, read once and kept beside the database."""

import sqlite3

import msgspec

from shared.core import chain
from shared.core.clock import Stamp
from shared.core.vector import Origin
from shared.store.database import sql

OWN_NOW, OWN_ONCE, OTHER = 1, 2, 0


class Log(msgspec.Struct, frozen=True, gc=False):
    """A log as held here: its head, and the chain hash there."""

    id: int
    name: str
    site: str
    head: int = 0
    hash: bytes = chain.GENESIS
    acked: int = 0
    own: int = OTHER


class Node(msgspec.Struct, frozen=True):
    """Identity and counters; a new value after every transaction.

    Attributes:
        role: ``agent`` or ``hub``.
        device: Name of the device, first part of its origins.
        epoch: Of this database; positions mean something within it only.
        hub_epoch: Agent: hub epoch adopted last.
        position: Newest position given.
        stamp: Newest stamp issued or seen.
        next_record: Next free id in ``records``.
        parked: How many events may be judged again once something arrives.
        logs: Logs by origin.
        writes: Origin that this node writes through, by site.
    """

    role: str
    device: str
    epoch: str
    hub_epoch: str | None
    position: int
    stamp: Stamp
    next_record: int
    parked: int
    logs: dict[str, Log]
    writes: dict[str, Origin]

    @property
    def is_hub(self) -> bool:
        """Whether this node judges: its base is the whole record."""
        return self.role == "hub"


READ_NODE = sql("SELECT role, device, epoch, hub_epoch, position, stamp FROM node")
READ_LOGS = sql("SELECT id, name, site, head, hash, acked, own FROM origins ORDER BY id")
READ_NEXT_RECORD = sql("SELECT coalesce(max(id), 0) + 1 FROM records")
READ_PARKED = sql("SELECT count(*) FROM journal WHERE verdict_at IS NOT NULL AND verdict = 3")
INSERT_NODE = sql(
    """INSERT INTO node (id, role, device, epoch, hub_epoch, position, stamp)
    VALUES (1, $1, $2, $3, NULL, 0, 0)"""
)
INSERT_LOG = sql(
    """INSERT INTO origins (name, site, head, hash, acked, own) VALUES ($1, $2, 0, $3, 0, $4)
    RETURNING id"""
)


def load(db: sqlite3.Connection) -> Node | None:
    """Read the node from its database; None of a new one."""
    row = db.execute(READ_NODE).fetchone()
    if row is None:
        return None
    role, device, epoch, hub_epoch, position, stamp = row
    logs = {r[1]: Log(*r) for r in db.execute(READ_LOGS)}
    (next_record,) = db.execute(READ_NEXT_RECORD).fetchone()
    (parked,) = db.execute(READ_PARKED).fetchone()
    return Node(
        role=role,
        device=device,
        epoch=epoch,
        hub_epoch=hub_epoch,
        position=position,
        stamp=Stamp(stamp),
        next_record=next_record,
        parked=parked,
        logs=logs,
        writes={log.site: Origin(log.name) for log in logs.values() if log.own == OWN_NOW},
    )


def mint(db: sqlite3.Connection, role: str, device: str, epoch: str) -> None:
    """Write the one row of a new database."""
    db.execute(INSERT_NODE, (role, device, epoch))


def add_log(db: sqlite3.Connection, name: str, site: str, own: int) -> Log:
    """Start holding a log."""
    (row_id,) = db.execute(INSERT_LOG, (name, site, chain.GENESIS, own)).fetchone()
    return Log(row_id, name, site, own=own)
