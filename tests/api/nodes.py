"""Real replicas in a folder, and short ways to say what a task is."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import msgspec

from hub.retry import retry
from shared.api import task_actions, task_submission
from shared.api.task_submission import Submission
from shared.core import event as events
from shared.core.clock import ClockTrust
from shared.core.ids import uuid7
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import (
    Allocation,
    Attempt,
    Claim,
    Failure,
    Outcome,
    Progress,
    Reported,
    Seat,
)
from shared.core.kinds.task_spec import Spec
from shared.core.lifecycle import Status
from shared.replica import Replica, open_replica
from shared.store import up
from shared.store.store import Identity
from shared.store.transaction import Transaction
from shared.sync.frame import Up

SITE = "demo"
START_MS = 1_795_420_800_000

_decode = msgspec.json.Decoder(Submission).decode


@dataclass
class Clock:
    """A wall clock that stands until it is moved."""

    ms: int = START_MS

    def __call__(self) -> int:
        return self.ms


@dataclass
class Ids:
    """UUIDv7 in order, the same in every run, and others on each device."""

    clock: Clock
    device: str

    def __post_init__(self) -> None:
        self.bits = count(crc32(self.device.encode()) << 20)

    def __call__(self) -> str:
        return uuid7(self.clock(), next(self.bits))


def submission(**fields: Any) -> Submission:
    """Decode a submission as the API would; without fields of its own it is an echo."""
    if not {"command", "type", "payload"} & set(fields):
        fields["command"] = "echo hello"
    return _decode(msgspec.json.encode(fields))


@dataclass
class Node:
    """A replica and what a test does with it."""

    replica: Replica
    clock: Clock
    new_id: Ids
    can_run: Callable[[Spec], bool] | None = None

    async def submit(self, actor: str = "ada", **fields: Any) -> str:
        """Submit a task as the API does; return its id."""
        planned = task_submission.plan(submission(**fields), actor, self.clock(), self.new_id)
        task_id, _ = await self.replica.write(
            lambda tx: task_submission.submit(tx, planned, SITE, self.can_run)
        )
        return task_id

    async def task(self, task_id: str) -> Task:
        """Return a task as the rules see it."""
        task = tasks.read(await self.replica.record("task", task_id))
        assert task is not None
        return task

    async def cancel(self, task_id: str, actor: str = "ada", reason: str | None = None) -> None:
        await self.replica.write(lambda tx: task_actions.cancel(tx, task_id, actor, reason=reason))

    async def retry(self, task_id: str, actor: str = "ada", reason: str | None = None) -> None:
        again = retry if self.replica.node.is_hub else task_actions.retry
        await self.replica.write(lambda tx: again(tx, task_id, actor, reason))

    async def report(self, task_id: str, status: Status, **fields: Any) -> None:
        """Write a status as the holder of the task's seat would."""
        await self.replica.write(lambda tx: report(tx, task_id, status, **fields))

    async def kinds(self, task_id: str) -> list[str]:
        """Return the kinds of the events of a task, in order of arrival."""
        rows = await self.replica.read(
            lambda r: r.query(
                """SELECT j.header, j.body FROM journal j JOIN records r ON r.id = j.record
                WHERE r.subject = $1 ORDER BY j.entry""",
                task_id,
            )
        )
        return [events.read(header, body).header.kind for header, body in rows]


def report(
    tx: Transaction, task_id: str, status: Status, *, number: int | None = None, **fields: Any
) -> None:
    """Write a move under the task's allocation, with an attempt that fits it."""
    task = tasks.read(tx.record("task", task_id))
    assert task is not None
    attempt = fields.pop("attempt", None)
    if number is not None:
        attempt = an_attempt(task, number, status)
    body = Progress(status, task.allocation, attempt, **fields)
    tx.append(
        site=task.site,
        kind="task.status",
        subject=task_id,
        register=task_bodies.STATUS,
        body=body,
        actor="dispatcher",
    )


