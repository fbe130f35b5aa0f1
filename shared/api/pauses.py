"""Which queues are paused: what every node knows of every task that waits, whoever has it."""

from functools import cache, partial

import msgspec

from shared.api.context import Explain
from shared.core import waiting as reasons
from shared.core.kinds import queue as queues
from shared.core.kinds.queue import Queue
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.waiting import StatusOf, Waiting
from shared.store.transaction import Reading, Transaction

PAUSED = "SELECT site, type, reason FROM queues WHERE paused = 1"


def paused(reading: Reading) -> dict[tuple[str, str], str | None]:
    """Return the paused queues by site and type, and why."""
    return {(site, type_): reason for site, type_, reason in reading.query(PAUSED)}


def paused_by_record(tx: Transaction, site: str, type_: str) -> Queue | None:
    """Return a queue if it is paused, from its record: no question has to be asked of tables.

    Inside a group of writes a question has all of them written first, one by one.
    """
    record = tx.record("queue", queues.subject(site, type_))
    if not record.is_known:
        return None  # nearly all: nobody ever paused it
    queue = queues.view(record)
    return queue if queue.paused else None


def with_pauses(reading: Reading, explain: Explain) -> Explain:
    """Have an explanation say as well that the queue is paused.

    Who has the task says so by itself; others know no more than that it has it, and this.
    """
    known = cache(partial(paused, reading))  # once, and only if any task waits

    def why(task: Task, status_of: StatusOf, now_ms: int, /) -> Waiting | None:
        found = explain(task, status_of, now_ms)
        queue = (task.site, task.spec.type)
        if found is None or queue not in known():
            return found
        return with_pause(task, found, known()[queue])

    return why


def with_pause(task: Task, found: Waiting, because: str | None) -> Waiting:
    """Return why a task waits, and that its queue is paused, if that is not said already."""
    if any(reason.reason == reasons.PAUSED for reason in found.reasons):
        return found
    said = reasons.paused(task.spec.type, because)
    is_next = found.status is Status.QUEUED  # then nothing that comes first is in its way
    both = (said, *found.reasons) if is_next else (*found.reasons, said)
    return msgspec.structs.replace(found, reasons=both)
