"""A hub with a million bookings of a thousand resources, made in about a minute.

The resources are written by the production code, and so is one booking. Then the rows that it made
(record, registers, typed row, place, window) are copied under other ids, names and times. Those are
as long as before wherever they stand (a name has ten characters, a time in ms nine bytes), so
replacing them in a packed register leaves a valid one. What a copy lacks is its events in the
journal: no search and no list reads those.

Most resources have as many bookings behind as before them, by half hours and quarters of one, and
three quarters of each day are taken. ``full-00001`` has no gap for six weeks; ``spare-0001`` has
much behind it and little ahead; every hundredth is away for days on end now and then.
"""

import datetime
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from bench.reports import SITE
from hub import deciding, resource_rules
from shared.core.booking.booking import Create
from shared.core.booking.groups import Group
from shared.core.booking.hours import Week
from shared.core.booking.rules import Grid, Hours, Limits, SpecialDays
from shared.core.booking.slot import Slot
from shared.core.clock import ClockTrust
from shared.core.ids import uuid7
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.store import database
from shared.store.guard import GuardFile
from shared.store.store import Identity, Store
from shared.store.transaction import Transaction

ZONE = ZoneInfo("Europe/Berlin")
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
TODAY = datetime.date(2026, 12, 1)  # a Tuesday
NOW_MS = int(datetime.datetime(2026, 12, 1, 9, 2, tzinfo=ZONE).timestamp() * 1000)
MADE_MS = NOW_MS - 200 * DAY_MS  # when the oldest was asked for
SPARSE, FULL, GROUP = "spare-0001", "full-00001", "team-00001"
FULL_DAYS = 42
LONG_EVERY = 100  # one resource of so many
LENGTHS_MIN = (15, 30, 30, 30, 45, 60)
BATCH = 10_000
WRITES = 200  # in one commit

Span = tuple[int, int]  # start and end, Unix ms


def names(count: int) -> list[str]:
    """Return the names of so many resources."""
    return [SPARSE, FULL, *(f"room-{number:05d}" for number in range(2, count))]


