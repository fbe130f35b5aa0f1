"""What breaks. Each seed draws its own mix: a fault that never comes alone hides others."""

from collections.abc import Callable
from random import Random

from tests.simulation.node import Node
from tests.simulation.wire import BOTH, TO_AGENT, TO_HUB, Link

JUMPS_MS = (-86_400_000, -90_000, -3_000, 2_000, 70_000, 40_000_000, 315_360_000_000)


class Faults:
    """Breaks links, processes, disks and clocks for a while.

    Attributes:
        partitions: Cuts so far.
    """

    def __init__(
        self,
        chance: Random,
        hub: Node,
        agents: list[Node],
        links: list[Link],
        *,
        crash: Callable[[Node, int], None],
    ) -> None:
        self._chance = chance
        self._hub = hub
        self._agents = agents
        self._links = links
        self._crash = crash
        self.partitions = 0
        self._cuts: dict[str, int] = {}
        kinds = [
            self._cut_link,
            self._drop,
            self._cut_hub_off,
            self._crash_agent,
            self._crash_hub,
            self._arm,
            self._fill_disk,
            self._jump,
        ]
        self._kinds = chance.sample(kinds, chance.randint(2, len(kinds)))
        repeats = chance.choice((0.0, 0.0, 0.03, 0.15))
        for link in links:
            link.repeats = repeats

    def strike(self) -> None:
        """Break one thing."""
        self._chance.choice(self._kinds)()

    def heal(self) -> None:
        """Mend everything that mends by itself; processes are started by the world."""
        for link in self._links:
            link.repeats = 0.0
            link.mend()
        self._cuts.clear()
        for node in (self._hub, *self._agents):
            node.cut = None
            node.is_full = False

    def _cut_link(self) -> None:
        directions = self._chance.choice((BOTH, BOTH, (TO_HUB,), (TO_AGENT,)))
        self._cut([self._chance.choice(self._links)], directions)

    def _cut_hub_off(self) -> None:
        self._cut(self._links, BOTH)

    def _cut(self, links: list[Link], directions: tuple[str, ...]) -> None:
        self.partitions += 1
        lasts = self._chance.randint(500, 60_000)
        for link in links:
            link.cut(directions)
            self._cuts[link.name] = self.partitions
        number = self.partitions

        def mend() -> None:
            for link in links:
                if self._cuts.get(link.name) == number:  # else another cut goes on
                    link.mend()

        links[0].timeline.at(lasts, "network", f"mends {len(links)}", mend)

    def _drop(self) -> None:
        self._chance.choice(self._links).drop()

    def _crash_agent(self) -> None:
        self._crash(self._chance.choice(self._agents), self._chance.randint(100, 30_000))

    def _crash_hub(self) -> None:
        self._crash(self._hub, self._chance.randint(100, 15_000))

    def _arm(self) -> None:
        """Let the power fail at the next commit, between commit and answer, or after a read."""
        node = self._chance.choice((self._hub, *self._agents))
        node.cut = self._chance.choice(("commit", "answer", "read"))

    def _fill_disk(self) -> None:
        self._chance.choice((self._hub, *self._agents)).is_full = True

    def _jump(self) -> None:
        node = self._chance.choice((self._hub, *self._agents))
        node.clock.jump(self._chance.choice(JUMPS_MS))
