"""One seed: a hub, some agents, a while of chaos, then healing, quiet and the comparison."""

import traceback
from collections.abc import Callable
from random import Random

import msgspec

from shared.core import register as registers
from shared.store.store import Identity, Outcome
from shared.store.transaction import Change, Transaction
from shared.sync.frame import Down, Up
from tests.simulation import healed
from tests.simulation.author import Author
from tests.simulation.faults import Faults
from tests.simulation.ghost import Ghost, Made
from tests.simulation.node import Node, Rules
from tests.simulation.promises import (
    AgentWatch,
    AuthorWatch,
    Broken,
    HubWatch,
    demand,
    follows_from_its_journal,
)
from tests.simulation.session import HostEnd
from tests.simulation.timeline import Livelock, Timeline, WallClock
from tests.simulation.uplink import Uplink
from tests.simulation.wire import Link
from tests.simulation.workload import Deed, Workload

SITE = "demo"
STEPS = 200  # writes tried in one run
STEP_MS_MAX = 4_000  # between two of them
STRIKE_EVERY = 6  # writes per fault, on average
SWEEP_MS = 7_000  # between two looks at everything that an agent holds
QUIET_MS = 180_000  # after healing: longest backoff, late heartbeats and the transfers, twice


class Failure(msgspec.Struct, frozen=True):
    """A promise that did not hold, and how to see it again."""

    seed: int
    promise: int
    message: str
    replay: str


class Report(msgspec.Struct, frozen=True):
    """How one seed went.

    Attributes:
        world: ``sync``, ``fleet`` or ``bookings``.
        starts: Of tasks, by robots.
        decisions: About bookings, by the hub.
        virtual_ms: How long it was for the fleet.
        digest: Hash of all that happened.
        broken: Name of the comparison that failed, None if none did.
    """

    world: str
    seed: int
    events: int
    starts: int
    decisions: int
    crashes: int
    partitions: int
    virtual_ms: int
    digest: str
    failure: Failure | None = None
    broken: str | None = None


