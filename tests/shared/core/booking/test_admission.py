"""Every reason why a booking does not fit, at the very edge of each rule."""

import datetime

import pytest

from shared.core.booking import admission
from shared.core.booking import slot as slots
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.resource import Resource
from shared.core.booking.rules import Anchor, Grid, Limits
from shared.core.booking.slot import LENGTH_MS_MAX, TIME_MS_MAX, Slot
from shared.core.booking.taken import Busy, nothing
from shared.errors import Refused
from tests.shared.core.booking.making import (
    ALWAYS,
    MINUTE_MS,
    OFFICE,
    YEARS_S,
    a_resource,
    at,
    bookings,
    taken,
)

NOW = at("2026-12-01T06:00")


def reasons(
    start: str | int,
    end: str | int,
    busy: Busy = nothing,
    *,
    place: Resource | None = None,
    ignore: str | None = None,
) -> tuple[Reason, ...]:
    start_ms, end_ms = (at(t) if isinstance(t, str) else t for t in (start, end))
    slot = Slot(("strange",), start_ms, end_ms)
    return admission.reasons(slot, {"strange": place or a_resource()}, busy, NOW, ignore=ignore)


def rules(found: tuple[Reason, ...]) -> list[Rule]:
    return [reason.rule for reason in found]


# ------------------------------------------------------------------ times that are none


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "fault"),
    [
        (2, 1, "the end is before the start"),
        (1, 1, "give the booking a length"),
        (-1, 1, "outside the years"),
        (TIME_MS_MAX, TIME_MS_MAX + 1, "outside the years"),
        (0, LENGTH_MS_MAX + 1, "longer than 31 days"),
    ],
)
def test_times_that_are_none_are_named(start_ms: int, end_ms: int, fault: str) -> None:
    (reason,) = reasons(start_ms, end_ms)
    assert reason.rule is Rule.SLOT
    assert fault in reason.text
    with pytest.raises(Refused, match=fault) as refused:
        slots.check(start_ms, end_ms, "$.end")
    assert refused.value.places == (("$.end", reason.text),)


def test_the_longest_booking_is_no_fault() -> None:
    slots.check(0, LENGTH_MS_MAX)


def test_a_resource_that_does_not_exist_is_named_beside_other_reasons() -> None:
    slot = Slot(("strange", "who"), at("2026-12-01T12:00"), at("2026-12-01T12:30"))
    found = admission.reasons(slot, {"strange": a_resource()}, nothing, NOW)
    assert [(r.rule, r.resource) for r in found] == [
        (Rule.HOURS, "strange"),
        (Rule.UNKNOWN, "who"),
    ]


# ------------------------------------------------------------------ hours


def test_an_exact_fit_is_taken_and_a_second_more_is_not() -> None:
    start, end = at("2026-12-01T08:00"), at("2026-12-01T12:00")
    assert reasons(start, end) == ()
    assert rules(reasons(start - 1000, end)) == [Rule.HOURS]
    assert rules(reasons(start, end + 1000)) == [Rule.HOURS]


def test_outside_the_hours_those_of_the_day_are_told() -> None:
    (reason,) = reasons("2026-12-01T11:30", "2026-12-01T12:30")
    assert reason.text == (
        "strange from Tue 2026-12-01 11:30 to Tue 2026-12-01 12:30: "
        "open 08:00-12:00, 13:00-17:00 that day; choose a time within"
    )


def test_on_a_holiday_its_name_is_told() -> None:
    holiday = {datetime.date(2026, 12, 25): "Christmas"}
    place = a_resource(holidays=holiday)
    (reason,) = reasons("2026-12-25T09:00", "2026-12-25T10:00", place=place)
    assert "closed that day (Christmas); choose another day" in reason.text


def test_a_booking_may_go_on_over_midnight_where_the_hours_do() -> None:
    assert reasons("2026-12-01T23:00", "2026-12-02T01:00", place=a_resource(ALWAYS)) == ()


# ------------------------------------------------------------------ notice and horizon


def test_notice_counts_to_the_millisecond() -> None:
    place = a_resource(ALWAYS, limits=Limits(notice_s=3600, horizon_s=YEARS_S))
    start = NOW + 60 * MINUTE_MS
    assert reasons(start, start + MINUTE_MS, place=place) == ()
    (reason,) = reasons(start - 1, start + MINUTE_MS, place=place)
    assert reason.rule is Rule.NOTICE
    assert "needs 60 minutes' notice; begin at Tue 2026-12-01 07:00 or later" in reason.text


def test_what_has_begun_cannot_be_booked() -> None:
    (reason,) = reasons(NOW - 1, NOW + MINUTE_MS, place=a_resource(ALWAYS))
    assert reason.rule is Rule.NOTICE
    assert "the start has passed" in reason.text


def test_the_horizon_is_the_last_end() -> None:
    place = a_resource(ALWAYS, limits=Limits(horizon_s=3600))
    last = NOW + 60 * MINUTE_MS
    assert reasons(last - MINUTE_MS, last, place=place) == ()
    (reason,) = reasons(last - MINUTE_MS, last + 1, place=place)
    assert reason.rule is Rule.HORIZON
    assert "can be booked until Tue 2026-12-01 07:00 so far" in reason.text


