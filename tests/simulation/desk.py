"""The hub's dispatching in virtual time: rounds of sitting, grants, devices that came back."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from random import Random
from typing import Any

from hub import fleet, force, permits, reactions, retry, returned, seating, settle
from hub.fleet import Fleet
from hub.release import Patience
from hub.round import Round, Terms
from shared.api import task_actions
from shared.core import task_view
from shared.core.event import incarnation_of
from shared.core.kinds import task as tasks
from shared.store import node as nodes
from shared.store import up
from tests.simulation.node import Node
from tests.simulation.promises import demand
from tests.simulation.robots import Write

ROUND_MS = 900  # between two rounds of the hub, at most
PATIENCE = Patience(release_after_s=15, margin_s=5)

OPEN = "SELECT id FROM tasks WHERE status IN ('waiting', 'running', 'cancelling') ORDER BY id"
ASKED = """SELECT e.subject FROM records e JOIN registers r ON r.record = e.id
    WHERE e.kind = 'task' AND r.name = 'request.start' ORDER BY e.subject"""
INCARNATIONS = "SELECT id, incarnation FROM devices ORDER BY id"


def settle_returned(tx: Any, device: str, incarnation: str) -> None:
    """Settle what a device had under journals that it no longer writes."""
    for status in returned.UNFINISHED:
        after: returned.Place | None = returned.START
        while after is not None:
            _, after = returned.settle(tx, device, incarnation, status, after)


@dataclass(frozen=True)
class Office:
    """What the hub does; a planted hub does one thing otherwise."""

    take_up: Callable[..., Any] = up.take
    react: Callable[..., None] = reactions.react
    sit: Callable[..., Round] = seating.sit
    look: Callable[..., Any] = permits.look
    returned: Callable[..., None] = settle_returned
    force: Callable[..., bool] = force.force
    settle: Callable[..., None] = settle.settle
    retry: Callable[..., None] = retry.retry
    cancel: Callable[..., None] = task_actions.cancel
    is_double: Callable[..., bool] = task_view.is_double


class Desk:
    """The hub's rounds.

    Attributes:
        is_done: Every task has ended: no more rounds.
    """

    def __init__(
        self,
        hub: Node,
        agents: list[Node],
        chance: Random,
        write: Write,
        office: Office,
        connected: Callable[[], Set[str]],
    ) -> None:
        self._hub = hub
        self._agents = {agent.name: agent for agent in agents}
        self._chance = chance
        self._write = write
        self._office = office
        self._connected = connected
        self._fleet = Fleet(connected)
        self._silent: dict[str, int] = {}
        self._returned: dict[str, str] = {}
        self.is_done = False

    @property
    def states(self) -> Mapping[str, Any]:
        """The fleet as of the last round."""
        return self._fleet.states

    def start(self) -> None:
        """The hub's process starts: it has heard nobody."""
        self._fleet = Fleet(self._connected)
        self._silent = {}
        self._returned = {}
        self._later()

    def _later(self) -> None:
        if not self.is_done:
            self._hub.after(self._chance.randint(1, ROUND_MS), "sits", self._round)

    def _round(self) -> None:
        now_ms = self._hub.timeline.now_ms
        self._fleet.learn(fleet.rows(self._hub.reading(), None))
        for name, state in self._fleet.states.items():
            if state.connected:
                self._silent.pop(name, None)
            else:
                self._silent.setdefault(name, now_ms)
        states, here, silent = self._fleet.states, self._connected(), dict(self._silent)

        def deed(tx: Any) -> list[tuple[str, str]]:
            back = self._came_back(tx, here)
            for device, incarnation in back:
                self._office.returned(tx, device, incarnation)
            batch = [task_id for (task_id,) in tx.query(OPEN)]
            terms = Terms(tx.now_ms, now_ms, silent, PATIENCE)
            self._office.sit(tx, batch, states, terms)
            asked = [task_id for (task_id,) in tx.query(ASKED)]
            self._office.look(tx, asked, here)
            _one_holder_each(tx)
            return back

        def told(back: Any, lasts: bool) -> None:
            self._returned.update(back if lasts else ())
            self._later()

        self._write(self._hub, deed, told)

    def _came_back(self, tx: Any, here: Set[str]) -> list[tuple[str, str]]:
        """Return devices that are here, with all that their former journals still had."""
        found = []
        for device, incarnation in tx.query(INCARNATIONS):
            if device not in here or self._returned.get(device) == incarnation:
                continue
            agent = self._agents[device]
            former = [
                log
                for log in (agent.store.node.logs.values() if agent.is_up else ())
                if log.own != nodes.OTHER and incarnation_of(log.name) != incarnation
            ]
            heads = {log.name: log.head for log in tx.logs()}
            if agent.is_up and all(heads.get(log.name, 0) >= log.head for log in former):
                found.append((device, incarnation))
        return found


def _one_holder_each(tx: Any) -> None:
    """A lock has one claim; the table cannot hold two, so its claims must be those of permits."""
    for row in permits.rows(tx):
        task = tasks.read(tx.record("task", row.task))
        is_known = task is not None and task.permit is not None
        demand(is_known, 3, "lock", f"{row.name} is held by {row.task}, which has no permit")
