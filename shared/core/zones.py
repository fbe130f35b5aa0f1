"""Time zones by name, as the system's database has them."""

import datetime
from zoneinfo import ZoneInfo

from shared.errors import Refused


def find(name: str) -> datetime.tzinfo:
    """Return a zone.

    Raises:
        Refused: The system knows none of this name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Refused(
            f"no time zone {name!r} is known here; take an IANA name such as Europe/Berlin "
            "(they come with the system's package tzdata)",
            (("$.timezone", "not known"),),
        ) from error
