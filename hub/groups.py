"""Groups across devices: one task at a time, strictly in order of submission.

A device orders what it has by itself. So the hub gives the next task of a group only to the device
that has the group's unfinished ones, or waits until those have ended.
"""

import msgspec

from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.waiting import Reason, Waiting
from shared.store.transaction import Reading

OPEN = "t.status IN ('waiting', 'running', 'cancelling', 'unknown')"
# A task that nobody has comes before a later one, whoever that would go to.
EARLIER = f"""SELECT t.id FROM tasks t WHERE t.site = $1 AND t.group_key = $2 AND {OPEN}
    AND t.status = 'waiting' AND t.seated = 0 AND (t.created_at, t.id) < ($3, $4)
    ORDER BY t.created_at, t.id LIMIT 1"""  # noqa: S608 - ours
HELD = f"""SELECT t.device, min(t.id), max(t.status = 'unknown') FROM tasks t
    WHERE t.site = $1 AND t.group_key = $2 AND {OPEN} AND t.id <> $3
    AND NOT (t.status = 'waiting' AND t.seated = 0) GROUP BY t.device ORDER BY t.device"""  # noqa: S608 - ours


AT = f"""SELECT t.id FROM tasks t WHERE t.site = $1 AND t.group_key = $2 AND {OPEN}
    AND t.device = $3 AND t.id <> $4 ORDER BY t.created_at, t.id"""  # noqa: S608 - ours


class Turn(msgspec.Struct, frozen=True):
    """It may go to a device.

    Attributes:
        only: To this one, which has the rest of its group; None: to any.
    """

    only: str | None = None


def turn(reading: Reading, task: Task) -> Turn | Waiting:
    """Return whether it is a task's turn to be given to a device, or what it waits for."""
    group = task.spec.group
    if group is None:
        return Turn()
    earlier = reading.query(EARLIER, task.site, group, task.created_ms, task.id)
    if earlier:
        return _waiting(group, earlier[0][0], "comes first")
    held = reading.query(HELD, task.site, group, task.id)
    for _, other, is_unknown in held:
        if is_unknown:
            return _waiting(group, other, "has an unknown outcome: settle it first")
    if len(held) > 1:
        return _waiting(group, held[0][1], "is not over")
    return Turn(held[0][0] if held else None)


def mates(reading: Reading, task: Task, device: str) -> tuple[str, ...]:
    """Return the other unfinished tasks of a task's group that a device has, in their order."""
    if task.spec.group is None:
        return ()
    rows = reading.query(AT, task.site, task.spec.group, device, task.id)
    return tuple(task_id for (task_id,) in rows)


def _waiting(group: str, other: str, words: str) -> Waiting:
    return Waiting(Status.BLOCKED, (Reason("group", other, f"{other} of group {group} {words}"),))
