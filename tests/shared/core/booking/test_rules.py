"""What is wrong with rules is named, with its place and its remedy."""

import datetime
from typing import Any

import msgspec
import pytest

from shared.core.booking import hours as hours_of
from shared.core.booking import rules
from shared.core.booking.groups import Group, resolve
from shared.core.booking.hours import SPANS_MAX, Week
from shared.core.booking.rules import Grid, Hours, Limits, Region, SpecialDays
from shared.errors import Refused
from tests.shared.core.booking.making import ALWAYS, NIGHTS, OFFICE, YEARS_S

DAY = datetime.date(2026, 12, 24)


def faults(hours: Hours, limits: Limits) -> dict[str, str]:
    try:
        rules.check(hours, limits)
    except Refused as error:
        return dict(error.places)
    return {}


def of_hours(
    week: Week = OFFICE, zone: str = "Europe/Berlin", *days: SpecialDays
) -> dict[str, str]:
    return faults(Hours(zone, week, days), Limits())


def of_limits(**fields: Any) -> dict[str, str]:
    return faults(Hours("UTC", OFFICE), Limits(**fields))


@pytest.mark.parametrize("week", [OFFICE, NIGHTS, ALWAYS, Week(mon=("22:00-24:00",))])
def test_good_hours_are_taken(week: Week) -> None:
    assert of_hours(week) == {}


@pytest.mark.parametrize("zone", ["Europe/Gotham", "right/Europe/Berlin", "localtime", "Factory"])
def test_an_unknown_zone_is_named(zone: str) -> None:
    found = of_hours(OFFICE, zone)
    assert f"no time zone '{zone}'" in found["$.hours.timezone"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("8-12", "is no interval"),
        ("08:00-12:60", "is no interval"),
        ("08:00-12:00 ", "is no interval"),
        ("08:00-25:00", "ends after 24:00"),
        ("08:00-24:01", "ends after 24:00"),
        ("24:00-06:00", "begins after 23:59"),
        ("08:00-08:00", "has no length; a whole day is 00:00-24:00"),
    ],
)
def test_hours_that_are_none_are_named(text: str, fault: str) -> None:
    assert fault in of_hours(Week(tue=("06:00-07:00", text)))["$.hours.week.tue[1]"]


def test_hours_that_overlap_are_named() -> None:
    found = of_hours(Week(wed=("13:00-17:00", "08:00-13:01")))
    assert found == {
        "$.hours.week.wed": "08:00-13:01 and 13:00-17:00 overlap; join them or move one"
    }


def test_hours_that_touch_do_not_overlap() -> None:
    assert of_hours(Week(wed=("08:00-13:00", "13:00-24:00"), thu=("00:00-08:00",))) == {}


def test_a_night_that_overlaps_the_next_morning_is_named_from_sunday_to_monday_too() -> None:
    week = Week(mon=("05:00-09:00",), sun=("22:00-06:00",))
    assert "22:00-06:00 of sun overlaps 05:00-09:00 of mon" in of_hours(week)["$.hours.week.mon"]


def test_too_many_intervals_a_day_are_named() -> None:
    many = tuple(f"{n // 2:02d}:{n % 2 * 30:02d}-{n // 2:02d}:{n % 2 * 30 + 10}" for n in range(25))
    assert f"more than {SPANS_MAX}" in of_hours(Week(mon=many))["$.hours.week.mon"]


def test_faults_of_exceptions_are_named() -> None:
    path = "$.hours.exceptions[0]"
    assert f"{path}.hours[0]" in of_hours(OFFICE, "UTC", SpecialDays(DAY, hours=("10-12",)))
    before = SpecialDays(DAY, DAY - datetime.timedelta(days=1))
    assert "before the first day" in of_hours(OFFICE, "UTC", before)[f"{path}.last"]
    long = SpecialDays(DAY, DAY + datetime.timedelta(days=366))
    assert "more than 366 days" in of_hours(OFFICE, "UTC", long)[f"{path}.last"]


def test_two_exceptions_of_one_day_are_named() -> None:
    week_off = SpecialDays(DAY, DAY + datetime.timedelta(days=6))
    within = SpecialDays(DAY + datetime.timedelta(days=2))
    inside = SpecialDays(DAY + datetime.timedelta(days=5))
    after = SpecialDays(DAY + datetime.timedelta(days=7))
    found = of_hours(OFFICE, "UTC", inside, week_off, within, after)
    assert set(found) == {"$.hours.exceptions[0].first", "$.hours.exceptions[2].first"}
    assert "is in exception 1 already" in found["$.hours.exceptions[2].first"]


