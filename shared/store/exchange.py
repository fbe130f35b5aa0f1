"""What the effects of a sync session do in a store: the same for a socket and for the simulator."""

import json

import msgspec

from shared.core.event import device_of
from shared.core.ids import is_name
from shared.core.kinds import KINDS
from shared.core.kinds.kind import Lane
from shared.errors import BadFrame
from shared.store import down, up
from shared.store import node as nodes
from shared.store.database import sql
from shared.store.node import Node
from shared.store.transaction import Reading, Transaction
from shared.sync.frame import PROTOCOL, DeviceStatus, Head, Hello, Welcome
from shared.sync.pieces import Stretch

SITE_OF = sql("SELECT site FROM devices WHERE id = $1")
WRITE_DEVICE = sql(
    """INSERT INTO devices (id, site, incarnation, last_seen_at, backlog, clock, clock_offset_ms,
        disk_free_bytes, version, types, capabilities, position, zone, battery_pct, x_m, y_m,
        charger_m)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT (id) DO UPDATE SET
        incarnation = excluded.incarnation, last_seen_at = excluded.last_seen_at,
        backlog = excluded.backlog, clock = excluded.clock,
        clock_offset_ms = excluded.clock_offset_ms, disk_free_bytes = excluded.disk_free_bytes,
        version = excluded.version, types = excluded.types,
        capabilities = excluded.capabilities, position = excluded.position,
        zone = excluded.zone, battery_pct = excluded.battery_pct, x_m = excluded.x_m,
        y_m = excluded.y_m, charger_m = excluded.charger_m"""
)
SEEN = sql("UPDATE devices SET last_seen_at = $2, position = $3 WHERE id = $1")


# ------------------------------------------------------------------ the device's side


def hello(node: Node, site: str, status: DeviceStatus) -> Hello:
    """Return the frame that opens a session: our own logs, former incarnations first.

    Logs from before this device was renamed stay out: the hub takes none of another name, and one
    refused log must not end every session.
    """
    own = [
        log
        for log in node.logs.values()
        if log.own != nodes.OTHER and log.site == site and device_of(log.name) == node.device
    ]
    own.sort(key=lambda log: (log.own == nodes.OWN_NOW, log.id))
    return Hello(
        protocol=PROTOCOL,
        device=node.device,
        incarnation=node.writes[site].rpartition(".")[2],
        site=site,
        heads={log.name: Head(log.head, log.hash) for log in own},
        status=status,
    )


def adopt(tx: Transaction, epoch: str) -> dict[int, int]:
    """Follow a hub epoch; return the cursors in it, by lane."""
    down.adopt(tx, epoch)
    held = down.lanes(tx)
    return {int(lane): held[lane].cursor if lane in held else 0 for lane in Lane}


def note_stored(tx: Transaction, stored: dict[str, int]) -> None:
    """Remember how far the hub holds our logs."""
    for origin, seq in stored.items():
        log = tx.log(origin)
        if log is not None and log.acked != seq:
            tx.set_log(msgspec.structs.replace(log, acked=seq))


# ------------------------------------------------------------------ the hub's side


def greet(tx: Transaction, hello: Hello) -> Welcome:
    """Receive a device: note that it is here, tell it what the hub holds of its logs.

    Raises:
        BadFrame: Not a name, not a site of this hub, or a device of another site.
    """
    for name in (hello.device, hello.incarnation):
        if not is_name(name):
            raise BadFrame(f"{name[:100]!r} cannot name a device or its incarnation", 4403)
    if hello.site not in tx.node.writes or hello.device == tx.node.device:
        raise BadFrame(f"this hub does not serve {hello.device} in site {hello.site[:100]}", 4403)
    known = tx.query(SITE_OF, hello.device)
    if known and known[0][0] != hello.site:
        raise BadFrame(f"{hello.device} belongs to site {known[0][0]}", 4403)
    note_status(tx, hello.device, hello.site, hello.incarnation, hello.status)
    common = {
        origin: digest
        for origin, head in hello.heads.items()
        if (digest := up.hash_at(tx, origin, head.seq)) is not None
    }
    return Welcome(
        protocol=min(PROTOCOL, hello.protocol),
        hub=tx.node.device,
        epoch=tx.node.epoch,
        heads=up.heads_of(tx, hello.device, hello.site),
        common=common,
        kinds=tuple(KINDS),
        apart=up.apart(tx, hello.heads),
    )


def note_status(
    tx: Transaction, device: str, site: str, incarnation: str, status: DeviceStatus
) -> None:
    """Keep what a device says of itself."""
    tx.execute(
        WRITE_DEVICE,
        device,
        site,
        incarnation,
        tx.now_ms,
        status.backlog,
        status.clock,
        status.now_ms - tx.now_ms if status.now_ms else None,
        status.disk_free_bytes,
        status.version,
        json.dumps(status.types),
        json.dumps(status.capabilities),
        tx.announce("device", device),
        status.zone,
        status.battery_pct,
        status.x_m,
        status.y_m,
        status.charger_m,
    )


def note_seen(tx: Transaction, device: str) -> None:
    """Note that a device was here until now."""
    tx.execute(SEEN, device, tx.now_ms, tx.announce("device", device))


def read_log(reading: Reading, node: Node, origin: str, after: int) -> Stretch:
    """Read the next stretch of one of our own logs."""
    return up.read(reading, node.logs[origin], after)
