"""When a resource is open: nights, exceptions, holidays, changed clocks."""

import datetime

import pytest

from shared.core.booking.hours import Week
from shared.core.booking.resource import Resource
from shared.core.booking.rules import Cause, SpecialDays
from tests.shared.core.booking.making import (
    ALWAYS,
    HOUR_MS,
    NIGHTS,
    OFFICE,
    a_resource,
    at,
)

CHRISTMAS = datetime.date(2026, 12, 25)


def opened(resource: Resource, start: str, end: str) -> list[tuple[int, int]]:
    return [(i.start_ms, i.end_ms) for i in resource.calendar.open(at(start), at(end))]


@pytest.mark.parametrize(
    ("date", "hours"), [("2026-10-23", 8), ("2026-10-24", 9), ("2027-03-26", 8), ("2027-03-27", 7)]
)
def test_a_night_shift_is_as_long_as_its_night(date: str, hours: int) -> None:
    (night,) = a_resource(NIGHTS).calendar.begun(datetime.date.fromisoformat(date))
    assert night.length_ms == hours * HOUR_MS
    assert night.start_ms == at(f"{date}T22:00")


def test_shifts_that_touch_on_paper_touch_in_the_night_of_a_change() -> None:
    halves = Week(*(("00:00-02:30", "02:30-24:00"),) * 7)
    for date in ("2026-10-25", "2027-03-28"):
        first, second = a_resource(halves).calendar.begun(datetime.date.fromisoformat(date))
        assert first.end_ms == second.start_ms


def test_hours_that_the_clock_jumps_over_are_closed_that_day() -> None:
    early = a_resource(Week(*(("02:00-03:00", "02:15-02:45"),) * 7))
    assert early.calendar.begun(datetime.date(2027, 3, 28)) == ()
    assert len(early.calendar.begun(datetime.date(2027, 3, 29))) == 2


def test_several_intervals_a_day_and_a_day_without() -> None:
    assert opened(a_resource(), "2026-12-04T00:00", "2026-12-07T10:00") == [
        (at("2026-12-04T08:00"), at("2026-12-04T12:00")),
        (at("2026-12-07T08:00"), at("2026-12-07T10:00")),
    ]


def test_a_day_that_ends_at_24_goes_on_in_the_next() -> None:
    assert opened(a_resource(ALWAYS), "2026-12-04T00:00", "2026-12-07T10:00") == [
        (at("2026-12-04T00:00"), at("2026-12-07T10:00"))
    ]


def test_the_night_before_reaches_into_a_window() -> None:
    assert opened(a_resource(NIGHTS), "2026-12-04T05:00", "2026-12-04T23:00") == [
        (at("2026-12-04T05:00"), at("2026-12-04T06:00")),
        (at("2026-12-04T22:00"), at("2026-12-04T23:00")),
    ]


def test_leave_closes_all_its_days() -> None:
    leave = SpecialDays(datetime.date(2026, 11, 30), datetime.date(2026, 12, 3))
    away = a_resource(exceptions=(leave,))
    assert opened(away, "2026-11-30T00:00", "2026-12-04T09:00") == [
        (at("2026-12-04T08:00"), at("2026-12-04T09:00"))
    ]


def test_extra_hours_replace_those_of_the_day() -> None:
    extra = SpecialDays(datetime.date(2026, 12, 4), hours=("10:00-14:00",), cause=Cause.EXTRA)
    assert opened(a_resource(exceptions=(extra,)), "2026-12-04T00:00", "2026-12-05T00:00") == [
        (at("2026-12-04T10:00"), at("2026-12-04T14:00"))
    ]


def test_a_holiday_closes_and_an_exception_goes_before_it() -> None:
    holidays = {CHRISTMAS: "Christmas"}
    day = ("2026-12-25T00:00", "2026-12-26T00:00")
    assert opened(a_resource(holidays=holidays), *day) == []
    extra = SpecialDays(CHRISTMAS, hours=("09:00-10:00",), cause=Cause.EXTRA)
    on_duty = a_resource(holidays=holidays, exceptions=(extra,))
    assert opened(on_duty, *day) == [(at("2026-12-25T09:00"), at("2026-12-25T10:00"))]


def test_a_holiday_leaves_the_night_before_it_whole() -> None:
    nights = a_resource(NIGHTS, holidays={CHRISTMAS: "Christmas"})
    assert opened(nights, "2026-12-24T00:00", "2026-12-26T00:00")[1:] == [
        (at("2026-12-24T22:00"), at("2026-12-25T06:00"))
    ]


def test_a_week_is_laid_out_in_the_zone_of_the_resource() -> None:
    tokyo = a_resource(OFFICE, timezone="Asia/Tokyo")
    assert opened(tokyo, "2026-12-01T00:00", "2026-12-01T05:30") == [
        (at("2026-12-01T08:00+09:00"), at("2026-12-01T12:00+09:00")),
        (at("2026-12-01T13:00+09:00"), at("2026-12-01T05:30")),
    ]


def test_extra_hours_that_run_into_the_next_day_join_it() -> None:
    extra = SpecialDays(datetime.date(2026, 12, 3), hours=("20:00-09:00",), cause=Cause.EXTRA)
    assert opened(a_resource(exceptions=(extra,)), "2026-12-03T00:00", "2026-12-04T23:00") == [
        (at("2026-12-03T20:00"), at("2026-12-04T12:00"))
    ]
