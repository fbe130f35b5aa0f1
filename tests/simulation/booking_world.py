"""A site that books: the world of ``world.py`` with resources, a hub that decides, and people."""

from collections.abc import Callable
from random import Random
from typing import Any

from shared.api import bookings as routes
from shared.core.booking.booking import Decision
from shared.core.booking.status import Status
from shared.core.event import Dot
from shared.core.kinds import booking as bookings
from shared.errors import SkerryError
from shared.store import judge
from shared.store.store import Outcome
from shared.store.transaction import Change, Transaction
from tests.simulation import healed
from tests.simulation.answering import AnsweringWorld, Scribe
from tests.simulation.author import Author
from tests.simulation.bookers import PERSON_MS, Bookers
from tests.simulation.clerk import Clerk, Keeper
from tests.simulation.diary import Diary
from tests.simulation.faults import Faults
from tests.simulation.ghost import Made
from tests.simulation.node import Node, Rules
from tests.simulation.promises import demand
from tests.simulation.world import SITE, STRIKE_EVERY, Report, play

ACTS = 120  # of people, in one run
OPENED_MS = 2_000  # after the start: then resources are there
KEEPS_MS = 60_000  # once all is mended: holds run out, links are back
JUMPS_MS = (-86_400_000, -90_000, -30_000, -3_000, 2_000, 20_000, 70_000, 40_000_000)
HUB_JUMPS = 0.3  # of all

PLACES = """SELECT booking, resource, begins, ends, status, held_until FROM booking_places
    WHERE status IN ('requested', 'held', 'confirmed')"""
UNDECIDED = "SELECT id FROM bookings WHERE undecided > 0"


class BookingFaults(Faults):
    """Faults, of which no clock leaps by years: nothing would be left to book."""

    def _jump(self) -> None:
        is_hubs = self._chance.random() < HUB_JUMPS
        node = self._hub if is_hubs else self._chance.choice(self._agents)
        node.clock.jump(self._chance.choice(JUMPS_MS))