def build(folder: Path, count: int, resource_count: int) -> int:
    """Make a hub's data folder.

    Args:
        folder: Of the hub.
        count: Bookings, about.
        resource_count: Resources.

    Returns:
        How many bookings there are.
    """
    folder.mkdir(parents=True)
    wanted = names(resource_count)
    with closing(database.connect(str(folder / database.FILE))) as db:
        store = Store(
            db,
            Identity("hub", "hub", (SITE,)),
            GuardFile(folder),
            now_ms=lambda: MADE_MS,
            trust=lambda: ClockTrust.SYNCED,
            chance=Random(1),
        )
        _write_resources(store, wanted)
        pattern = _pattern(store, db, wanted[2])
        return _copy_all(db, pattern, _plan(wanted, count // resource_count))


# ------------------------------------------------------------------ what is written as usual


def _write_resources(store: Store, wanted: Sequence[str]) -> None:
    writes = [partial(_write_resource, name=name, number=n) for n, name in enumerate(wanted)]
    for start in range(0, len(writes), WRITES):
        _commit(store, *writes[start : start + WRITES])
    _commit(store, partial(_write_group, members=tuple(wanted[3:6])))


def _commit(store: Store, *writes: Any) -> None:
    for outcome in store.commit(writes).outcomes:
        if outcome.error is not None:
            raise outcome.error


def rules(number: int) -> tuple[Hours, Limits]:
    """Return the rules of a resource: some have their own days off, buffers or more places."""
    opens = 7 + number % 3
    day = (
        (f"{opens:02d}:00-12:00", f"12:30-{opens + 10:02d}:00") if number % 4 else ("08:00-18:00",)
    )
    week = Week(mon=day, tue=day, wed=day, thu=day, fri=day)
    away = TODAY + datetime.timedelta(days=7 + number)
    days_off = (SpecialDays(away, away + datetime.timedelta(days=6)),) if number % 5 == 4 else ()
    limits = Limits(
        capacity=1,
        after_s=600 if number % 7 == 6 else 0,
        grid=Grid(15) if number % 3 == 2 else None,
        horizon_s=2 * 366 * 24 * 3600,
    )
    return Hours(str(ZONE), week, days_off), limits


def _write_resource(tx: Transaction, name: str, number: int) -> None:
    hours, limits = rules(number)
    for body in (resources.Created(), resources.Named(f"Room {number}", None), hours, limits):
        resource_rules.append(tx, site=SITE, name=name, body=body, actor="ada")


def _write_group(tx: Transaction, members: tuple[str, ...]) -> None:
    for body in (resources.Created(), Group(members)):
        resource_rules.append(tx, site=SITE, name=GROUP, body=body, actor="ada")


class Pattern(msgspec.Struct, frozen=True):
    """The rows of a booking that the production code wrote."""

    record: int
    id: str
    resource: str
    span: Span
    registers: Sequence[tuple[Any, ...]]
    booking: tuple[Any, ...]


def _pattern(store: Store, db: sqlite3.Connection, resource: str) -> Pattern:
    start = _day_ms(TODAY - datetime.timedelta(days=180)) + 10 * 60 * MINUTE_MS
    span = (start, start + 30 * MINUTE_MS)
    booking_id = uuid7(MADE_MS - 1, 0)
    body = Create(Slot((resource,), *span), title="Check-up")
    ask = partial(deciding.ask, site=SITE, booking_id=booking_id, body=body, actor="ada")
    _commit(store, ask)
    ((record,),) = db.execute("SELECT id FROM records WHERE subject = ?", (booking_id,)).fetchall()
    return Pattern(
        record,
        booking_id,
        resource,
        span,
        db.execute(
            "SELECT name, lane, shown FROM registers WHERE record = ? ORDER BY name", (record,)
        ).fetchall(),
        db.execute("SELECT * FROM bookings WHERE id = ?", (booking_id,)).fetchone(),
    )


# ------------------------------------------------------------------ when


def _plan(wanted: Sequence[str], each: int) -> Iterator[tuple[str, Span]]:
    for number, name in enumerate(wanted):
        for span in islice(_spans(number, name, each), each):
            yield name, span


def _spans(number: int, name: str, each: int) -> Iterator[Span]:
    """Yield the times of a resource, in order."""
    chance = Random(number)
    behind = {SPARSE: each - 3, FULL: each // 3}.get(name, each // 2)
    a_day = 20 if name == FULL else 13
    date = TODAY - datetime.timedelta(days=behind // a_day * 7 // 5)
    hours, limits = rules(number)
    while True:
        if date.weekday() < 5 and not any(d.first <= date <= d.final for d in hours.exceptions):
            for words in hours.week.mon:
                yield from _of_day(chance, date, words, name, limits.after_s // 60)
        is_long = number % LONG_EVERY == LONG_EVERY - 1 and chance.random() < 0.05
        if is_long:
            begin = _day_ms(date)
            yield begin + 20 * 3600_000, begin + 9 * DAY_MS
            date += datetime.timedelta(days=9)
        sparse_ahead = name == SPARSE and date >= TODAY
        date += datetime.timedelta(days=30 if sparse_ahead else 1)


def _of_day(
    chance: Random, date: datetime.date, words: str, name: str, after_min: int
) -> Iterator[Span]:
    opens, closes = (int(clock[:2]) * 60 + int(clock[3:]) for clock in words.split("-"))
    midnight = _day_ms(date)
    minute = opens
    if name == SPARSE and date >= TODAY:
        yield midnight + opens * MINUTE_MS, midnight + (opens + 60) * MINUTE_MS
        return
    while True:
        is_full = name == FULL and (date - TODAY).days < FULL_DAYS
        if not is_full and chance.random() < 0.2:
            minute += 15
        length = 30 if is_full else chance.choice(LENGTHS_MIN)
        if minute + length > closes:
            if is_full and minute < closes:
                yield midnight + minute * MINUTE_MS, midnight + closes * MINUTE_MS
            return
        yield midnight + minute * MINUTE_MS, midnight + (minute + length) * MINUTE_MS
        minute += length + after_min
        minute += -minute % 15


def _day_ms(date: datetime.date) -> int:
    return int(datetime.datetime(date.year, date.month, date.day, tzinfo=ZONE).timestamp() * 1000)


# ------------------------------------------------------------------ copies


def _copy_all(db: sqlite3.Connection, pattern: Pattern, plan: Iterator[tuple[str, Span]]) -> int:
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("PRAGMA synchronous = OFF")  # nobody measures this part, and a crash starts anew
    db.execute("PRAGMA cache_size = -200000")
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    db.execute("BEGIN")
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    ((record,),) = db.execute("SELECT max(id) FROM records").fetchall()
    ((position,),) = db.execute("SELECT max(position) FROM registers").fetchall()
    count = 0
    while batch := list(islice(plan, BATCH)):
        _copy(db, pattern, batch, (record + 1 + count, position + 1 + count * 2, count + 1))
        count += len(batch)
    for _, text in indexes:
        db.execute(text)
    db.execute("DELETE FROM booking_counts")
    db.execute("INSERT INTO booking_counts SELECT status, count(*) FROM bookings GROUP BY status")
    db.execute("UPDATE node SET position = (SELECT max(position) FROM registers)")
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")
    return count + 1


def _copy(
    db: sqlite3.Connection,
    pattern: Pattern,
    batch: Sequence[tuple[str, Span]],
    at: tuple[int, int, int],
) -> None:
    record, position, number = at
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _INSERTS}
    was = (pattern.id.encode(), pattern.resource.encode(), *map(_packed, pattern.span))
    for offset, (resource, span) in enumerate(batch):
        booking_id = uuid7(MADE_MS + (number + offset) * 1000, number + offset)
        now = (booking_id.encode(), resource.encode(), *map(_packed, span))
        this = record + offset
        rows["records"].append((this, booking_id))
        for step, (name, lane, shown) in enumerate(pattern.registers):
            for old, new in zip(was, now, strict=True):
                shown = shown.replace(old, new)
            rows["registers"].append((this, name, lane, position + offset * 2 + step, shown))
        rows["bookings"].append((booking_id, *pattern.booking[1:3], *span, *pattern.booking[5:]))
        rows["booking_places"].append((booking_id, resource, *span, "confirmed"))
        opens, closes = span[0] - bookings.NEAR_MS, span[1] + bookings.KEPT_MS
        if closes > NOW_MS:
            rows["scope_windows"].append((this, f"*{SITE}", opens, closes, int(opens <= NOW_MS)))
    for name, given in rows.items():
        db.executemany(_INSERTS[name], given)


def _packed(ms: int) -> bytes:
    return b"\xcf" + ms.to_bytes(8, "big")


_INSERTS = {
    "records": f"INSERT INTO records (id, kind, subject, site) VALUES (?, 'booking', ?, '{SITE}')",
    "registers": "INSERT INTO registers VALUES (?, ?, ?, ?, ?, NULL, NULL)",
    "bookings": f"INSERT INTO bookings VALUES ({', '.join('?' * 11)})",
    "booking_places": "INSERT INTO booking_places VALUES (?, ?, ?, ?, ?, NULL)",
    "scope_windows": "INSERT INTO scope_windows VALUES (?, ?, ?, ?, ?)",
}
