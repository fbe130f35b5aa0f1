"""What a person says of a run of which nobody knows how it ended."""

import enum

import msgspec

from hub import evidence, permits
from shared.api import task_actions, task_events
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Progress
from shared.core.lifecycle import Signal, Status, move
from shared.errors import IllegalMove
from shared.store.transaction import Transaction


class Verdict(enum.StrEnum):
    """How an unknown task ended, or what is to become of it."""

    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    RETRY = "retry"
    OVER = "over"  # of a task that was moved: what its former devices ran has ended


SIGNALS = {
    Verdict.SUCCEEDED: Signal.SETTLE,
    Verdict.DEAD: Signal.DIE,
    Verdict.CANCELLED: Signal.CANCEL,
    Verdict.RETRY: Signal.RETRY,
}


def settle(
    tx: Transaction,
    task_id: str,
    verdict: Verdict,
    *,
    attempt: str | None,
    reason: str | None,
    actor: str,
) -> None:
    """Settle a task that is unknown, or declare over what its former devices ran.

    The hub takes the seat first: whatever the device still reports of it is evidence.

    Args:
        tx: The hub's transaction.
        task_id: Of the task.
        verdict: What the person says.
        attempt: The attempt that is meant: another by now is an error.
        reason: For people.
        actor: Who says it.

    Raises:
        NotFound: No such task.
        IllegalMove: It is not unknown, or not this attempt; or a retry of what has succeeded or
            could only expire.
    """
    task = task_actions.known(tx, task_id)
    words = f"settled as {verdict} by {actor}" + (f": {reason}" if reason else "")
    if verdict is Verdict.OVER:
        _declare_over(tx, task, words, actor)
        return
    if task.status is not Status.UNKNOWN:
        raise IllegalMove(f"the task is {task.status}; only an unknown one is to be settled")
    mine = task.attempt
    if attempt is not None and (mine is None or mine.id != attempt):
        raise IllegalMove(f"the attempt in question is {mine.id if mine else 'none'} by now")
    is_retry = verdict is Verdict.RETRY
    if is_retry:
        task_actions.refuse_late(tx, task)
    won = evidence.success(tx, task) if is_retry else None
    if won is not None:
        raise IllegalMove(f"attempt {won.attempt} at {won.device} succeeded; settle it as that")
    task_events.take_back(
        tx, task, actor=actor, reason=words, moved=is_retry, over=True, anew=is_retry
    )
    status = move(task.status, SIGNALS[verdict])
    progress = Progress(status, None, None if is_retry else mine, words)
    task_events.append(tx, task.id, task.site, "task.status", progress, actor)
    permits.release_all(tx, task.id)
    if is_retry:
        task_events.withdraw_cancel(tx, task, actor)


def _declare_over(tx: Transaction, task: Task, words: str, actor: str) -> None:
    still = evidence.still_open(tx, task)
    if not still:
        raise IllegalMove("no former device of this task is in doubt; nothing is to be declared")
    seat = msgspec.structs.replace(task.seat, over=(*task.seat.over, *still), closed=words)
    task_events.append(tx, task.id, task.site, "task.allocated", seat, actor)
