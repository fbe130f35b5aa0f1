"""Time zones by name, as the system's database has them."""

import datetime

from shared.errors import Refused

# In the folder of the database, but no zones of their own.
_OTHER_FILES = ("right/", "posix/", "posixrules", "localtime", "Factory")


def find(name: str) -> datetime.tzinfo:
    """Return a zone.

    Raises:
        Refused: The system knows none of this name.
    """
    # With it comes how the interpreter was built: 0.4 MiB, which an agent without bookings saves.
    from zoneinfo import ZoneInfo

    try:
        if name.startswith(_OTHER_FILES):
            raise KeyError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Refused(
            f"no time zone {name!r} is known here; take an IANA name such as Europe/Berlin "
            "(they come with the system's package tzdata)",
            (("$.timezone", "not known"),),
        ) from error
