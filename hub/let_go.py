"""A device says that it has let go of a task that was taken from it: the doubt about it ends."""

from collections.abc import Sequence

import msgspec

from hub import evidence
from shared.api import task_events
from shared.core.event import Event
from shared.core.kinds import task as tasks
from shared.core.kinds.task_bodies import Allocation, Progress
from shared.store.transaction import Transaction

ACTOR = "hub"

_progress = msgspec.msgpack.Decoder(Progress).decode


def react(tx: Transaction, applied: Sequence[Event], _site: str) -> None:
    """Note in the seat which former allocations their devices have let go of."""
    for event in applied:
        if event.header.kind != "task.status":
            continue
        said = _progress(event.body_bytes)
        if said.returned and said.allocation is not None:
            _end(tx, event.header.subject, said.allocation)


def _end(tx: Transaction, task_id: str, former: Allocation) -> None:
    """Call an allocation over, unless another device acts under the same number.

    Two agents may have given the same task to themselves, both as number 0: then the end of the
    other's run ends the doubt.
    """
    task = tasks.read(tx.record("task", task_id))
    if task is None or former not in task.seat.doubtful or evidence.others_run(tx, task, former):
        return
    over = (*task.seat.over, former.n)
    closed = f"{former.device} acts on it no more"
    seat = msgspec.structs.replace(task.seat, over=over, closed=closed)
    task_events.append(tx, task.id, task.site, "task.allocated", seat, ACTOR)
