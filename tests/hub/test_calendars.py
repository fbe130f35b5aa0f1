"""Calendars of resources and people, over HTTP, as a program that subscribes sees them."""

import base64
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.served import TOKENS, Answered, Served, serve_node
from tests.hub import ics
from tests.hub.ics import Event
from tests.hub.test_bookings import NINE_TO_FIVE, TUESDAY, book, booked, resource

DAY_S = 24 * 3600
STRANGE = "/api/resources/strange/calendar.ics"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path) as served:
        await resource(served, "strange", NINE_TO_FIVE, name="Dr Strange")
        await resource(served, "room-2", NINE_TO_FIVE, limits={"after_s": 900})
        yield served


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


async def events(hub: Served, path: str = STRANGE) -> list[Event]:
    answered = await hub.call("GET", path)
    assert answered.status == 200, answered.raw
    return ics.events(answered.raw)


async def test_a_booking_is_in_the_calendars_of_its_resources_and_of_who_asked(hub: Served) -> None:
    made = await booked(hub, "strange+room-2", f"{TUESDAY}T10:00", title="Check-up")
    for path in (STRANGE, "/api/resources/room-2/calendar.ics", "/api/people/ada/calendar.ics"):
        (event,) = await events(hub, path)
        assert event["uid"] == f"{made['id']}@skerry"
        assert event["summary"] == "Check-up"
        assert event["dtstart"] == "20261124T100000"
        assert event["location"] == "room-2, strange"
    assert await events(hub, "/api/people/bo/calendar.ics") == []


async def test_the_sequence_rises_with_each_change_and_with_nothing_else(hub: Served) -> None:
    made = await booked(hub, "strange", f"{TUESDAY}T10:00", 60, hold_s=3600)
    await booked(hub, "strange", f"{TUESDAY}T14:00", 60)
    path = f"/api/bookings/{made['id']}"
    seen = []

    async def look() -> None:
        (event,) = [e for e in await events(hub) if made["id"] in e["uid"]]
        seen.append((int(event["sequence"]), event["status"]))

    await look()
    for change, status in (
        ({"status": "confirmed"}, 200),
        ({"start": f"{TUESDAY}T14:30"}, 409),
        ({"start": f"{TUESDAY}T11:00"}, 200),
    ):
        assert (await hub.call("PATCH", path, change)).status == status
        await look()
    assert (await hub.call("DELETE", path)).status == 200
    await look()
    assert seen == [
        (1, "TENTATIVE"),
        (2, "CONFIRMED"),
        (2, "CONFIRMED"),
        (3, "CONFIRMED"),
        (4, "CANCELLED"),
    ]


async def test_what_was_cancelled_is_told_for_a_month(hub: Served) -> None:
    made = await booked(hub, "strange", "2027-03-02T10:00")
    await hub.call("DELETE", f"/api/bookings/{made['id']}")
    hub.node.clock.ms += 29 * DAY_S * 1000
    assert [event["status"] for event in await events(hub)] == ["CANCELLED"]
    hub.node.clock.ms += 2 * DAY_S * 1000
    assert await events(hub) == []


async def test_a_calendar_has_a_month_back_and_a_year_ahead(hub: Served) -> None:
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    hub.node.clock.ms += 31 * DAY_S * 1000
    assert len(await events(hub)) == 1
    hub.node.clock.ms += 2 * DAY_S * 1000
    assert await events(hub) == []


async def test_a_hold_that_ran_out_is_cancelled_though_nobody_said_so_yet(hub: Served) -> None:
    await booked(hub, "strange", f"{TUESDAY}T10:00", hold_s=60)
    hub.node.clock.ms += 61_000
    assert [event["status"] for event in await events(hub)] == ["CANCELLED"]


