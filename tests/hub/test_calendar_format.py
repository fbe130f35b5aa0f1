"""Our calendars, read back by another library: the same instants, over changed clocks too."""

import datetime
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub import calendar_format
from hub.calendar_feed import Entry, Feed, FreeBusy
from shared.core.booking.interval import Interval
from shared.core.booking.status import Status
from tests.hub.ics import Event, events, free_busy

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "America/Havana",
    "Asia/Kathmandu",
    "UTC",
)
SECOND_MS = 1000
HOUR_MS = 3600 * SECOND_MS
NOW_MS = 1_792_872_000_000  # 2026-10-24 20:00 UTC: the clock is put back in the night
TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters='\n,;:\\"'), max_size=120
).filter(lambda text: not re.search(r"\\[nN]", text))  # of which the other parser makes a new line


def an_entry(start_ms: int, length_ms: int, zone: str | None, **more: Any) -> Entry:
    fields: dict[str, Any] = {
        "id": "019a0000-0000-7000-8000-000000000001",
        "revision": 1,
        "status": Status.CONFIRMED,
        "title": "Check-up",
        "resources": ("room-2", "strange"),
        "requester": "ada",
        "created_ms": NOW_MS,
        "changed_ms": NOW_MS,
        **more,
    }
    found = None if zone is None else ZoneInfo(zone)
    return Entry(start_ms=start_ms, end_ms=start_ms + length_ms, zone=found, **fields)


def only(feed: Feed) -> Event:
    (event,) = events(calendar_format.write(feed))
    return event


@settings(deadline=None, max_examples=300)
@given(
    start=st.integers(NOW_MS // 1000 - 300 * 86400, NOW_MS // 1000 + 300 * 86400),
    length=st.integers(1, 31 * 86400),
    zone=st.sampled_from([*ZONES, None]),
    title=TEXT,
)
@example(start=1_792_886_400, length=3600, zone="Europe/Berlin", title="the first 02:00")
@example(start=1_792_890_000, length=1800, zone="Europe/Berlin", title="the second 02:00")
@example(start=1_792_882_800, length=9000, zone="Europe/Berlin", title="into the second 02:30")
def test_any_booking_is_read_back_at_the_same_instants(
    start: int, length: int, zone: str | None, title: str
) -> None:
    entry = an_entry(start * SECOND_MS, length * SECOND_MS, zone, title=title)
    event = only(Feed("Dr Strange", (entry,)))
    assert (event.ms("dtstart"), event.ms("dtend")) == (entry.start_ms, entry.end_ms)
    assert event["summary"] == (title or "room-2, strange")
    assert event["uid"] == f"{entry.id}@skerry"


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(-300 * 24, 300 * 24), min_size=2, max_size=30), st.data())
def test_a_calendar_of_many_zones_over_two_years_is_read_back(
    hours: list[int], data: st.DataObject
) -> None:
    entries = tuple(
        an_entry(NOW_MS + hour * HOUR_MS, HOUR_MS, data.draw(st.sampled_from(ZONES)))
        for hour in hours
    )
    read = events(calendar_format.write(Feed("ada", entries)))
    found = [(event.ms("dtstart"), event.ms("dtend")) for event in read]
    assert found == [(entry.start_ms, entry.end_ms) for entry in entries]


def test_a_zone_is_described_for_the_whole_of_the_calendar() -> None:
    entries = tuple(
        an_entry(NOW_MS + n * 30 * 24 * HOUR_MS, HOUR_MS, "Europe/Berlin") for n in range(12)
    )
    text = calendar_format.write(Feed("Dr Strange", entries)).decode()
    assert text.count("BEGIN:VTIMEZONE") == 1
    assert "TZOFFSETTO:+0100" in text
    assert "TZOFFSETTO:+0200" in text
    assert "DTSTART;TZID=Europe/Berlin:20261024T220000" in text


