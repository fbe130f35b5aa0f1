"""Who is before a task in its group, at the device that has both: the records tell it at any node.

The device orders its group by the same rule; a hub need not be told, and tells it also while the
device is away, and of however many tasks.
"""

import msgspec

from shared.api.context import Explain
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.waiting import Reason, StatusOf, Waiting
from shared.store.transaction import Reading

GROUP = "group"
BEFORE = """SELECT id FROM tasks WHERE site = $1 AND group_key = $2
    AND status IN ('waiting', 'running', 'cancelling', 'unknown')
    AND (created_at, id) < ($3, $4) AND device = $5 AND seated = 1
    ORDER BY created_at DESC, id DESC LIMIT 1"""


def with_groups(reading: Reading, explain: Explain) -> Explain:
    """Have an explanation say as well who is before a task in its group."""

    def why(task: Task, status_of: StatusOf, now_ms: int, /) -> Waiting | None:
        found = explain(task, status_of, now_ms)
        held, group = task.allocation, task.spec.group
        if found is None or group is None or held is None or task.is_returned:
            return found
        if any(reason.reason == GROUP for reason in found.reasons):
            return found
        rows = reading.query(BEFORE, task.site, group, task.created_ms, task.id, held.device)
        return _behind(found, rows[0][0], group) if rows else found

    return why


def _behind(found: Waiting, before: str, group: str) -> Waiting:
    said = Reason(GROUP, before, f"{before} is before it in group {group}")
    # What could start, had anyone room for it, could not: that is no reason beside this one.
    others = () if found.status is Status.QUEUED else found.reasons
    return msgspec.structs.replace(
        found, status=Status.BLOCKED, reasons=(*others, said), wake_ms=None
    )
