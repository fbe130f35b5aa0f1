"""Many moves of tasks in one transaction; if one of them is bad, that one alone is left out."""

import logging
from collections.abc import Mapping
from functools import partial

import msgspec

from agent.claim import Move
from shared.core.kinds.task import Task
from shared.errors import Busy, StoreError
from shared.replica import Replica
from shared.store.transaction import Transaction

log = logging.getLogger(__name__)


class Moved(msgspec.Struct, frozen=True):
    """What came of moves.

    Attributes:
        tasks: Tasks as they are after their move; None: there is no such task.
        position: Where in this journal they are known to be so.
        failed: Tasks whose move cannot be made, for a reason of its own.
        is_whole: Whether every other move was made; the rest waits for the store.
    """

    tasks: Mapping[str, Task | None]
    position: int
    failed: tuple[str, ...] = ()
    is_whole: bool = True


async def make(replica: Replica, moves: Mapping[str, Move]) -> Moved:
    """Make moves in one transaction.

    If one cannot be made for a reason of its own, they are made one by one (promise 6).

    Raises:
        StoreError: Nothing was written.
        Busy: The same.
    """
    try:
        return await replica.write(partial(_make, moves=moves))
    except (StoreError, Busy):
        raise
    except Exception:
        log.exception("%d moves cannot be made together; one by one", len(moves))
    return await _one_by_one(replica, moves)


async def _one_by_one(replica: Replica, moves: Mapping[str, Move]) -> Moved:
    made: dict[str, Task | None] = {}
    failed: list[str] = []
    position = replica.node.position
    for task_id, move in moves.items():
        try:
            moved = await replica.write(partial(_make, moves={task_id: move}))
        except (StoreError, Busy) as error:
            if not made and not failed:
                raise
            log.warning("%d moves wait: %s", len(moves) - len(made) - len(failed), error)
            return Moved(made, position, tuple(failed), is_whole=False)
        except Exception:
            log.exception("task %s cannot be moved; left alone until it changes", task_id)
            failed.append(task_id)
        else:
            made |= moved.tasks
            # Of the first: a later one would have news of the first in between pass for old.
            position = moved.position if len(made) == 1 else position
    return Moved(made, position, tuple(failed))


def _make(tx: Transaction, *, moves: Mapping[str, Move]) -> Moved:
    return Moved({task_id: move(tx) for task_id, move in moves.items()}, tx.next_position())
