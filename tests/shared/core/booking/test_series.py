"""Series: which times a rule names, where clocks are changed, exceptions, all or those that fit."""

import datetime
import re
from collections.abc import Iterable
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from shared.core.booking import recurrence
from shared.core.booking.booking import Create, Request
from shared.core.booking.decision import World, decide
from shared.core.booking.groups import Group
from shared.core.booking.reason import Rule
from shared.core.booking.series import OCCURRENCES_MAX, Moved, Policy, Series, SeriesDecision
from shared.core.booking.series_decision import booking_id, decide_series, zone
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.event import Dot
from shared.core.ids import UUID7_PATTERN
from shared.errors import Refused
from tests.shared.core.booking.making import (
    ALWAYS,
    BERLIN,
    HOUR_MS,
    MINUTE_MS,
    a_resource,
    at,
    taken,
)

NOW = at("2026-11-20T06:00")
REQUEST = Dot("tablet.1", 7)


def wall(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def a_series(rule: str, start: str = "2026-11-24T10:00", **fields: Any) -> Series:
    return Series(("strange",), wall(start), 45 * 60, rule, **fields)


def starts(series: Series) -> list[str]:
    found = recurrence.expand(series, BERLIN)
    assert all(o.end_ms - o.start_ms == 45 * MINUTE_MS for o in found)
    return [
        datetime.datetime.fromtimestamp(o.start_ms / 1000, BERLIN).strftime("%m-%d %H:%M %z")
        for o in found
    ]


def refusal(rule: str, start: str = "2026-11-24T10:00", **fields: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        recurrence.expand(a_series(rule, start, **fields), BERLIN)
    return refused.value


# ------------------------------------------------------------------ the rule


def test_a_rule_keeps_its_wall_time_where_clocks_are_changed() -> None:
    assert starts(a_series("FREQ=WEEKLY;COUNT=3", "2026-10-20T10:00")) == [
        "10-20 10:00 +0200",
        "10-27 10:00 +0100",
        "11-03 10:00 +0100",
    ]


def test_a_time_that_does_not_exist_moves_forward_and_is_told() -> None:
    series = a_series("FREQ=DAILY;COUNT=3", "2027-03-27T02:30")
    assert starts(series) == ["03-27 02:30 +0100", "03-28 03:00 +0200", "03-29 02:30 +0200"]
    assert [o.shifted for o in recurrence.expand(series, BERLIN)] == [False, True, False]


def test_a_time_that_exists_twice_is_the_first() -> None:
    series = a_series("FREQ=DAILY;COUNT=3", "2026-10-24T02:30")
    assert starts(series) == ["10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=DAILY;INTERVAL=2;COUNT=3", ["11-24", "11-26", "11-28"]),
        ("RRULE:FREQ=WEEKLY;BYDAY=TU,TH;COUNT=3", ["11-24", "11-26", "12-01"]),
        ("freq=monthly;byday=-1tu;count=2", ["11-24", "12-29"]),
        ("FREQ=MONTHLY;BYDAY=4TU;COUNT=2", ["11-24", "12-22"]),
        ("FREQ=YEARLY;BYDAY=-6TU;COUNT=2", ["11-24", "11-23"]),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TU;COUNT=2", ["11-24", "11-23"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-7;COUNT=2", ["11-24", "12-25"]),
        ("FREQ=DAILY;BYMONTH=11;BYMONTHDAY=24,25;COUNT=2", ["11-24", "11-25"]),
        ("FREQ=YEARLY;COUNT=2", ["11-24", "11-24"]),
        ("FREQ=DAILY;UNTIL=20261126", ["11-24", "11-25", "11-26"]),
        ("FREQ=DAILY;UNTIL=20261126T100000", ["11-24", "11-25", "11-26"]),
        ("FREQ=DAILY;UNTIL=20261126T090000Z", ["11-24", "11-25", "11-26"]),
        ("FREQ=DAILY;UNTIL=20261126T085959Z", ["11-24", "11-25"]),
    ],
)
def test_rules_name_their_days(rule: str, days: list[str]) -> None:
    assert [text[:5] for text in starts(a_series(rule))] == days


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("FREQ=WEEKLY", "a series needs an end, by COUNT or by UNTIL"),
        ("FREQ=WEEKLY;COUNT=3;UNTIL=20261231", "and not by both"),
        ("FREQ=WEEKLY;COUNT=0", "COUNT is not '0'"),
        ("FREQ=WEEKLY;COUNT=-3", "COUNT is not '-3'"),
        ("FREQ=WEEKLY;COUNT=3;INTERVAL=0", "INTERVAL is not '0'; write INTERVAL=2"),
        ("FREQ=HOURLY;COUNT=3", "FREQ is not 'HOURLY'"),
        ("COUNT=3", "a rule has FREQ"),
        ("", "the rule has an empty part"),
        ("FREQ=DAILY;BYHOUR=9;COUNT=3", "the rule has BYHOUR"),
        ("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1;COUNT=3", "the rule has BYSETPOS"),
        ("FREQ=DAILY;FREQ=WEEKLY;COUNT=3", "says something twice"),
        ("FREQ=WEEKLY;BYDAY=TU,FOO;COUNT=3", "BYDAY is not 'TU,FOO'"),
        ("FREQ=WEEKLY;BYDAY=1TU;COUNT=3", "BYDAY has numbers only with FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=99TU;COUNT=3", "BYDAY is not"),
        ("FREQ=MONTHLY;BYMONTHDAY=32;COUNT=3", "BYMONTHDAY is not"),
        ("FREQ=DAILY;UNTIL=2026", "UNTIL is not '2026'"),
        ("FREQ=DAILY;UNTIL=20269999", "UNTIL is no date"),
        ("FREQ=DAILY;UNTIL=20261301T000000Z", "UNTIL is no date"),
        ("FREQ=DAILY;UNTIL=20261123", "it ends before it starts"),
        (f"FREQ=DAILY;COUNT={OCCURRENCES_MAX + 1}", "more than 500 occurrences"),
        ("FREQ=DAILY;UNTIL=20301231", "more than 500 occurrences"),
        ("FREQ=YEARLY;UNTIL=20401231", "more than five years after the start"),
        ("FREQ=YEARLY;COUNT=9", "fewer than 9 occurrences in five years"),
    ],
)
def test_faults_of_a_rule_are_named(rule: str, fault: str) -> None:
    error = refusal(rule)
    assert fault in error.detail
    assert error.places == (("$.rule", error.detail),)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;BYDAY=WE;COUNT=3",
        "FREQ=DAILY;BYMONTH=12;COUNT=3",
        "FREQ=MONTHLY;BYMONTHDAY=-8;COUNT=3",
        "FREQ=MONTHLY;BYDAY=3TU,-2TU;COUNT=3",
        "FREQ=YEARLY;BYDAY=4TU;COUNT=3",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2",
    ],
)
def test_a_start_that_is_no_occurrence_is_named(rule: str) -> None:
    error = refusal(rule)
    assert "the start is no occurrence" in error.detail
    assert error.places[0][0] == "$.start"


