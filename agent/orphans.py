"""Attempts that the agent's last process was in the middle of when it ended."""

import logging
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from agent import leftovers
from agent.attempt import abandon
from agent.claim import settle, was_given
from shared.core import event as events
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Progress
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import ACTING
from shared.replica import Replica
from shared.store.node import Node
from shared.store.transaction import Reading, Transaction

OPEN_HERE = "SELECT DISTINCT task FROM attempts WHERE device = $1 AND ended_at IS NULL"
SAID = """SELECT j.header, j.body
    FROM records r JOIN history h ON h.record = r.id
    JOIN journal j ON j.entry = h.entry JOIN origins o ON o.id = j.origin
    WHERE r.kind = 'task' AND r.subject = $1 AND o.name = $2 ORDER BY h.at DESC, h.entry DESC"""
GROUP = 100

_progress = msgspec.msgpack.Decoder(Progress).decode

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
    node = replica.node
    orphans = await replica.read(lambda reading: _orphans(reading, node, boot))
    for first in range(0, len(orphans), GROUP):
        group = orphans[first : first + GROUP]
        await replica.write(partial(_settle_group, group=group, alive=alive))
    for task in orphans:
        log.warning("task %s ran when the agent ended (%s)", task.id, task.spec.on_orphan.value)
    return orphans


def _orphans(reading: Reading, node: Node, boot: str) -> list[Task]:
    """Return tasks with an attempt of another boot that nobody ended, as they were claimed.

    Also those that were taken from this device meanwhile: somebody may wait to hear of their end.
    """
    found = []
    for (task_id,) in reading.query(OPEN_HERE, node.device):
        task = tasks.read(reading.record("task", task_id))
        if task is None:
            continue
        if task.status not in ACTING or not was_given(task, node):
            task = _as_claimed(reading, task, node)
        if task is not None and task.attempt is not None and task.attempt.boot != boot:
            found.append(task)
    return found


def _as_claimed(reading: Reading, task: Task, node: Node) -> Task | None:
    """Return a task as it was when this journal last said that it ran; None: it did not say so."""
    for header, body in reading.query(SAID, task.id, node.writes[task.site]):
        if events.read(header, body).header.kind != "task.status":
            continue
        said = _progress(body)
        if said.status not in ACTING or said.attempt is None:
            return None
        return replace(task, status=said.status, allocation=said.allocation, progress=said)
    return None


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
