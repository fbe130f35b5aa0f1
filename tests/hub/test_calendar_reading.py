"""Calendars of others, whatever stands in them: read, or refused with a line; nothing else."""

import datetime
from contextlib import suppress
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from hub import calendar_format, calendar_reading
from hub.calendar_feed import Feed
from shared.core.booking.interval import Interval, merged
from shared.errors import Refused
from tests.hub.test_calendar_format import HOUR_MS, NOW_MS, ZONES, an_entry

BERLIN = ZoneInfo("Europe/Berlin")
WINDOW = Interval(NOW_MS - 400 * 24 * HOUR_MS, NOW_MS + 400 * 24 * HOUR_MS)
SAMPLE = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VTIMEZONE\r
TZID:Home\r
BEGIN:STANDARD\r
DTSTART:19700101T000000\r
TZOFFSETFROM:+0500\r
TZOFFSETTO:+0500\r
END:STANDARD\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
UID:1\r
DTSTART;TZID=Home:20261124T150000\r
DTEND;TZID=Home:20261124T160000\r
RRULE:FREQ=MONTHLY;BYDAY=2TU;INTERVAL=2;COUNT=9;WKST=MO\r
EXDATE;TZID=Home:20270112T150000\r
RDATE;VALUE=DATE:20261225\r
SUMMARY:a long line that is\r
  folded\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:1\r
RECURRENCE-ID:20270309T100000Z\r
DTSTART:20270310T100000Z\r
DURATION:PT45M\r
STATUS:CONFIRMED\r
END:VEVENT\r
END:VCALENDAR\r
"""
PIECES = (
    b"", b"\r\n", b":", b";", b"=", b"-", b"0", b"9999", b"Z", b"T", b" ", b"\x00", b"\xff",
    b"20260230T250000", b"VALUE=DATE", b"VALUE=PERIOD", b"TZID=x", b"END:VEVENT\r\n", b"P1W",
    b"BEGIN:VEVENT\r\n", b"BYMONTHDAY=31", b"COUNT=0", b"UNTIL=2027", b"FREQ=YEARLY", b",", b"\xc3",
    b"DTSTART:20261124\r\n", b"RRULE:X\r\n", b"EXDATE:x\r\n", b"RANGE=THISANDFUTURE", b'"',
)  # fmt: skip


def test_the_sample_is_read() -> None:
    found = calendar_reading.read(SAMPLE, BERLIN, WINDOW)
    starts = [datetime.datetime.fromtimestamp(one.start_ms / 1000, BERLIN) for one in found.busy]
    # The first, and every second Tuesday of each second month: without January's, March's moved.
    assert [f"{start:%m-%d %H:%M}" for start in starts] == [
        "11-24 11:00",
        "12-25 11:00",
        "03-10 11:00",
        "05-11 12:00",
        "07-13 12:00",
        "09-14 12:00",
        "11-09 11:00",
    ]
    assert (found.events, found.ignored) == (2, 0)


@settings(deadline=None, max_examples=400)
@given(st.integers(0, 2**32))
def test_whatever_stands_there_is_read_or_refused(seed: int) -> None:
    random = Random(seed)
    text = SAMPLE
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(text))
        text = text[:at] + random.choice(PIECES) + text[at + random.choice((0, 1, 2, 8)) :]
    with suppress(Refused):
        calendar_reading.read(text, BERLIN, WINDOW)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(-300 * 96, 300 * 96), st.integers(1, 200), st.sampled_from([*ZONES, None])
        ),
        max_size=15,
    )
)
def test_what_we_write_is_read_as_the_same_busy_times(
    quarters: list[tuple[int, int, str | None]],
) -> None:
    quarter_ms = HOUR_MS // 4
    entries = tuple(
        an_entry(NOW_MS + start * quarter_ms, length * quarter_ms, zone)
        for start, length, zone in quarters
    )
    found = calendar_reading.read(calendar_format.write(Feed("x", entries)), BERLIN, WINDOW)
    spans = sorted(Interval(entry.start_ms, entry.end_ms) for entry in entries)
    assert found.busy == tuple(merged(spans))
