"""Which of two tasks goes first: effective priority, deadline, submission.

A task that waits rises by one level with every ``aging`` of waiting, so that a flood of more urgent
work does not starve it; never into critical, which stays for what people call so. Once it is
``high`` it stands before all that came later, except for what has a deadline.
"""

from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Priority

Order = tuple[int, int, int, str]

HIGHEST = Priority.HIGH.value  # that waiting lifts to
NO_DEADLINE_MS = 2**63 - 1


def order(task: Task, now_ms: int, aging_ms: int) -> Order:
    """Return where a task stands in the queue: the smaller goes first.

    Args:
        task: One that waits.
        now_ms: Wall clock, Unix ms.
        aging_ms: Waiting that lifts it by one level; 0: none does.
    """
    deadline_ms = task.spec.deadline_ms
    deadline_ms = NO_DEADLINE_MS if deadline_ms is None else deadline_ms
    level = level_of(task.priority.value, now_ms - since_ms(task), aging_ms)
    return (level, deadline_ms, task.created_ms, task.id)


def level_of(priority: int, waited_ms: int, aging_ms: int) -> int:
    """Return the effective priority."""
    if aging_ms == 0 or priority <= HIGHEST:
        return priority
    return max(HIGHEST, priority - max(0, waited_ms) // aging_ms)


def since_ms(task: Task) -> int:
    """Return since when a task waits: before the time that it asked for it was not to start."""
    return max(task.created_ms, task.spec.not_before_ms or 0)


def lift_ms(task: Task, now_ms: int, aging_ms: int) -> int | None:
    """Return when a task rises next, Unix ms; None: it does not rise any more."""
    waited_ms = max(0, now_ms - since_ms(task))
    if aging_ms == 0 or level_of(task.priority.value, waited_ms, aging_ms) <= HIGHEST:
        return None
    return since_ms(task) + (waited_ms // aging_ms + 1) * aging_ms
