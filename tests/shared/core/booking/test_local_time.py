"""Local times and instants, in the nights in which clocks are changed."""

import datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest

from shared.core.booking import local_time
from shared.errors import Refused
from tests.shared.core.booking.making import BERLIN, DAY_MS, HOUR_MS, MINUTE_MS, at
from tests.shared.core.booking.oracle import walls
from tests.shared.core.booking.test_against_oracle import CHANGES


def wall(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_a_rule_means_the_first_instant_at_which_the_clock_shows_it_or_later(
    zone: str, day: str
) -> None:
    random, place = Random(f"{zone} {day}"), ZoneInfo(zone)
    first = at(f"{day}T00:00+00:00") - 2 * DAY_MS
    shown = walls(place, first, first + 4 * DAY_MS)
    for _ in range(200):
        meant = shown[0] + datetime.timedelta(minutes=random.randrange(60, 3 * 24 * 60))
        minute = next(n for n, now in enumerate(shown) if now >= meant)
        assert local_time.by_rule(meant, place) == first + minute * MINUTE_MS, meant


def test_a_time_that_does_not_exist_moves_forward_for_rules() -> None:
    for text in ("2027-03-28T02:00", "2027-03-28T02:30", "2027-03-28T02:59:59"):
        assert local_time.by_rule(wall(text), BERLIN) == at("2027-03-28T03:00+02:00")


def test_a_time_that_exists_twice_is_the_first_for_rules() -> None:
    assert local_time.by_rule(wall("2026-10-25T02:30"), BERLIN) == at("2026-10-25T02:30+02:00")


def test_a_day_begins_where_its_midnight_does_not_exist() -> None:
    begins = local_time.midnight(datetime.date(2026, 3, 29), ZoneInfo("Asia/Beirut"))
    assert begins == at("2026-03-29T01:00+03:00")


def test_a_time_that_does_not_exist_is_refused_from_people() -> None:
    with pytest.raises(Refused, match="does not exist in Europe/Berlin") as refused:
        local_time.by_person(wall("2027-03-28T02:30"), BERLIN)
    assert refused.value.places == (("$.start", "does not exist"),)


def test_a_time_that_exists_twice_needs_its_offset_from_people() -> None:
    twice = wall("2026-10-25T02:30")
    with pytest.raises(Refused, match=r"say which: \+02:00 or \+01:00") as refused:
        local_time.by_person(twice, BERLIN)
    assert refused.value.places == (("$.start", "ambiguous"),)
    for hours, instant in ((2, "2026-10-25T02:30+02:00"), (1, "2026-10-25T02:30+01:00")):
        offset = datetime.timedelta(hours=hours)
        assert local_time.by_person(twice, BERLIN, offset) == at(instant)


def test_any_other_time_means_one_instant_and_bears_no_other_offset() -> None:
    noon = wall("2026-12-01T12:00")
    assert local_time.by_person(noon, BERLIN) == at("2026-12-01T12:00+01:00")
    with pytest.raises(Refused, match=r"is at \+01:00 from UTC"):
        local_time.by_person(noon, BERLIN, datetime.timedelta(hours=2))
    with pytest.raises(Refused, match=r"is at -03:30 from UTC"):
        local_time.by_person(noon, ZoneInfo("America/St_Johns"), datetime.timedelta(hours=2))


def test_a_year_of_another_age_is_refused() -> None:
    for year in (1, 1969, 9999):
        with pytest.raises(Refused, match="not in this age"):
            local_time.by_person(wall(f"{year:04d}-06-01T00:00"), BERLIN)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(Refused, match="says no offset from UTC") as refused:
        local_time.instant("2026-12-01T12:00", "$.end")
    assert refused.value.places == (("$.end", "naive time"),)
    with pytest.raises(Refused, match="is no time"):
        local_time.instant("noon")
    assert local_time.instant("2026-12-01T12:00+01:00") == at("2026-12-01T12:00+01:00")


def test_times_are_written_as_people_read_them() -> None:
    instant = at("2026-12-01T12:00+01:00")
    assert local_time.text(instant, BERLIN) == "Tue 2026-12-01 12:00"
    assert local_time.text(instant + 1500, BERLIN) == "Tue 2026-12-01 12:00:01.500"


def test_the_shift_is_found_to_the_second() -> None:
    change = at("2026-10-25T01:00+00:00")
    assert local_time.shift(change - HOUR_MS - 7000, change + 3 * HOUR_MS, BERLIN) == change
