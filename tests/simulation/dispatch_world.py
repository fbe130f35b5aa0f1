"""The fleet at work: the world of ``world.py`` with robots, a hub that deals, and its people."""

import traceback
from collections.abc import Callable
from random import Random
from typing import Any

from shared.store.store import Outcome
from shared.store.transaction import Transaction
from tests.simulation.author import Author
from tests.simulation.desk import PERSON_MS, Desk, Office
from tests.simulation.ghost import Made
from tests.simulation.ground import Ground
from tests.simulation.node import Node, Rules
from tests.simulation.planted import Meddler
from tests.simulation.promises import Broken, demand
from tests.simulation.robots import Manners, Robot, Told
from tests.simulation.timeline import Livelock
from tests.simulation.world import STRIKE_EVERY, Failure, Report, World

ACTS = 120  # of people, in one run
CLEAR_MS = 20_000  # between two looks at what is left, once all is mended
CLEAR_MAX = 15  # of them; then something is stuck


class Scribe(Meddler):
    """A transaction whose events the observer knows of."""

    def __init__(self, tx: Transaction, author: Author) -> None:
        super().__init__(tx)
        self._author = author

    def append(self, **given: Any) -> None:
        seen = given.get("seen")
        self._author.append(
            given["kind"], given["subject"], given["register"], given["body"], seen=seen
        )


class DispatchWorld(World):
    """A world whose nodes dispatch tasks.

    Attributes:
        ground: What robots really did.
    """

    def __init__(
        self,
        seed: int,
        *,
        office: Office,
        manners: Manners,
        narrate: Callable[[str], None] | None,
    ) -> None:
        super().__init__(seed, steps=ACTS, rules=Rules(), narrate=narrate)
        self.ground = Ground()
        self.desk = Desk(
            self.hub,
            self.agents,
            self.ground,
            Random(f"{seed} desk"),
            self._deed,
            office,
            lambda: frozenset(self._sessions),
        )
        self.robots = {
            agent.name: Robot(
                agent,
                self.ground,
                Random(f"{seed} robot {agent.name}"),
                self._deed,
                manners,
                lambda: not self.desk.is_done,
            )
            for agent in self.agents
        }
        self._cleared = 0

    def _live(self, left: int) -> None:
        if self._faults_chance.random() < 1 / STRIKE_EVERY:
            self.faults.strike()
        self.desk.act()
        delay = self._pace.randint(0, self._pace.choice((50, 500, PERSON_MS)))
        what, then = (
            ("goes on", lambda: self._live(left - 1)) if left > 1 else ("heals", self._heal)
        )
        self.timeline.at(delay, "world", what, then)

    def _deed(self, node: Node, deed: Callable[[Any], Any], told: Told) -> None:
        found: list[Any] = []

        def change(tx: Transaction) -> list[Made]:
            author = Author(node, tx, self.ghost, "ada")
            found[:] = [deed(Scribe(tx, author))]
            return author.made

        def answered(outcome: Outcome) -> None:
            for made in outcome.value or ():
                self._authors.acknowledged(made)
            if outcome.error is None:
                told(found[0], True)
            elif isinstance(outcome.error, Broken):
                raise outcome.error
            else:
                told(None, False)

        node.write(change, answered)

    def _start(self, node: Node) -> None:
        was_up = node.is_up
        super()._start(node)
        if was_up:
            return
        if node is self.hub:
            self.desk.start()
        else:
            self.robots[node.name].start()

    def _crash(self, node: Node, down_ms: int) -> None:
        if node.is_up and node is not self.hub:
            self.robots[node.name].crash()
        super()._crash(node, down_ms)

    def _heal(self) -> None:
        self.desk.is_closing = True
        self.faults.heal()
        for node in (self.hub, *self.agents):
            self._start(node)
        self._clear()

    def _clear(self) -> None:
        """Let people settle what only they can, until every task has ended."""
        self._cleared += 1
        left = self.desk.left()
        demand(self._cleared < CLEAR_MAX, 6, "progress", f"tasks are stuck: {left}")
        if self.desk.clear(self._cleared):
            self._is_healed = True
        else:
            self.timeline.at(CLEAR_MS, "world", "clears", self._clear)


def simulate(
    seed: int,
    *,
    office: Office | None = None,
    manners: Manners | None = None,
    narrate: Callable[[str], None] | None = None,
) -> tuple[Report, Ground]:
    """Run one seed; a broken promise is in the report, not raised."""
    world = DispatchWorld(
        seed, office=office or Office(), manners=manners or Manners(), narrate=narrate
    )
    failure, broken = None, None
    try:
        world.run()
    except Broken as error:
        broken = error.invariant
        text = f"{error} at {world.timeline.now_ms} ms"
        failure = Failure(seed, error.promise, text, f"seed {seed}")
    except (Livelock, Exception) as error:  # noqa: BLE001 - a crash of the engine is a finding
        broken = type(error).__name__
        text = f"{broken}: {error} at {world.timeline.now_ms} ms {traceback.format_exc(limit=-4)}"
        failure = Failure(seed, 6, text, f"seed {seed}")
    report = Report(
        seed=seed,
        events=len(world.ghost.durable),
        crashes=world.crashes,
        partitions=world.faults.partitions,
        digest=world.timeline.digest,
        failure=failure,
        broken=broken,
    )
    return report, world.ground
