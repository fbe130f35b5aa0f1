"""Bookings at the hub, over HTTP: doctors Strange and Who, a press, a room and a technician."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.booking_keeper import BookingKeeper
from tests.api.served import Answered, Served, hear, serve_node

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
NINE_TO_FIVE = {day: ["09:00-17:00"] for day in WORKDAYS}
EIGHT_TO_FOUR = {day: ["08:00-16:00"] for day in WORKDAYS}
TUESDAY = "2026-11-24"  # START_MS is Monday, 09:00 in Berlin


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path) as served:
        await resource(served, "strange", NINE_TO_FIVE, name="Dr Strange")
        await resource(served, "who", EIGHT_TO_FOUR, name="Dr Who")
        yield served


async def resource(
    hub: Served, subject: str, week: dict[str, list[str]] = NINE_TO_FIVE, **more: Any
) -> Any:
    hours = {"timezone": "Europe/Berlin", "week": week, **more.pop("hours", {})}
    answered = await hub.call("POST", "/api/resources", {"id": subject, "hours": hours, **more})
    assert answered.status == 201, answered.raw
    return answered.json


async def book(hub: Served, resources: str, start: str, minutes: int = 60, **more: Any) -> Answered:
    body = {"resources": resources.split("+"), "start": start, "minutes": minutes, **more}
    return await hub.call("POST", "/api/bookings", body)


async def booked(hub: Served, *args: Any, **more: Any) -> Any:
    answered = await book(hub, *args, **more)
    assert answered.status == 201, answered.raw
    return answered.json


async def refused(hub: Served, *args: Any, **more: Any) -> Any:
    answered = await book(hub, *args, **more)
    assert answered.status == 409, answered.raw
    return answered.json


def starts(slots: list[Any]) -> list[str]:
    return [slot["start_local"] for slot in slots]


async def test_a_booking_is_told_in_utc_and_by_the_clock_of_its_resource(hub: Served) -> None:
    shown = await booked(hub, "strange", f"{TUESDAY}T10:00", title="Check-up")
    assert shown["status"] == "confirmed"
    assert shown["start"] == "2026-11-24T09:00:00.000Z"
    assert shown["start_local"] == "2026-11-24T10:00:00+01:00"
    assert shown["timezone"] == "Europe/Berlin"
    assert (shown["requester"], shown["title"]) == ("ada", "Check-up")
    assert [r["accepted"] for r in shown["requests"]] == [True]
    assert await hub.get(f"/api/bookings/{shown['id']}") == shown


async def test_a_conflict_names_what_is_in_the_way_and_what_would_do(hub: Served) -> None:
    first = await booked(hub, "strange", f"{TUESDAY}T10:00")
    problem = await refused(hub, "strange", f"{TUESDAY}T10:30")
    assert problem["type"] == "urn:skerry:problem:conflict"
    assert [c["booking"] for c in problem["conflicts"]] == [first["id"]]
    assert problem["conflicts"][0]["start"] == first["start"]
    assert [r["rule"] for r in problem["reasons"]] == ["capacity"]
    assert starts(problem["alternatives"]) == [
        f"{TUESDAY}T11:00:00+01:00",
        f"{TUESDAY}T12:00:00+01:00",
        f"{TUESDAY}T13:00:00+01:00",
    ]
    listed = await hub.get("/api/bookings")
    assert [item["id"] for item in listed["items"]] == [first["id"]]


async def test_bookings_that_touch_do_not_overlap(hub: Served) -> None:
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    await booked(hub, "strange", f"{TUESDAY}T11:00")
    await booked(hub, "strange", f"{TUESDAY}T09:00")


async def test_outside_the_hours_is_refused_with_the_hours(hub: Served) -> None:
    problem = await refused(hub, "strange", f"{TUESDAY}T08:00")
    assert [r["rule"] for r in problem["reasons"]] == ["hours"]
    assert "09:00-17:00" in problem["detail"]
    assert starts(problem["alternatives"])[0] == f"{TUESDAY}T09:00:00+01:00"


async def test_all_appointments_of_a_doctor_in_a_window(hub: Served) -> None:
    ids = [(await booked(hub, "strange", f"{TUESDAY}T{h:02}:00"))["id"] for h in range(9, 14)]
    await booked(hub, "who", f"{TUESDAY}T09:00")
    await booked(hub, "strange", "2026-11-25T09:00")
    path = f"/api/bookings?resource=strange&from={TUESDAY}T09:30&to={TUESDAY}T13:00"
    page = await hub.get(f"{path}&limit=3")
    rest = await hub.get(f"{path}&limit=3&cursor={page['next']}")
    assert [item["id"] for item in page["items"] + rest["items"]] == ids[:4]
    assert page["complete"]
    assert rest["next"] is None


async def test_bookings_of_a_person_and_of_several_resources(hub: Served) -> None:
    both = await booked(hub, "strange+who", f"{TUESDAY}T10:00")
    mine = await booked(hub, "who", f"{TUESDAY}T12:00")
    found = await hub.get("/api/bookings?resource=strange,who")
    assert [item["id"] for item in found["items"]] == [both["id"], mine["id"]]
    assert len((await hub.get("/api/bookings?person=ada"))["items"]) == 2
    assert (await hub.get("/api/bookings?person=bo"))["items"] == []


async def test_the_first_free_time_with_either_doctor(hub: Served) -> None:
    await booked(hub, "who", f"{TUESDAY}T08:00", 120)
    await booked(hub, "strange", f"{TUESDAY}T09:00", 30)
    query = f"resource=strange,who&minutes=45&after={TUESDAY}T08:00&limit=2"
    found = await hub.get(f"/api/availability?{query}")
    assert found["certain"]
    assert [(s["resources"], s["start_local"]) for s in found["slots"]] == [
        (["strange"], f"{TUESDAY}T09:30:00+01:00"),
        (["who"], f"{TUESDAY}T10:00:00+01:00"),
    ]


async def test_all_free_times_of_a_window(hub: Served) -> None:
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    query = f"resource=strange&window={TUESDAY}T00:00/2026-11-25T00:00"
    found = await hub.get(f"/api/availability?{query}")
    assert [(f["start_local"][11:16], f["end_local"][11:16]) for f in found["free"]] == [
        ("09:00", "10:00"),
        ("11:00", "17:00"),
    ]


async def test_a_room_and_a_technician_together_or_not_at_all(hub: Served) -> None:
    await resource(hub, "room-1")
    await resource(hub, "tech", EIGHT_TO_FOUR)
    await booked(hub, "tech", f"{TUESDAY}T09:00")
    problem = await refused(hub, "room-1+tech", f"{TUESDAY}T09:30")
    assert [r["resource"] for r in problem["reasons"]] == ["tech"]
    assert problem["alternatives"][0]["resources"] == ["room-1", "tech"]
    assert (await hub.get("/api/bookings?resource=room-1"))["items"] == []
    found = await hub.get(
        f"/api/availability?resource=room-1&with=tech&minutes=60&after={TUESDAY}T09:00"
    )
    assert starts(found["slots"])[0] == f"{TUESDAY}T10:00:00+01:00"
    made = await booked(hub, "room-1+tech", f"{TUESDAY}T10:00")
    assert made["resources"] == ["room-1", "tech"]


async def test_every_move_stays_told_with_who_wanted_it_whither_and_when(hub: Served) -> None:
    made = await booked(hub, "strange", f"{TUESDAY}T10:00")
    for hour in (11, 12, 13):
        hub.node.clock.ms += MINUTE_MS
        start = f"{TUESDAY}T{hour}:00"
        moved = await hub.call("PATCH", f"/api/bookings/{made['id']}", {"start": start})
        assert moved.status == 200
    requests = (await hub.get(f"/api/bookings/{made['id']}"))["requests"]
    told = [(r["ask"], r["actor"], r["start"]) for r in requests]
    hours = [f"{TUESDAY}T{hour:02d}:00:00.000Z" for hour in (9, 10, 11, 12)]
    assert told == list(zip(("create", *["move"] * 3), ["ada"] * 4, hours, strict=True))
    times = [r["at"] for r in requests]
    assert times == sorted(set(times))


async def test_a_group_has_only_members_that_there_are(hub: Served) -> None:
    answered = await hub.call(
        "POST", "/api/resources", {"id": "team", "members": ["who", "nobody"]}
    )
    assert answered.status == 422
    assert "there is no resource nobody" in answered.json["detail"]
    assert (await hub.call("GET", "/api/resources/team")).status == 404
    body = {"id": "team", "members": ["who"], "limits": {"capacity": 2}}
    assert (await hub.call("POST", "/api/resources", body)).status == 422
    made = await hub.call("POST", "/api/resources", {"id": "team", "members": ["who"]})
    assert made.status == 201
    refused = await hub.call("DELETE", "/api/resources/who?cancel=true")
    assert refused.status == 409
    assert "a member of team; take it out there first" in refused.json["detail"]
    assert (await hub.call("DELETE", "/api/resources/team")).status == 204
    assert (await hub.call("DELETE", "/api/resources/who")).status == 204


async def test_a_window_in_which_nothing_is_free_says_why(hub: Served) -> None:
    window = "2026-11-28T00:00:00Z/2026-11-29T00:00:00Z"  # a Saturday
    found = await hub.get(f"/api/availability?resource=who&window={window}")
    assert found["free"] == []
    assert [(one["rule"], one["resource"]) for one in found["reasons"]] == [("hours", "who")]
    window = "2036-11-24T00:00:00Z/2036-11-25T00:00:00Z"
    found = await hub.get(f"/api/availability?resource=who&window={window}")
    assert [one["rule"] for one in found["reasons"]] == ["horizon"]


async def test_a_local_time_of_nobody_says_what_may_be_wrong(hub: Served) -> None:
    answered = await book(hub, "nobody", f"{TUESDAY}T10:00")
    assert answered.status == 422
    assert "check their ids" in answered.json["detail"]


async def test_what_is_offered_now_can_be_booked_a_moment_later(hub: Served) -> None:
    await resource(hub, "ward", {day: ["00:00-24:00"] for day in (*WORKDAYS, "sat", "sun")})
    found = await hub.get("/api/availability?resource=ward&minutes=30&limit=1")
    (slot,) = found["slots"]
    hub.node.clock.ms += 30_000
    await booked(hub, "ward", slot["start"], minutes=30)


async def test_a_group_is_booked_as_a_whole(hub: Served) -> None:
    await resource(hub, "room-1")
    made = await hub.call("POST", "/api/resources", {"id": "or-1", "members": ["room-1", "who"]})
    assert (made.status, made.json["members"]) == (201, ["room-1", "who"])
    shown = await booked(hub, "or-1", f"{TUESDAY}T10:00")
    assert shown["resources"] == ["room-1", "who"]
    await refused(hub, "who", f"{TUESDAY}T10:00")
    (listed,) = (await hub.get("/api/bookings?resource=or-1"))["items"]
    assert listed["id"] == shown["id"]


async def test_a_press_for_maintenance_with_its_buffers(hub: Served) -> None:
    await resource(hub, "press-1", limits={"before_s": 1800, "after_s": 900})
    await booked(hub, "press-1", f"{TUESDAY}T10:00", title="Maintenance")
    problem = await refused(hub, "press-1", f"{TUESDAY}T11:30")
    assert starts(problem["alternatives"])[0] == f"{TUESDAY}T11:45:00+01:00"
    await booked(hub, "press-1", f"{TUESDAY}T11:45")


async def test_a_hundred_at_once_for_one_slot(hub: Served) -> None:
    """Promise 3."""
    answers = await asyncio.gather(
        *(book(hub, "strange", f"{TUESDAY}T10:00", 45, title=str(n)) for n in range(100))
    )
    assert Counter(a.status for a in answers) == {201: 1, 409: 99}
    (won,) = [a.json["id"] for a in answers if a.status == 201]
    for answer in answers:
        if answer.status == 409:
            assert [c["booking"] for c in answer.json["conflicts"]] == [won]
            assert len(answer.json["alternatives"]) == 3
    assert len((await hub.get("/api/bookings?resource=strange"))["items"]) == 1


async def test_a_hundred_at_once_never_exceed_a_capacity_of_three(hub: Served) -> None:
    """Promise 3."""
    await resource(hub, "ward", limits={"capacity": 3})
    answers = await asyncio.gather(
        *(book(hub, "ward", f"{TUESDAY}T{9 + n % 3:02}:30", 90) for n in range(100))
    )
    rows = await hub.replica.read(
        lambda r: r.query("SELECT begins, ends FROM booking_places WHERE resource = 'ward'")
    )
    assert len(rows) == sum(a.status == 201 for a in answers)
    assert all(sum(b <= at < e for b, e in rows) <= 3 for at, _ in rows)
    assert len(rows) >= 3


async def test_a_move_keeps_the_old_time_until_it_has_the_new_one(hub: Served) -> None:
    mine = await booked(hub, "strange", f"{TUESDAY}T10:00")
    await booked(hub, "strange", f"{TUESDAY}T12:00")
    path = f"/api/bookings/{mine['id']}"
    failed = await hub.call("PATCH", path, {"start": f"{TUESDAY}T12:30"})
    assert failed.status == 409
    assert (await hub.get(path))["start"] == mine["start"]
    moved = await hub.call("PATCH", path, {"start": f"{TUESDAY}T10:30"})  # over its old time
    assert (moved.status, moved.json["start_local"]) == (200, f"{TUESDAY}T10:30:00+01:00")
    assert moved.json["end_local"] == f"{TUESDAY}T11:30:00+01:00"
    await booked(hub, "strange", f"{TUESDAY}T09:30")


async def test_a_move_by_who_has_not_seen_the_last_one_is_refused(hub: Served) -> None:
    mine = await booked(hub, "strange", f"{TUESDAY}T10:00")
    path = f"/api/bookings/{mine['id']}"
    assert (await hub.call("PATCH", path, {"start": f"{TUESDAY}T11:00"})).status == 200
    late = await hub.call("PATCH", path, {"start": f"{TUESDAY}T12:00", "seen": mine["etag"]})
    assert late.status == 409
    assert [r["rule"] for r in late.json["reasons"]] == ["stale"]
    strict = {"If-Match": f'"{mine["etag"]}"'}
    assert (await hub.call("PATCH", path, {"minutes": 30}, headers=strict)).status == 412


async def test_a_cancelled_booking_frees_its_place_and_stays_to_be_seen(hub: Served) -> None:
    mine = await booked(hub, "strange", f"{TUESDAY}T10:00")
    gone = await hub.call("DELETE", f"/api/bookings/{mine['id']}?reason=better")
    assert (gone.status, gone.json["status"]) == (200, "cancelled")
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    again = await hub.call("DELETE", f"/api/bookings/{mine['id']}")
    assert again.status == 409
    found = await hub.get("/api/bookings?status=cancelled")
    assert [item["id"] for item in found["items"]] == [mine["id"]]


async def test_a_hold_blocks_until_it_runs_out_and_is_then_told_as_expired(hub: Served) -> None:
    held = await booked(hub, "strange", f"{TUESDAY}T10:00", hold_s=600)
    assert held["status"] == "held"
    await refused(hub, "strange", f"{TUESDAY}T10:00")
    hub.node.clock.ms += 600_000
    other = await booked(hub, "strange", f"{TUESDAY}T10:00")  # nobody had to be awake for that
    await BookingKeeper(hub.replica, hub.node.clock).tick()
    path = f"/api/bookings/{held['id']}"
    assert (await hub.get(path))["status"] == "expired"
    late = await hub.call("PATCH", path, {"status": "confirmed"})
    assert late.status == 409
    assert (await hub.get(f"/api/bookings/{other['id']}"))["status"] == "confirmed"


async def test_a_clock_set_back_revives_no_hold(hub: Served) -> None:
    """Promise 3."""
    held = await booked(hub, "strange", f"{TUESDAY}T10:00", hold_s=600)
    hub.node.clock.ms += 600_000
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    hub.node.clock.ms -= 300_000
    late = await hub.call("PATCH", f"/api/bookings/{held['id']}", {"status": "confirmed"})
    assert (late.status, late.json["reasons"][0]["rule"]) == (409, "status")


async def test_a_late_word_confirms_a_hold_whose_place_nobody_took(hub: Served) -> None:
    held = await booked(hub, "strange", f"{TUESDAY}T10:00", hold_s=600)
    hub.node.clock.ms += 600_001
    late = await hub.call("PATCH", f"/api/bookings/{held['id']}", {"status": "confirmed"})
    assert late.status == 200


async def test_a_hold_is_confirmed_and_a_no_show_noted(hub: Served) -> None:
    held = await booked(hub, "strange", "2026-11-23T10:00", hold_s=600)
    path = f"/api/bookings/{held['id']}"
    sure = await hub.call("PATCH", path, {"status": "confirmed"})
    assert (sure.status, sure.json["status"], sure.json["held_until"]) == (200, "confirmed", None)
    early = await hub.call("PATCH", path, {"status": "no-show"})
    assert early.status == 409
    hub.node.clock.ms += 2 * HOUR_MS
    assert (await hub.call("PATCH", path, {"status": "no-show"})).json["status"] == "no-show"


async def test_the_same_request_again_is_the_same_booking(hub: Served) -> None:
    key = {"Idempotency-Key": "k1"}
    body = {"resource": "strange", "start": f"{TUESDAY}T10:00", "minutes": 30}
    first = await hub.call("POST", "/api/bookings", body, headers=key)
    again = await hub.call("POST", "/api/bookings", body, headers=key)
    assert first.raw == again.raw
    named = {**body, "start": f"{TUESDAY}T12:00", "id": "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3f"}
    assert (await hub.call("POST", "/api/bookings", named)).status == 201
    assert (await hub.call("POST", "/api/bookings", named)).status == 200
    assert (await hub.call("POST", "/api/bookings", {**named, "minutes": 31})).status == 409


async def test_new_hours_flag_the_bookings_they_leave_outside(hub: Served) -> None:
    late = await booked(hub, "strange", f"{TUESDAY}T16:00")
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    path = "/api/resources/strange/hours"
    answered = await hub.call("PATCH", path, {"week": {"tue": ["09:00-12:00"]}})
    assert answered.status == 200, answered.raw
    assert [one["booking"] for one in answered.json["affected"]] == [late["id"]]
    flagged = await hub.get(f"/api/bookings/{late['id']}")
    assert flagged["status"] == "confirmed"
    assert [r["rule"] for r in flagged["outside"]] == ["hours"]
    needing = await hub.get("/api/bookings?attention=true")
    assert [one["id"] for one in needing["items"]] == [late["id"]]
    both = await hub.call("GET", "/api/bookings?attention=true&resource=strange")
    assert both.status == 400
    back = await hub.call("PATCH", path, {"week": {"tue": ["09:00-18:00"]}})
    assert back.json["affected"] == []
    assert (await hub.get(f"/api/bookings/{late['id']}"))["outside"] == []
    assert (await hub.get("/api/bookings?attention=true"))["items"] == []


async def test_leave_is_added_and_taken_back(hub: Served) -> None:
    path = "/api/resources/strange/hours"
    day = {"first": TUESDAY, "note": "on leave"}
    assert (await hub.call("POST", path, day)).status == 201
    assert "on leave" in (await refused(hub, "strange", f"{TUESDAY}T10:00"))["detail"]
    assert (await hub.call("POST", path, day)).status == 422
    assert (await hub.call("DELETE", f"{path}?first={TUESDAY}")).status == 200
    await booked(hub, "strange", f"{TUESDAY}T10:00")


async def test_public_holidays_of_a_region_close_a_resource(hub: Served) -> None:
    made = await resource(hub, "clinic", hours={"holidays": {"country": "DE", "subdivision": "BY"}})
    assert "2026-12-25" in made["public_holidays"]
    problem = await refused(hub, "clinic", "2026-12-25T10:00")
    assert [r["rule"] for r in problem["reasons"]] == ["hours"]
    unknown = await hub.call(
        "PATCH", "/api/resources/clinic/hours", {"holidays": {"country": "XX"}}
    )
    assert unknown.status == 422


async def test_a_resource_with_bookings_ahead_goes_only_with_them(hub: Served) -> None:
    mine = await booked(hub, "strange", f"{TUESDAY}T10:00")
    stuck = await hub.call("DELETE", "/api/resources/strange")
    assert (stuck.status, stuck.json["bookings"]) == (409, 1)
    assert (await hub.call("DELETE", "/api/resources/strange?cancel=true")).status == 204
    assert (await hub.get(f"/api/bookings/{mine['id']}"))["status"] == "cancelled"
    assert (await hub.call("GET", "/api/resources/strange")).status == 404
    problem = await refused(hub, "strange", "2026-11-24T09:00:00Z")
    assert [r["rule"] for r in problem["reasons"]] == ["unknown"]
    await resource(hub, "strange")
    await booked(hub, "strange", f"{TUESDAY}T10:00")


SERIES = {"start": f"{TUESDAY}T14:00", "minutes": 45, "rule": "FREQ=WEEKLY;COUNT=4"}


async def test_a_series_is_booked_as_a_whole_or_where_it_fits(hub: Served) -> None:
    await booked(hub, "strange", "2026-12-01T14:00")
    body = {"resources": ["strange"], "title": "Physio", "series": SERIES, "alternatives": 1}
    whole = await hub.call("POST", "/api/bookings", body)
    assert whole.status == 409
    assert [o["accepted"] for o in whole.json["occurrences"]] == [False] * 4
    assert (await hub.get("/api/bookings?resource=strange"))["next"] is None
    skipping = {**body, "series": {**SERIES, "policy": "skip"}}
    some = await hub.call("POST", "/api/bookings", skipping)
    assert some.status == 201, some.raw
    told = some.json["occurrences"]
    assert [o["accepted"] for o in told] == [True, False, True, True]
    assert starts(told[1]["alternatives"]) == ["2026-12-01T15:00:00+01:00"]
    one = await hub.get(f"/api/bookings/{told[0]['booking']}")
    assert (one["series"], one["title"]) == (some.json["series"], "Physio")
    moved = await hub.call("PATCH", f"/api/bookings/{one['id']}", {"start": f"{TUESDAY}T15:00"})
    assert moved.status == 200


async def ask(hub: Served, text: str) -> Any:
    quoted = text.replace(" ", "%20")
    return await hub.get(f"/api/availability?ask={quoted}")


async def test_questions_are_answered_with_how_they_were_read(hub: Served) -> None:
    mine = await booked(hub, "who", f"{TUESDAY}T12:00")
    found = await ask(hub, "first 45 minutes with Who tomorrow afternoon")
    assert found["asked"]["understood"], found
    assert "first 45 minutes with who" in found["asked"]["reading"]
    assert starts(found["slots"])[0] == f"{TUESDAY}T13:00:00+01:00"
    listed = await ask(hub, "all of Who's appointments tomorrow")
    assert [b["id"] for b in listed["bookings"]] == [mine["id"]]
    taken = await ask(hub, "is Who free tomorrow at 12:00 for an hour")
    assert (taken["slots"], [r["rule"] for r in taken["reasons"]]) == ([], ["capacity"])
    assert (await ask(hub, "when is Strange free tomorrow"))["free"]
    odd = await ask(hub, "first 45 minutes with Who near the pond")
    assert not odd["asked"]["understood"]
    assert "pond" in odd["asked"]["reading"]


async def test_listeners_hear_of_bookings_and_resources(hub: Served) -> None:
    async with hub.live(subscribe=["bookings", "resource:strange"]) as socket:
        assert (await hear(socket))["type"] == "subscribed"
        mine = await booked(hub, "strange", f"{TUESDAY}T10:00")
        told = await hear(socket)
        assert (told["topic"], told["record"]["id"]) == ("bookings", mine["id"])
        await hub.call("PATCH", "/api/resources/strange", {"description": "room 4"})
        told = await hear(socket)
        assert (told["topic"], told["record"]["description"]) == ("resource:strange", "room 4")


async def test_what_is_wrong_with_a_request_is_said(hub: Served) -> None:
    for body, status in (
        ({"resource": "strange", "start": f"{TUESDAY}T10:00"}, 400),
        ({"resource": "strange", "minutes": 5}, 400),
        ({"start": f"{TUESDAY}T10:00", "minutes": 5}, 400),
        ({"resource": "strange", "start": "soon", "minutes": 5}, 422),
        ({"resource": "nobody", "start": f"{TUESDAY}T10:00", "minutes": 5}, 422),
        ({"resource": "strange", "start": "2027-03-28T02:30", "minutes": 5}, 422),
        ({"resource": "strange", "start": f"{TUESDAY}T10:00", "end": f"{TUESDAY}T09:00"}, 422),
        ({"resource": "strange", "start": f"{TUESDAY}T10:00", "minutes": 5, "colour": 1}, 400),
    ):
        answered = await hub.call("POST", "/api/bookings", body)
        assert answered.status == status, (body, answered.raw)
    wrong = await hub.call(
        "POST",
        "/api/resources",
        {"id": "x", "hours": {"timezone": "Mars/Base", "week": {"mon": ["9-17"]}}},
    )
    assert wrong.status == 422
    assert {e["path"] for e in wrong.json["errors"]} == {
        "$.hours.timezone",
        "$.hours.week.mon[0]",
    }


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59", "9999-12-31T23:59-14:00"])
async def test_the_ends_of_the_calendar_are_refused(hub: Served, text: str) -> None:
    series = {**SERIES, "start": text[:16]}
    for body in (
        {"resource": "who", "start": text, "minutes": 5},
        {"resource": "who", "series": series},
    ):
        assert (await hub.call("POST", "/api/bookings", body)).status == 422
    path = f"/api/availability?resource=who&minutes=5&after={text}"
    assert (await hub.call("GET", path)).status == 422


async def test_metrics_count_bookings(hub: Served) -> None:
    await booked(hub, "strange", f"{TUESDAY}T10:00")
    text = (await hub.call("GET", "/metrics")).raw.decode()
    assert 'skerry_bookings{status="confirmed"} 1' in text
    assert "skerry_resources 2" in text
