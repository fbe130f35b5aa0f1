"""What callers' wishes about a task come down to: one event of its record."""

import msgspec

from shared.core import event as events
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, CancelRequest, Seat
from shared.core.vector import Vector
from shared.store.transaction import Transaction

MOVED_MAX = 200  # allocations that a seat tells of as moved, of those that are over


def incarnation(tx: Transaction, site: str) -> str:
    """Return the incarnation of the log that this node writes for a site."""
    return events.incarnation_of(tx.node.writes[site])


def own_seat(
    tx: Transaction, site: str, n: int, holders: tuple[str, ...], anew_ms: int | None = None
) -> Seat:
    """Return an agent's own seat: no epoch, as no hub gave it."""
    device = tx.node.device
    allocation = Allocation(None, n, device, incarnation(tx, site))
    return Seat(allocation, tuple(dict.fromkeys((*holders, device))), anew_ms=anew_ms)


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
        register=task_bodies.REGISTER_OF[kind],
        body=body,
        actor=actor,
        seen=seen,
    )


def take_back(
    tx: Transaction,
    task: Task,
    *,
    actor: str,
    reason: str,
    moved: bool = False,
    over: bool = False,
    refused_by: str | None = None,
    anew: bool = False,
) -> None:
    """Let the hub sit again: whatever older allocations still report is evidence from now on.

    Args:
        tx: The hub's transaction.
        task: As it is.
        actor: Who decided it.
        reason: For people.
        moved: Whether its device has not said that nothing runs there.
        over: Whether somebody declares that all the same.
        refused_by: The device, if it gave the task back without being asked to.
        anew: Whether it is to run anew, and has ``schedule_to_start_s`` from now on.
    """
    moved_so_far, over_so_far = after_leaving(task, moved=moved, over=over)
    seat = Seat(
        None,
        task.holders,
        n=task.seat.newest,
        moved=moved_so_far,
        over=over_so_far,
        refused_by=refused_by,
        reason=reason,
        anew_ms=anew_ms(tx, task, anew=anew),
    )
    append(tx, task.id, task.site, "task.allocated", seat, actor)


def after_leaving(
    task: Task, *, moved: bool, over: bool = False
) -> tuple[tuple[Allocation, ...], tuple[int, ...]]:
    """Return ``Seat.moved`` and ``Seat.over`` once the current allocation is no longer."""
    if task.allocation is None:
        return task.seat.moved, task.seat.over
    taken = (*task.seat.moved, task.allocation) if moved else task.seat.moved
    ended = (*task.seat.over, task.allocation.n) if over else task.seat.over
    return _bounded(taken, ended), ended


def _bounded(taken: tuple[Allocation, ...], over: tuple[int, ...]) -> tuple[Allocation, ...]:
    """Forget the oldest that are over: a task that goes round for months must still fit an event.

    Those that are not, are of as many devices at most: none gets it again before it has spoken.
    """
    spare = max(0, len(taken) - MOVED_MAX)
    oldest = [one for one in taken if one.n in over][:spare]
    return tuple([one for one in taken if one not in oldest])


def anew_ms(tx: Transaction, task: Task, *, anew: bool = False) -> int | None:
    """Return ``Seat.anew_ms`` once the current allocation is no longer.

    What had started under it runs anew under the next one, whoever decided that.
    """
    return tx.now_ms if anew or task.attempts_made else task.seat.anew_ms


def withdraw_cancel(tx: Transaction, task: Task, actor: str) -> None:
    """Take back a request to cancel; else the next holder would cancel what this person wants."""
    if task.cancel_asked:
        withdrawal = CancelRequest(withdrawn=True)
        append(tx, task.id, task.site, "task.cancel_requested", withdrawal, actor)
