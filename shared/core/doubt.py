"""Which older allocations of a task may still act: pure, from the attempts that are known."""

from collections.abc import Mapping

import msgspec

from shared.core.kinds.task import Outcome, Task
from shared.core.kinds.task_spec import Spec


class Last(msgspec.Struct, frozen=True):
    """The newest attempt that is known under an allocation.

    Attributes:
        number: Of the attempt.
        outcome: None: it runs.
        is_permanent: It failed for good.
    """

    number: int
    outcome: str | None
    is_permanent: bool = False


def is_in_doubt(task: Task) -> bool:
    """Say whether any allocation may be in doubt, so that its attempts need a look."""
    return not set(task.seat.moved) <= set(task.seat.over)


def still_open(task: Task, last: Mapping[tuple[int, str], Last]) -> tuple[int, ...]:
    """Return the older allocations of a task that may still act, or act again.

    Those are the ones taken from a device without its word, until its report of the end arrives
    or somebody declares them over.

    Args:
        task: The task.
        last: The newest attempt of each allocation, by its number and device: two agents may have
            given the same task to themselves, both as number 0.
    """
    known = {n for n, _ in last}
    going_on = {n for (n, _), one in last.items() if not _is_end(task.spec, one)}
    doubtful = [n for n in task.seat.moved if n not in task.seat.over]
    return tuple(n for n in doubtful if n not in known or n in going_on)


def _is_end(spec: Spec, last: Last) -> bool:
    """Say whether no attempt follows the one that ended so, under the same allocation."""
    match last.outcome:
        case Outcome.SUCCEEDED | Outcome.CANCELLED:
            return True
        case Outcome.FAILED | Outcome.TIMED_OUT:
            return last.is_permanent or last.number >= spec.max_attempts
        case _:  # running, lost and run again, or unknown
            return False