def tell_progress(tx: Transaction, task_id: str, number: int, **progress: Any) -> None:
    """Write what an attempt under the task's allocation says of itself."""
    task = tasks.read(tx.record("task", task_id))
    assert task is not None
    assert task.allocation is not None
    claim = Claim(task.allocation.epoch, task.allocation.n, number)
    tx.append(
        site=task.site,
        kind="task.progress",
        subject=task_id,
        register=task_bodies.PROGRESS,
        body=Reported(claim, progress),
        actor="handler",
    )


def seat_at(tx: Transaction, task_id: str, device: str, incarnation: str = "aaa") -> None:
    """Give a task to a device as the hub does."""
    task = tasks.read(tx.record("task", task_id))
    assert task is not None
    n = task.seat.newest + 1
    epoch = tx.node.epoch if tx.node.is_hub else tx.node.hub_epoch or "e81c"
    tx.append(
        site=task.site,
        kind="task.allocated",
        subject=task_id,
        register=task_bodies.SEAT,
        body=Seat(Allocation(epoch, n, device, incarnation), (*task.holders, device)),
        actor="hub",
    )


def an_attempt(task: Task, number: int, status: Status) -> Attempt:
    """Return an attempt as it is when the task gets this status."""
    n = task.allocation.n if task.allocation else 0
    running = Attempt(f"{task.id}/{n}/{number}", number, "boot-1", START_MS + number)
    if status in (Status.RUNNING, Status.CANCELLING):
        return running
    good = status is Status.SUCCEEDED
    return msgspec.structs.replace(
        running,
        ended_ms=START_MS + number + 500,
        outcome=Outcome.SUCCEEDED if good else Outcome.FAILED,
        error=None if good else Failure("exit-status", "exit status 3"),
        output={"exit_code": 0 if good else 3},
    )


async def carry(agent: Replica, hub: Replica) -> None:
    """Bring an agent's whole log up to the hub, as a session does."""
    device = agent.node.device
    log = agent.node.logs[agent.node.writes[SITE]]
    held = hub.node.logs.get(log.name)
    stretch = await agent.read(lambda r: up.read(r, log, held.head if held else 0))
    if not stretch.events:
        return
    frame = Up(stretch.origin, stretch.first, stretch.previous, stretch.events)
    await hub.write(lambda tx: up.take(tx, frame, device=device, site=SITE))


@asynccontextmanager
async def open_node(
    folder: Path,
    role: str,
    device: str,
    *,
    clock: Clock | None = None,
    can_run: Callable[[Spec], bool] | None = None,
    seed: int = 1,
) -> AsyncIterator[Node]:
    """Open a hub or an agent in a folder of its own."""
    clock = clock or Clock()
    identity = Identity(role, device, (SITE,))
    async with open_replica(
        folder / device,
        identity,
        now_ms=clock,
        trust=lambda: ClockTrust.SYNCED,
        chance=Random(f"{device} {seed}"),
    ) as replica:
        yield Node(replica, clock, Ids(clock, device), can_run)


async def hello(
    hub: Replica,
    device: str,
    *,
    incarnation: str = "aaa",
    types: tuple[str, ...] = ("command", "wait"),
    capabilities: tuple[str, ...] = (),
) -> None:
    """Write a device's row as the hub does when it says hello."""

    def write(tx: Transaction) -> None:
        position = tx.announce("device", device)
        tx.execute(
            """INSERT INTO devices (id, site, incarnation, last_seen_at, backlog, clock, version,
            types, capabilities, position) VALUES ($1, $2, $3, $4, 0, 'synced', '0', $5, $6, $7)
            ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation,
            types = excluded.types, capabilities = excluded.capabilities,
            position = excluded.position""",
            device,
            SITE,
            incarnation,
            tx.now_ms,
            msgspec.json.encode(types).decode(),
            msgspec.json.encode(capabilities).decode(),
            position,
        )

    await hub.write(write)
