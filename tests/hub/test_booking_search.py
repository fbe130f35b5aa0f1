"""What a search reads of the tables is what stands there: short bookings, long ones, of many."""

from collections import defaultdict
from random import Random

import pytest

from shared.api.booking_world import SHORT_MS, Busy
from shared.api.bookings import listed
from shared.core.booking.slot import LENGTH_MS_MAX
from shared.core.booking.status import Status
from shared.core.booking.taken import OneByOne, Taken
from shared.store.transaction import Reading
from tests.api.nodes import START_MS
from tests.shared.nodes import open_node

HOUR_MS = 3_600_000
NAMES = [f"room-{number}" for number in range(70)]  # more than one question asks for
LENGTHS = (HOUR_MS, SHORT_MS, SHORT_MS + 1, 3 * SHORT_MS, LENGTH_MS_MAX)
Row = tuple[str, str, int, int, str, int | None]


def fill(random: Random) -> tuple[Reading, list[Row]]:
    """Fill the tables of a hub with bookings of all lengths, each of one resource."""
    rows: list[Row] = []
    for number in range(700):
        begins = START_MS + random.randint(-40 * 24, 5 * 24) * HOUR_MS
        ends = begins + random.choice(LENGTHS)
        status = random.choice([*Status, Status.CONFIRMED, Status.CONFIRMED])
        held = START_MS + random.choice((-1, 0, 1)) if status is Status.HELD else None
        rows.append((f"b{number:03d}", random.choice(NAMES), begins, ends, status.value, held))
    node = open_node("hub", "hub")
    node.db.executemany("INSERT INTO booking_places VALUES (?, ?, ?, ?, ?, ?)", rows)
    node.db.executemany(
        "INSERT INTO bookings VALUES (?, 'demo', ?, ?, ?, ?, 'ada', NULL, 0, 0, NULL)",
        [(booking, status, begins, ends, held) for booking, _, begins, ends, status, held in rows],
    )
    return Reading(node.db), rows


def blocking(rows: list[Row], start: int, end: int) -> dict[str, list[Taken]]:
    found: dict[str, list[Taken]] = defaultdict(list)
    for booking, name, begins, ends, status, held in rows:
        alive = status == "confirmed" or (status == "held" and held is not None and held > START_MS)
        if alive and begins < end and ends > start:
            found[name].append((begins, ends, booking))
    return {name: sorted(taken) for name, taken in found.items()}


@pytest.mark.parametrize("seed", range(5))
def test_what_blocks_is_found_however_long_ago_it_began(seed: int) -> None:
    random = Random(seed)
    reading, rows = fill(random)
    busy = Busy(reading, START_MS, and_requested=False)
    one_by_one = OneByOne(busy)
    for _ in range(20):
        start = START_MS + random.randint(-48, 48) * HOUR_MS
        end = start + random.choice((1, 24, 24 * 60)) * HOUR_MS
        expected = blocking(rows, start, end)
        found = {name: list(busy(name, start, end)) for name in NAMES}
        assert {name: taken for name, taken in found.items() if taken} == expected
        assert busy.until(NAMES, start, end) == one_by_one.until(NAMES, start, end)
        assert busy.counts(NAMES, start, end) == {n: len(taken) for n, taken in expected.items()}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("names", [(), tuple(NAMES[:3])])
@pytest.mark.parametrize("person", [None, "ada"])
def test_a_list_shows_what_goes_on_however_long_ago_it_began(
    seed: int, names: tuple[str, ...], person: str | None
) -> None:
    random = Random(seed)
    reading, rows = fill(random)
    statuses = (Status.CONFIRMED, Status.HELD)
    for _ in range(5):
        start = START_MS + random.randint(-48, 48) * HOUR_MS
        end = start + random.choice((1, 24, 24 * 60)) * HOUR_MS
        expected = sorted(
            (begins, booking)
            for booking, name, begins, ends, status, _ in rows
            if begins < end and ends > start and status in statuses
            if not names or name in names
        )
        found: list[tuple[int, str]] = []
        while True:
            after = found[-1] if found else None
            page = listed(reading, names, person, (start, end), statuses, after, limit=7)
            found += page
            if len(page) < 7:
                break
        assert found == expected
