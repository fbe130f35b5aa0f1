"""Task statuses and their allowed moves: one enum, one table, one function.

The journal knows ``waiting`` only; ``scheduled``, ``blocked`` and ``queued`` are how a waiting task
is shown, derived when it is read (``waiting.py``). Who may make a move is the seat's affair
(``kinds/task.py``), not the table's.
"""

import enum
from types import MappingProxyType

from shared.errors import IllegalMove


class Status(enum.StrEnum):
    """Statuses of a task. Stored and sent: never renamed."""

    WAITING = "waiting"
    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Signal(enum.StrEnum):
    """What can happen to a task."""

    START = "start"  # intent is durable, the handler may act
    SUCCEED = "succeed"
    FAIL = "fail"  # the run has ended; attempts are left
    DIE = "die"  # the run has ended; no attempt is left, or the error is permanent
    ASK_CANCEL = "ask-cancel"  # of something that runs
    CANCEL = "cancel"  # nothing runs (any more)
    EXPIRE = "expire"
    LOSE = "lose"  # it acted, and nobody knows how that ended
    REQUEUE = "requeue"  # at restart, where a second run is harmless
    RETRY = "retry"  # a person, under a new allocation
    SETTLE = "settle"  # a person or a probe says how an unknown one ended: well


SHOWN_WAITING = frozenset({Status.SCHEDULED, Status.BLOCKED, Status.QUEUED})
JOURNALED = frozenset(Status) - SHOWN_WAITING
FINAL = frozenset({Status.SUCCEEDED, Status.CANCELLED, Status.EXPIRED})
ENDED = FINAL | {Status.DEAD}  # nothing runs and nothing will, unless a person retries a dead one
ACTING = frozenset({Status.RUNNING, Status.CANCELLING})

MOVES = MappingProxyType(
    {
        (Status.WAITING, Signal.START): Status.RUNNING,
        (Status.WAITING, Signal.CANCEL): Status.CANCELLED,
        (Status.WAITING, Signal.EXPIRE): Status.EXPIRED,
        (Status.WAITING, Signal.DIE): Status.DEAD,  # nothing here can ever run it
        (Status.WAITING, Signal.LOSE): Status.UNKNOWN,  # its device came back without its journal
        (Status.RUNNING, Signal.SUCCEED): Status.SUCCEEDED,
        (Status.RUNNING, Signal.FAIL): Status.WAITING,
        (Status.RUNNING, Signal.DIE): Status.DEAD,
        (Status.RUNNING, Signal.ASK_CANCEL): Status.CANCELLING,
        (Status.RUNNING, Signal.LOSE): Status.UNKNOWN,
        (Status.RUNNING, Signal.REQUEUE): Status.WAITING,
        (Status.CANCELLING, Signal.SUCCEED): Status.SUCCEEDED,
        (Status.CANCELLING, Signal.DIE): Status.DEAD,
        (Status.CANCELLING, Signal.CANCEL): Status.CANCELLED,
        (Status.CANCELLING, Signal.LOSE): Status.UNKNOWN,
        (Status.CANCELLING, Signal.REQUEUE): Status.WAITING,
        (Status.DEAD, Signal.RETRY): Status.WAITING,
        (Status.UNKNOWN, Signal.SETTLE): Status.SUCCEEDED,
        (Status.UNKNOWN, Signal.DIE): Status.DEAD,
        (Status.UNKNOWN, Signal.CANCEL): Status.CANCELLED,
        (Status.UNKNOWN, Signal.RETRY): Status.WAITING,
    }
)


def move(status: Status, signal: Signal) -> Status:
    """Return the status after ``signal``.

    Raises:
        IllegalMove: The table has no such move.
    """
    following = MOVES.get((status, signal))
    if following is None:
        raise IllegalMove(f"a task that is {status} cannot {signal}")
    return following
