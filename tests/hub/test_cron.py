"""Slots against an oracle that walks every minute, where clocks are changed and where not."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from itertools import islice, takewhile
from random import Random
from zoneinfo import ZoneInfo

import pytest

from hub import cron
from shared.core.ids import UUID7_PATTERN
from shared.core.kinds.schedule import CatchUp
from shared.errors import Refused

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS

# Where and around which day clocks change: by an hour, by half an hour, over and to midnight,
# by a whole day.
SHIFTS = (
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"),
    ("Africa/Cairo", "2026-04-24"),
    ("Pacific/Apia", "2011-12-30"),
    ("UTC", "2026-07-01"),
    ("Asia/Kathmandu", "2026-07-01"),
)


def at(text: str) -> int:
    """Return an instant with its offset as Unix ms."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def slots(expression: str, zone: str, first: str, last: str) -> list[str]:
    """Return the slots between two instants, in the zone's own time."""
    place, end = ZoneInfo(zone), at(last)
    found = takewhile(lambda s: s <= end, cron.following(expression, place, at(first)))
    return [datetime.fromtimestamp(s / 1000, place).strftime("%d %H:%M %z") for s in found]


# ------------------------------------------------------------------ the oracle


@cache
def field(text: str, low: int, high: int) -> frozenset[int]:
    """Return the numbers that a field names; an implementation of its own."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = int(first)
            end = int(last) if dash else (high if step else start)
        found |= set(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def fits(expression: str, local: datetime) -> bool:
    minute, hour, day, month, weekday = expression.split()
    by_day = local.day in field(day, 1, 31)
    by_weekday = local.isoweekday() % 7 in {d % 7 for d in field(weekday, 0, 7)}
    both = day.startswith("*") or weekday.startswith("*")
    return (
        local.minute in field(minute, 0, 59)
        and local.hour in field(hour, 0, 23)
        and local.month in field(month, 1, 12)
        and (by_day and by_weekday if both else by_day or by_weekday)
    )


@cache
def shown_at(instant: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(instant / 1000, zone).replace(tzinfo=None)


def walked(expression: str, zone: tzinfo, first_ms: int, last_ms: int) -> list[int]:
    """Return the slots in (first, last], by looking at every minute from a day before."""
    start = first_ms // MINUTE_MS * MINUTE_MS - DAY_MS
    shown = [(m, shown_at(m, zone)) for m in range(start, last_ms + 1, MINUTE_MS)]
    if expression.split()[1] == "*":
        found = {m for m, local in shown if fits(expression, local)}
    else:
        found, newest = set(), shown[0][1]
        for instant, local in shown[1:]:
            passed = newest + timedelta(minutes=1)
            while passed <= local:  # every local time that is shown or jumped over, once
                if fits(expression, passed):
                    found.add(instant)
                passed += timedelta(minutes=1)
            newest = max(newest, local)
    return sorted(m for m in found if first_ms < m <= last_ms)


def a_field(random: Random, low: int, high: int) -> str:
    match random.randrange(6):
        case 0 | 1:
            return "*"
        case 2:
            return f"*/{random.choice((2, 3, 5, 7, 15))}"
        case 3:
            start = random.randint(low, high)
            return f"{start}-{random.randint(start, high)}"
        case 4:
            return ",".join(str(random.randint(low, high)) for _ in range(3))
        case _:
            return str(random.randint(low, high))


def an_expression(random: Random) -> str:
    hour = random.choice((a_field(random, 0, 23), random.choice(("0", "1,2", "2", "23", "1-3"))))
    return " ".join(
        (
            a_field(random, 0, 59),
            hour,
            a_field(random, 1, 31),
            random.choice(("*", a_field(random, 1, 12))),
            a_field(random, 0, 6),
        )
    )


@pytest.mark.parametrize(("zone", "day"), SHIFTS)
def test_slots_are_those_of_an_oracle_that_walks_every_minute(zone: str, day: str) -> None:
    random, place = Random(f"{zone} {day}"), ZoneInfo(zone)
    middle = at(f"{day}T00:00:00+00:00")
    for _ in range(25):
        expression = an_expression(random)
        first = middle - random.randrange(2 * DAY_MS)
        last = first + random.randrange(3 * DAY_MS)
        try:
            found = list(
                takewhile(lambda s: s <= last, cron.following(expression, place, first))  # noqa: B023
            )
        except (RuntimeError, Refused) as error:
            raise AssertionError(f"{expression} {zone} {first}") from error
        assert found == walked(expression, place, first, last), f"{expression} {zone} {first}"


@pytest.mark.parametrize(("zone", "day"), SHIFTS)
@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_an_outage_is_made_up_for_by_the_policy(zone: str, day: str, catch_up: CatchUp) -> None:
    """Every slot gets at most one task, however the hub's looks and outages fall."""
    random, place = Random(f"{zone} {day} {catch_up}"), ZoneInfo(zone)
    for _ in range(4):
        expression, most = an_expression(random), random.randint(1, 30)
        upto = at(f"{day}T00:00:00+00:00") - random.randrange(2 * DAY_MS)
        begun, fired = upto, []
        for _ in range(12):
            now = upto + random.choice((20_000, 30_000, 61_000, 130_000, random.randrange(DAY_MS)))
            if random.randrange(5) == 0:
                now = upto - random.randrange(DAY_MS)  # the clock is put back: nothing is due
            got = list(
                cron.due(
                    expression,
                    place,
                    upto_ms=upto,
                    now_ms=now,
                    catch_up=catch_up,
                    catch_up_max=most,
                )
            )
            all_due = walked(expression, place, upto, now) if now > upto else []
            missed = [s for s in all_due if s <= now - cron.ON_TIME_MS]
            on_time = all_due[len(missed) :]
            kept = {
                CatchUp.SKIP: [],
                CatchUp.ONCE: [] if on_time else missed[-1:],
                CatchUp.ALL: missed[-most:],
            }[catch_up]
            assert got == kept + on_time, f"{expression} {zone} {upto} {now}"
            fired += got
            upto = max(upto, now)
        assert fired == sorted(set(fired))
        assert set(fired) <= set(walked(expression, place, begun, upto))


