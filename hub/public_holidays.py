"""The public holidays of a region, by date: the one file that knows the library for them."""

import datetime

import holidays

from shared.core.booking.rules import Region
from shared.core.kinds.resource import PublicHolidays
from shared.errors import Refused

YEARS = 7  # this one and as many more: no horizon is longer than five


def of(region: Region, today: datetime.date) -> PublicHolidays:
    """Return the holidays of a region from this year on.

    Raises:
        Refused: Nothing is known of such a region.
    """
    years = range(today.year, today.year + YEARS)
    try:
        found = holidays.country_holidays(region.country, subdiv=region.subdivision, years=years)
    except NotImplementedError as error:
        raise Refused(
            f"no public holidays are known for {region.country} {region.subdivision or ''}; take "
            "an ISO 3166 code such as DE and BY, or leave holidays out and give exceptions",
            (("$.hours.holidays", "not known"),),
        ) from error
    days = {day: str(name)[:200] for day, name in sorted(found.items())}
    return PublicHolidays(days, datetime.date(years[-1], 12, 31))