class World:
    """Everything of one seed."""

    name = "sync"

    def __init__(
        self, seed: int, *, steps: int, rules: Rules, narrate: Callable[[str], None] | None
    ) -> None:
        self.timeline = Timeline(narrate)
        self.crashes = 0
        self._steps = steps
        self._rules = rules
        self._faults_chance = Random(f"{seed} when faults")
        self._pace = Random(f"{seed} when")
        shape = Random(f"{seed} shape")
        self._is_healed = False
        self.ghost = Ghost()
        self._hub_watch = HubWatch(self.ghost)
        self._authors = AuthorWatch(self.ghost)
        self.hub = self._node("hub", seed, shape)
        self.agents = [
            self._node(f"{shape.choice(('robot', 'tablet', 'gateway'))}-{n}", seed, shape)
            for n in range(1, shape.randint(3, 8) + 1)
        ]
        self._watches = {agent.name: AgentWatch(self.ghost) for agent in self.agents}
        self._sessions: dict[str, HostEnd] = {}
        self._links = {
            a.name: Link(self.timeline, a.name, Random(f"{seed} network {a.name}"))
            for a in self.agents
        }
        self._uplinks = {a.name: self._uplink(a, seed) for a in self.agents}
        self.faults = Faults(
            Random(f"{seed} faults"),
            self.hub,
            self.agents,
            list(self._links.values()),
            crash=self._crash,
        )
        self._workload = Workload(Random(f"{seed} workload"), self.ghost, self.hub, self.agents)

    def run(self) -> None:
        """Live through chaos, heal, come to rest, compare."""
        for node in (self.hub, *self.agents):
            self._start(node)
        self.timeline.at(0, "world", "begins", lambda: self._live(self._steps))
        self.timeline.at(SWEEP_MS, "world", "sweeps", self._sweep)
        while not self._is_healed:
            self.timeline.run(self.timeline.now_ms + STEP_MS_MAX)
        self.timeline.run(self.timeline.now_ms + QUIET_MS)
        demand(
            self.timeline.is_quiet,
            6,
            "progress",
            f"not at rest {QUIET_MS} ms after healing: {self.timeline.waiting}",
        )
        for agent in self.agents:
            self._watches[agent.name].sweep(agent, self.hub)
        healed.compare(self.ghost, self.hub, self.agents, self._concerns())
        for node in (self.hub, *self.agents):
            follows_from_its_journal(node)

    @property
    def starts(self) -> int:
        """How many tasks robots began to run: none has a dispatcher here."""
        return 0

    @property
    def decisions(self) -> int:
        """How many requests for bookings the hub decided: nobody books here."""
        return 0

    def _concerns(self) -> healed.Concerns:
        return healed.concerns_of_tasks(self.hub)

    # ------------------------------------------------------------------ what happens

    def _live(self, left: int) -> None:
        if self._faults_chance.random() < 1 / STRIKE_EVERY:
            self.faults.strike()
        chosen = self._workload.next()
        if chosen is not None:
            node, what, deed = chosen
            self.timeline.note(node.name, what)
            self._write(node, deed)
        delay = self._pace.randint(0, self._pace.choice((5, 50, 500, STEP_MS_MAX)))
        if left > 1:
            self.timeline.at(delay, "world", "goes on", lambda: self._live(left - 1))
        else:
            self.timeline.at(delay, "world", "heals", self._heal)

    def _write(self, node: Node, deed: Deed) -> None:
        def change(tx: Transaction) -> list[Made]:
            author = Author(node, tx, self.ghost, "ada")
            deed(author)
            return author.made

        def told(outcome: Outcome) -> None:
            for made in outcome.value or ():
                self._authors.acknowledged(made)

        node.write(change, told)

    def _sweep(self) -> None:
        for agent in self.agents:
            if agent.is_up:
                self._watches[agent.name].sweep(agent, self.hub)
        if not self._is_healed:
            self.timeline.at(SWEEP_MS, "world", "sweeps", self._sweep)

    def _committed(self, node: Node, outcomes: list[Outcome], _changes: list[Change]) -> None:
        for outcome in outcomes:
            if isinstance(outcome.value, list):
                for made in outcome.value:
                    assert isinstance(made, Made)
                    self._authors.wrote(node, made)
        if node is self.hub:
            self._hub_watch.committed(node)
        else:
            self._watches[node.name].committed(node)
            self._workload.glance(node)

    # ------------------------------------------------------------------ lives

    def _start(self, node: Node) -> None:
        if node.is_up:
            return
        node.start()
        self._authors.started(node)
        follows_from_its_journal(node)
        if node is not self.hub:
            self._uplinks[node.name].start()

    def _crash(self, node: Node, down_ms: int) -> None:
        if not node.is_up:
            return
        self.crashes += 1
        self.timeline.note(node.name, f"crashes for {down_ms} ms")
        node.crash()
        self._rules.restart(node)
        links = list(self._links.values()) if node is self.hub else [self._links[node.name]]
        if node is self.hub:
            self._sessions.clear()
        for link in links:
            link.drop()
        self.timeline.at(down_ms, node.name, "starts again", lambda: self._start(node))

    def _heal(self) -> None:
        self._is_healed = True
        self.faults.heal()
        for node in (self.hub, *self.agents):
            self._start(node)

    # ------------------------------------------------------------------ what it is made of

    def _node(self, name: str, seed: int, shape: Random) -> Node:
        role = "hub" if name == "hub" else "agent"
        offset_ms = shape.choice((0, 0, 0, -5_000, 3_000, 86_400_000, -31_536_000_000))
        return Node(
            self.timeline,
            self._rules,
            Identity(role, name, (SITE,)),
            WallClock(self.timeline, offset_ms),
            seed=f"{seed} {name}",
            on_commit=self._committed,
            on_cut=lambda node: self._crash(node, self._faults_chance.randint(100, 10_000)),
        )

    def _uplink(self, agent: Node, seed: int) -> Uplink:
        return Uplink(
            agent,
            self.hub,
            self._links[agent.name],
            self._sessions,
            chance=Random(f"{seed} dial {agent.name}"),
            on_up=self._goes_up,
            on_down=self._goes_down,
        )

    def _goes_up(self, node: Node, frame: Up) -> None:
        self._authors.left(node, frame.origin, frame.first + len(frame.events) - 1)

    def _goes_down(self, node: Node, frame: Down) -> None:
        """What the hub wrote leaves it within registers."""
        own = node.store.node.writes[SITE]
        heads = [
            event.header.seq
            for state in frame.registers
            for event in registers.unpack(state.state).siblings
            if event.header.origin == own
        ]
        if heads:
            self._authors.left(node, own, max(heads))


def simulate(
    seed: int,
    *,
    steps: int = STEPS,
    rules: Rules | None = None,
    narrate: Callable[[str], None] | None = None,
) -> Report:
    """Run one seed; a broken promise is in the report, not raised."""
    world = World(seed, steps=steps, rules=rules or Rules(), narrate=narrate)
    return play(world, seed, steps=steps if steps != STEPS else None)


def play(world: World, seed: int, *, steps: int | None) -> Report:
    """Run a world to its end and report, also of what stopped it.

    Args:
        world: Freshly built.
        seed: Of it, to tell how to see it again.
        steps: If it has another number than by itself.
    """
    failure, broken = None, None
    replay = f"./dev simulate --{world.name} --seed {seed}"
    replay += f" --steps {steps}" if steps is not None else ""
    try:
        world.run()
    except Broken as error:
        broken = error.invariant
        failure = Failure(seed, error.promise, f"{error} at {world.timeline.now_ms} ms", replay)
    except (Livelock, Exception) as error:  # noqa: BLE001 - a crash of the engine is a finding
        where = traceback.format_exc(limit=-4)
        broken = type(error).__name__
        message = f"{broken}: {error} at {world.timeline.now_ms} ms {where}"
        failure = Failure(seed, 6, message.strip(), replay)
    return Report(
        world=world.name,
        seed=seed,
        events=len(world.ghost.durable),
        starts=world.starts,
        decisions=world.decisions,
        crashes=world.crashes,
        partitions=world.faults.partitions,
        virtual_ms=world.timeline.now_ms,
        digest=world.timeline.digest,
        failure=failure,
        broken=broken,
    )