# ------------------------------------------------------------------ what it says in words


def test_a_local_time_that_does_not_exist_runs_once_at_the_shift() -> None:
    night = ("2026-03-29T00:00:00+01:00", "2026-03-29T12:00:00+02:00")
    assert slots("30 2 * * *", "Europe/Berlin", *night) == ["29 03:00 +0200"]
    assert slots("*/15 2,3 * * *", "Europe/Berlin", *night) == [
        "29 03:00 +0200",
        "29 03:15 +0200",
        "29 03:30 +0200",
        "29 03:45 +0200",
    ]


def test_a_local_time_that_exists_twice_runs_once() -> None:
    night = ("2026-10-25T00:00:00+02:00", "2026-10-25T12:00:00+01:00")
    assert slots("30 2 * * *", "Europe/Berlin", *night) == ["25 02:30 +0200"]
    assert slots("0 1-3 * * *", "Europe/Berlin", *night) == [
        "25 01:00 +0200",
        "25 02:00 +0200",
        "25 03:00 +0100",
    ]


def test_every_hour_follows_the_hours_as_they_pass() -> None:
    spring = ("2026-03-29T00:30:00+01:00", "2026-03-29T04:00:00+02:00")
    assert slots("0 * * * *", "Europe/Berlin", *spring) == [
        "29 01:00 +0100",
        "29 03:00 +0200",
        "29 04:00 +0200",
    ]
    autumn = ("2026-10-25T01:30:00+02:00", "2026-10-25T03:00:00+01:00")
    assert slots("0 * * * *", "Europe/Berlin", *autumn) == [
        "25 02:00 +0200",
        "25 02:00 +0100",
        "25 03:00 +0100",
    ]


def test_an_outage_of_thirty_years_is_looked_through_at_once() -> None:
    now = at("2026-11-23T08:00:30+00:00")
    for expression in ("* * * * *", "0 0 29 2 MON", "59 23 31 12 *", "0 6 * * MON-FRI"):
        got = cron.due(
            expression,
            ZoneInfo("Europe/Berlin"),
            upto_ms=at("1996-01-01T00:00:00+00:00"),
            now_ms=now,
            catch_up=CatchUp.ALL,
            catch_up_max=24,
        )
        assert list(got) == sorted(set(got))
        assert got[-1] > at("2020-01-01T00:00:00+00:00")


def test_a_clock_that_is_far_off_has_no_slots() -> None:
    for ms in (2**50, 2**62, -(2**62)):
        assert list(islice(cron.following("0 6 * * *", UTC, ms), 1)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "*/0 * * * *",
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
        "5-1 * * * *",
        "0 0 * * FOO",
        "- - - - -",
        "²,1 * * * *",
        "0 0 * * ²L",
        "0 0 * * MON#6",
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(Refused) as refused:
        cron.check(text)
    assert refused.value.places[0][0] == "$.cron"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("60 * * * *", "the minute takes 0 to 59"),
        ("0 24 * * *", "the hour takes 0 to 23"),
        ("0 0 32 * *", "the day-of-month takes 1 to 31"),
        ("0 0 * 13 *", "the month takes 1 to 12 or JAN to DEC"),
        ("0 0 * * FRI-MON", "FRI,SAT,SUN,MON: not FRI-MON"),
        ("*/61 * * * *", "steps up to 59"),
        ("0 0 * *", "five fields minute, hour, day-of-month, month, day-of-week"),
    ],
)
def test_what_a_field_takes_is_said(text: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        cron.check(text)
    ((_, message),) = refused.value.places
    assert words in message
    assert words in refused.value.detail


def test_nothing_that_a_person_can_type_breaks_the_check() -> None:
    random = Random(7)
    for _ in range(3_000):
        text = " ".join(
            "".join(random.choice("0123456789*/,-#LWMONSU²") for _ in range(random.randint(1, 5)))
            for _ in range(5)
        )
        try:
            cron.check(text)
        except Refused:
            continue
        next(cron.following(text, ZoneInfo("Europe/Berlin"), 0), None)


def test_a_slots_task_has_one_id_that_tells_its_time() -> None:

    slot = at("2026-11-23T06:00:00+01:00")
    made = cron.task_id("nightly", slot)
    assert re.match(UUID7_PATTERN, made)
    assert int(made.replace("-", "")[:12], 16) == slot
    assert made == cron.task_id("nightly", slot)
    others = {cron.task_id("nightly", slot + 60_000), cron.task_id("weekly", slot)}
    assert len({made, *others}) == 3
