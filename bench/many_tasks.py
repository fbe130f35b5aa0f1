"""A hub with a million tasks, made in about a minute instead of an hour.

Some hundred tasks are written by the production code, each another mix of type, priority, device
and so on, most of them ended. Then the rows that these made (record, registers, typed row, attempt)
are copied under new ids. An id is 36 characters wherever it stands, so replacing it in a packed
register leaves a valid one, and record and typed row of every copy agree. What a copy lacks is its
events in the journal, and its times are its pattern's: no list and no count reads either.
"""

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from bench.reports import SITE
from shared.api import task_submission
from shared.api.task_submission import Submission
from shared.core.clock import ClockTrust
from shared.core.ids import uuid7
from shared.core.kinds import task_bodies
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Failure,
    Outcome,
    Progress,
    Seat,
)
from shared.core.kinds.task_kind import TASKS
from shared.core.lifecycle import Status
from shared.store import database
from shared.store.guard import GuardFile
from shared.store.store import Identity, Store
from shared.store.transaction import Transaction

START_MS = 1_790_000_000_000
APART_MS = 400  # between two submissions
CREATED = TASKS.columns.index("created_at")
PATTERNS = 300  # of tasks that are over, and as many of open ones
RARE = 60  # tasks of a requester who asks seldom
BATCH = 10_000

TYPES = ("command", "wait", "print", "move", "scan", "clean", "charge", "report")
DEVICES = tuple(f"robot-{number}" for number in range(1, 41))
REQUESTERS = ("ada", "bo", "erp", "mes")
OVER = (Status.SUCCEEDED,) * 46 + (Status.DEAD, Status.DEAD, Status.CANCELLED, Status.UNKNOWN)
OPEN = (Status.WAITING,) * 8 + (Status.RUNNING,) * 2

Rows = Sequence[tuple[Any, ...]]


class Pattern(msgspec.Struct, frozen=True):
    """The rows of a task that the production code wrote."""

    id: str
    registers: Rows
    task: tuple[Any, ...]
    attempts: Rows


