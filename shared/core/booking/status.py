"""What becomes of a booking: statuses, signals, one table.

``requested`` is what an agent shows until the hub has decided. A refused booking stays refused: who
wants another time makes another booking, so that nobody is told two things about one.
"""

import enum
from types import MappingProxyType


class Status(enum.StrEnum):
    """Status of a booking. Stored and sent: never renamed."""

    REQUESTED = "requested"
    HELD = "held"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NO_SHOW = "no-show"


class Signal(enum.StrEnum):
    """What happens to it."""

    HOLD = "hold"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    MOVE = "move"
    CANCEL = "cancel"
    EXPIRE = "expire"
    MISS = "miss"


MOVES = MappingProxyType(
    {
        (Status.REQUESTED, Signal.HOLD): Status.HELD,
        (Status.REQUESTED, Signal.CONFIRM): Status.CONFIRMED,
        (Status.REQUESTED, Signal.REFUSE): Status.REFUSED,
        (Status.REQUESTED, Signal.CANCEL): Status.CANCELLED,
        (Status.HELD, Signal.CONFIRM): Status.CONFIRMED,
        (Status.HELD, Signal.MOVE): Status.HELD,
        (Status.HELD, Signal.CANCEL): Status.CANCELLED,
        (Status.HELD, Signal.EXPIRE): Status.EXPIRED,
        (Status.CONFIRMED, Signal.MOVE): Status.CONFIRMED,
        (Status.CONFIRMED, Signal.CANCEL): Status.CANCELLED,
        (Status.CONFIRMED, Signal.MISS): Status.NO_SHOW,
    }
)


def move(status: Status, signal: Signal) -> Status | None:
    """Return the status after a signal; None: there is no such move."""
    return MOVES.get((status, signal))
