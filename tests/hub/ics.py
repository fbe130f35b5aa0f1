"""Reads calendars by other libraries than the one that writes them: vobject, and dateutil's zones.

Left to itself, vobject takes the first zone of a name that it ever saw, or one of its own: here a
time is told by the VTIMEZONE that stands beside it.
"""

import datetime
import io
import re
from typing import Any

import vobject
from dateutil import tz

_ZONE = re.compile(r"^BEGIN:VTIMEZONE\r\n.*?^END:VTIMEZONE\r\n", re.DOTALL | re.MULTILINE)


class Event:
    """One event, as another program reads it."""

    def __init__(self, component: Any, zones: Any) -> None:
        self._component = component
        self._zones = zones

    def __getitem__(self, name: str) -> str:
        value: str = getattr(self._component, name).value
        return value

    def ms(self, name: str) -> int:
        """Return a time, Unix ms."""
        line = getattr(self._component, name)
        is_utc = line.value.endswith("Z")
        zone = datetime.UTC if is_utc else self._zones.get(line.params["TZID"][0])
        wall = datetime.datetime.fromisoformat(line.value.removesuffix("Z"))
        return _ms(wall.replace(tzinfo=zone))


def events(text: bytes) -> list[Event]:
    """Return the events of a calendar."""
    shown = text.decode()
    described = "".join(_ZONE.findall(shown))
    zones = tz.tzical(io.StringIO(described)) if described else None
    calendar = vobject.readOne(shown, transform=False)
    return [Event(one, zones) for one in getattr(calendar, "vevent_list", [])]


def free_busy(text: bytes) -> list[tuple[str, int, int]]:
    """Return the periods of a VFREEBUSY: kind, start and end."""
    found = vobject.readOne(text.decode()).vfreebusy
    return [
        (line.params["FBTYPE"][0], _ms(start), _ms(end))
        for line in getattr(found, "freebusy_list", [])
        for start, end in line.value
    ]


def _ms(moment: datetime.datetime) -> int:
    return round(moment.timestamp() * 1000)
