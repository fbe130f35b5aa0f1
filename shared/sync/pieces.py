"""What a session asks of a store: a stretch of a log to send, a chunk of the feed."""

import msgspec

from shared.core.event import Pair
from shared.sync.frame import RegisterState, VerdictNote


class Stretch(msgspec.Struct, frozen=True):
    """Events read from a log, to send; none at its end.

    Attributes:
        origin: The log.
        first: Number of the first event.
        previous: Chain hash before it.
        events: Header and body of each.
    """

    origin: str
    first: int
    previous: bytes
    events: list[Pair]


class Chunk(msgspec.Struct, frozen=True):
    """A stretch of one lane of the feed.

    Attributes:
        upto: Cursor that it leads to.
        position: Hub position at which it was read.
        judged: How far the device's logs were judged there.
        registers: States that changed and concern the device.
        verdicts: On the device's events, other than plain applied.
    """

    upto: int
    position: int
    judged: dict[str, int]
    registers: list[RegisterState]
    verdicts: list[VerdictNote]

    @property
    def is_last(self) -> bool:
        """Whether there is nothing more at present."""
        return self.upto == self.position