def test_the_last_sunday_of_a_leap_year_is_counted_from_its_end() -> None:
    eve = "2028-12-24T10:00"
    assert "no occurrence" in refusal("FREQ=YEARLY;BYDAY=-1SU;COUNT=2", eve).detail
    assert len(starts(a_series("FREQ=YEARLY;BYDAY=-2SU;COUNT=2", eve))) == 2


def test_a_start_of_another_age_is_named() -> None:
    error = refusal("FREQ=DAILY;COUNT=2", "9999-12-31T10:00")
    assert error.places == (("$.start", "the start is not in this age; check the year"),)


def test_the_longest_series_is_no_fault() -> None:
    assert len(starts(a_series(f"FREQ=DAILY;COUNT={OCCURRENCES_MAX}"))) == OCCURRENCES_MAX


def test_a_rule_that_can_be_typed_begins_with_its_start_or_is_refused() -> None:
    random, taken_rules = Random(11), 0
    values = {
        "BYDAY": ("TU", "MO,TU", "4TU", "-1TU", "47TU", "-6TU,WE", "FR", "²TU"),
        "BYMONTHDAY": ("24", "-7", "1,24", "31", "0", ""),
        "BYMONTH": ("11", "1,11", "2", "13"),
        "INTERVAL": ("1", "2", "7", "999"),
        "WKST": ("SU", "MO", "X"),
        "X": ("1",),
    }
    for _ in range(600):
        keys = random.sample(sorted(values), random.randint(0, 3))
        parts = [f"{key}={random.choice(values[key])}" for key in keys]
        freq = random.choice(("DAILY", "WEEKLY", "MONTHLY", "YEARLY"))
        series = a_series(";".join((f"FREQ={freq}", "UNTIL=20271231", *parts)))
        try:
            found = recurrence.expand(series, BERLIN)
        except Refused:
            continue
        taken_rules += 1
        assert found[0].original == series.start, series.rule
    assert taken_rules > 100


