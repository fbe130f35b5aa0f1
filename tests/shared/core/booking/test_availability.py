"""First slots: ties, alternatives, groups, how far is read, and which rule leaves none."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from shared.core.booking import availability, local_time
from shared.core.booking.availability import Answer
from shared.core.booking.hours import Week
from shared.core.booking.reason import Rule
from shared.core.booking.resource import Resource
from shared.core.booking.rules import Anchor, Grid, Limits
from shared.core.booking.taken import Busy, Taken, nothing
from shared.core.booking.track import LEEWAY_MS, Wish
from tests.shared.core.booking.making import (
    ALWAYS,
    BERLIN,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    YEARS_S,
    a_resource,
    at,
    bookings,
    taken,
)

NOW = at("2026-12-01T06:00")
TUESDAY = (at("2026-12-01T08:00"), at("2026-12-01T17:00"))


def first(
    minutes: int,
    places: Iterable[Resource],
    busy: Busy = nothing,
    *,
    options: Mapping[str, tuple[str, ...]] | None = None,
    after: str = "2026-12-01T06:00",
    before: str | None = None,
    most: int = 1,
    ignore: str | None = None,
) -> Answer:
    resources = {place.id: place for place in places}
    wish = Wish(minutes * MINUTE_MS, at(after), None if before is None else at(before), ignore)
    wanted = options or {name: (name,) for name in resources}
    return availability.first(wish, wanted, resources, busy, NOW, most=most)


def shown(answer: Answer) -> list[str]:
    return [
        f"{'+'.join(slot.resources)} {local_time.text(slot.start_ms, BERLIN)[4:]}"
        for slot in answer.slots
    ]


def named(*names: str) -> list[Resource]:
    return [a_resource(name=name) for name in names]


def test_the_first_gap_that_fits_exactly_is_taken() -> None:
    busy = taken(("2026-12-01T08:00", "2026-12-01T09:00"), ("2026-12-01T09:45", "2026-12-01T12:00"))
    assert shown(first(45, named("strange"), busy)) == ["strange 2026-12-01 09:00"]
    assert shown(first(46, named("strange"), busy)) == ["strange 2026-12-01 13:00"]


def test_not_before_it_is_asked_for_and_not_beyond() -> None:
    places = named("strange")
    assert shown(first(30, places, after="2026-12-01T09:07")) == ["strange 2026-12-01 09:07"]
    assert first(30, places, after="2026-12-01T11:31", before="2026-12-01T13:29").slots == ()
    exact = first(30, places, after="2026-12-01T11:31", before="2026-12-01T13:30")
    assert shown(exact) == ["strange 2026-12-01 13:00"]


@pytest.mark.parametrize(
    ("notice_s", "after_ms", "start"),
    [
        (0, 0, "2026-12-01T06:02"),
        (7200, 0, "2026-12-01T08:02"),
        (0, 3 * HOUR_MS + 1, None),  # a time that somebody names is what they mean
    ],
)
def test_what_is_offered_can_still_be_had_when_it_is_taken(
    notice_s: int, after_ms: int, start: str | None
) -> None:
    now = NOW + 53_013
    place = a_resource(ALWAYS, limits=Limits(notice_s=notice_s, horizon_s=YEARS_S))
    wish = Wish(30 * MINUTE_MS, now + after_ms, leeway_ms=LEEWAY_MS)
    one = {place.id: (place.id,)}
    (slot,) = availability.first(wish, one, {place.id: place}, nothing, now).slots
    assert slot.start_ms == (now + after_ms if start is None else at(start))


def test_alternatives_follow_each_other_without_overlap() -> None:
    found = first(50, named("strange"), most=5, after="2026-12-01T10:00")
    assert [text[-5:] for text in shown(found)] == ["10:00", "10:50", "13:00", "13:50", "14:40"]


def test_a_tie_goes_to_whoever_has_the_fewest_bookings_that_day_then_by_id() -> None:
    day = at("2026-12-01T14:00")
    busy = bookings(
        {
            "banner": [(day, day + MINUTE_MS, "b1"), (day + HOUR_MS, day + 2 * HOUR_MS, "b2")],
            "strange": [(day, day + HOUR_MS, "b3")],
            "who": [(day, day + HOUR_MS, "b4"), (day + 2 * DAY_MS, day + 3 * DAY_MS, "b5")],
        }
    )
    found = first(30, named("banner", "strange", "who"), busy, most=4)
    assert shown(found) == [
        "strange 2026-12-01 08:00",
        "who 2026-12-01 08:00",
        "banner 2026-12-01 08:00",
        "strange 2026-12-01 08:30",
    ]


def test_the_day_of_a_tie_is_the_local_day_of_the_resource() -> None:
    start = at("2026-12-01T16:00+00:00")  # already tomorrow in Tokyo
    tokyo = a_resource(ALWAYS, name="a", timezone="Asia/Tokyo")
    berlin = a_resource(ALWAYS, name="b")
    evening, night = at("2026-12-01T10:00+00:00"), at("2026-12-01T20:00+00:00")
    busy = bookings(
        {
            "a": [(evening, evening + 1, "b1"), (night, night + 1, "b2")],
            "b": [(night, night + 1, "b3")],
        }
    )
    found = availability.first(
        Wish(MINUTE_MS, start), {"a": ("a",), "b": ("b",)}, {"a": tokyo, "b": berlin}, busy, NOW
    )
    assert found.slots[0].resources == ("a",)


def test_a_group_is_free_when_all_of_it_is() -> None:
    busy = bookings(
        {
            "strange": [(TUESDAY[0], TUESDAY[0] + HOUR_MS, "b1")],
            "room-2": [(TUESDAY[0] + 90 * MINUTE_MS, TUESDAY[1], "b2")],
        }
    )
    options = {"surgery": ("room-2", "strange")}
    places = named("strange", "room-2")
    assert shown(first(30, places, busy, options=options)) == ["room-2+strange 2026-12-01 09:00"]
    assert shown(first(31, places, busy, options=options)) == ["room-2+strange 2026-12-02 08:00"]


def test_grids_of_a_group_must_meet() -> None:
    quarter = a_resource(name="a", limits=Limits(grid=Grid(15), horizon_s=YEARS_S))
    twenty = a_resource(name="b", limits=Limits(grid=Grid(20, Anchor.OPENING), horizon_s=YEARS_S))
    found = first(15, [quarter, twenty], options={"ab": ("a", "b")}, after="2026-12-01T08:01")
    assert shown(found) == ["a+b 2026-12-01 09:00"]


def test_a_booking_that_moves_makes_room_for_itself() -> None:
    busy = taken(("2026-12-01T08:00", "2026-12-01T12:00"))
    found = first(60, named("strange"), busy, ignore="b1")
    assert shown(found) == ["strange 2026-12-01 08:00"]


def test_a_resource_that_is_full_for_weeks_is_not_read_beyond_the_answer_of_another() -> None:
    read: dict[str, int] = {"full": 0, "free": 0}

    def busy(name: str, start_ms: int, end_ms: int) -> Iterable[Taken]:
        if name == "free":
            return
        for number in range(100_000):
            begin = TUESDAY[0] + number * HOUR_MS
            if begin >= end_ms:
                return
            if start_ms < begin + HOUR_MS:
                read[name] += 1
                yield begin, begin + HOUR_MS, f"b{number}"

    found = first(30, named("free", "full"), busy, after="2026-12-03T09:00")
    assert shown(found) == ["free 2026-12-03 09:00"]
    assert read["full"] < 50


def test_a_resource_that_never_closes_is_not_laid_out_beyond_the_answer() -> None:
    always = a_resource(ALWAYS, name="always")
    assert shown(first(31 * 24 * 60, [always])) == ["always 2026-12-01 06:00"]


# ------------------------------------------------------------------ why there is none


def limit(minutes: int, place: Resource, busy: Busy = nothing, **when: Any) -> tuple[Rule, str]:
    found = first(minutes, [place], busy, **when)
    assert found.slots == ()
    (reason,) = found.limits
    assert reason.resource == place.id
    return reason.rule, reason.text


def test_hours_are_why_if_it_is_never_open_so_long() -> None:
    rule, text = limit(241, a_resource())
    assert rule is Rule.HOURS
    assert "never open for 241 minutes on end" in text


def test_capacity_is_why_if_it_could_be_had_but_for_the_bookings() -> None:
    busy = taken(("2026-12-01T00:00", "2026-12-31T00:00"))
    rule, text = limit(30, a_resource(limits=Limits(horizon_s=20 * 24 * 3600)), busy)
    assert rule is Rule.CAPACITY
    assert "no place free from Tue 2026-12-01 06:00 to Mon 2026-12-21 06:00" in text


def test_the_grid_is_why_if_no_start_on_it_leaves_room() -> None:
    morning = a_resource(
        Week(*(("08:10-09:50",),) * 7), limits=Limits(grid=Grid(60), horizon_s=YEARS_S // 100)
    )
    assert limit(51, morning)[0] is Rule.GRID
    assert shown(first(50, [morning])) == ["strange 2026-12-01 09:00"]


def test_the_horizon_is_why_beyond_it() -> None:
    rule, text = limit(30, a_resource(limits=Limits(horizon_s=3600)), after="2026-12-01T06:31")
    assert rule is Rule.HORIZON
    assert "until Tue 2026-12-01 07:00" in text


def test_notice_is_why_if_the_window_is_over_before_it() -> None:
    place = a_resource(limits=Limits(notice_s=7200, horizon_s=YEARS_S))
    rule, text = limit(30, place, before="2026-12-01T08:29")
    assert rule is Rule.NOTICE
    assert "from Tue 2026-12-01 08:00 on" in text


def test_the_window_itself_is_why_if_it_is_too_short() -> None:
    assert limit(30, a_resource(), before="2026-12-01T06:29")[0] is Rule.SLOT


def test_a_window_or_horizon_that_just_holds_the_booking_is_not_why() -> None:
    assert limit(30, a_resource(), before="2026-12-01T06:30")[0] is Rule.HOURS
    hour = a_resource(limits=Limits(horizon_s=3600))
    assert limit(30, hour, after="2026-12-01T06:30")[0] is Rule.HOURS


def test_that_they_are_never_free_together_is_why() -> None:
    early = a_resource(Week(mon=("08:00-12:00",)), name="early")
    late = a_resource(Week(mon=("12:00-16:00",)), name="late")
    found = first(30, [early, late], options={"both": ("early", "late")}, before="2026-12-31T00:00")
    assert [(r.rule, r.resource) for r in found.limits] == [(Rule.TOGETHER, "both")]
    assert "early, late are each free at times" in found.limits[0].text


def test_each_resource_is_told_its_own_rule() -> None:
    short = a_resource(Week(mon=("08:00-08:20",)), name="short")
    busy = taken(("2026-12-01T00:00", "2026-12-31T00:00"))
    found = first(
        30,
        [short, *named("strange")],
        busy,
        options={"both": ("short", "strange"), "short": ("short",)},
        before="2026-12-31T00:00",
    )
    assert [(r.resource, r.rule) for r in found.limits] == [
        ("short", Rule.HOURS),
        ("strange", Rule.CAPACITY),
    ]


def test_what_does_not_exist_is_told() -> None:
    found = first(30, named("strange"), options={"who": ("who",), "strange": ("strange",)})
    assert [slot.resources for slot in found.slots] == [("strange",)]  # the other will do
    assert [(r.rule, r.resource) for r in found.limits] == [(Rule.UNKNOWN, "who")]
    found = first(30, named("strange"), options={"both": ("strange", "who")})
    assert found.slots == ()
    assert [(r.rule, r.resource) for r in found.limits] == [(Rule.UNKNOWN, "who")]


@pytest.mark.parametrize("date", ["2026-10-24", "2027-03-27"])
def test_a_whole_night_shift_is_one_slot_where_clocks_are_changed(date: str) -> None:
    nights = a_resource(Week(*(("22:00-06:00",),) * 7))
    hours = 9 if date.startswith("2026") else 7
    found = availability.first(
        Wish(hours * HOUR_MS, at(f"{date}T12:00")),
        {"strange": ("strange",)},
        {"strange": nights},
        nothing,
        at(f"{date}T12:00"),
    )
    assert found.slots[0].start_ms == at(f"{date}T22:00")
