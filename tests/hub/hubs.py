"""A hub whose loops run, over a real store, and short ways to be its devices and its people."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub import fleet, reactions
from hub.explain import HubExplain
from hub.force import force
from hub.granter import Granter
from hub.settle import Verdict, settle
from hub.sitter import LOOK_S, RETRY_S, Sitter
from shared.api import task_events, task_queries
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Progress, StartRequest
from shared.core.lifecycle import Status
from shared.core.task_view import Absence, TaskView
from shared.errors import IllegalMove
from shared.store import exchange
from shared.store.transaction import Change, Reading, Transaction
from shared.sync.frame import DeviceStatus
from tests.api.nodes import SITE, START_MS, Clock, Node, an_attempt, hello, open_node

WITHIN_S = 10


async def ask_start(node: Node, task_id: str) -> None:
    """Ask for leave to start the next claim, as the task's device does."""

    def ask(tx: Transaction) -> None:
        task = tasks.read(tx.record("task", task_id))
        assert task is not None
        assert task.next_claim is not None
        request = StartRequest(task.next_claim)
        task_events.append(tx, task_id, SITE, "task.start_requested", request, "dispatcher")

    await node.replica.write(ask)


@dataclass
class Hub:
    """A hub with a sitter that runs, and the devices that are connected to it."""

    node: Node
    sitter: Sitter
    granter: Granter
    connected: set[str] = field(default_factory=set)

    async def connect(self, device: str, incarnation: str = "aaa", **row: tuple[str, ...]) -> None:
        await hello(self.node.replica, device, incarnation=incarnation, **row)
        self.connected.add(device)
        self.poke()

    async def report(self, device: str, status: DeviceStatus) -> None:
        """Let a device connect and say how it is."""
        await self.node.replica.write(
            lambda tx: exchange.note_status(tx, device, SITE, "aaa", status)
        )
        self.connected.add(device)
        self.poke()

    async def disconnect(self, device: str) -> None:
        """Let a device go: the row of it says until when it was heard."""
        self.connected.discard(device)
        await self.node.replica.write(lambda tx: exchange.note_seen(tx, device))
        self.poke()
        await self.settle()

    def poke(self) -> None:
        self.sitter.poke()
        self.granter.poke()

    async def pass_s(self, seconds: float) -> None:
        """Let time pass for the hub, and have it look at the clock."""
        self.node.clock.ms += round(seconds * 1000)
        self.poke()
        await self.settle()

    async def until(self, is_so: Callable[[Task], bool], task_id: str) -> Task:
        """Wait until a task is as it should be."""
        changed = asyncio.Event()

        def heard(changes: list[Change]) -> None:
            if any(change.subject == task_id for change in changes):
                changed.set()

        with self.node.replica.subscribe(heard):
            async with asyncio.timeout(WITHIN_S):
                while not is_so(task := await self.node.task(task_id)):
                    await changed.wait()
                    changed.clear()
        return task

    async def seated(self, task_id: str) -> str:
        """Wait until a task is allocated; return its device."""
        task = await self.until(lambda t: t.allocation is not None, task_id)
        assert task.allocation is not None
        return task.allocation.device

    async def settle(self) -> None:
        """Wait until the sitter has looked at all that was written: it seats one more task."""
        for _ in range(2):  # what one round wrote, the next one looks at
            probe = await self.node.submit(type="probe", payload={})
            await self.connect("probe", types=("probe",))
            await self.seated(probe)
            await self.ask_start(probe)
            await self.until(lambda t: t.is_permitted, probe)
            await self.node.report(probe, Status.SUCCEEDED, number=1)

    async def ask_start(self, task_id: str) -> None:
        await ask_start(self.node, task_id)

    async def permitted(self, task_id: str) -> Task:
        """Wait until the next claim of a task may start."""
        return await self.until(lambda t: t.is_permitted, task_id)

    async def give_back(self, task_id: str, reason: str = "no longer wanted here") -> None:
        """Give a task back, as its device does."""
        await self.node.report(task_id, Status.WAITING, reason=reason, returned=True)

    async def settle_as(self, task_id: str, verdict: Verdict, **fields: Any) -> None:
        given = {"attempt": None, "reason": "looked", "actor": "ada"} | fields
        await self.node.replica.write(lambda tx: settle(tx, task_id, verdict, **given))

    async def force(self, task_id: str, device: str | None = None) -> bool:
        await self.settle()  # the fleet as it is by now
        devices = self.sitter.devices
        return await self.node.replica.write(
            lambda tx: force(tx, task_id, devices, device=device, reason="it is stuck", actor="ada")
        )

    async def late(
        self, task_id: str, held: Task, status: Status, number: int = 1, **fields: Any
    ) -> None:
        """Let a report of a former holder arrive, which had seen nothing of what came since."""
        body = Progress(status, held.allocation, an_attempt(held, number, status), **fields)
        await self._arrive(task_id, body)

    async def let_go(self, task_id: str, held: Task) -> None:
        """Let a former holder say that nothing of a task runs there, nor will."""
        body = Progress(Status.WAITING, held.allocation, returned=True)
        await self._arrive(task_id, body)

    async def _arrive(self, task_id: str, body: Progress) -> None:
        def arrive(tx: Transaction) -> None:
            event = tx.append(
                site=SITE,
                kind="task.status",
                subject=task_id,
                register=task_bodies.STATUS,
                body=body,
                actor="dispatcher",
                seen={},
            )
            reactions.react(tx, [event], SITE)

        await self.node.replica.write(arrive)

    async def retry_refused(self, task_id: str) -> str:
        with pytest.raises(IllegalMove) as refused:
            await self.node.retry(task_id)
        return refused.value.detail

    @property
    def explain(self) -> HubExplain:
        return HubExplain(
            lambda: self.sitter.devices,
            lambda task: self.sitter.waits(task) or self.granter.waits(task),
            lambda _: None,
        )

    def away(self, reading: Reading, device: str) -> Absence | None:
        return fleet.absence(reading, device, self.connected)

    async def view(self, task_id: str) -> TaskView:
        return await self.node.replica.read(
            lambda r: task_queries.get(r, task_id, self.explain, self.node.clock(), self.away)
        )


@asynccontextmanager
async def open_hub(
    folder: Path,
    connected: set[str] | None = None,
    retry_s: float = RETRY_S,
    start_ms: int = START_MS,
    boot: Clock | None = None,
    look_s: float = LOOK_S,
) -> AsyncIterator[Hub]:
    async with open_node(folder, "hub", "hub", clock=Clock(start_ms)) as node:
        here = set[str]() if connected is None else connected
        sitter = Sitter(
            node.replica,
            lambda: frozenset(here),
            node.clock,
            boot or node.clock,
            retry_s,
            look_s=look_s,
        )
        granter = Granter(node.replica, lambda: frozenset(here), retry_s)
        running = [asyncio.ensure_future(loop.run()) for loop in (sitter, granter)]
        try:
            yield Hub(node, sitter, granter, here)
        finally:
            for loop in running:
                loop.cancel()
                with suppress(asyncio.CancelledError):
                    await loop
