"""What ``--check`` prints: one JSON line, counted from what the nodes answer."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class StepResult(msgspec.Struct, frozen=True):
    """One step of the story: whether it happened, and what was seen."""

    name: str
    ok: bool
    detail: str


class TaskCounts(msgspec.Struct, frozen=True):
    """What became of the tasks whose submission was acknowledged.

    Attributes:
        submitted: Acknowledged submissions.
        succeeded: Of these, as the hub shows them.
        lost: The hub does not know them.
        run_twice: Tasks that ran again after they had ended.
    """

    submitted: int = 0
    succeeded: int = 0
    lost: int = 0
    run_twice: int = 0


class ConflictCounts(msgspec.Struct, frozen=True):
    """Conflicts that the hub ever had, and those that were resolved."""

    opened: int = 0
    resolved: int = 0


class Report(msgspec.Struct, frozen=True):
    """The whole line."""

    ok: bool
    steps: list[StepResult]
    tasks: TaskCounts
    conflicts: ConflictCounts
    converged: bool
    seconds: float


def count_tasks(ids: Iterable[str], at_hub: Mapping[str, Any]) -> TaskCounts:
    """Return the counts of tasks.

    Args:
        ids: Tasks whose submission was acknowledged.
        at_hub: By id, each task that the hub answered with, attempts and history included.
    """
    submitted = list(ids)
    known = [at_hub[task] for task in submitted if task in at_hub]
    return TaskCounts(
        submitted=len(submitted),
        succeeded=sum(task["status"] == "succeeded" for task in known),
        lost=len(submitted) - len(known),
        run_twice=sum(ran_again(task) for task in known),
    )


def ran_again(task: Mapping[str, Any]) -> bool:
    """Whether an attempt was started after one had succeeded, or two ended well.

    An attempt that a killed agent left unfinished is no end: that the task runs again is declared
    harmless (``on_orphan: requeue``).
    """
    attempts = sorted(task["attempts"], key=lambda attempt: attempt["started_at"])
    done = [index for index, one in enumerate(attempts) if one["outcome"] == "succeeded"]
    ends = [change for change in task["history"] if change["status"] == "succeeded"]
    return len(ends) > 1 or bool(done and done[0] < len(attempts) - 1)