@pytest.mark.parametrize(
    "zone",
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Asia/Kathmandu"],
)
def test_each_change_of_a_zone_begins_at_its_instant(zone: str) -> None:
    entries = tuple(an_entry(NOW_MS + n * 30 * 24 * HOUR_MS, HOUR_MS, zone) for n in range(20))
    text = calendar_format.write(Feed("x", entries)).decode().replace("\r\n", "\n")
    changes = 0
    for part in re.findall(r"BEGIN:(?:STANDARD|DAYLIGHT)\n(.*?)END:", text, re.DOTALL):
        before, after = (
            datetime.datetime.strptime(offset, "%z").utcoffset() or datetime.timedelta()
            for offset in re.findall(r"TZOFFSET(?:FROM|TO):([+-]\d{4})", part)
        )
        if before == after:
            continue  # not a change, but what holds at the beginning
        for onset in re.findall(r"\d{8}T\d{6}", part):
            wall = datetime.datetime.strptime(onset, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - local
            at = (wall - before).replace(tzinfo=datetime.UTC).astimezone(ZoneInfo(zone))
            second = datetime.timedelta(seconds=1)
            earlier = (at.astimezone(datetime.UTC) - second).astimezone(ZoneInfo(zone))
            assert (earlier.utcoffset(), at.utcoffset()) == (before, after), onset
            changes += 1
    assert changes >= 3 or zone == "Asia/Kathmandu"


def test_a_name_is_escaped() -> None:
    text = calendar_format.write(Feed("Dr; Strange, \\x \\n\\N", ())).decode()
    assert "NAME:Dr\\; Strange\\, \\\\x \\\\n\\\\N\r\n" in text


@pytest.mark.parametrize(
    ("status", "shown", "transparency"),
    [
        (Status.REQUESTED, "TENTATIVE", "TRANSPARENT"),
        (Status.HELD, "TENTATIVE", "OPAQUE"),
        (Status.CONFIRMED, "CONFIRMED", "OPAQUE"),
        (Status.NO_SHOW, "CONFIRMED", "OPAQUE"),
        (Status.CANCELLED, "CANCELLED", "TRANSPARENT"),
        (Status.EXPIRED, "CANCELLED", "TRANSPARENT"),
    ],
)
def test_each_status_has_its_words(status: Status, shown: str, transparency: str) -> None:
    entry = an_entry(NOW_MS, HOUR_MS, "Europe/Berlin", status=status, revision=4)
    event = only(Feed("Dr Strange", (entry,)))
    assert (event["status"], event["transp"]) == (shown, transparency)
    assert event["sequence"] == "4"
    assert event.ms("dtstamp") == event.ms("last_modified") == NOW_MS


def test_control_characters_do_not_end_a_line_early() -> None:
    entry = an_entry(NOW_MS, HOUR_MS, None, title="a\r\nEND:VEVENT\x00\x1fb")
    event = only(Feed("x\nBEGIN:VEVENT", (entry,)))
    assert event["summary"] == "a\nEND:VEVENT b"


def test_times_between_seconds_are_told_with_all_that_they_touch() -> None:
    entry = an_entry(NOW_MS + 1, 1500, None)
    event = only(Feed("x", (entry,)))
    assert (event.ms("dtstart"), event.ms("dtend")) == (NOW_MS, NOW_MS + 2000)


def test_free_busy_has_times_and_no_words() -> None:
    window = Interval(NOW_MS, NOW_MS + 24 * HOUR_MS)
    busy = (Interval(NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS),)
    maybe = (Interval(NOW_MS + 5 * HOUR_MS, NOW_MS + 6 * HOUR_MS),)
    text = calendar_format.write_free_busy(FreeBusy("x", window, busy, maybe))
    assert free_busy(text) == [
        ("BUSY", NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS),
        ("BUSY-TENTATIVE", NOW_MS + 5 * HOUR_MS, NOW_MS + 6 * HOUR_MS),
    ]
