"""Searches, lists and decisions among a million bookings of a thousand resources.

Each question goes the way of the API: through ``Replica.read``, JSON included. Counted in time of
the thread that answers: at fractions of a millisecond the clock on the wall shows whose turn the
processor gave. Beside it in the same database what one would write without Skerry
(``bench/booking_scan.py``), which has to find the same.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any

import msgspec

from bench import booking_scan, many_bookings
from bench.figures import Figure, Target, figure
from bench.many_bookings import DAY_MS, FULL, GROUP, MINUTE_MS, NOW_MS, SPARSE
from bench.reports import SITE
from bench.sizes import Sizes
from hub import deciding
from shared import system
from shared.api import availability, bookings
from shared.api.availability import AvailabilityView
from shared.api.booking_world import world
from shared.core.booking import admission, local_time
from shared.core.booking.booking import Create
from shared.core.booking.groups import resolve
from shared.core.booking.slot import Slot
from shared.core.ids import uuid7
from shared.replica import Replica, open_replica
from shared.store.store import Identity
from shared.store.transaction import Reading, Transaction

SLOTS = 3
LENGTH_MS = 45 * MINUTE_MS
PAGE = 50
SCANS = 3  # a sample: each takes a thousand times as long
MEDIAN_MS = Target(5, at_most=True)
P99_MS = Target(20, at_most=True)

Question = Callable[[Reading, int], Any]  # the number of the question, so that no two are alike
_encode = msgspec.json.Encoder().encode


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure searches, lists and decisions, in turns with scans."""
    names = many_bookings.names(sizes.resources)
    count = many_bookings.build(folder / "hub", sizes.bookings, sizes.resources)
    asked, scanned = _questions(names), _scans(names)
    ours: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    theirs: dict[str, list[float]] = {name: [] for name in scanned}
    booked: list[tuple[float, float]] = []
    async with _open(folder / "hub") as replica:
        await _compare(replica, names)
        for repetition in range(sizes.repetitions):
            for name, question in asked.items():
                ours[name].append(await _ask(replica, question, sizes.questions))
            for name, scan in scanned.items():
                theirs[name].append((await _ask(replica, scan, SCANS))[0])
            booked.append(await _book(replica, names, sizes.questions, repetition))
    return [*_figures(count, ours, theirs), *_booked(booked)]


def _open(folder: Path) -> Any:
    return open_replica(
        folder,
        Identity("hub", "hub", (SITE,)),
        now_ms=lambda: NOW_MS,
        trust=system.trust,
        chance=system.chance(),
    )


def _figures(
    count: int, ours: dict[str, list[tuple[float, float]]], theirs: dict[str, list[float]]
) -> list[Figure]:
    found = []
    for name, samples in ours.items():
        mine = [middle for middle, _ in samples]
        late = [last for _, last in samples]
        shown = f"{name}, {count:,}"
        found += [
            figure("bookings", shown, "ms", mine, target=MEDIAN_MS),
            figure("bookings", f"{shown}, p99", "ms", late, target=P99_MS),
        ]
        if name in theirs:
            scan = (f"{shown}, scan", theirs[name])
            found += [
                figure("bookings", scan[0], "ms", theirs[name]),
                figure("bookings", f"{shown}, to a scan", "ms", mine, beside=scan),
            ]
    return found


def _booked(samples: list[tuple[float, float]]) -> list[Figure]:
    return [
        figure("bookings", "a booking, durable", "ms", [middle for middle, _ in samples]),
        figure("bookings", "a booking, durable, p99", "ms", [last for _, last in samples]),
    ]


# ------------------------------------------------------------------ what is asked


def _questions(names: list[str]) -> dict[str, Question]:
    """Return what is asked, by name; each time of other resources, or for another time."""
    return {
        "first free, sparse": lambda r, n: _first(r, (SPARSE,), n),
        "first free, full for weeks": lambda r, n: _first(r, (FULL,), n),
        "first free, any of 5": lambda r, n: _first(r, _some(names, n, 5), n),
        "first free, all of 3": lambda r, n: _first(r, _some(names, n, 3), n, together=True),
        "first free, a group": lambda r, n: _first(r, (GROUP,), n),
        f"first free, any of {len(names):,}": lambda r, n: _first(r, tuple(names), n),
        "list of a week": lambda r, n: _list(r, _some(names, n, 1), n),
        "list of a day, all": lambda r, n: _list(r, (), n, days=1),
        "fits": lambda r, n: _fits(r, _some(names, n, 1), n),
    }