# ------------------------------------------------------------------ grid


def test_a_start_off_the_grid_is_told_the_next_one() -> None:
    limits = Limits(grid=Grid(15), horizon_s=YEARS_S)
    place = a_resource(limits=limits)
    assert reasons("2026-12-01T09:15", "2026-12-01T09:20", place=place) == ()
    (reason,) = reasons("2026-12-01T09:16", "2026-12-01T09:20", place=place)
    assert reason.rule is Rule.GRID
    assert "every 15 minutes from midnight; the next start is Tue 2026-12-01 09:30" in reason.text


def test_a_grid_from_the_opening_begins_with_it() -> None:
    limits = Limits(grid=Grid(25, Anchor.OPENING), horizon_s=YEARS_S)
    place = a_resource(limits=limits)
    assert reasons("2026-12-01T13:25", "2026-12-01T14:00", place=place) == ()
    assert rules(reasons("2026-12-01T13:30", "2026-12-01T14:00", place=place)) == [Rule.GRID]


# ------------------------------------------------------------------ capacity and buffers


def test_back_to_back_fits_and_a_second_more_is_in_the_way() -> None:
    busy = taken(("2026-12-01T09:00", "2026-12-01T10:00"))
    end = at("2026-12-01T10:00")
    assert reasons(end, end + 30 * MINUTE_MS, busy) == ()
    (reason,) = reasons(end - 1000, end + 30 * MINUTE_MS, busy)
    assert (reason.rule, reason.bookings) == (Rule.CAPACITY, ("b1",))
    assert "its only place is taken by b1" in reason.text


def test_capacity_is_the_running_maximum_and_not_how_many_are_touched() -> None:
    two = a_resource(limits=Limits(capacity=2, horizon_s=YEARS_S))
    busy = taken(
        ("2026-12-01T08:00", "2026-12-01T09:00"),
        ("2026-12-01T09:00", "2026-12-01T10:00"),
        ("2026-12-01T10:00", "2026-12-01T11:00"),
    )
    assert reasons("2026-12-01T08:00", "2026-12-01T11:00", busy, place=two) == ()


def test_only_bookings_in_the_crowd_are_in_the_way() -> None:
    two = a_resource(limits=Limits(capacity=2, horizon_s=YEARS_S))
    busy = taken(
        ("2026-12-01T08:00", "2026-12-01T09:00"),
        ("2026-12-01T09:00", "2026-12-01T11:00"),
        ("2026-12-01T10:00", "2026-12-01T11:00"),
    )
    (reason,) = reasons("2026-12-01T08:00", "2026-12-01T11:00", busy, place=two)
    assert reason.bookings == ("b2", "b3")
    assert "all 2 places are taken" in reason.text


def test_a_crowd_of_many_is_named_in_part_and_told_whole() -> None:
    busy = bookings(
        {"strange": [(at("2026-12-01T09:00"), at("2026-12-01T10:00"), f"b{n}") for n in range(7)]}
    )
    (reason,) = reasons("2026-12-01T09:00", "2026-12-01T10:00", busy)
    assert len(reason.bookings) == 7
    assert "b4 and others" in reason.text


def test_between_two_bookings_both_buffers_are_kept() -> None:
    limits = Limits(before_s=300, after_s=600, horizon_s=YEARS_S)
    place = a_resource(limits=limits)
    busy = taken(("2026-12-01T09:00", "2026-12-01T10:00"))
    assert reasons("2026-12-01T10:15", "2026-12-01T10:30", busy, place=place) == ()
    after = reasons("2026-12-01T10:14", "2026-12-01T10:30", busy, place=place)
    assert rules(after) == [Rule.CAPACITY]
    assert reasons("2026-12-01T08:15", "2026-12-01T08:45", busy, place=place) == ()
    before = reasons("2026-12-01T08:15", "2026-12-01T08:46", busy, place=place)
    assert rules(before) == [Rule.CAPACITY]


def test_buffers_may_lie_outside_the_hours() -> None:
    place = a_resource(limits=Limits(before_s=1800, after_s=1800, horizon_s=YEARS_S))
    assert reasons("2026-12-01T08:00", "2026-12-01T12:00", place=place) == ()


def test_a_booking_that_moves_is_not_in_its_own_way() -> None:
    busy = taken(("2026-12-01T09:00", "2026-12-01T10:00"))
    slot = ("2026-12-01T09:30", "2026-12-01T10:30")
    assert rules(reasons(*slot, busy)) == [Rule.CAPACITY]
    assert reasons(*slot, busy, ignore="b1") == ()


def test_all_reasons_are_told_at_once() -> None:
    limits = Limits(notice_s=24 * 3600, grid=Grid(60), horizon_s=YEARS_S)
    place = a_resource(OFFICE, limits=limits)
    busy = taken(("2026-12-01T11:00", "2026-12-01T12:00"))
    found = reasons("2026-12-01T11:30", "2026-12-01T12:30", busy, place=place)
    assert rules(found) == [Rule.NOTICE, Rule.HOURS, Rule.GRID, Rule.CAPACITY]
