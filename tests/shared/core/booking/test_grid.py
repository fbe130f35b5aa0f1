"""Where a booking may begin, against every minute, and where clocks are changed."""

from random import Random
from zoneinfo import ZoneInfo

import pytest

from shared.core.booking import grid
from shared.core.booking.hours import Week
from shared.core.booking.rules import Anchor, Grid, Limits
from tests.shared.core.booking.making import DAY_MS, MINUTE_MS, a_resource, at
from tests.shared.core.booking.oracle import Oracle, Place
from tests.shared.core.booking.test_against_oracle import CHANGES, a_day

STEPS = (5, 15, 50, 60, 420, 720, 1440)


@pytest.mark.parametrize("anchor", list(Anchor))
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_the_next_start_is_the_next_minute_on_the_grid(zone: str, day: str, anchor: Anchor) -> None:
    random = Random(f"{zone} {day} {anchor}")
    middle = at(f"{day}T00:00+00:00")
    for _ in range(4):
        week, step = Week(*(a_day(random) for _ in range(7))), Grid(random.choice(STEPS), anchor)
        calendar = a_resource(week, timezone=zone).calendar
        place = Place("a", ZoneInfo(zone), week, (), {}, Limits(grid=step))
        walker = Oracle(place, (), middle - 4 * DAY_MS, middle + 6 * DAY_MS)
        for _ in range(60):
            start = middle + random.randrange(-DAY_MS, DAY_MS, MINUTE_MS)
            found = grid.following(step, calendar, start)
            between = range(walker.minute(start), walker.minute(found))
            assert not any(walker.on_grid(minute) for minute in between)
            if anchor is Anchor.MIDNIGHT or walker.open[walker.minute(start)]:
                assert found <= start + 2 * DAY_MS
            if anchor is Anchor.MIDNIGHT:
                assert walker.on_grid(walker.minute(found))


def test_a_grid_that_does_not_divide_the_day_begins_anew_at_midnight() -> None:
    calendar = a_resource().calendar
    fifty = Grid(50)
    assert grid.following(fifty, calendar, at("2026-12-01T23:21")) == at("2026-12-02T00:00")
    assert grid.following(fifty, calendar, at("2026-12-02T00:01")) == at("2026-12-02T00:50")


def test_on_the_hour_stays_on_the_hour_where_the_clock_is_changed_by_half_an_hour() -> None:
    calendar = a_resource(timezone="Australia/Lord_Howe").calendar
    # At 02:00+10:30 the clock shows 02:30+11:00.
    before = at("2026-10-04T01:45+10:30")
    assert grid.following(Grid(60), calendar, before) == at("2026-10-04T03:00+11:00")


def test_a_grid_from_the_opening_counts_elapsed_minutes() -> None:
    calendar = a_resource(Week(mon=("08:10-12:00",), tue=("08:10-12:00",))).calendar
    twenty = Grid(20, Anchor.OPENING)
    assert grid.following(twenty, calendar, at("2026-11-30T08:31")) == at("2026-11-30T08:50")
    assert grid.following(twenty, calendar, at("2026-11-30T07:00")) == at("2026-11-30T08:10")
    assert grid.following(twenty, calendar, at("2026-11-30T11:51")) == at("2026-12-01T08:10")


def test_without_an_opening_nearby_no_start_is_passed_over() -> None:
    calendar = a_resource(Week(mon=("00:00-01:00",))).calendar
    found = grid.following(Grid(60, Anchor.OPENING), calendar, at("2026-12-05T23:59"))
    assert found == at("2026-12-07T00:00")


def test_without_a_grid_any_instant_will_do() -> None:
    assert grid.following(None, a_resource().calendar, 12_345) == 12_345
