"""A world whose nodes answer what arrives, in the very transaction in which they take it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agent import testimony
from shared.core.event import Event
from shared.store import down, up
from shared.store.store import Outcome
from shared.store.transaction import Change, Transaction
from shared.sync.frame import Down, Forked, Stored, Up
from tests.simulation.author import Author
from tests.simulation.ghost import Made
from tests.simulation.node import Node, Rules, Then
from tests.simulation.planted import Meddler
from tests.simulation.world import World

TakeUp = Callable[..., Stored | Forked]
React = Callable[[Any, Any, str], None]
Answer = Callable[[Any, Down], None]


class Scribe(Meddler):
    """A transaction whose events the observer knows of.

    Attributes:
        author: Writes them.
    """

    def __init__(self, tx: Transaction, author: Author) -> None:
        super().__init__(tx)
        self.author = author

    def append(self, **given: Any) -> Event:
        self.author.append(
            given["kind"],
            given["subject"],
            given["register"],
            given["body"],
            seen=given.get("seen"),
        )
        return self.author.made[-1].event


class AnsweringWorld(World):
    """A world in which what nodes write while they take something is known to the observer."""

    def __init__(
        self,
        seed: int,
        *,
        steps: int,
        rules: Rules,
        narrate: Callable[[str], None] | None,
        react: React,
        answer: Answer = testimony.answer,
        take_up: TakeUp = up.take,
        scribe: Callable[[Transaction, Author], Any] = Scribe,
    ) -> None:
        """Build the world.

        Args:
            seed: All chance comes from it.
            steps: Acts of people.
            rules: Of all nodes, but for the two that are made here.
            narrate: Called with each line of what happens.
            react: The hub's, to what devices send.
            answer: A device's, to what the hub sends.
            take_up: How the hub takes what devices send.
            scribe: What such an answer is written with.
        """
        rules = replace(rules, take_up=self._take_up, take_down=self._take_down)
        super().__init__(seed, steps=steps, rules=rules, narrate=narrate)
        self._react = react
        self._answer = answer
        self._honest_take_up = take_up
        self._scribe = scribe
        # What the hub wrote while it took a stretch, until that lasts.
        self._reactions: dict[int, tuple[Stored | Forked, list[Made]]] = {}

    def _take_up(self, tx: Transaction, sent: Up, *, device: str, site: str) -> Stored | Forked:
        author = Author(self.hub, tx, self.ghost, self.hub.name)
        scribe = self._scribe(tx, author)

        def react(_: Transaction, applied: Any, at: str) -> None:
            self._react(scribe, applied, at)

        taken = self._honest_take_up(tx, sent, device=device, site=site, react=react)
        self._reactions[id(taken)] = (taken, author.made)
        return taken

    def _take_down(self, node: Node, chunk: Down, then: Then) -> None:
        cursor: list[int] = []

        def change(tx: Transaction) -> list[Made]:
            author = Author(node, tx, self.ghost, node.name)
            cursor[:] = [down.take(tx, chunk)]
            self._answer(self._scribe(tx, author), chunk)
            return author.made

        def told(outcome: Outcome) -> None:
            for made in outcome.value or ():
                self._authors.acknowledged(made)
            then(Outcome(value=cursor[0]) if outcome.error is None else outcome)

        node.write(change, told)

    def _committed(self, node: Node, outcomes: list[Outcome], changes: list[Change]) -> None:
        written = []
        for outcome in outcomes:
            _, made = self._reactions.pop(id(outcome.value), (None, None))
            written.append(outcome if made is None else Outcome(value=made))
            for one in made or ():  # whoever hears of it relies on it
                self._authors.acknowledged(one)
        super()._committed(node, written, changes)

    def _crash(self, node: Node, down_ms: int) -> None:
        if node is self.hub:
            self._reactions.clear()
        super()._crash(node, down_ms)
