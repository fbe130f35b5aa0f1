"""Writing one change: production's ``append``, with a note of what the author had been shown."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.core import clock
from shared.core import event as events
from shared.core import record as records
from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.clock import ClockTrust
from shared.core.kinds import record_kind
from shared.core.record import Record
from shared.core.vector import Origin, Vector
from shared.store.journal import Verdict
from shared.store.transaction import Transaction
from tests.simulation.ghost import Ghost, Made, Name, dot_of
from tests.simulation.node import Node


class Page(msgspec.Struct, frozen=True):
    """What a client read of a record, to write with it later.

    Attributes:
        etag: As the API gives it.
        know: What it was shown, by register.
    """

    etag: str
    know: Mapping[str, int]


class Author:
    """One transaction's writer.

    Attributes:
        tx: The transaction.
        made: Events so far.
    """

    def __init__(self, node: Node, tx: Transaction, ghost: Ghost, actor: str) -> None:
        self.tx = tx
        self.made: list[Made] = []
        self._node = node
        self._ghost = ghost
        self._actor = actor

    def append(
        self,
        kind: str,
        subject: str,
        register: str,
        body: Any,
        *,
        verdict: Verdict | None = Verdict.APPLIED,
        page: Page | None = None,
        seen: Vector | None = None,
    ) -> None:
        """Write one event, as the API does.

        Args:
            kind: Of the event.
            subject: Of the record.
            register: To change.
            body: New value.
            verdict: What the hub must say of it.
            page: What a client had read before; None: it sees what the node shows.
            seen: A vector that a client claims out of the blue.
        """
        ghost = self._ghost
        name = (record_kind(kind), subject, register)
        current = self.tx.record(name[0], subject).register(register)
        if page is not None:
            seen = records.read_etag(page.etag, name[0], subject)
            know = page.know.get(register, 0)
        elif seen is not None:
            know = ghost.covered(name, vectors.clip(seen, registers.vector(current)))
        else:
            know = ghost.was_shown(name, current)
        event = self._node.rules.append(
            self.tx,
            site=self._node.site,
            kind=kind,
            subject=subject,
            register=register,
            body=body,
            actor=self._actor,
            seen=seen,
        )
        self._note(name, Made(event, verdict), know, None)

    def append_raw(
        self,
        kind: str,
        subject: str,
        register: str,
        body: Any,
        *,
        verdict: Verdict | None,
        site: str | None = None,
        claims: Vector | None = None,
    ) -> None:
        """Write an event that no honest version writes: of another site, or a forged ``seen``."""
        tx, node, ghost = self.tx, self._node, self._ghost
        key = (record_kind(kind), subject)
        name = (*key, register)
        current = tx.record(*key).register(register)
        log = tx.log(tx.node.writes[node.site])
        assert log is not None
        event = events.make(
            origin=Origin(log.name),
            seq=log.head + 1,
            at=clock.tick(tx._counts.stamp, tx.now_ms),
            clock=ClockTrust.SYNCED,
            site=site or node.site,
            kind=kind,
            subject=subject,
            register=register,
            seen=registers.vector(current) if claims is None else claims,
            actor=self._actor,
            body=body,
        )
        know = ghost.was_shown(name, current) if claims is None else 0
        entry = tx.store_event(event, Verdict.PENDING)
        tx.set_register(key, register, registers.fold(current, event), entry)
        self._note(name, Made(event, verdict), know, claims)

    def _note(self, name: Name, made: Made, know: int, claims: Vector | None) -> None:
        """Remember what an author knew; an event that did not last may have left its own there."""
        ghost, dot = self._ghost, dot_of(made.event)
        ghost.know[dot] = know & ~ghost.bit(name, dot)
        ghost.claims.pop(dot, None)
        if claims is not None:
            ghost.claims[dot] = claims
        self.made.append(made)


class GivenUp(Exception):
    """A write that its author ended by raising."""


def read_page(record: Record, ghost: Ghost) -> Page:
    """Return what a client that reads a record now has been shown."""
    know = {
        name: ghost.was_shown((record.kind, record.subject, name), register)
        for name, register in record.registers.items()
    }
    return Page(records.etag(record), know)
