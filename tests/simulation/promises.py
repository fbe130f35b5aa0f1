"""The comparison of what the nodes hold with what the ghost remembers, after every commit."""

from shared.core import chain
from shared.core import register as registers
from shared.core.clock import DRIFT_MS_MAX, Stamp, at_ms
from shared.core.event import device_of
from shared.core.register import Register
from shared.core.vector import dominates
from shared.store.database import sql
from shared.store.journal import Verdict
from tests.shared.store.derived import differences
from tests.simulation.ghost import Dot, Ghost, Made, Moment, Name, dot_of, name_of
from tests.simulation.node import Node


class Broken(Exception):
    """A promise does not hold.

    Attributes:
        promise: Its number in ``docs/architecture.md``.
        invariant: What was compared, one word or two.
    """

    def __init__(self, promise: int, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.promise = promise
        self.invariant = invariant


def demand(holds: bool, promise: int, invariant: str, message: str) -> None:
    """Raise Broken unless something holds."""
    if not holds:
        raise Broken(promise, invariant, message)


ARRIVED = sql(
    """SELECT o.name, j.seq, j.header, j.body, j.hash, j.verdict
    FROM journal j JOIN origins o ON o.id = j.origin WHERE j.entry > $1 ORDER BY j.entry"""
)
JUDGED_AGAIN = sql(
    """SELECT o.name, j.seq, j.verdict FROM journal j JOIN origins o ON o.id = j.origin
    WHERE j.verdict_at > $1 AND j.entry <= $1 ORDER BY j.verdict_at"""
)
CHANGED = sql(
    """SELECT e.kind, e.subject, r.name, r.position, r.shown
    FROM registers r JOIN records e ON e.id = r.record
    WHERE r.lane IN (0, 1) AND r.position > $1"""
)


class HubWatch:
    """Follows the hub's disk: order of the logs, verdicts, concurrency exactly found."""

    def __init__(self, ghost: Ghost) -> None:
        self._ghost = ghost
        self._position = 0
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._applied: dict[Name, int] = {}
        self._parked: dict[Name, int] = {}
        self._hidden: dict[Name, int] = {}

    def committed(self, hub: Node) -> None:
        """Compare what the last commit changed, once its tables show it."""
        if hub.store.leads:
            return
        after = hub.store.node.position
        for row in hub.db.execute(ARRIVED, (self._position,)).fetchall():
            self._arrived(after, *row)
        for origin, seq, verdict in hub.db.execute(JUDGED_AGAIN, (self._position,)).fetchall():
            self._judged((origin, seq), Verdict(verdict), again=True)
        for row in hub.db.execute(CHANGED, (self._position,)).fetchall():
            self._changed(after, *row)
        self._position = after

    def _arrived(
        self,
        after: int,
        origin: str,
        seq: int,
        header: bytes,
        body: bytes,
        digest: bytes,
        said: int,
    ) -> None:
        dot = (origin, seq)
        head, before = self._heads.get(origin, (0, chain.GENESIS))
        demand(seq == head + 1, 2, "origin order", f"the hub stored {dot} after {head}")
        made = self._ghost.durable.get(dot)
        demand(made is not None, 1, "honest source", f"the hub holds {dot}, which nobody wrote")
        assert made is not None
        is_same = (header, body) == (made.event.header_bytes, made.event.body_bytes)
        demand(is_same, 2, "same bytes", f"the hub holds another {dot} than its author wrote")
        linked = chain.link(before, header, body)
        demand(linked == digest, 2, "hash chain", f"the chain of {origin} breaks at {seq}")
        self._heads[origin] = (seq, linked)
        self._ghost.note_head(origin, after, seq)
        wanted, verdict = made.verdict, Verdict(said)
        is_right = wanted is None or wanted is verdict
        demand(is_right, 6, "verdict", f"{dot} is {verdict.name}, {wanted!r} was due")
        self._judged(dot, verdict, again=False)

    def _judged(self, dot: Dot, verdict: Verdict, *, again: bool) -> None:
        ghost = self._ghost
        name = name_of(ghost.durable[dot].event)
        bit = ghost.bit(name, dot)
        if verdict is Verdict.PARKED:
            self._parked[name] = self._parked.get(name, 0) | bit
            return
        self._parked[name] = self._parked.get(name, 0) & ~bit
        if verdict is Verdict.REFUSED:
            ghost.refused[dot] = None
            return
        hidden = self._hidden.get(name, 0)
        if again and hidden & bit:
            return  # superseded while it waited: it changes nothing any more
        ghost.know[dot] = ghost.knowledge(name, dot)
        ghost.claims.pop(dot, None)
        self._applied[name] = self._applied.get(name, 0) | bit
        self._hidden[name] = hidden | ghost.know[dot]

    def _changed(
        self, after: int, kind: str, subject: str, register: str, changed: int, packed: bytes
    ) -> None:
        ghost = self._ghost
        name = (kind, subject, register)
        held = registers.unpack(packed)
        hidden = self._hidden.get(name, 0)
        wanted = (self._applied.get(name, 0) | self._parked.get(name, 0)) & ~hidden
        compare_shown(ghost, "the hub", name, ghost.mask(name, held), wanted)
        heads = {origin: head for origin, (head, _) in self._heads.items()}
        is_real = dominates(heads, held.cover)
        demand(is_real, 2, "real cover", f"{name} covers events that the hub does not hold")
        ghost.moments[name].append(Moment(after, changed, packed, wanted, hidden))


def compare_shown(ghost: Ghost, where: str, name: Name, shown: int, wanted: int) -> None:
    """Concurrency found exactly: nothing missed, nothing invented."""
    missed, invented = wanted & ~shown, shown & ~wanted
    if missed:
        words = ghost.words(name, missed)
        raise Broken(4, "nothing hidden", f"{where} hides {words} in {name}, which no one had seen")
    if invented:
        words = ghost.words(name, invented)
        raise Broken(
            4, "nothing revived", f"{where} shows {words} in {name} beside what had replaced it"
        )


REGISTERS = sql(
    """SELECT e.kind, e.subject, r.name, r.shown, r.base, r.base_position
    FROM registers r JOIN records e ON e.id = r.record
    WHERE r.lane IN (0, 1) AND r.position > $1"""
)
BASED = sql(
    """SELECT e.kind, e.subject, r.name, r.base_position
    FROM registers r JOIN records e ON e.id = r.record"""
)
VERDICT = sql(
    """SELECT j.verdict FROM journal j JOIN origins o ON o.id = j.origin
    WHERE o.name = $1 AND j.seq = $2"""
)
LANES = sql("SELECT lane, cursor FROM lanes")
DUE = sql(
    """SELECT e.kind, e.subject, r.name, r.position
    FROM registers r JOIN records e ON e.id = r.record
    WHERE r.lane = 1 AND e.site = $1 AND r.position <= $2"""
)
DUE_CONTROL = sql(
    """SELECT e.kind, e.subject, r.name, r.position
    FROM registers r JOIN records e ON e.id = r.record
    JOIN scope s ON s.record = r.record AND s.device = $1
    WHERE r.lane = 0 AND s.entered <= $2 AND r.position <= $2"""
)


class AgentWatch:
    """Follows an agent's disk: bases are the hub's, what shows is base and what is pending."""

    def __init__(self, ghost: Ghost) -> None:
        self._ghost = ghost
        self._position = 0
        self._swept = -1

    def committed(self, agent: Node) -> None:
        """Compare the registers that the last commit changed, once its tables show it."""
        if agent.store.leads:
            return
        self._compare(agent, self._position)
        self._position = agent.store.node.position

    def sweep(self, agent: Node, hub: Node) -> None:
        """Compare everything that the agent holds, and that its cursors passed nothing."""
        if agent.changes_made == self._swept:
            return
        self._swept = agent.changes_made
        self._compare(agent, 0)
        based = {tuple(name): position for *name, position in agent.db.execute(BASED)}
        for lane, cursor in agent.db.execute(LANES).fetchall():
            text, who = (DUE, agent.site) if lane else (DUE_CONTROL, agent.name)
            for kind, subject, register, changed in hub.db.execute(text, (who, cursor)).fetchall():
                name = (kind, subject, register)
                held = based.get(name) or 0
                demand(
                    held >= changed,
                    2,
                    "cursor",
                    f"{agent.name} followed lane {lane} to {cursor}, "
                    f"but holds {name} of {held}, not of {changed}",
                )

    def _compare(self, agent: Node, after: int) -> None:
        for kind, subject, register, shown, base, at in agent.db.execute(
            REGISTERS, (after,)
        ).fetchall():
            self._compare_one(agent, (kind, subject, register), registers.unpack(shown), base, at)

    def _compare_one(
        self, agent: Node, name: Name, shown: Register, base: bytes | None, at: int | None
    ) -> None:
        ghost = self._ghost
        moment = None
        if at is not None:
            moment = ghost.moment(name, at)
            is_hubs = moment is not None and moment.packed == base
            demand(is_hubs, 2, "base", f"{agent.name}: base of {name} at {at} was never the hub's")
        pending = [d for d in ghost.own.get((agent.name, name), ()) if _is_pending(ghost, d, at)]
        untold = [d for d in pending if d not in ghost.refused or not _was_told(agent, d)]
        # A refusal may be known before the base that it comes with: then either way is right.
        if untold != pending and (at is None or not _shows(shown, moment, base, pending, ghost)):
            pending = untold
        wanted = moment.shown if moment else 0
        hidden = moment.hidden if moment else 0
        for dot in pending:
            wanted |= ghost.bit(name, dot)
            hidden |= ghost.knowledge(name, dot)
        compare_shown(ghost, agent.name, name, ghost.mask(name, shown), wanted & ~hidden)
        is_fold = _shows(shown, moment, base, pending, ghost)
        demand(is_fold, 2, "base and pending", f"{agent.name}: {name} is not base and pending")


def _is_pending(ghost: Ghost, dot: Dot, at: int | None) -> bool:
    """Say whether the hub had not judged an event when it told a base; without one, nothing is."""
    return at is None or dot[1] > ghost.judged(dot[0], at)


def _shows(
    shown: Register, moment: Moment | None, base: bytes | None, pending: list[Dot], ghost: Ghost
) -> bool:
    """Say whether a register is its base, folded with what is pending."""
    expected = registers.unpack(base) if moment and base else registers.EMPTY
    for dot in pending:
        expected = registers.fold(expected, ghost.durable[dot].event)
    return (shown.siblings, shown.parked, dict(shown.cover)) == (
        expected.siblings,
        expected.parked,
        dict(expected.cover),
    )


def _was_told(agent: Node, dot: Dot) -> bool:
    """Say whether the agent knows that an event of its own was refused."""
    row = agent.db.execute(VERDICT, dot).fetchone()
    return row is not None and row[0] == Verdict.REFUSED


# ------------------------------------------------------------------ authors


class AuthorWatch:
    """Follows what a node writes: numbers, stamps, acknowledgements, and what leaves it."""

    def __init__(self, ghost: Ghost) -> None:
        self._ghost = ghost
        self._stamps: dict[str, int] = {}

    def wrote(self, node: Node, made: Made) -> None:
        """Note an event that has become durable."""
        ghost, header = self._ghost, made.event.header
        dot = dot_of(made.event)
        demand(dot not in ghost.durable, 1, "fresh number", f"{dot} was given out twice")
        newest = self._stamps.get(header.origin, 0)
        demand(header.at > newest, 2, "stamps", f"the stamp of {dot} runs backwards")
        bound = node.clock.newest_ms + DRIFT_MS_MAX + 1
        is_bounded = at_ms(Stamp(header.at)) <= bound
        demand(is_bounded, 2, "stamps", f"the stamp of {dot} was dragged beyond its own clock")
        self._stamps[header.origin] = header.at
        ghost.durable[dot] = made
        ghost.own[node.name, name_of(made.event)].append(dot)

    def acknowledged(self, made: Made) -> None:
        """Note that the author was told: it is safe."""
        self._ghost.acknowledged[dot_of(made.event)] = None

    def started(self, node: Node) -> None:
        """After a restart everything acknowledged is on the disk, under the same name."""
        logs = node.store.node.logs
        for origin, seq in self._ghost.acknowledged:
            if device_of(origin) == node.name:
                log = logs.get(origin)
                is_held = log is not None and log.head >= seq
                demand(is_held, 1, "acknowledged", f"{node.name} lost {origin}:{seq} in a crash")
        demand(
            node.store.notice is None or node.is_guard_lost,
            1,
            "incarnation",
            f"{node.name} gave up its log without need: {node.store.notice}",
        )

    def left(self, node: Node, origin: str, seq: int) -> None:
        """What leaves a device is covered by its guard first; a former log grows no more."""
        if origin not in node.store.node.writes.values():
            return
        state = node.guard.state
        covered = state.left.get(origin, 0) if state else 0
        demand(seq <= covered, 1, "guard", f"{origin}:{seq} leaves, guarded only to {covered}")


# ------------------------------------------------------------------ at rest


def follows_from_its_journal(node: Node) -> None:
    """After a start, and at the end, every table says what the journal says."""
    found = differences(node.db)
    demand(not found, 2, "rebuilt", f"{node.name}: {len(found)} differences: {found[:3]}")