def build(folder: Path, count: int, unfinished: int) -> None:
    """Make a hub's data folder.

    Args:
        folder: Of the hub.
        count: Tasks.
        unfinished: How many of them wait or run; the newest.
    """
    chance = Random(1)
    over = _patterns(chance, OVER, REQUESTERS)
    rare = _patterns(chance, OVER, ("rare",))
    unended = _patterns(chance, OPEN, REQUESTERS)
    folder.mkdir(parents=True)
    with closing(database.connect(str(folder / database.FILE))) as db:
        _store(db, folder)  # makes the tables, and the node's own row
        apart = max(2, count // RARE)
        chosen = (
            chance.choice(
                unended if number >= count - unfinished else over if number % apart else rare
            )
            for number in range(count)
        )
        _copy_all(db, chosen)


def _store(db: sqlite3.Connection, folder: Path) -> Store:
    return Store(
        db,
        Identity("hub", "hub", (SITE,)),
        GuardFile(folder),
        now_ms=lambda: START_MS,
        trust=lambda: ClockTrust.SYNCED,
        chance=Random(1),
    )


# ------------------------------------------------------------------ patterns


class _NoGuard:
    """A guard of a store that nobody keeps."""

    def load(self) -> None:
        """Return nothing."""

    def save(self, state: object) -> None:
        """Forget it."""


def _patterns(
    chance: Random, statuses: Sequence[Status], requesters: Sequence[str]
) -> list[Pattern]:
    """Return patterns, as a store wrote them."""
    with closing(database.connect(":memory:")) as db:
        store = Store(
            db,
            Identity("hub", "hub", (SITE,)),
            _NoGuard(),
            now_ms=lambda: START_MS,
            trust=lambda: ClockTrust.SYNCED,
            chance=Random(1),
        )
        ids = [uuid7(START_MS, number) for number in range(PATTERNS)]
        for task_id in ids:
            asked = _submission(chance, task_id)
            planned = task_submission.plan(asked, chance.choice(requesters), START_MS, str)
            status = chance.choice(statuses)
            device = chance.choice(DEVICES)
            (outcome,) = store.commit(
                [partial(_write, planned=planned, status=status, device=device)]
            ).outcomes
            if outcome.error is not None:
                raise outcome.error
        return [_pattern(db, task_id) for task_id in ids]


def _submission(chance: Random, task_id: str) -> Submission:
    deadline = chance.choice((None, None, None, "2026-12-24T18:00:00Z", "2027-01-01T00:00:00Z"))
    group = chance.choice((*(None,) * 9, "line-1"))
    fields = {
        "id": task_id,
        "type": chance.choice(TYPES),
        "payload": {"argv": ["deliver", "--to", f"ward-{chance.randint(1, 9)}"]},
        "priority": chance.choice(("critical", "high", *("normal",) * 7, "low")),
        "deadline": deadline,
        "group": group,
    }
    return msgspec.convert(fields, Submission)


def _write(tx: Transaction, planned: task_submission.Planned, status: Status, device: str) -> None:
    """Submit a task and bring it to a status, as hub and device do."""
    task_submission.submit(tx, planned, SITE)
    if status is Status.WAITING:
        return
    allocation = Allocation(tx.node.epoch, 1, device, "aaaaaa")
    ended = None if status is Status.RUNNING else START_MS + 900
    outcome = None if ended is None else Outcome.SUCCEEDED
    error = Failure("exit-status", "exit status 3") if status is Status.DEAD else None
    if status is Status.DEAD:
        outcome = Outcome.FAILED
    attempt = Attempt(planned.id, 1, "boot", START_MS + 100, ended, outcome, error, None)
    bodies: tuple[tuple[str, str, msgspec.Struct], ...] = (
        ("task.allocated", task_bodies.SEAT, Seat(allocation, (device,))),
        ("task.status", task_bodies.STATUS, Progress(status, allocation, attempt)),
    )
    for kind, register, body in bodies:
        tx.append(
            site=SITE, kind=kind, subject=planned.id, register=register, body=body, actor="hub"
        )


def _pattern(db: sqlite3.Connection, task_id: str) -> Pattern:
    return Pattern(
        task_id,
        db.execute(
            """SELECT g.name, g.lane, g.shown FROM registers g JOIN records r ON r.id = g.record
            WHERE r.subject = ?""",
            (task_id,),
        ).fetchall(),
        db.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone(),
        db.execute("SELECT * FROM attempts WHERE task = ?", (task_id,)).fetchall(),
    )


# ------------------------------------------------------------------ copies


def _copy_all(db: sqlite3.Connection, chosen: Iterator[Pattern]) -> None:
    """Insert a copy of each pattern. The indexes are made at the end: sorted, that is faster."""
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("PRAGMA synchronous = OFF")  # nobody measures this part, and a crash starts anew
    db.execute("PRAGMA cache_size = -200000")
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    db.execute("BEGIN")
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    number = 0
    while batch := list(itertools.islice(chosen, BATCH)):
        _copy(db, batch, number)
        number += len(batch)
    for _, text in indexes:
        db.execute(text)
    db.execute(
        """INSERT INTO task_counts SELECT site, status, type, priority, count(*) FROM tasks
        GROUP BY site, status, type, priority"""
    )
    db.execute(
        "INSERT INTO attempt_counts SELECT coalesce(outcome, ''), count(*) FROM attempts GROUP BY 1"
    )
    db.execute("UPDATE node SET position = (SELECT max(position) FROM registers)")
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")


def _copy(db: sqlite3.Connection, batch: Sequence[Pattern], first: int) -> None:
    records: list[tuple[Any, ...]] = []
    registers: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    attempts: list[tuple[Any, ...]] = []
    for number, pattern in enumerate(batch, first):
        created_ms = START_MS + number * APART_MS
        task_id = uuid7(created_ms, number)
        old, new = pattern.id.encode(), task_id.encode()
        records.append((number + 1, task_id))
        for at, (name, lane, shown) in enumerate(pattern.registers):
            position = number * 4 + at + 1
            registers.append((number + 1, name, lane, position, shown.replace(old, new)))
        rows.append((task_id, *pattern.task[1:CREATED], created_ms, *pattern.task[CREATED + 1 :]))
        attempts += [(task_id, *row[1:5], task_id, *row[6:]) for row in pattern.attempts]
    db.executemany(
        f"INSERT INTO records (id, kind, subject, site) VALUES (?, 'task', ?, '{SITE}')", records
    )
    db.executemany(
        "INSERT INTO registers (record, name, lane, position, shown) VALUES (?, ?, ?, ?, ?)",
        registers,
    )
    for table, given in (("tasks", rows), ("attempts", attempts)):
        if given:
            marks = ", ".join("?" * len(given[0]))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", given)