async def test_a_calendar_that_is_known_is_not_sent_again(hub: Served) -> None:
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    first = await hub.call("GET", STRANGE)
    assert first.headers["Content-Type"] == "text/calendar; charset=utf-8"
    known = {"If-None-Match": first.headers["ETag"]}
    hub.node.clock.ms += 3_600_000
    again = await hub.call("GET", STRANGE, headers=known)
    assert (again.status, again.raw) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    weak = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
    assert (await hub.call("GET", STRANGE, headers=weak)).status == 304
    await booked(hub, "strange", f"{TUESDAY}T12:00")
    assert (await hub.call("GET", STRANGE, headers=known)).status == 200


async def test_a_calendar_program_gives_the_token_as_a_password(hub: Served) -> None:
    async def status(path: str, headers: dict[str, str], method: str = "GET") -> Answered:
        return await hub.call(method, path, actor=None, headers=headers)

    assert (await status(STRANGE, basic("anybody", TOKENS["ada"]))).status == 200
    assert (await status(STRANGE, basic("", TOKENS["ada"]), "HEAD")).status == 200
    for wrong in (
        basic("ada", "wrong"),
        basic(TOKENS["ada"], ""),
        {"Authorization": "Basic !"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"ada-token").decode()},
        {},
    ):
        refused = await status(STRANGE, wrong)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    # A browser sends it along unasked, so nothing that writes takes it, and nothing else does.
    for path in ("/api/bookings", "/api/resources/strange"):
        other = await status(path, basic("ada", TOKENS["ada"]))
        assert (other.status, other.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (await status(f"{STRANGE}?token={TOKENS['ada']}", {})).status == 401


async def test_free_busy_tells_when_and_not_what(hub: Served) -> None:
    await booked(hub, "room-2", f"{TUESDAY}T10:00", title="Secret")
    await booked(hub, "room-2", f"{TUESDAY}T12:00", hold_s=3600)
    answered = await hub.call("GET", "/api/resources/room-2/calendar.ics?freebusy=true")
    assert b"Secret" not in answered.raw
    assert b"ada" not in answered.raw
    assert b"FREEBUSY;FBTYPE=BUSY;VALUE=PERIOD:20261124T090000Z/20261124T101500Z" in answered.raw
    assert len(ics.free_busy(answered.raw)) == 2  # each with its quarter of an hour to clean up
    of_ada = await hub.call("GET", "/api/people/ada/calendar.ics?freebusy=true")
    assert [kind for kind, _, _ in ics.free_busy(of_ada.raw)] == ["BUSY", "BUSY-TENTATIVE"]


async def test_a_place_that_is_left_is_not_busy(hub: Served) -> None:
    await resource(hub, "ward", limits={"capacity": 2})
    await booked(hub, "ward", f"{TUESDAY}T10:00", 120)
    path = "/api/resources/ward/calendar.ics?freebusy=true"
    assert b"FREEBUSY;" not in (await hub.call("GET", path)).raw
    await booked(hub, "ward", f"{TUESDAY}T11:00", 120)
    assert b"20261124T100000Z/20261124T110000Z" in (await hub.call("GET", path)).raw


async def test_a_group_has_the_calendar_of_its_members(hub: Served) -> None:
    body = {"id": "surgery", "members": ["strange", "room-2"]}
    assert (await hub.call("POST", "/api/resources", body)).status == 201
    await booked(hub, "room-2", f"{TUESDAY}T10:00")
    await booked(hub, "strange", f"{TUESDAY}T12:00")
    assert len(await events(hub, "/api/resources/surgery/calendar.ics")) == 2


async def test_what_does_not_exist_and_what_is_not_asked_for(hub: Served) -> None:
    assert (await hub.call("GET", "/api/resources/nobody/calendar.ics")).status == 404
    assert (await hub.call("GET", f"{STRANGE}?freebusy=1")).status == 400
    assert (await hub.call("GET", f"{STRANGE}?colour=red")).status == 400
    assert (await book(hub, "strange", f"{TUESDAY}T03:00")).status == 409
    assert await events(hub) == []  # a refused booking never was one


def test_a_hub_loads_the_library_only_when_it_is_needed() -> None:
    code = "import hub.__main__, agent.__main__, sys; sys.exit('icalendar' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
