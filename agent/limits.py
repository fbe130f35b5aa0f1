"""What an operator allows of one type of task on this device: how many at once, how many a time.

Counts hold over a restart, because what runs is counted anew. The window of a rate starts fresh
with the process: the starts of an earlier one are not looked up, so right after a restart up to
``count`` more may start than the rate says.
"""

from collections import deque
from collections.abc import Mapping
from typing import Annotated

import msgspec

COUNT_MAX = 10_000  # starts remembered of each type
PER_S_MAX = 7 * 24 * 3600


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most ``count`` starts in any ``per_s`` seconds."""

    count: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)]
    per_s: Annotated[float, msgspec.Meta(gt=0, le=PER_S_MAX)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[queues.TYPE]``; None: no limit but the device's own."""

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    rate: Rate | None = None


NONE = Limits()


class Starts:
    """When tasks of types with a rate started, by the boot clock: as many as their rates count."""

    def __init__(self, limits: Mapping[str, Limits]) -> None:
        self._made = {
            type_: deque[int](maxlen=one.rate.count) for type_, one in limits.items() if one.rate
        }

    def note(self, type_: str, boot_ms: int) -> None:
        """Remember a start."""
        made = self._made.get(type_)
        if made is not None:
            made.append(boot_ms)

    def by_wall(self, now_ms: int, boot_ms: int) -> dict[str, tuple[int, ...]]:
        """Return the starts by type as the wall clock would have shown them, oldest first."""
        shift = now_ms - boot_ms
        return {type_: tuple(at + shift for at in made) for type_, made in self._made.items()}


def free_ms(rate: Rate, starts: tuple[int, ...]) -> int | None:
    """Return when one more may start, by the clock of ``starts``; None: at any time."""
    if len(starts) < rate.count:
        return None
    return starts[-rate.count] + round(rate.per_s * 1000)
