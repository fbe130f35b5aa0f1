"""Calendars of others, read: when their events say that somebody is busy, and nothing of why.

Lenient where calendars in the wild are (zones by the names of Windows, missing ends), strict where
a guess would hide busy time: what cannot be read is told with its line, and nothing is imported.
"""

import datetime
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from icalendar import Calendar

from hub import calendar_event
from hub.calendar_event import Fault
from hub.calendar_import import Read
from shared.core.booking.interval import Interval, merged
from shared.core.booking.slot import LENGTH_MS_MAX
from shared.errors import Refused

EVENTS_MAX = 5000
RECURRING_MAX = 500  # each may name thousands of days that are past
OCCURRENCES_MAX = 20_000  # within the window
FAULTS_MAX = 10  # told at once

# What the library raises for what it cannot read, beside errors of its own, which are among them.
MISREAD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_NAME = re.compile(r"([A-Za-z0-9-]+)[;:]")


class Lines(msgspec.Struct, frozen=True):
    """Where an event stands: its first line, and the first of each property."""

    first: int
    properties: dict[str, int]

    def of(self, name: str) -> int:
        """Return the line of a property, or of the event."""
        return self.properties.get(name, self.first)


def read(raw: bytes, zone: datetime.tzinfo, window: Interval) -> Read:
    """Return when a calendar is busy.

    Args:
        raw: The file.
        zone: For whole days, and times without a zone.
        window: At most so much is told.

    Raises:
        Refused: It is no calendar; names the lines, and what to do.
    """
    text = _text(raw)
    places = _lines(text)
    try:
        calendar = Calendar.from_ical(text)
    except MISREAD as error:
        raise _refused([(1, f"no calendar: {str(error)[:200]}; export it again")]) from error
    events = list(calendar.walk("VEVENT"))
    if len(events) != len(places):
        raise _refused([(1, "events within other parts; export it again")])
    if len(events) > EVENTS_MAX:
        message = f"{len(events)} events, at most {EVENTS_MAX}; export fewer years"
        raise _refused([(places[EVENTS_MAX].first, message)])
    return _expanded(list(zip(events, places, strict=True)), zone, window)


def _expanded(events: list[tuple[Any, Lines]], zone: datetime.tzinfo, window: Interval) -> Read:
    faults: list[tuple[int, str]] = []
    overridden = _overridden(events, zone, faults)
    found: list[Interval] = []
    counted, recurring = 0, 0
    for event, lines in events:
        try:
            calendar_event.check(event)
            if not calendar_event.is_busy(event):
                continue
            recurring += "RRULE" in event
            if recurring > RECURRING_MAX:
                raise Fault("RRULE", f"more than {RECURRING_MAX} recurring events; import fewer")
            counted += 1
            replaced = overridden.get(str(event.get("UID", "")), frozenset())
            for one in calendar_event.occurrences(event, zone, window, replaced):
                found.append(one)
                if len(found) > OCCURRENCES_MAX:
                    raise Fault("RRULE", f"more than {OCCURRENCES_MAX} occurrences; import fewer")
        except Fault as fault:
            faults.append((lines.of(fault.name), fault.text))
        except MISREAD as error:
            faults.append((lines.first, f"an event that cannot be read: {str(error)[:200]}"))
        if len(faults) >= FAULTS_MAX or len(found) > OCCURRENCES_MAX:
            break
    if faults:
        raise _refused(faults)
    busy = tuple(piece for one in merged(sorted(found)) for piece in _pieces(one))
    return Read(busy, counted, len(events) - counted)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refused([(line, "not UTF-8; export it in that encoding")]) from error


def _lines(text: str) -> list[Lines]:
    """Return where each event stands; checks what holds a calendar together.

    Raises:
        Refused: A line is none, or a part does not end.
    """
    found: list[Lines] = []
    within: list[tuple[str, int]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.rstrip("\r")
        if not words or words[0] in " \t":
            continue
        match = _NAME.match(words)
        if match is None:
            message = f"{words[:40]!r} is no property; it lacks a name and a colon"
            raise _refused([(number, message)])
        name, part = match[1].upper(), words[match.end() :].strip().upper()
        if not within and (name, part) != ("BEGIN", "VCALENDAR"):
            raise _refused([(number, "a calendar begins with BEGIN:VCALENDAR")])
        if name in ("BEGIN", "END"):
            _turn(within, name, part, number)
            if (name, part) == ("BEGIN", "VEVENT"):
                found.append(Lines(number, {}))
        elif within[-1][0] == "VEVENT":
            found[-1].properties.setdefault(name, number)
    if within:
        part, begun = within[-1]
        raise _refused([(begun, f"{part[:40]} does not end; the file was cut off")])
    return found


def _turn(within: list[tuple[str, int]], name: str, part: str, number: int) -> None:
    if name == "BEGIN":
        within.append((part, number))
        return
    opened, begun = within.pop()
    if opened != part:
        message = f"END:{part[:40]}, but {opened[:40]} of line {begun} is still open"
        raise _refused([(number, message)])


def _refused(faults: Iterable[tuple[int, str]]) -> Refused:
    told = sorted(faults)
    detail = "; ".join(f"line {line}: {text}" for line, text in told)
    return Refused(detail, tuple((f"line {line}", text) for line, text in told))


def _overridden(
    events: list[tuple[Any, Lines]], zone: datetime.tzinfo, faults: list[tuple[int, str]]
) -> dict[str, frozenset[int]]:
    """Return which occurrences have an event of their own, by UID; also one that is ignored."""
    found: dict[str, set[int]] = {}
    for event, lines in events:
        given = event.get("RECURRENCE-ID")
        if given is None or isinstance(given, list) or event.errors:
            continue
        try:
            at_ms = calendar_event.instant(given, "RECURRENCE-ID", zone)
        except Fault as fault:
            faults.append((lines.of(fault.name), fault.text))
            continue
        except MISREAD as error:
            faults.append((lines.of("RECURRENCE-ID"), f"no time: {str(error)[:200]}"))
            continue
        found.setdefault(str(event.get("UID", "")), set()).add(at_ms)
    return {uid: frozenset(given) for uid, given in found.items()}


def _pieces(one: Interval) -> Iterator[Interval]:
    """Yield an interval in parts that a booking can have."""
    start = one.start_ms
    while start < one.end_ms:
        end = min(one.end_ms, start + LENGTH_MS_MAX)
        yield Interval(start, end)
        start = end
