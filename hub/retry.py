"""A person lets a dead task run again: the hub takes it back and gives it anew.

Attempts are counted under each allocation, so the task gets ``max_attempts`` new ones. What comes
after it and waits at a device is asked back first; the sitter gives nothing before that is here,
and puts the task back among the dead if one has started after all (``dealing.py``).
"""

from hub import evidence, recall, unique
from shared.api import task_actions, task_events
from shared.core.kinds.task_bodies import Progress
from shared.core.lifecycle import Signal, Status, move
from shared.errors import IllegalMove
from shared.store.transaction import Transaction


def retry(tx: Transaction, task_id: str, actor: str, reason: str | None = None) -> None:
    """Let a dead task run again.

    Args:
        tx: The hub's transaction.
        task_id: Of the task.
        actor: Who wants it.
        reason: For people.

    Raises:
        NotFound: No such task.
        IllegalMove: It is not dead, could only expire, is known to have succeeded, something that
            comes after it has started, or another task has its unique key by now.
    """
    task = task_actions.known(tx, task_id)
    if task.status is not Status.DEAD:
        raise IllegalMove(f"the task is {task.status}; only a dead one can be retried")
    task_actions.refuse_late(tx, task)
    won = evidence.success(tx, task)
    if won is not None:
        raise IllegalMove(f"attempt {won.attempt} at {won.device} succeeded; submit it anew")
    other = unique.holder(tx, task)
    if other is not None:
        raise IllegalMove(f"{other} has its unique key by now; wait for that to end")
    words = task_actions.retried_by(actor, reason)
    task_events.take_back(tx, task, actor=actor, reason=words, anew=True)
    found = recall.ask_back(tx, task, actor)
    if found.started is not None:
        raise IllegalMove(f"{found.started}, which comes after it, has started; submit it anew")
    progress = Progress(move(task.status, Signal.RETRY), reason=words)
    task_events.append(tx, task.id, task.site, "task.status", progress, actor)
    task_events.withdraw_cancel(tx, task, actor)
