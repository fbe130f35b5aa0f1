"""What callers' wishes about a task come down to: one event of its record."""

import msgspec

from shared.core import event as events
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Allocation, Seat
from shared.core.vector import Vector
from shared.store.transaction import Transaction


def incarnation(tx: Transaction, site: str) -> str:
    """Return the incarnation of the log that this node writes for a site."""
    return events.incarnation_of(tx.node.writes[site])


def own_seat(tx: Transaction, site: str, n: int, holders: tuple[str, ...]) -> Seat:
    """Return an agent's own seat: no epoch, as no hub gave it."""
    device = tx.node.device
    allocation = Allocation(None, n, device, incarnation(tx, site))
    return Seat(allocation, tuple(dict.fromkeys((*holders, device))))


def append(
    tx: Transaction,
    task_id: str,
    site: str,
    kind: str,
    body: msgspec.Struct,
    actor: str,
    seen: Vector | None = None,
) -> None:
    """Append an event of a task to the register that its kind changes."""
    tx.append(
        site=site,
        kind=kind,
        subject=task_id,
        register=tasks.REGISTER_OF[kind],
        body=body,
        actor=actor,
        seen=seen,
    )