# ------------------------------------------------------------------ exceptions


def test_occurrences_are_left_out_and_moved() -> None:
    series = a_series(
        "FREQ=DAILY;COUNT=4",
        without=(wall("2026-11-25T10:00"),),
        moved=(Moved(wall("2026-11-26T10:00"), wall("2026-11-27T15:00")),),
    )
    assert [text[:11] for text in starts(series)] == ["11-24 10:00", "11-27 15:00", "11-27 10:00"]
    assert [o.original.day for o in recurrence.expand(series, BERLIN)] == [24, 26, 27]


def test_an_exception_that_names_no_occurrence_is_named() -> None:
    at_nine = wall("2026-11-25T09:00")
    left_out = refusal("FREQ=DAILY;COUNT=3", without=(wall("2026-11-25T10:00"), at_nine))
    assert left_out.places == (("$.without[1]", "no occurrence"),)
    moved = refusal("FREQ=DAILY;COUNT=3", moved=(Moved(at_nine, at_nine),))
    assert moved.places == (("$.moved[0]", "no occurrence"),)


def test_an_occurrence_is_moved_by_a_person_so_its_time_must_be_one() -> None:
    original = wall("2026-10-24T02:30")
    twice = Moved(original, wall("2026-10-25T02:30"))
    assert refusal("FREQ=DAILY;COUNT=1", "2026-10-24T02:30", moved=(twice,)).places == (
        ("$.moved[0].start", "ambiguous"),
    )
    second = msgspec.structs.replace(twice, offset_min=60)
    series = a_series("FREQ=DAILY;COUNT=1", "2026-10-24T02:30", moved=(second,))
    assert starts(series) == ["10-25 02:30 +0100"]


# ------------------------------------------------------------------ deciding


def world(busy: Any = None) -> World:
    resources = {
        "strange": a_resource(),
        "who": a_resource(name="who"),
        "wong": a_resource(ALWAYS, name="wong", timezone="Asia/Kathmandu"),
    }
    return World(resources, {"both": Group(("who", "strange"))}, lambda _: None, busy or none, NOW)


def none(_name: str, _start_ms: int, _end_ms: int) -> Iterable[tuple[int, int, str]]:
    return ()


def decided(series: Series, busy: Any = None) -> SeriesDecision:
    found = recurrence.expand(series, BERLIN)
    return decide_series("s1", series, found, REQUEST, world(busy))


def outcomes(decision: SeriesDecision) -> list[tuple[bool, Status, list[Rule]]]:
    return [
        (o.decision.accepted, o.decision.booking.status, [r.rule for r in o.decision.reasons])
        for o in decision.occurrences
    ]


BUSY = taken(("2026-11-25T10:30", "2026-11-25T11:00"))


