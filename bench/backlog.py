"""What an agent wrote while its link was cut: three days of reports, each at a time of its own."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from bench import reports
from bench.nodes import DEVICE
from shared import system
from shared.core.clock import ClockTrust
from shared.store import database
from shared.store.guard import GuardFile
from shared.store.store import Identity, Store, Write

AWAY_MS = 3 * 24 * 3600 * 1000


class Past:
    """A clock that goes through the time of the outage at chance intervals."""

    def __init__(self, chance: Random, steps: int) -> None:
        self._chance = chance
        self._pause_ms = AWAY_MS / steps
        self._ms = float(system.now_ms() - AWAY_MS)

    def __call__(self) -> int:
        """Return the time, a little later at each call."""
        self._ms += self._chance.expovariate(1 / self._pause_ms)
        return int(self._ms)


def write(folder: Path, events: int) -> None:
    """Write an agent's data folder with a backlog.

    The production store writes it, one transaction a report, but in memory, and the database is
    saved at the end: so many fsyncs would take minutes and are not what is measured.
    """
    chance = Random(3)
    folder.mkdir(parents=True)
    memory = database.connect(":memory:")
    try:
        store = Store(
            memory,
            Identity("agent", DEVICE, (reports.SITE,)),
            GuardFile(folder),
            now_ms=Past(chance, events),
            trust=lambda: ClockTrust.SYNCED,
            chance=chance,
        )
        store.commit([reports.create_all])
        for change in _changes(chance, events - reports.PIECES):
            for outcome in store.commit([change]).outcomes:
                if outcome.error is not None:
                    raise outcome.error
        on_disk = sqlite3.connect(folder / database.FILE)
        try:
            memory.backup(on_disk)
        finally:
            on_disk.close()
    finally:
        memory.close()


def _changes(chance: Random, count: int) -> Iterator[Write]:
    given = reports.for_ever(chance)
    for _ in range(count):
        yield partial(reports.write, given=next(given))
