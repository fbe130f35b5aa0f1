"""A slot: resources and a time, all or nothing."""

from typing import Annotated

import msgspec

from shared.core import instants
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import HOUR_MS
from shared.core.booking.reason import Reason, Rule
from shared.core.ids import Name
from shared.errors import Refused

LENGTH_MS_MAX = 31 * 24 * HOUR_MS  # so that an index by start finds what still goes on
TIME_MS_MAX = instants.MS_MAX - 11 * 366 * 24 * HOUR_MS  # about the end of local_time.YEARS
RESOURCES_MAX = 50


class Slot(msgspec.Struct, frozen=True):
    """``[start_ms, end_ms)``, Unix ms, of all these resources at once.

    Attributes:
        resources: Sorted, each once; groups are resolved.
        start_ms: Start.
        end_ms: End.
    """

    resources: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=RESOURCES_MAX)]
    start_ms: int
    end_ms: int

    @property
    def interval(self) -> Interval:
        """When it is."""
        return Interval(self.start_ms, self.end_ms)


def flaw(start_ms: int, end_ms: int) -> Reason | None:
    """Return why these two instants are no time to book; None if they are."""
    if end_ms < start_ms:
        return Reason(Rule.SLOT, "the end is before the start; exchange them")
    if end_ms == start_ms:
        return Reason(Rule.SLOT, "start and end are the same instant; give the booking a length")
    if start_ms < 0 or end_ms > TIME_MS_MAX:
        return Reason(Rule.SLOT, "the time is outside the years 1970 to 9988; check the date")
    if end_ms - start_ms > LENGTH_MS_MAX:
        days = LENGTH_MS_MAX // (24 * HOUR_MS)
        return Reason(Rule.SLOT, f"longer than {days} days; split it into several bookings")
    return None


def check(start_ms: int, end_ms: int, path: str = "$.end") -> None:
    """Check a time.

    Raises:
        Refused: It is none; says which of the rules.
    """
    found = flaw(start_ms, end_ms)
    if found is not None:
        raise Refused(f"{path}: {found.text}", ((path, found.text),))