def _scans(names: list[str]) -> dict[str, Question]:
    return {
        "first free, sparse": lambda r, n: _scan(r, (SPARSE,), n),
        "first free, full for weeks": lambda r, n: _scan(r, (FULL,), n),
        "first free, any of 5": lambda r, n: _scan(r, _some(names, n, 5), n),
        "first free, all of 3": lambda r, n: _scan(r, _some(names, n, 3), n, together=True),
        "first free, a group": lambda r, n: _scan(r, (GROUP,), n, together=True),
        f"first free, any of {len(names):,}": lambda r, n: _scan(r, tuple(names), n),
        "list of a week": lambda r, n: booking_scan.window(
            r, _some(names, n, 1)[0], _after(n), _after(n) + 7 * DAY_MS
        ),
        "fits": lambda r, n: booking_scan.is_free(
            r, _some(names, n, 1)[0], _after(n), _after(n) + LENGTH_MS
        ),
    }


def _some(names: list[str], number: int, count: int) -> tuple[str, ...]:
    start = 2 + number * 7 % max(1, len(names) - 2 - count)
    return tuple(names[start : start + count])


def _after(number: int) -> int:
    """Return from when on: now, and at other hours of the next days."""
    return NOW_MS + number % 40 * 97 * MINUTE_MS


def _first(
    reading: Reading, names: tuple[str, ...], number: int, *, together: bool = False
) -> AvailabilityView:
    here = world(reading, SITE, NOW_MS, names=names)
    after = _after(number)
    return availability.first(here, names, LENGTH_MS, after, None, together=together, most=SLOTS)


def _scan(
    reading: Reading, names: tuple[str, ...], number: int, *, together: bool = False
) -> list[str]:
    here = world(reading, SITE, NOW_MS)
    members = resolve(names, here.groups) if together else names
    known = {name: here.resources[name] for name in members}
    find = booking_scan.first_of_all if together else booking_scan.first
    return [str(find(reading, known, _after(number), LENGTH_MS, NOW_MS))]


def _list(reading: Reading, names: tuple[str, ...], number: int, days: int = 7) -> list[Any]:
    window = (_after(number), _after(number) + days * DAY_MS)
    found = bookings.listed(reading, names, None, window, limit=PAGE)
    return bookings.rendered(reading, [booking_id for _, booking_id in found])


def _fits(reading: Reading, names: tuple[str, ...], number: int) -> Any:
    here = world(reading, SITE, NOW_MS)
    slot = Slot(names, _after(number), _after(number) + LENGTH_MS)
    return admission.reasons(slot, here.resources, here.busy, here.now_ms)


async def _ask(replica: Replica, question: Question, times: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of answering and encoding, ms."""

    def timed(reading: Reading, number: int) -> float:
        start = thread_time()
        _encode(question(reading, number))
        return (thread_time() - start) * 1000

    taken = sorted([await replica.read(partial(timed, number=n)) for n in range(times)])
    return median(taken), taken[-(-99 * times // 100) - 1]


async def _book(
    replica: Replica, names: list[str], times: int, repetition: int
) -> tuple[float, float]:
    """Return the median and the 99th percentile of a booking, from asking to its fsync, ms."""
    taken = []
    for number in range(times):
        name = names[2 + number % (len(names) - 2)]
        start = NOW_MS + (200 + repetition) * DAY_MS + number // len(names) * 60 * MINUTE_MS
        body = Create(Slot((name,), start, start + 30 * MINUTE_MS), alternatives=0)
        booking_id = uuid7(NOW_MS, repetition * times + number)
        begun = perf_counter()
        await replica.write(partial(_book_one, booking_id=booking_id, body=body))
        taken.append((perf_counter() - begun) * 1000)
    taken.sort()
    return median(taken), taken[-(-99 * times // 100) - 1]


def _book_one(tx: Transaction, booking_id: str, body: Create) -> None:
    deciding.ask(tx, site=SITE, booking_id=booking_id, body=body, actor="ada")


async def _compare(replica: Replica, names: list[str]) -> None:
    """Check that the scan finds the same; a benchmark of another question would say nothing."""

    def differences(reading: Reading) -> list[str]:
        scanned = _scans(names)
        found = []
        for name, question in _questions(names).items():
            if not name.startswith("first"):
                continue
            for number in (0, 17):
                slot = question(reading, number).slots[0]
                (theirs,) = scanned[name](reading, number)
                if local_time.instant(slot.start) != int(theirs):
                    found.append(f"{name} ({number}): {slot.start}, by the scan {theirs}")
        return found

    wrong = await replica.read(differences)
    if wrong:
        raise RuntimeError("; ".join(wrong))
