"""What the steps of the story share: the nodes as their people see them, and what was promised."""

import datetime
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from demo import waiting
from demo.client import Api, Refused
from demo.configuration import ANYBODY, GATEWAY, HUB, ROBOT, SUPERVISOR, TABLET, WORKER
from demo.errors import DemoFailed
from demo.fleet import Fleet, Hardware

T = TypeVar("T")
Tell = Callable[[str, str], None]

NOT_FOUND = 404


@dataclass(frozen=True, order=True)
class Said:
    """A report of equipment that was acknowledged: it must stand in the history for ever."""

    equipment: str
    source: str
    actor: str
    state: str
    reason: str


@dataclass
class Ledger:
    """All that the nodes acknowledged in this story."""

    tasks: dict[str, str] = field(default_factory=dict)
    """Name in the story by id."""
    reports: Counter[Said] = field(default_factory=Counter)


class World:
    """The fleet as the story needs it."""

    def __init__(self, fleet: Fleet, tell: Tell) -> None:
        self.hub: Api = fleet.api(HUB, ANYBODY)
        self.hub_of_bo: Api = fleet.api(HUB, SUPERVISOR)
        self.robot: Api = fleet.api(ROBOT, ANYBODY)
        self.tablet: Api = fleet.api(TABLET, ANYBODY)
        self.tablet_of_ada: Api = fleet.api(TABLET, WORKER)
        self.gateway: Api = fleet.api(GATEWAY, ANYBODY)
        self.hardware: Hardware = fleet.hardware
        self.restock = fleet.restock
        self.ledger = Ledger()
        self.queued: set[str] = set()
        """Tasks of the queue that had not begun when the robot held all of it, by name."""
        self.tomorrow = datetime.date.min
        self.asked: dict[str, str] = {}
        """Bookings that the tablet asked for while it was cut off, by title."""
        self.tell = tell
        self._fleet = fleet

    @property
    def agents(self) -> tuple[Api, ...]:
        """All three."""
        return (self.robot, self.tablet, self.gateway)

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """Wait until something is so; raises DemoFailed with what had ended meanwhile."""
        try:
            return await waiting.until(what, look, self._fleet.patience_s)
        except DemoFailed as error:
            raise DemoFailed("; ".join([str(error), *self._fleet.endings()])) from error

    async def task(self, at: Api, task: str) -> Any:
        """Return a task as a node shows it; None: it does not know it."""
        try:
            return await at.get(f"/api/tasks/{task}")
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
            return None

    async def submit(self, at: Api, name: str, **task: Any) -> str:
        """Submit a task at a node; return its id."""
        # A second run is declared harmless, so that a robot that is killed goes on by itself.
        body = {"requires": ["deliver"], "on_orphan": "requeue", **task}
        answer = await at.post("/api/tasks", body)
        task_id: str = answer["id"]
        self.ledger.tasks[task_id] = name
        return task_id

    async def equipment(self, at: Api, equipment: str) -> Any:
        """Return equipment as a node shows it; None: it does not know it."""
        try:
            return await at.get(f"/api/equipment/{equipment}")
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
            return None

    async def report(self, at: Api, said: Said) -> None:
        """Have a person report a state at a node."""
        body = {"state": said.state, "reason": said.reason}
        await at.put(f"/api/equipment/{said.equipment}/state", body)
        self.ledger.reports[said] += 1

    async def until_shown(self, at: Api, equipment: str, state: str) -> Any:
        """Return equipment once a node shows it in a state."""

        async def look() -> Any:
            found = await self.equipment(at, equipment)
            return found if found and found["state"] == state else None

        return await self.until(f"{at.name} shows {equipment} {state}", look)

    async def until_ended(self, at: Api, tasks: list[str]) -> list[Any]:
        """Return tasks once a node shows that all of them succeeded.

        Raises:
            DemoFailed: One ended in another way, or they did not end in time.
        """

        async def look() -> list[Any] | None:
            found = [await self.task(at, task) for task in tasks]
            for task in found:
                if task and task["status"] in ("dead", "cancelled", "expired", "unknown"):
                    name = self.ledger.tasks[task["id"]]
                    raise DemoFailed(f"{at.name} shows {name} {task['status']}")
            return found if all(t and t["status"] == "succeeded" for t in found) else None

        return await self.until(f"{at.name} shows {len(tasks)} tasks succeeded", look)
