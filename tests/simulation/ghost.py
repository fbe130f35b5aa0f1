"""What really happened: the memory of an observer who sees every disk and trusts no vector.

Each event has a bit in its register. ``know`` says which events its author had really been shown,
in a person's sense: what was on the screen, and what the authors of that had known. Concurrency is
judged by these masks alone, never by ``seen``.
"""

from bisect import bisect_right
from collections import defaultdict
from typing import NamedTuple

import msgspec

from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.event import Event
from shared.core.kinds import record_kind
from shared.core.register import Register
from shared.core.vector import Vector
from shared.store.journal import Verdict

Dot = tuple[str, int]
Name = tuple[str, str, str]  # record kind, subject, register


def dot_of(event: Event) -> Dot:
    """Return an event's dot as a plain tuple."""
    return event.header.origin, event.header.seq


def name_of(event: Event) -> Name:
    """Return the register that an event changes."""
    header = event.header
    return record_kind(header.kind), header.subject, header.register


class Made(msgspec.Struct, frozen=True):
    """An event as its author made it.

    Attributes:
        event: Bytes and all.
        verdict: What the hub must say of it; None: it depends.
    """

    event: Event
    verdict: Verdict | None


class Moment(NamedTuple):
    """A register at the hub after one of its commits.

    Attributes:
        position: Of the node after that commit.
        changed: Position of the register's own change.
        packed: The register.
        shown: Mask of the events that it must show.
        hidden: Mask of all that applied events knew.
    """

    position: int
    changed: int
    packed: bytes
    shown: int
    hidden: int


class Ghost:
    """The observer's memory.

    Attributes:
        know: What the author of an event had been shown.
        claims: Forged ``seen`` of events whose author lies.
        durable: Events that some author's disk holds, by dot.
        acknowledged: Dots that an author was told are safe.
        own: Events of a device in a register, in order.
        moments: History of each register at the hub.
        refused: Dots that the hub refused.
    """

    def __init__(self) -> None:
        self.know: dict[Dot, int] = {}
        self.claims: dict[Dot, Vector] = {}
        self.durable: dict[Dot, Made] = {}
        self.acknowledged: dict[Dot, None] = {}
        self.own: defaultdict[tuple[str, Name], list[Dot]] = defaultdict(list)
        self.moments: defaultdict[Name, list[Moment]] = defaultdict(list)
        self.refused: dict[Dot, None] = {}
        self._bits: defaultdict[Name, dict[Dot, int]] = defaultdict(dict)
        self._heads: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))

    # ------------------------------------------------------------------ knowledge

    def bit(self, name: Name, dot: Dot) -> int:
        """Return the bit of an event in its register."""
        bits = self._bits[name]
        return bits.setdefault(dot, 1 << len(bits))

    def mask(self, name: Name, register: Register) -> int:
        """Return the mask of what a register shows."""
        return sum(self.bit(name, dot_of(e)) for e in register.siblings + register.parked)

    def words(self, name: Name, mask: int) -> str:
        """Name the events of a mask."""
        return ", ".join(f"{o}:{n}" for (o, n), bit in self._bits[name].items() if bit & mask)

    def was_shown(self, name: Name, register: Register) -> int:
        """Return what a reader of a register learns: the events, and what their authors knew.

        Of a parked event only its existence is shown, unless all that it had seen is shown too.
        """
        seen = 0
        whole = registers.vector(register)
        for event in register.siblings + register.parked:
            seen |= self.bit(name, dot_of(event))
            if event in register.siblings or vectors.dominates(whole, event.header.seen):
                seen |= self.know[dot_of(event)]
        return seen

    def covered(self, name: Name, vector: Vector) -> int:
        """Return the events of a register that a vector claims, of those that exist by now."""
        bits = self._bits[name].items()
        return sum(bit for (origin, seq), bit in bits if vectors.covers(vector, origin, seq))

    def knowledge(self, name: Name, dot: Dot) -> int:
        """Return what an event counts as knowing; of a forged one, all that it claims."""
        claims = self.claims.get(dot)
        return self.covered(name, claims) & ~self.bit(name, dot) if claims else self.know[dot]

    # ------------------------------------------------------------------ the hub over time

    def note_head(self, origin: str, position: int, head: int) -> None:
        """Remember how far the hub had judged a log after a commit."""
        positions, heads = self._heads[origin]
        positions.append(position)
        heads.append(head)

    def judged(self, origin: str, position: int) -> int:
        """Return how far the hub had judged a log at a position."""
        positions, heads = self._heads[origin]
        found = bisect_right(positions, position)
        return heads[found - 1] if found else 0

    def moment(self, name: Name, position: int) -> Moment | None:
        """Return a register as the hub held it at a position."""
        moments = self.moments[name]
        found = bisect_right(moments, position, key=lambda m: m.position)
        return moments[found - 1] if found else None
