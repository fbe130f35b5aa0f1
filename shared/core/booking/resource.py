"""A resource whose rules were checked, ready to be asked."""

from collections.abc import Mapping

import msgspec

from shared.core.booking import calendar as calendars
from shared.core.booking.calendar import Calendar
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import SECOND_MS
from shared.core.booking.rules import Holidays, Hours, Limits


class Resource(msgspec.Struct, frozen=True):
    """What a search or a decision knows of a resource.

    Attributes:
        id: Its name.
        limits: How it can be booked.
        calendar: When.
    """

    id: str
    limits: Limits
    calendar: Calendar

    def bookable(self, now_ms: int) -> Interval:
        """Return within what a whole booking must lie: from the notice to the horizon."""
        return Interval(
            now_ms + self.limits.notice_s * SECOND_MS, now_ms + self.limits.horizon_s * SECOND_MS
        )


Resources = Mapping[str, Resource]


def resource(name: str, hours: Hours, limits: Limits, holidays: Holidays) -> Resource:
    """Make rules ready to be asked.

    Args:
        name: Of the resource.
        hours: Checked.
        limits: Checked.
        holidays: Public holidays of the region that ``hours`` names, over the whole horizon; none
            if it names no region.
    """
    return Resource(name, limits, calendars.calendar(hours, holidays))
