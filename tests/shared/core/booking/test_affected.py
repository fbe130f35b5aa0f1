"""Which bookings new rules leave behind."""

from shared.core.booking.affected import affected
from shared.core.booking.reason import Rule
from shared.core.booking.rules import Limits
from tests.shared.core.booking.making import ALWAYS, YEARS_S, a_resource, at

NOW = at("2026-12-01T06:00")


def test_bookings_outside_new_hours_are_told_and_those_within_are_not() -> None:
    kept = (at("2026-12-01T11:00"), at("2026-12-01T12:00"), "kept")
    over = (at("2026-12-01T16:30"), at("2026-12-01T17:01"), "over")
    found = list(affected(a_resource(), [kept, over], NOW))
    assert [(a.booking, a.reason.rule) for a in found] == [("over", Rule.HOURS)]
    assert "open 08:00-12:00, 13:00-17:00 that day" in found[0].reason.text


def test_what_has_begun_is_passed_over_but_still_takes_its_place() -> None:
    begun = (NOW - 1, at("2026-12-01T10:00"), "begun")
    second = (at("2026-12-01T09:00"), at("2026-12-01T10:00"), "second")
    found = list(affected(a_resource(ALWAYS), [begun, second], NOW))
    assert [(a.booking, a.reason.rule) for a in found] == [("second", Rule.CAPACITY)]
    assert "2 bookings at Tue 2026-12-01 09:00, of 1" in found[0].reason.text


def test_only_bookings_in_excess_of_a_new_capacity_are_told() -> None:
    row = [
        (at("2026-12-01T08:00"), at("2026-12-01T10:00"), "a"),
        (at("2026-12-01T08:30"), at("2026-12-01T09:00"), "b"),
        (at("2026-12-01T08:45"), at("2026-12-01T09:30"), "c"),
        (at("2026-12-01T09:00"), at("2026-12-01T09:30"), "d"),
    ]
    two = a_resource(limits=Limits(capacity=2, horizon_s=YEARS_S))
    found = list(affected(two, row, NOW))
    assert [a.booking for a in found] == ["c", "d"]


def test_bookings_back_to_back_are_no_excess() -> None:
    row = [
        (at("2026-12-01T08:00"), at("2026-12-01T09:00"), "a"),
        (at("2026-12-01T09:00"), at("2026-12-01T10:00"), "b"),
    ]
    assert list(affected(a_resource(), row, NOW)) == []