def test_exceptions_may_follow_each_other_but_share_no_day() -> None:
    two_days = SpecialDays(DAY, DAY + datetime.timedelta(days=1))
    assert of_hours(OFFICE, "UTC", two_days, SpecialDays(DAY + datetime.timedelta(days=2))) == {}
    shared = of_hours(OFFICE, "UTC", two_days, SpecialDays(DAY + datetime.timedelta(days=1)))
    assert set(shared) == {"$.hours.exceptions[1].first"}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"capacity": 0}, "capacity"),
        ({"capacity": rules.CAPACITY_MAX + 1}, "capacity"),
        ({"before_s": -1}, "before_s"),
        ({"after_s": -60}, "after_s"),
        ({"notice_s": -1}, "notice_s"),
        ({"horizon_s": 0, "notice_s": -1}, "horizon_s"),
        ({"horizon_s": rules.HORIZON_S_MAX + 1}, "horizon_s"),
        ({"grid": Grid(0)}, "grid.minutes"),
        ({"grid": Grid(24 * 60 + 1)}, "grid.minutes"),
        ({"notice_s": 3600, "horizon_s": 3600}, "notice_s"),
    ],
)
def test_limits_out_of_bounds_are_named(fields: dict[str, Any], place: str) -> None:
    assert f"$.limits.{place}" in of_limits(**fields)


def test_limits_at_their_bounds_are_taken() -> None:
    assert of_limits(capacity=1, notice_s=0, horizon_s=YEARS_S, grid=Grid(1)) == {}


def test_all_faults_are_told_at_once() -> None:
    hours, limits = Hours("Nowhere", Week(mon=("9-5",))), Limits(capacity=0)
    found = faults(hours, limits)
    assert set(found) == {"$.hours.timezone", "$.hours.week.mon[0]", "$.limits.capacity"}
    with pytest.raises(Refused) as refused:
        rules.check(hours, limits)
    assert all(f"{path}: {text}" in refused.value.detail for path, text in found.items())


def test_rules_are_event_bodies_and_json() -> None:
    hours = Hours("Europe/Berlin", NIGHTS, (SpecialDays(DAY, note="eve"),), Region("DE", "BY"))
    limits = Limits(capacity=2, grid=Grid(15))
    for body in (hours, limits, Group(("strange", "room-2"))):
        json = msgspec.json.encode(body)
        assert msgspec.json.decode(json, type=type(body)) == body
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(body), type=type(body)) == body
    assert b'"first":"2026-12-24"' in msgspec.json.encode(hours)


def test_hours_are_written_as_they_were_read() -> None:
    for text in ("08:00-12:30", "22:00-06:00", "00:00-24:00", "22:00-24:00"):
        (span,) = hours_of.spans((text,))
        assert hours_of.text(span) == text


# ------------------------------------------------------------------ groups


def test_a_group_is_all_of_its_members_each_once() -> None:
    groups = {"team": Group(("strange", "theatre")), "theatre": Group(("room-2", "robot"))}
    assert resolve(("team", "room-2"), groups) == ("robot", "room-2", "strange")
    assert resolve(("strange",), groups) == ("strange",)


def test_a_group_that_contains_itself_is_refused_with_its_ring() -> None:
    groups = {"a": Group(("x", "b")), "b": Group(("c",)), "c": Group(("b",))}
    with pytest.raises(Refused, match="group b contains itself \\(b > c > b\\)") as refused:
        resolve(("a",), groups)
    assert refused.value.places == (("$.members", "recursion"),)


def test_a_group_reached_in_many_ways_is_walked_once() -> None:
    groups = {f"g{n}": Group((f"g{n + 1}",) * 50) for n in range(20)}
    assert resolve(("g0",), groups) == ("g20",)


def test_more_resources_than_one_booking_bears_are_refused() -> None:
    groups = {
        "a": Group(tuple(f"a{n}" for n in range(50))),
        "b": Group(("one-more",)),
    }
    assert len(resolve(("a",), groups)) == 50
    with pytest.raises(Refused, match="51 resources at once"):
        resolve(("a", "b"), groups)
