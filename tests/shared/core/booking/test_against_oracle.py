"""First slots, free intervals and reasons, against an oracle that looks at every minute.

Over the nights in which clocks are changed by an hour, by half an hour and at midnight, and a day
that does not exist.
"""

import datetime
from itertools import islice, pairwise
from random import Random
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.booking import admission, availability, free
from shared.core.booking.hours import Week
from shared.core.booking.interval import Interval
from shared.core.booking.resource import Resource, resource
from shared.core.booking.rules import Anchor, Cause, Grid, Hours, Limits, SpecialDays, check
from shared.core.booking.slot import Slot
from shared.core.booking.taken import Taken
from shared.core.booking.track import Wish
from shared.errors import Refused
from tests.shared.core.booking.making import DAY_MS, MINUTE_MS, bookings
from tests.shared.core.booking.oracle import Oracle, Place

CHANGES = (
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Asia/Beirut", "2026-03-29"),
    ("America/Havana", "2026-11-01"),
    ("Pacific/Apia", "2011-12-30"),
    ("Asia/Kathmandu", "2026-07-01"),
    ("UTC", "2026-07-01"),
)
BESIDE = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
NAMES = ("a", "b", "c")
DAY_MIN = 24 * 60


class Scene(msgspec.Struct, frozen=True):
    places: tuple[Place, ...]
    taken: dict[str, list[Taken]]
    now_ms: int
    from_ms: int  # searched from here
    to_ms: int
    walked: tuple[int, int]  # what an oracle looks at, the same for all scenes of a day


def clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def a_day(random: Random) -> tuple[str, ...]:
    """Hours that do not overlap; the last may go on over midnight."""
    if random.random() < 0.4:
        return ("00:00-24:00",)
    step = random.choice((30, 60, 7))
    edges = sorted(random.sample(range(DAY_MIN // step), random.randint(0, 5)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    found = [f"{clock(b * step)}-{clock(e * step)}" for b, e in pairs]
    if len(edges) % 2 and edges[-1] > 0:
        morning = random.randint(0, edges[0]) * step
        found.append(f"{clock(edges[-1] * step)}-{clock(morning)}")
    return tuple(found)


def some_limits(random: Random) -> Limits:
    grid = Grid(random.choice((5, 15, 50, 60, 420, 720)), random.choice(list(Anchor)))
    return Limits(
        capacity=random.choice((1, 1, 2, 3)),
        before_s=random.choice((0, 0, 5, 25)) * 60,
        after_s=random.choice((0, 0, 5, 45)) * 60,
        notice_s=random.choice((0, 0, 0, 90, 1500)) * 60,
        horizon_s=random.choice((3 * DAY_MIN, 3 * DAY_MIN, 2501)) * 60,
        grid=random.choice((None, None, grid)),
    )


def a_place(random: Random, name: str, zone: str, date: datetime.date) -> Place:
    while True:
        week = Week(*(a_day(random) for _ in range(7)))
        days = [date + datetime.timedelta(days=n) for n in range(-1, 3)]
        exceptions = tuple(
            SpecialDays(day, hours=a_day(random), cause=Cause.EXTRA)
            for day in random.sample(days, random.choice((0, 0, 1, 2)))
        )
        holidays = random.sample(days, random.choice((0, 0, 0, 1)))
        limits = some_limits(random)
        try:
            check(Hours(zone, week, exceptions), limits)
        except Refused:
            continue  # a night that overlaps the next morning
        feasts = dict.fromkeys(holidays, "feast")
        return Place(name, ZoneInfo(zone), week, exceptions, feasts, limits)


def some_bookings(random: Random, start: int) -> list[Taken]:
    """Bookings one after the other, with gaps and overlaps."""
    found, begin = [], random.randint(-900, 0)
    for number in range(random.choice((0, 5, 20, 40))):
        length = random.choice((1, 10, 45, 120, 500))
        first = start + begin * MINUTE_MS
        found.append((first, first + length * MINUTE_MS, f"b{number}"))
        begin += random.choice((0, length // 2, length, length + 15, length + 70))
    return found


@st.composite
def scenes(draw: st.DrawFn, most: int = 1) -> Scene:
    random = Random(draw(st.integers(0, 2**64)))
    zone, day = random.choice(CHANGES)
    date = datetime.date.fromisoformat(day)
    noon = datetime.datetime.combine(date, datetime.time(12), ZoneInfo("UTC"))
    start = int(noon.timestamp() * 1000) - random.randint(0, DAY_MIN * 3 // 2) * MINUTE_MS
    beside = [random.choice((zone, *BESIDE)) for _ in range(random.randint(1, most) - 1)]
    places = tuple(a_place(random, NAMES[n], z, date) for n, z in enumerate((zone, *beside)))
    taken = {place.name: some_bookings(random, start) for place in places}
    midday = int(noon.timestamp() * 1000)
    walked = (midday - 5 * DAY_MS, midday + 5 * DAY_MS)
    return Scene(places, taken, start, start, start + 2 * DAY_MS, walked)


def oracle(scene: Scene, place: Place) -> Oracle:
    return Oracle(place, scene.taken[place.name], *scene.walked)


def resources(scene: Scene) -> dict[str, Resource]:
    return {
        place.name: resource(
            place.name,
            Hours(str(place.zone), place.week, place.exceptions),
            place.limits,
            place.holidays,
        )
        for place in scene.places
    }


def minutes(scene: Scene) -> range:
    return range(scene.from_ms, scene.to_ms, MINUTE_MS)


LENGTHS = st.sampled_from((1, 15, 45, 120, 500)).map(lambda m: m * MINUTE_MS)


@settings(max_examples=300, deadline=None)
@given(scenes(), LENGTHS)
def test_the_first_slot_is_the_first_minute_that_fits(scene: Scene, length: int) -> None:
    ready, place = resources(scene), scene.places[0]
    walker = oracle(scene, place)
    wish = Wish(length, scene.from_ms, scene.to_ms)
    answer = availability.first(wish, {"a": ("a",)}, ready, bookings(scene.taken), scene.now_ms)
    fitting = (
        m
        for m in minutes(scene)
        if m + length <= scene.to_ms and walker.fits(m, length, scene.now_ms)
    )
    wanted = next(fitting, None)
    assert [slot.start_ms for slot in answer.slots] == ([] if wanted is None else [wanted])
    assert bool(answer.limits) == (wanted is None)


@settings(max_examples=300, deadline=None)
@given(
    scenes(most=3),
    LENGTHS,
    st.sampled_from(
        (("a", "b", "c"), ("abc",), ("ab", "c"), ("a", "bc"), ("ab", "ac", "b"), ("ab", "bc"))
    ),
    st.integers(1, 4),
)
def test_any_of_and_all_of_agree_with_every_minute(
    scene: Scene, length: int, options: tuple[str, ...], most: int
) -> None:
    ready = resources(scene)
    wanted = {o: tuple(o) for o in options if all(name in ready for name in o)}
    if not wanted:
        return
    walkers = {place.name: oracle(scene, place) for place in scene.places}
    busy = bookings(scene.taken)
    expected = []
    for option, names in wanted.items():
        reached, found = scene.from_ms, 0
        for m in minutes(scene):
            if m < reached or m + length > scene.to_ms or found == most:
                continue
            if all(walkers[name].fits(m, length, scene.now_ms) for name in names):
                load = sum(load_on_day(scene, walkers[name], name, m) for name in names)
                expected.append((m, load if len(wanted) > 1 else 0, option))
                reached, found = m + length, found + 1
    answer = availability.first(
        Wish(length, scene.from_ms, scene.to_ms), wanted, ready, busy, scene.now_ms, most=most
    )
    got = [(slot.start_ms, slot.resources) for slot in answer.slots]
    assert got == [(m, wanted[option]) for m, _, option in sorted(expected)[:most]]
    assert bool(answer.limits) == (not expected)


def load_on_day(scene: Scene, walker: Oracle, name: str, at_ms: int) -> int:
    date = walker.walls[walker.minute(at_ms)].date()
    day = {n for n, wall in enumerate(walker.walls) if wall.date() == date}
    return sum(
        1
        for start, end, _ in scene.taken[name]
        if day & set(range(walker.minute(start), walker.minute(end)))
    )


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_free_intervals_are_the_minutes_that_are_free(scene: Scene) -> None:
    ready, place = resources(scene), scene.places[0]
    walker = oracle(scene, place)
    window = Interval(scene.from_ms, scene.to_ms)
    found = list(free.intervals(ready["a"], bookings(scene.taken), window, scene.now_ms))
    wanted = [m for m in minutes(scene) if walker.fits(m, MINUTE_MS, scene.now_ms, on_grid=False)]
    got = [m for i in found for m in range(i.start_ms, i.end_ms, MINUTE_MS)]
    assert got == wanted
    assert all(a.end_ms < b.start_ms for a, b in pairwise(found))


@settings(max_examples=300, deadline=None)
@given(scenes(most=2))
def test_common_free_intervals_are_the_minutes_that_are_free_in_all(scene: Scene) -> None:
    ready = resources(scene)
    if len(ready) < 2:
        return
    walkers = [oracle(scene, place) for place in scene.places]
    window = Interval(scene.from_ms, scene.to_ms)
    found = free.together(list(ready.values()), bookings(scene.taken), window, scene.now_ms)
    got = [m for i in found for m in range(i.start_ms, i.end_ms, MINUTE_MS)]
    assert got == [
        m
        for m in minutes(scene)
        if all(w.fits(m, MINUTE_MS, scene.now_ms, on_grid=False) for w in walkers)
    ]


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_periods_tell_each_minute_once_and_rightly(scene: Scene) -> None:
    ready, place = resources(scene), scene.places[0]
    always = msgspec.structs.replace(place.limits, notice_s=0, horizon_s=10 * DAY_MIN * 60)
    walker = oracle(scene, msgspec.structs.replace(place, limits=always))
    window = Interval(scene.from_ms, scene.to_ms)
    got = {
        m: period.state
        for period in free.periods(ready["a"], bookings(scene.taken), window)
        for m in range(period.start_ms, period.end_ms, MINUTE_MS)
    }
    for m in minutes(scene):
        if not walker.open[walker.minute(m)]:
            wanted = free.State.CLOSED
        elif walker.fits(m, MINUTE_MS, scene.now_ms, on_grid=False):
            wanted = free.State.FREE
        else:
            wanted = free.State.FULL
        assert got[m] is wanted
    assert len(got) == len(minutes(scene))


@settings(max_examples=300, deadline=None)
@given(scenes(), LENGTHS, st.integers(0, 2 * DAY_MIN - 501))
def test_a_booking_is_admitted_exactly_if_every_minute_of_it_fits(
    scene: Scene, length: int, begin: int
) -> None:
    ready, place = resources(scene), scene.places[0]
    walker = oracle(scene, place)
    busy = bookings(scene.taken)
    for start in islice(range(scene.from_ms + begin * MINUTE_MS, scene.to_ms, 7 * MINUTE_MS), 60):
        reasons = admission.reasons(Slot(("a",), start, start + length), ready, busy, scene.now_ms)
        assert bool(reasons) != walker.fits(start, length, scene.now_ms), reasons
