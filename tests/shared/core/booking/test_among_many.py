"""A search among many finds what searching each by itself finds, in the same order."""

import datetime
import heapq
from itertools import islice
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.booking import availability, local_time
from shared.core.booking.hours import Week
from shared.core.booking.resource import Resource
from shared.core.booking.rules import Anchor, Grid, Limits, SpecialDays
from shared.core.booking.slot import Slot
from shared.core.booking.taken import Busy, OneByOne, Taken
from shared.core.booking.track import Wish
from tests.shared.core.booking.making import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    OFFICE,
    YEARS_S,
    a_resource,
    at,
    bookings,
)

NOW = at("2026-10-23T15:00")  # the clock is put back two days later
WEEKS = (
    OFFICE,
    Week(*(("22:00-06:00",),) * 7),
    Week(*(("00:00-24:00",),) * 7),
    Week(*(("09:10-12:00", "12:00-18:30"),) * 7),
)


def some_resource(random: Random, name: str) -> Resource:
    limits = Limits(
        capacity=random.choice((1, 1, 1, 2)),
        before_s=random.choice((0, 0, 300)),
        after_s=random.choice((0, 0, 900)),
        notice_s=random.choice((0, 0, 7200)),
        horizon_s=random.choice((YEARS_S, 4 * 24 * 3600)),
        grid=random.choice((None, None, Grid(15), Grid(50), Grid(20, Anchor.OPENING))),
    )
    first = at("2026-10-23T12:00") // DAY_MS + random.randint(0, 5)
    away = SpecialDays(_date(first), _date(first + random.randint(0, 9)))
    zone = random.choice(("Europe/Berlin", "Europe/Berlin", "America/New_York"))
    return a_resource(
        random.choice(WEEKS),
        name=name,
        timezone=zone,
        exceptions=random.choice(((), (away,))),
        limits=limits,
    )


def _date(day: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=day)


def some_bookings(random: Random, name: str) -> list[Taken]:
    found: list[Taken] = []
    start = NOW - DAY_MS
    while start < NOW + random.choice((1, 3, 6)) * DAY_MS:
        length = random.choice((15, 30, 60, 60 * 9)) * MINUTE_MS
        found.append((start, start + length, f"{name}-{len(found)}"))
        start += length + random.choice((0, 0, 0, 15, 45)) * MINUTE_MS
    return found


def alone(
    wish: Wish, options: dict[str, tuple[str, ...]], places: dict[str, Resource], busy: Busy
) -> list[Slot]:
    """Return the slots of each option by itself, merged by the rule for ties."""
    loads = OneByOne(busy)

    def of(option: str) -> list[tuple[int, int, str, Slot]]:
        answer = availability.first(wish, {option: options[option]}, places, busy, NOW, most=12)
        found = []
        for slot in answer.slots:
            load = 0
            for name in slot.resources:
                zone = places[name].calendar.zone
                date = local_time.day(slot.start_ms, zone)
                begin = local_time.midnight(date, zone)
                end = local_time.midnight(date + local_time.DAY, zone)
                load += loads.counts([name], begin, end).get(name, 0)
            found.append((slot.start_ms, load, option, slot))
        return found

    return [slot for *_, slot in heapq.merge(*(of(option) for option in options))]


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_many_are_searched_as_each_by_itself(seed: int) -> None:
    random = Random(seed)
    count = random.randint(8, 14)
    names = [f"r{number:02d}" for number in range(count)]
    places = {name: some_resource(random, name) for name in names}
    busy = bookings({name: some_bookings(random, name) for name in names})
    options: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    if random.random() < 0.5:
        options |= {f"pair-{n}": tuple(sorted(random.sample(names, 2))) for n in range(4)}
    length = random.choice((20, 45, 120)) * MINUTE_MS
    before = random.choice((None, NOW + 3 * DAY_MS))
    wish = Wish(length, NOW + random.randint(0, 30) * HOUR_MS, before)
    found = availability.first(wish, options, places, busy, NOW, most=12)
    expected = list(islice(alone(wish, options, places, busy), 12))
    assert list(found.slots) == expected, seed


def test_of_those_that_begin_together_the_one_with_the_fewest_bookings_comes_first() -> None:
    names = [f"r{number:02d}" for number in range(20)]
    places = {name: a_resource(name=name) for name in names}
    day = at("2026-10-26T14:00")
    busy = bookings({name: [(day, day + HOUR_MS, name)] for name in names if name != "r13"})
    wish = Wish(HOUR_MS, at("2026-10-26T07:00"))
    found = availability.first(wish, {n: (n,) for n in names}, places, busy, NOW, most=3)
    assert [slot.resources[0] for slot in found.slots] == ["r13", "r00", "r01"]
    assert {slot.start_ms for slot in found.slots} == {at("2026-10-26T08:00")}
