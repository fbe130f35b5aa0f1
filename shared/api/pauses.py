"""Which queues are paused: what every node knows of every task that waits, whoever has it."""

from functools import cache, partial

import msgspec

from shared.api.context import Explain
from shared.core import waiting as reasons
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.waiting import StatusOf, Waiting
from shared.store.transaction import Reading

PAUSED = "SELECT site, type, reason FROM queues WHERE paused = 1"


def paused(reading: Reading) -> dict[tuple[str, str], str | None]:
    """Return the paused queues by site and type, and why."""
    return {(site, type_): reason for site, type_, reason in reading.query(PAUSED)}


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
        if any(reason.reason == reasons.PAUSED for reason in found.reasons):
            return found
        said = reasons.paused(task.spec.type, known()[queue])
        is_next = found.status is Status.QUEUED  # then nothing that comes first is in its way
        both = (said, *found.reasons) if is_next else (*found.reasons, said)
        return msgspec.structs.replace(found, reasons=both)

    return why