def test_all_or_none_withdraws_what_would_have_fitted() -> None:
    found = decided(a_series("FREQ=DAILY;COUNT=3"), BUSY)
    assert not found.accepted
    assert outcomes(found) == [
        (False, Status.REFUSED, [Rule.SERIES]),
        (False, Status.REFUSED, [Rule.CAPACITY]),
        (False, Status.REFUSED, [Rule.SERIES]),
    ]


def test_skip_books_those_that_fit_and_tells_why_the_others_do_not() -> None:
    series = a_series("FREQ=DAILY;COUNT=3", policy=Policy.SKIP, alternatives=1)
    found = decided(series, BUSY)
    assert found.accepted
    assert [accepted for accepted, _, _ in outcomes(found)] == [True, False, True]
    other = found.occurrences[1].decision.alternatives[0]
    assert other.start_ms == at("2026-11-25T11:00")


def test_all_that_fits_is_booked_each_with_its_id_and_request() -> None:
    found = decided(a_series("FREQ=DAILY;COUNT=3"))
    assert found.accepted
    bookings = [o.decision.booking for o in found.occurrences]
    assert {b.changed_by for b in bookings} == {REQUEST}
    assert {o.decision.request for o in found.occurrences} == {REQUEST}
    assert len({b.id for b in bookings}) == 3
    assert all(re.match(UUID7_PATTERN, b.id) for b in bookings)
    assert bookings[0].id == booking_id("s1", found.occurrences[0].occurrence)


def test_a_series_that_fits_nowhere_is_refused() -> None:
    series = a_series("FREQ=WEEKLY;COUNT=2", "2026-11-22T10:00", policy=Policy.SKIP)
    found = decided(series)
    assert not found.accepted
    assert outcomes(found) == [(False, Status.REFUSED, [Rule.HOURS])] * 2


def test_occurrences_of_one_series_get_in_each_others_way() -> None:
    series = msgspec.structs.replace(
        a_series("FREQ=DAILY;COUNT=3", policy=Policy.SKIP), length_s=30 * 3600
    )
    always = {"strange": a_resource(ALWAYS)}
    found = recurrence.expand(series, BERLIN)
    base = msgspec.structs.replace(world(), resources=always)
    decision = decide_series("s1", series, found, REQUEST, base)
    assert [accepted for accepted, _, _ in outcomes(decision)] == [True, False, True]


def test_an_occurrence_is_decided_like_any_booking() -> None:
    single = Create(Slot(("strange",), at("2026-11-24T10:00"), at("2026-11-24T10:45")))
    (alone,) = decide([Request(0, REQUEST, "x", single)], world())
    (of_series,) = decided(a_series("FREQ=DAILY;COUNT=1")).occurrences
    assert of_series.decision.booking.slot == alone.booking.slot
    assert alone.booking.slot is not None
    assert alone.booking.slot.interval.length_ms < HOUR_MS


def test_a_series_is_read_in_the_zone_of_its_resources() -> None:
    ready = world()

    def of(*names: str) -> Any:
        series = Series(names, wall("2026-11-24T10:00"), 60, "FREQ=DAILY;COUNT=1")
        return zone(series, ready.resources, ready.groups)

    assert of("both") == BERLIN
    assert of("wong") == ZoneInfo("Asia/Kathmandu")
    with pytest.raises(Refused, match="lie in different time zones"):
        of("both", "wong")
    with pytest.raises(Refused, match="there is no resource loki"):
        of("loki")


def test_bodies_are_event_bodies_and_json() -> None:
    series = a_series(
        "FREQ=DAILY;COUNT=2",
        without=(wall("2026-11-25T10:00"),),
        moved=(Moved(wall("2026-11-24T10:00"), wall("2026-11-24T11:00"), 60),),
    )
    for body in (series, decided(series)):
        json = msgspec.json.encode(body)
        assert msgspec.json.decode(json, type=type(body)) == body
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(body), type=type(body)) == body
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.convert("2026-11-24T10:00:00Z", Series.__annotations__["start"])
