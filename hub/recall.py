"""Asking successors back before their predecessor runs anew (model, dispatch 6).

A successor that a device has may be proved there by the run that is given up. So before a task is
given again, those of its successors that wait at a device are recalled; one that has started
there bars it.
"""

from shared.api import task_events
from shared.api.followers import HAS_ACTED, Followers, followers
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import RecallRequest
from shared.store.transaction import Transaction

__all__ = ["HAS_ACTED", "ask_back", "followers"]


def ask_back(tx: Transaction, task: Task, actor: str) -> Followers:
    """Ask the devices that have successors of a task to give them back; asking again is nothing."""
    found = followers(tx, task)
    for after in found.held:
        given = after.allocation
        if given is None or after.recall is not None:
            continue
        request = RecallRequest(given.epoch, given.n, f"{task.id}, which it comes after, runs anew")
        task_events.append(tx, after.id, after.site, "task.recall_requested", request, actor)
    return found
