"""Which older allocations of a task may still act: pure, from the attempts that are known."""

from collections.abc import Mapping

import msgspec

from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, Outcome
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
    return bool(task.seat.doubtful)


def still_open(task: Task, last: Mapping[tuple[int, str], Last]) -> tuple[int, ...]:
    """Return the older allocations of a task that may still act, or act again.

    Those are the ones taken from a device without its word, until its report of the end arrives,
    or its word that it has let go of them, or somebody declares them over.

    Args:
        task: The task.
        last: The newest attempt of each allocation, by its number and device: two agents may have
            given the same task to themselves, both as number 0.
    """
    return tuple([one.n for one in task.seat.doubtful if _may_act(task.spec, one, last)])


def _may_act(spec: Spec, taken: Allocation, last: Mapping[tuple[int, str], Last]) -> bool:
    """Say whether an allocation that was taken away may act, or another of its number does."""
    under = {device: one for (n, device), one in last.items() if n == taken.n}
    own = under.pop(taken.device, None)
    if own is None and not under:
        return True
    is_open = own is not None and not _is_end(spec, own)
    return is_open or any(one.outcome is None for one in under.values())


def _is_end(spec: Spec, last: Last) -> bool:
    """Say whether no attempt follows the one that ended so, under the same allocation."""
    match last.outcome:
        case Outcome.SUCCEEDED | Outcome.CANCELLED:
            return True
        case Outcome.FAILED | Outcome.TIMED_OUT:
            return last.is_permanent or last.number >= spec.max_attempts
        case _:  # running, lost and run again, or unknown
            return False