class BookingWorld(AnsweringWorld):
    """A world whose people book.

    Attributes:
        diary: What the hub decided.
    """

    name = "bookings"

    def __init__(
        self,
        seed: int,
        *,
        steps: int = ACTS,
        clerk: Clerk | None = None,
        rules: Rules | None = None,
        narrate: Callable[[str], None] | None = None,
    ) -> None:
        clerk = clerk or Clerk()
        super().__init__(
            seed, steps=steps, rules=rules or Rules(), narrate=narrate, react=clerk.react
        )
        self._clerk = clerk
        self.diary = Diary()
        self._keeper = Keeper(self.hub, Random(f"{seed} keeper"), self._clerk, self._deed)
        self._bookers = Bookers(
            self.hub, self.agents, Random(f"{seed} bookers"), self._deed, self._clerk
        )
        self.faults = BookingFaults(
            Random(f"{seed} faults"),
            self.hub,
            self.agents,
            list(self._links.values()),
            crash=self._crash,
        )
        self._told: dict[str, dict[Dot, Decision]] = {agent.name: {} for agent in self.agents}
        self._kept_to_ms = 0  # by the hub's clock: until then it has looked what came near

    @property
    def decisions(self) -> int:
        """How many requests the hub decided."""
        return len(self.diary.decisions)

    def run(self) -> None:
        """As in any world; and everybody whom it concerns knows what was decided."""
        self.timeline.at(OPENED_MS, "world", "opens", self._open)
        super().run()
        self.diary.kept(self.hub)
        self._compare_places()
        for agent in self.agents:
            self._compare_told(agent)
            self._compare_shown(agent)
        self._compare_shown(self.hub)

    # ------------------------------------------------------------------ what happens

    def _open(self) -> None:
        """Write down what can be booked, until that lasts: the hub may be down, or fail at it."""
        if not self.diary.shelf.limits:
            self._bookers.open_up()
            self.timeline.at(OPENED_MS, "world", "opens", self._open)

    def _live(self, left: int) -> None:
        if self._faults_chance.random() < 1 / STRIKE_EVERY:
            self.faults.strike()
        self._bookers.act()
        delay = self._pace.randint(0, self._pace.choice((50, 500, PERSON_MS)))
        what, then = (
            ("goes on", lambda: self._live(left - 1)) if left > 1 else ("mends", self._mend)
        )
        self.timeline.at(delay, "world", what, then)

    def _mend(self) -> None:
        self.faults.heal()
        for node in (self.hub, *self.agents):
            self._start(node)
        self.timeline.at(KEEPS_MS, "world", "heals", self._heal)

    def _heal(self) -> None:
        super()._heal()
        self._keeper.is_done = True
        self._kept_to_ms = self.hub.clock.now_ms() - self._keeper.tick_ms

    def _deed(self, node: Node, deed: Callable[[Any], Any]) -> None:
        def change(tx: Transaction) -> list[Made]:
            author = Author(node, tx, self.ghost, "ada")
            deed(Scribe(tx, author))
            return author.made

        def answered(outcome: Outcome) -> None:
            for made in outcome.value or ():
                self._authors.acknowledged(made)
            if outcome.error is not None and not isinstance(outcome.error, SkerryError):
                raise outcome.error

        node.write(change, answered)

    def _judge_again(self, tx: Any) -> None:
        """As the hub does when it starts."""
        judge.again(tx, SITE, react=lambda _, applied, site: self._clerk.react(tx, applied, site))

    def _committed(self, node: Node, outcomes: list[Outcome], changes: list[Change]) -> None:
        super()._committed(node, outcomes, changes)
        if node is self.hub:
            self.diary.committed(node)

    def _sweep(self) -> None:
        super()._sweep()
        for agent in self.agents:
            if agent.is_up:
                self._compare_told(agent)
        if self.hub.is_up:
            self._compare_places()

    def _start(self, node: Node) -> None:
        was_up = node.is_up
        super()._start(node)
        if node is self.hub and not was_up:
            self.diary.kept(node)
            self._deed(node, self._judge_again)
            self._keeper.start()

    def _concerns(self) -> healed.Concerns:
        names = [agent.name for agent in self.agents]
        return {**super()._concerns(), **self.diary.concerns(names, self._kept_to_ms)}

    # ------------------------------------------------------------------ what is compared

    def _compare_places(self) -> None:
        """What decisions are made against is what the journal says."""
        held = {tuple(row) for row in self.hub.db.execute(PLACES)}
        due = {
            (
                one.id,
                name,
                one.slot.start_ms,
                one.slot.end_ms,
                one.status.value,
                one.held_until_ms if one.status is Status.HELD else None,
            )
            for one in self.diary.bookings.values()
            if one.slot and one.status in (Status.HELD, Status.CONFIRMED)
            for name in one.slot.resources
        }
        demand(held == due, 2, "places", f"the hub counts {held - due}, not {due - held}")

    def _compare_told(self, agent: Node) -> None:
        """What an agent was told of a request it is told for ever, and it is what was decided."""
        before, now = self._told[agent.name], self._decisions(agent)
        for dot, decision in now.items():
            is_hubs = self.diary.decisions.get(dot) == decision
            demand(is_hubs, 3, "decided once", f"{agent.name} was told {decision} of {dot}")
        lost = before.keys() - now.keys()
        demand(not lost, 3, "decided once", f"{agent.name} no longer knows of {lost}")
        self._told[agent.name] = now

    def _compare_shown(self, node: Node) -> None:
        """At the end: whom it concerns sees the same booking and every decision, with reasons."""
        concerns, known = self._concerns(), self._decisions(node)
        for name in self.diary.bookings:
            if node is self.hub or node.name in concerns["booking", name]:
                for dot in self.diary.requests_of(name):
                    told = f"{node.name} was not told of {dot.origin}:{dot.seq} of {name}"
                    demand(known.get(dot) == self.diary.decisions[dot], 4, "told", told)
                self._compare_view(node, name)
        left = node.db.execute(UNDECIDED).fetchall()
        demand(not left, 4, "told", f"{node.name} still waits for {left}")

    def _compare_view(self, node: Node, name: str) -> None:
        reading = node.reading()
        shown, booking = bookings.shown(reading.record("booking", name)), self.diary.bookings[name]
        demand(shown == booking, 2, "shown", f"{node.name} shows {shown}, not {booking}")
        view = routes.render(reading, name)
        is_decided = view is not None and not view.tentative
        demand(is_decided, 4, "told", f"{node.name} shows {name} as tentative")
        for request in view.requests if view else ():
            is_told = request.accepted or bool(request.reasons)
            demand(is_told, 4, "told", f"{node.name} does not say why {request} of {name}")

    def _decisions(self, node: Node) -> dict[Dot, Decision]:
        reading = node.reading()
        return {
            asked.dot: asked.decision
            for name in self.diary.asked
            for asked in bookings.asked(reading.record("booking", name))
            if asked.decision is not None
        }


def simulate(
    seed: int,
    *,
    steps: int = ACTS,
    clerk: Clerk | None = None,
    rules: Rules | None = None,
    narrate: Callable[[str], None] | None = None,
) -> Report:
    """Run one seed; a broken promise is in the report, not raised."""
    world = BookingWorld(seed, steps=steps, clerk=clerk, rules=rules, narrate=narrate)
    return play(world, seed, steps=steps if steps != ACTS else None)
