"""Free intervals and free/busy, at their edges."""

from shared.core.booking import free
from shared.core.booking.free import Period, State
from shared.core.booking.interval import Interval
from shared.core.booking.rules import Limits
from shared.core.booking.taken import nothing
from tests.shared.core.booking.making import ALWAYS, YEARS_S, a_resource, at, taken

NOW = at("2026-12-01T06:00")
TUESDAY = Interval(at("2026-12-01T00:00"), at("2026-12-02T00:00"))


def between(start: str, end: str) -> Interval:
    return Interval(at(f"2026-12-01T{start}"), at(f"2026-12-01T{end}"))


def test_free_is_what_hours_and_bookings_leave() -> None:
    busy = taken(("2026-12-01T09:00", "2026-12-01T10:00"), ("2026-12-01T10:00", "2026-12-01T12:30"))
    found = free.intervals(a_resource(), busy, TUESDAY, NOW)
    assert list(found) == [between("08:00", "09:00"), between("13:00", "17:00")]


def test_a_booking_that_moves_leaves_its_slot_free() -> None:
    busy = taken(("2026-12-01T09:00", "2026-12-01T10:00"))
    found = free.intervals(a_resource(), busy, TUESDAY, NOW, ignore="b1")
    assert list(found) == [between("08:00", "12:00"), between("13:00", "17:00")]


def test_free_begins_with_the_notice_and_ends_with_the_horizon() -> None:
    place = a_resource(limits=Limits(notice_s=4 * 3600, horizon_s=8 * 3600))
    assert list(free.intervals(place, nothing, TUESDAY, NOW)) == [
        between("10:00", "12:00"),
        between("13:00", "14:00"),
    ]
    past = Interval(TUESDAY.start_ms, NOW)
    assert list(free.intervals(place, nothing, past, NOW)) == []


def test_free_together_is_free_in_all() -> None:
    mornings = a_resource(name="who")
    always = a_resource(ALWAYS, name="room-2")
    busy = taken(("2026-12-01T09:00", "2026-12-01T16:00"), name="room-2")
    found = free.together([mornings, always], busy, TUESDAY, NOW)
    assert list(found) == [between("08:00", "09:00"), between("16:00", "17:00")]


def test_free_busy_tells_all_of_a_window() -> None:
    busy = taken(("2026-12-01T08:00", "2026-12-01T09:00"), ("2026-12-01T15:00", "2026-12-01T17:00"))
    place = a_resource(limits=Limits(after_s=600, horizon_s=YEARS_S))
    found = list(free.periods(place, busy, TUESDAY))
    times = ("00:00", "08:00", "09:10", "12:00", "13:00", "14:50", "17:00")
    edges = [*(at(f"2026-12-01T{time}") for time in times), TUESDAY.end_ms]
    states = [
        State.CLOSED,
        State.FULL,
        State.FREE,
        State.CLOSED,
        State.FREE,
        State.FULL,
        State.CLOSED,
    ]
    assert found == [
        Period(start, end, state)
        for start, end, state in zip(edges, edges[1:], states, strict=False)
    ]


def test_free_busy_of_what_never_closes_has_no_closed_part() -> None:
    always = a_resource(ALWAYS)
    assert [p.state for p in free.periods(always, nothing, TUESDAY)] == [State.FREE]
