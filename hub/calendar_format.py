"""Calendars as RFC 5545 has them: the one file that knows the library for writing them.

Imported when somebody first asks for a calendar: 3 MiB and 40 ms that most hubs do without.
"""

import datetime
import re
from typing import Any

from icalendar import Calendar, Event, FreeBusy, vDDDLists, vDDDTypes, vPeriod, vText

from hub import calendar_feed
from hub.calendar_feed import Entry, Feed
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import SECOND_MS
from shared.core.booking.status import Status

PRODUCT = "-//Skerry//Hub//EN"
REFRESH = datetime.timedelta(minutes=15)

STATUS = {
    Status.REQUESTED: "TENTATIVE",
    Status.HELD: "TENTATIVE",
    Status.CONFIRMED: "CONFIRMED",
    Status.NO_SHOW: "CONFIRMED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "CANCELLED",
}
BLOCKS = frozenset({Status.HELD, Status.CONFIRMED, Status.NO_SHOW})
_MEANS_MORE = re.compile(r"[\\;,\n]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]+")  # a line may end, and hold nothing else of it


class _Words(vText):
    """A text. The library itself takes a backslash before an N for the end of a line."""

    def to_ical(self) -> bytes:
        """Return it with what means more in a calendar escaped (RFC 5545 3.3.11)."""
        escaped = _MEANS_MORE.sub(lambda one: "\\n" if one[0] == "\n" else f"\\{one[0]}", self)
        return escaped.encode()


def write(feed: Feed) -> bytes:
    """Return a calendar of events.

    It depends on the bookings alone: asked again, it is the same to the byte.
    """
    calendar = _calendar(feed.name)
    calendar.add("refresh-interval", REFRESH, {"value": "DURATION"})
    for entry in feed.entries:
        calendar.add_component(_event(entry))
    if feed.entries:
        first = min(entry.start_ms for entry in feed.entries)
        last = max(entry.end_ms for entry in feed.entries)
        # A day more at both ends: a program may look for the offset beside the event.
        calendar.add_missing_timezones(
            _utc(first).date() - datetime.timedelta(days=1),
            _utc(last).date() + datetime.timedelta(days=2),
        )
        for part in calendar.walk():
            if part.name in ("DAYLIGHT", "STANDARD"):
                _mend_onset(part)
    text: bytes = calendar.to_ical()
    return text


def _mend_onset(part: Any) -> None:
    """Have a clock that is put forward begin by the time that it showed before (RFC 5545 3.6.5).

    icalendar tells the time that it shows afterwards: an hour too late, mostly. What holds at the
    beginning is no change; it stands a day earlier, lest it begin with one at midnight.
    """
    forward = part["tzoffsetto"].td - part["tzoffsetfrom"].td
    if not forward:
        part["dtstart"] = vDDDTypes(part["dtstart"].dt - datetime.timedelta(days=1))
    if forward <= datetime.timedelta():
        return
    part["dtstart"] = vDDDTypes(part["dtstart"].dt - forward)
    lists = part.pop("rdate", [])
    lists = lists if isinstance(lists, list) else [lists]
    again = [one.dt - forward for dates in lists for one in dates.dts]
    if again:
        part["rdate"] = vDDDLists(again)


def write_free_busy(told: calendar_feed.FreeBusy) -> bytes:
    """Return a calendar that says when something is taken, and nothing else."""
    calendar = _calendar(told.name)
    component = FreeBusy()
    component.add("uid", f"free-busy-{told.window.start_ms}@skerry")
    component.add("dtstamp", _utc(told.window.start_ms))
    component.add("dtstart", _utc(told.window.start_ms))
    component.add("dtend", _utc(told.window.end_ms))
    for kind, intervals in (("BUSY", told.busy), ("BUSY-TENTATIVE", told.tentative)):
        for interval in intervals:
            start, end = _whole(interval)
            period = vPeriod((_utc(start), _utc(end)))
            component.add("freebusy", period, {"fbtype": kind})
    calendar.add_component(component)
    text: bytes = calendar.to_ical()
    return text


def _calendar(name: str) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    one_line = _Words(" ".join(_text(name).split("\n")))
    calendar.add("name", one_line)
    calendar.add("x-wr-calname", one_line)  # what most programs still read
    return calendar


def _event(entry: Entry) -> Event:
    event = Event()
    changed = _utc(entry.changed_ms)
    start, end = _whole(Interval(entry.start_ms, entry.end_ms))
    event.add("uid", f"{entry.id}@skerry")
    event.add("sequence", entry.revision)
    event.add("dtstamp", changed)
    event.add("last-modified", changed)
    event.add("created", _utc(entry.created_ms))
    times = _times(start, end, entry.zone)
    event.add("dtstart", times[0])
    event.add("dtend", times[1])
    event.add("summary", _text(entry.title) or ", ".join(entry.resources))
    event.add("location", ", ".join(entry.resources))
    if entry.requester:
        event.add("description", _text(f"{entry.status.value}, asked for by {entry.requester}"))
    event.add("status", STATUS[entry.status])
    event.add("transp", "OPAQUE" if entry.status in BLOCKS else "TRANSPARENT")
    return event


def _times(
    start_ms: int, end_ms: int, zone: datetime.tzinfo | None
) -> tuple[datetime.datetime, datetime.datetime]:
    """Return two instants by the clock of a zone, or in UTC.

    RFC 5545 cannot name the second of two equal local times (3.3.5): then both are told in UTC.
    """
    start, end = _utc(start_ms), _utc(end_ms)
    if zone is None:
        return start, end
    local = start.astimezone(zone), end.astimezone(zone)
    return (start, end) if any(moment.fold for moment in local) else local


def _whole(interval: Interval) -> tuple[int, int]:
    """Return an interval in whole seconds, which is all that a calendar knows: none of it free."""
    start = interval.start_ms // SECOND_MS * SECOND_MS
    return start, -(-interval.end_ms // SECOND_MS) * SECOND_MS


def _utc(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms // SECOND_MS, datetime.UTC)


def _text(words: str) -> _Words:
    return _Words(_CONTROL.sub(" ", words.replace("\r\n", "\n")))
