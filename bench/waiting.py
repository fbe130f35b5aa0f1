"""A hundred thousand tasks that wait on one device, as the rules see them and in a data folder."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from bench.nodes import DEVICE
from bench.reports import SITE
from shared import system
from shared.api import task_submission
from shared.api.task_submission import Planned
from shared.core import ids
from shared.core.clock import ClockTrust
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation
from shared.core.kinds.task_spec import Offline, Priority, Retry, Spec
from shared.core.lifecycle import Status
from shared.store import database
from shared.store.guard import GuardFile
from shared.store.store import Identity, Store

HOUR_MS = 3600 * 1000
TYPES = tuple(f"type-{number}" for number in range(10))
GROUPS, LOCKS = 500, 50
WRITES_MAX = 500  # submissions a transaction

HUB_EPOCH = "e1"


def tasks(chance: Random, count: int, now_ms: int) -> Iterator[Task]:
    """Yield waiting tasks submitted in the last hour: groups, locks, permits, deadlines, times."""
    seat = Allocation(HUB_EPOCH, 1, DEVICE, "a1")
    for _ in range(count):
        created_ms = now_ms - chance.randrange(HOUR_MS)
        spec = _spec(chance, now_ms, chance.choice(TYPES))
        yield Task(
            id=ids.uuid7(created_ms, chance.getrandbits(74)),
            site=SITE,
            spec=spec,
            submitters=("hub",),
            allocation=seat,
            holders=(DEVICE,),
            status=Status.WAITING,
            progress=None,
            priority=spec.priority,
            why_cancel=None,
            created_ms=created_ms,
            updated_ms=created_ms,
        )


def write(folder: Path, count: int) -> None:
    """Write an agent's data folder with waiting tasks that it has given itself.

    The production store writes it in memory, as in ``backlog.write``. Each would run for an hour.
    """
    chance = Random(5)
    folder.mkdir(parents=True)
    memory = database.connect(":memory:")
    try:
        store = Store(
            memory,
            Identity("agent", DEVICE, (SITE,)),
            GuardFile(folder),
            now_ms=system.now_ms,
            trust=lambda: ClockTrust.SYNCED,
            chance=chance,
        )
        for first in range(0, count, WRITES_MAX):
            planned = [_planned(chance) for _ in range(min(WRITES_MAX, count - first))]
            writes = [
                partial(task_submission.submit, planned=one, site=SITE, can_run=lambda _: True)
                for one in planned
            ]
            for outcome in store.commit(writes).outcomes:
                if outcome.error is not None:
                    raise outcome.error
        on_disk = sqlite3.connect(folder / database.FILE)
        try:
            memory.backup(on_disk)
        finally:
            on_disk.close()
    finally:
        memory.close()


def _planned(chance: Random) -> Planned:
    now_ms = system.now_ms()
    spec = _spec(chance, now_ms, "wait", can_ask=False)
    return Planned(ids.uuid7(now_ms, chance.getrandbits(74)), SITE, spec, given_at=())


def _spec(chance: Random, now_ms: int, type_: str, *, can_ask: bool = True) -> Spec:
    def is_one_in(count: int) -> bool:
        return chance.randrange(count) == 0

    return Spec(
        type=type_,
        payload={"seconds": 3600},
        priority=chance.choice(list(Priority)),
        requester="ada",
        not_before_ms=now_ms + chance.randrange(HOUR_MS) if is_one_in(10) else None,
        retry=Retry(),
        group=f"group-{chance.randrange(GROUPS)}" if is_one_in(5) else None,
        locks=(f"local:lock-{chance.randrange(LOCKS)}",) if is_one_in(5) else (),
        deadline_ms=now_ms + chance.randrange(HOUR_MS) if is_one_in(10) else None,
        schedule_to_start_s=2 * 3600 if is_one_in(10) else None,
        offline=Offline.RELEASE if can_ask and is_one_in(20) else Offline.KEEP,
    )
