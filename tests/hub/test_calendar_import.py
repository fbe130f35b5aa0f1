"""Calendars of others, over HTTP: their busy times block, and a newer file replaces them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.served import Answered, Served, serve_node
from tests.hub.test_bookings import NINE_TO_FIVE, TUESDAY, book, booked, resource

PATH = "/api/resources/strange/calendar.ics"
HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n"
TAIL = "END:VCALENDAR\r\n"
DAY_MS = 24 * 3_600_000


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path) as served:
        await resource(served, "strange", NINE_TO_FIVE, name="Dr Strange")
        yield served


def event(*lines: str) -> str:
    return "\r\n".join(("BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT", ""))


async def post(hub: Served, *events: str, source: str = "google", raw: str = "") -> Answered:
    text = raw or HEAD + "".join(events) + TAIL
    return await hub.call(
        "POST",
        f"{PATH}?source={source}",
        raw=text.encode(),
        headers={"Content-Type": "text/calendar"},
    )


async def taken(hub: Served, *events: str, source: str = "google") -> Any:
    answered = await post(hub, *events, source=source)
    assert answered.status == 200, answered.raw
    return answered.json


async def busy(hub: Served) -> list[str]:
    found = await hub.get("/api/bookings?resource=strange&limit=200")
    return [
        f"{one['start_local'][5:16]}-{one['end_local'][5:16]}"
        for one in found["items"]
        if one["source"]
    ]


async def faults(hub: Served, *events: str, raw: str = "") -> list[tuple[str, str]]:
    answered = await post(hub, *events, raw=raw)
    assert answered.status == 422, answered.raw
    assert await busy(hub) == []
    return [(place["path"], place["message"]) for place in answered.json["errors"]]


async def test_busy_times_block_and_say_whose_they_are(hub: Served) -> None:
    told = await taken(
        hub,
        event("SUMMARY:Dentist", "DTSTART:20261124T090000Z", "DTEND:20261124T100000Z"),
        event("DTSTART:20261124T110000Z", "DTEND:20261124T120000Z", "TRANSP:TRANSPARENT"),
        event("DTSTART:20261124T110000Z", "DTEND:20261124T120000Z", "STATUS:CANCELLED"),
    )
    assert (told["events"], told["ignored"], told["added"]) == (1, 2, 1)
    assert await busy(hub) == ["11-24T10:00-11-24T11:00"]
    refused = await book(hub, "strange", f"{TUESDAY}T10:30")
    assert refused.status == 409
    (conflict,) = refused.json["conflicts"]
    shown = await hub.get(f"/api/bookings/{conflict['booking']}")
    assert (shown["source"], shown["title"], shown["status"]) == ("google", "google", "confirmed")
    answered = await hub.call("GET", PATH)
    assert b"VEVENT" not in answered.raw  # it came from a calendar: it is not sent back
    assert (
        b"20261124T090000Z/20261124T100000Z" in (await hub.call("GET", f"{PATH}?freebusy=true")).raw
    )


async def test_a_newer_file_of_the_source_replaces_the_older_and_no_other(hub: Served) -> None:
    first = event("DTSTART:20261124T090000Z", "DTEND:20261124T100000Z")
    second = event("DTSTART:20261124T120000Z", "DURATION:PT45M")
    await taken(hub, event("DTSTART:20261125T090000Z", "DURATION:PT1H"), source="roster")
    await taken(hub, first, second)
    ids = [one["id"] for one in (await hub.get("/api/bookings?resource=strange"))["items"]]
    again = await taken(hub, first, second)
    assert (again["added"], again["kept"], again["removed"]) == (0, 2, 0)
    assert ids == [one["id"] for one in (await hub.get("/api/bookings?resource=strange"))["items"]]
    third = await taken(hub, second, event("DTSTART:20261126T090000Z", "DURATION:PT1H"))
    assert (third["added"], third["kept"], third["removed"]) == (1, 1, 1)
    assert await busy(hub) == [
        "11-24T13:00-11-24T13:45",
        "11-25T10:00-11-25T11:00",
        "11-26T10:00-11-26T11:00",
    ]
    empty = await taken(hub)
    assert empty["removed"] == 2
    assert await busy(hub) == ["11-25T10:00-11-25T11:00"]


async def test_what_came_from_a_calendar_is_changed_there_and_not_here(hub: Served) -> None:
    lunch = event("DTSTART:20261124T110000Z", "DTEND:20261124T120000Z")
    await taken(hub, lunch)
    (one,) = (await hub.get("/api/bookings?resource=strange"))["items"]
    path = f"/api/bookings/{one['id']}"
    for method, body in (
        ("PATCH", {"start": f"{TUESDAY}T14:00"}),
        ("PATCH", {"status": "no-show"}),
        ("DELETE", None),
    ):
        refused = await hub.call(method, path, body)
        assert refused.status == 409
        assert "calendar google" in refused.json["detail"]
        assert "import it again" in refused.json["detail"]
    assert await hub.get(path) | {"etag": ""} == one | {"etag": ""}
    assert (await taken(hub, lunch))["kept"] == 1
    assert (await taken(hub))["removed"] == 1  # an empty calendar is one as well
    assert await busy(hub) == []


async def test_the_end_of_a_resource_is_that_of_its_busy_times_too(hub: Served) -> None:
    await taken(hub, event("DTSTART:20261124T110000Z", "DTEND:20261124T120000Z"))
    (one,) = (await hub.get("/api/bookings?resource=strange"))["items"]
    assert (await hub.call("DELETE", "/api/resources/strange?cancel=true")).status < 300
    assert (await hub.get(f"/api/bookings/{one['id']}"))["status"] == "cancelled"


async def test_what_is_on_right_now_is_kept_and_what_is_past_stays(hub: Served) -> None:
    day = event("DTSTART:20261123T070000Z", "DTEND:20261123T150000Z")
    await taken(hub, day)
    hub.node.clock.ms += 2 * 3_600_000
    again = await taken(hub, day)
    assert (again["added"], again["kept"], again["removed"]) == (0, 1, 0)
    hub.node.clock.ms += DAY_MS
    assert (await taken(hub))["removed"] == 0


async def test_whom_it_displaces_stands_and_is_told(hub: Served) -> None:
    made = await booked(hub, "strange", f"{TUESDAY}T10:00")
    for _ in range(2):  # the same again says the same
        told = await taken(hub, event("DTSTART:20261124T090000Z", "DURATION:PT30M"))
        assert told["in_the_way"] == [made["id"]]
        shown = await hub.get(f"/api/bookings/{made['id']}")
        assert (shown["status"], shown["overbooked"]) == ("confirmed", True)
        (listed,) = (await hub.get("/api/bookings?attention=true"))["items"]
        assert listed["id"] == made["id"]
    assert (await taken(hub))["in_the_way"] == []
    assert (await hub.get(f"/api/bookings/{made['id']}"))["overbooked"] is False


async def test_a_whole_day_is_one_of_the_resource_also_where_the_clock_is_changed(
    hub: Served,
) -> None:
    await taken(
        hub,
        event("DTSTART;VALUE=DATE:20261124"),
        event("DTSTART;VALUE=DATE:20270327", "DTEND;VALUE=DATE:20270329"),
    )
    assert await busy(hub) == ["11-24T00:00-11-25T00:00", "03-27T00:00-03-29T00:00"]


async def test_an_event_of_the_year_is_split_into_bookings(hub: Served) -> None:
    await taken(hub, event("DTSTART;VALUE=DATE:20261201", "DTEND;VALUE=DATE:20270215"))
    assert await busy(hub) == [
        "12-01T00:00-01-01T00:00",
        "01-01T00:00-02-01T00:00",
        "02-01T00:00-02-15T00:00",
    ]


async def test_a_recurring_event_is_on_but_for_its_exceptions(hub: Served) -> None:
    await taken(
        hub,
        event(
            "DTSTART;TZID=Europe/Berlin:20261123T120000",
            "DURATION:PT30M",
            "RRULE:FREQ=DAILY;UNTIL=20261129T110000Z",
            "EXDATE;TZID=Europe/Berlin:20261124T120000",
            "RDATE;TZID=Europe/Berlin:20261202T090000",
        ),
        event(
            "RECURRENCE-ID:20261125T110000Z",
            "DTSTART;TZID=Europe/Berlin:20261125T160000",
            "DURATION:PT30M",
        ),
        event(
            "RECURRENCE-ID;TZID=Europe/Berlin:20261126T120000",
            "DTSTART;TZID=Europe/Berlin:20261126T120000",
            "DURATION:PT30M",
            "STATUS:CANCELLED",
        ),
    )
    assert [one[:11] for one in await busy(hub)] == [
        "11-23T12:00",
        "11-25T16:00",
        "11-27T12:00",
        "11-28T12:00",
        "11-29T12:00",
        "12-02T09:00",
    ]


async def test_a_rule_without_end_is_read_as_far_as_the_window(hub: Served) -> None:
    told = await taken(
        hub,
        event(
            "DTSTART;TZID=Europe/Berlin:20200106T090000",
            "DURATION:PT1H",
            "RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        ),
    )
    assert told["added"] == 13
    assert (await busy(hub))[:2] == ["11-30T09:00-11-30T10:00", "12-31T09:00-12-31T10:00"]


async def test_zones_of_their_own_and_those_of_windows_are_understood(hub: Served) -> None:
    zone = (
        "BEGIN:VTIMEZONE\r\nTZID:Home\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
        "TZOFFSETFROM:+0500\r\nTZOFFSETTO:+0500\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    await taken(
        hub,
        zone,
        event("DTSTART;TZID=Home:20261124T150000", "DURATION:PT1H"),
        event("DTSTART;TZID=W. Europe Standard Time:20261124T140000", "DURATION:PT1H"),
    )
    assert await busy(hub) == ["11-24T11:00-11-24T12:00", "11-24T14:00-11-24T15:00"]


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (("DTSTART:2026XX",), 6, "2026XX"),
        (("SUMMARY:x",), 4, "without DTSTART"),
        (("DTSTART;TZID=Nowhere/Land:20261124T100000",), 6, "no time zone 'Nowhere/Land'"),
        (("DTSTART:20261124T100000Z", "DTEND:20261124T090000Z"), 7, "end is before the start"),
        (("DTSTART:20261124T100000Z", "DTEND;VALUE=DATE:20261125"), 7, "both be days"),
        (("DTSTART:20261124T100000Z", "RRULE:FREQ=SECONDLY"), 7, "FREQ must be"),
        (("DTSTART:20261124T100000Z", "RRULE:FREQ=DAILY;INTERVAL=0"), 7, "at least 1"),
        (("DTSTART:20261124T100000Z", "RRULE:FREQ=DAILY;BYHOUR=9"), 7, "BYHOUR"),
        (("DTSTART:20261124T100000Z", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), 7, "never"),
        (("DTSTART:20261124T100000Z", "RRULE:FREQ=MONTHLY;BYDAY=6MO"), 7, "never"),
        (("DTSTART:99991231T100000Z",), 6, "the year 9999"),
        (("DTSTART;VALUE=DATE:20261124", "DURATION:P400D"), 7, "longer than 366 days"),
        (
            ("DTSTART:20261124T100000Z", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261124T100000Z"),
            7,
            "RANGE",
        ),
    ],
)
async def test_what_cannot_be_read_is_told_with_its_line(
    hub: Served, lines: tuple[str, ...], line: int, words: str
) -> None:
    ((place, message),) = await faults(hub, event(*lines))
    assert place == f"line {line}"
    assert words in message


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        ("hello", 1, "no property"),
        ("SUMMARY:x", 1, "BEGIN:VCALENDAR"),
        (HEAD, 1, "cut off"),
        (HEAD + "BEGIN:VEVENT\r\nEND:VCALENDAR\r\n", 5, "VEVENT of line 4 is still open"),
        (HEAD + "no colon\r\n" + TAIL, 4, "no property"),
        (HEAD + TAIL + HEAD + TAIL, 1, "no calendar"),
        (HEAD + TAIL + "END:VCALENDAR", 5, "begins with"),
    ],
)
async def test_what_is_no_calendar_is_told(hub: Served, raw: str, line: int, words: str) -> None:
    ((place, message),) = await faults(hub, raw=raw)
    assert place == f"line {line}"
    assert words in message


async def test_nothing_is_imported_of_a_file_with_a_fault(hub: Served) -> None:
    good = event("DTSTART:20261124T090000Z", "DURATION:PT1H")
    bad = event("DTSTART:2026XX")
    assert len(await faults(hub, good, bad, good, bad)) == 2


async def test_what_is_too_much_is_refused(hub: Served) -> None:
    daily = event("DTSTART:20261124T090000Z", "DURATION:PT5M", "RRULE:FREQ=DAILY")
    assert (await post(hub, *[daily] * 501)).status == 422
    hourly = [
        event(f"DTSTART:20261124T{h:02d}0000Z", "DURATION:PT5M", "RRULE:FREQ=DAILY")
        for h in range(6)
    ]
    assert "at most 2000" in (await post(hub, *hourly)).json["detail"]
    assert (await post(hub, raw=HEAD + "X-PAD:" + "x" * 1_100_000)).status == 413


async def test_who_and_what_may_be_imported(hub: Served) -> None:
    async def status(path: str, **more: Any) -> int:
        given: dict[str, Any] = {"headers": {"Content-Type": "text/calendar"}, **more}
        return (await hub.call("POST", path, raw=(HEAD + TAIL).encode(), **given)).status

    assert await status("/api/resources/nobody/calendar.ics?source=x") == 404
    assert await status(PATH) == 400
    assert await status(f"{PATH}?source=x", headers={"Content-Type": "text/plain"}) == 400
    assert await status(f"{PATH}?source=x", actor=None) == 401
    assert await status(f"{PATH}?source=x") == 200


async def test_our_own_calendar_can_be_imported_elsewhere(hub: Served) -> None:
    for start in ("2026-11-24T10:00", "2027-03-29T10:00", "2027-03-26T16:00"):
        await booked(hub, "strange", start)
    text = (await hub.call("GET", PATH)).raw
    await resource(hub, "who", NINE_TO_FIVE)
    answered = await hub.call(
        "POST",
        "/api/resources/who/calendar.ics?source=strange",
        raw=text,
        headers={"Content-Type": "text/calendar"},
    )
    assert answered.json["added"] == 3
    times = []
    for name in ("strange", "who"):
        found = await hub.get(f"/api/bookings?resource={name}")
        times.append([(one["start"], one["end"]) for one in found["items"]])
    assert times[0] == times[1]
