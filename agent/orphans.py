"""Attempts that the agent's last process was in the middle of when it ended."""

import logging
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from agent import leftovers
from agent.attempt import abandon
from agent.claim import settle, was_given
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Progress, Task
from shared.core.kinds.task_spec import OnOrphan
from shared.replica import Replica
from shared.store.transaction import Reading, Transaction

ACTING_HERE = "SELECT id FROM tasks WHERE device = $1 AND status IN ('running', 'cancelling')"
GROUP = 100

log = logging.getLogger(__name__)


async def settle_orphans(replica: Replica, folder: Path, boot: str) -> list[Task]:
    """End what an earlier process left running, then write what became of its attempts.

    Nothing of this boot may run yet.

    Args:
        replica: The journal.
        folder: Data folder; leftovers carry it.
        boot: This run of the agent; attempts of any other are orphans.

    Returns:
        The tasks that were settled.
    """
    alive = frozenset((await leftovers.end(folder)).values())
    device = replica.node.device
    orphans = await replica.read(lambda reading: _orphans(reading, device, boot))
    orphans = [task for task in orphans if was_given(task, replica.node)]
    for first in range(0, len(orphans), GROUP):
        group = orphans[first : first + GROUP]
        await replica.write(partial(_settle_group, group=group, alive=alive))
    for task in orphans:
        log.warning("task %s ran when the agent ended (%s)", task.id, task.spec.on_orphan.value)
    return orphans


def _orphans(reading: Reading, device: str, boot: str) -> list[Task]:
    found = []
    for (task_id,) in reading.query(ACTING_HERE, device):
        task = tasks.read(reading.record("task", task_id))
        if task is not None and task.attempt is not None and task.attempt.boot != boot:
            found.append(task)
    return found


def _settle_group(tx: Transaction, *, group: list[Task], alive: AbstractSet[str]) -> None:
    for orphan in group:
        assert orphan.attempt is not None
        settle(tx, orphan, orphan.attempt, partial(_conclude, now_ms=tx.now_ms, alive=alive))


def _conclude(task: Task, *, now_ms: int, alive: AbstractSet[str]) -> Progress:
    if task.attempt is not None and task.attempt.id in alive:
        # A second run beside one that cannot be killed is not what `requeue` calls harmless.
        task = _asking(task)
        return abandon(task, now_ms=now_ms, repeatable=False, reason="its process cannot be ended")
    return abandon(task, now_ms=now_ms, repeatable=False, reason="the agent's process ended")


def _asking(task: Task) -> Task:
    return replace(task, spec=replace(task.spec, on_orphan=OnOrphan.ASK))
