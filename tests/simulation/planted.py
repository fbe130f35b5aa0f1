"""Bugs planted on purpose: each leaves out one rule of the engine, and the simulator must notice.

A comparison that never fails proves nothing. Every entry replaces one function of the table
through which the world calls production code, and names what may catch it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from shared.core import chain, clock
from shared.core import event as events
from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.clock import ClockTrust
from shared.core.event import Event
from shared.core.kinds import record_kind
from shared.core.register import Register
from shared.core.vector import Origin, Vector
from shared.store import down, feed, journal, judge, up
from shared.store import node as nodes
from shared.store.guard import GuardState
from shared.store.journal import Verdict
from shared.store.judge import React
from shared.store.node import Log
from shared.store.store import Committed
from shared.store.transaction import Reading, Transaction
from shared.sync import host
from shared.sync.frame import Down, Forked, Stored, Up
from shared.sync.pieces import Chunk
from tests.simulation.node import Node, Rules, Then


class Bug(msgspec.Struct, frozen=True):
    """One rule left out.

    Attributes:
        name: What is wrong.
        rules: The table with that fault; made anew for each run, because some remember.
        caught_by: Names of the comparisons that may notice first.
    """

    name: str
    rules: Callable[[], Rules]
    caught_by: frozenset[str]


# ------------------------------------------------------------------ durability


class LyingDisk:
    """Says that a commit lasts before it does: a power cut loses the last one."""

    def __init__(self) -> None:
        self._before: dict[str, sqlite3.Connection] = {}

    def commit(self, node: Node, writes: Sequence[Callable[[Transaction], Any]]) -> Committed:
        if node.name not in self._before:
            self._before[node.name] = sqlite3.connect(":memory:")
        node.db.backup(self._before[node.name])
        return node.store.commit(writes)

    def restart(self, node: Node) -> None:
        before = self._before.pop(node.name, None)
        if before is not None:
            before.backup(node.db)
            before.close()

    def rules(self) -> Rules:
        return Rules(commit=self.commit, restart=self.restart)


def forget_newest_number(node: Node) -> None:
    """Restart from a head that was written lazily: the newest number is given out again."""
    for row_id, name, head in node.db.execute(
        "SELECT id, name, head FROM origins WHERE own = 1 AND head > 0"
    ).fetchall():
        node.db.execute("DELETE FROM journal WHERE origin = ? AND seq = ?", (row_id, head))
        digest = journal.hash_at(node.db, row_id, head - 1) or chain.GENESIS
        node.db.execute(
            "UPDATE origins SET head = ?, hash = ? WHERE id = ?", (head - 1, digest, row_id)
        )
        state = node.guard.state
        if state is not None:
            left = {**state.left, name: min(head - 1, state.left.get(name, 0))}
            node.guard.save(GuardState(state.incarnation, state.machine_id, left))


def leave_unguarded(_node: Node, then: Callable[[], None]) -> None:
    """Send without the guard."""
    then()


# ------------------------------------------------------------------ opening what a crash left

UNDO_FOLD = """DELETE FROM registers WHERE base IS NULL AND (record, name) IN (
    SELECT record, name FROM registers ORDER BY position DESC LIMIT 1)"""
UNDO_ROW = """UPDATE tasks SET status = 'waiting' WHERE status <> 'waiting' AND id = (
    SELECT id FROM tasks ORDER BY updated_at DESC, id LIMIT 1)"""
UNDO_SIDE = (
    "UPDATE attempts SET ended_at = NULL WHERE ended_at = (SELECT max(ended_at) FROM attempts)"
)
COUNT_TWICE = """UPDATE task_counts SET count = count + 1 WHERE (site, status) IN (
    SELECT site, status FROM tasks ORDER BY updated_at DESC, id LIMIT 1)"""
SAY_FOLLOWED = """UPDATE node SET position = max(position,
    (SELECT coalesce(max(entry), 0) FROM journal))"""
UNDO_CONFLICT = """DELETE FROM conflicts WHERE status = 'open'
    AND position = (SELECT max(position) FROM conflicts)"""


def opening_without(*texts: str) -> Rules:
    """Open a journal whose newest events some tables do not know, and leave it at that."""

    def restart(node: Node) -> None:
        for text in texts:
            node.db.execute(text)

    return Rules(restart=restart)


# ------------------------------------------------------------------ writing


def append_into_base(tx: Transaction, **given: Any) -> Event:
    """Write an own event into the base, which only the hub's feed may write."""
    event = tx.append(**given)
    if not tx.node.is_hub:
        key = (record_kind(event.header.kind), event.header.subject)
        name = event.header.register
        tx.set_base(key, name, registers.pack(tx.record(*key).register(name)), 1)
    return event


def append_without_cover(tx: Transaction, **given: Any) -> Event:
    """Replace what was seen, and forget that it was: it comes back with the next base."""
    event = tx.append(**given)
    key = (record_kind(event.header.kind), event.header.subject)
    name = event.header.register
    held = tx.record(*key).register(name)
    bare = Register(held.siblings, held.parked, vectors.EMPTY, held.refused)
    tx.set_register(key, name, bare, tx.next_position())
    return event


def append_unclipped(tx: Transaction, *, seen: Vector | None = None, **given: Any) -> Event:
    """Believe what a client claims to have seen."""
    if seen is None:
        return tx.append(**given)
    log = tx.log(tx.node.writes[given["site"]])
    assert log is not None
    event = events.make(
        origin=Origin(log.name),
        seq=log.head + 1,
        at=clock.tick(tx._counts.stamp, tx.now_ms),
        clock=ClockTrust.SYNCED,
        seen=seen,
        **given,
    )
    key, name = (record_kind(given["kind"]), given["subject"]), given["register"]
    entry = tx.store_event(event, Verdict.APPLIED if tx.node.is_hub else Verdict.PENDING)
    tx.set_register(key, name, registers.fold(tx.record(*key).register(name), event), entry)
    return event


# ------------------------------------------------------------------ judging at the hub


class Meddler:
    """A transaction of which a subclass changes one method."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


class _OnVerdict(Meddler):
    """Changes how an event of one verdict is folded."""

    verdict: Verdict
    fold: Callable[[Register, Event], Register]

    def store_event(self, event: Event, verdict: Verdict, reason: str | None = None) -> int:
        self._judged = event if verdict is self.verdict else None
        return self._tx.store_event(event, verdict, reason)

    def set_register(
        self, key: tuple[str, str], name: str, register: Register, position: int
    ) -> None:
        event, self._judged = self._judged, None
        if event is not None:
            register = type(self).fold(self._tx.record(*key).register(name), event)
        self._tx.set_register(key, name, register, position)


class RefusedCovers(_OnVerdict):
    """Keeps what a refused event had seen in the cover."""

    verdict = Verdict.REFUSED

    @staticmethod
    def fold(register: Register, event: Event) -> Register:
        after = registers.fold(register, event)
        left = tuple(e for e in after.siblings if e.header_bytes != event.header_bytes)
        return registers.refuse(Register(left, after.parked, after.cover, after.refused), event)


class SeatsWhoever(_OnVerdict):
    """Lets a device take what another has, or what is over."""

    verdict = Verdict.REFUSED

    def store_event(self, event: Event, verdict: Verdict, reason: str | None = None) -> int:
        is_seat = verdict is self.verdict and event.header.kind == "task.allocated"
        self._judged = event if is_seat else None
        if is_seat:
            verdict, reason = Verdict.APPLIED, None
        return self._tx.store_event(event, verdict, reason)

    fold = staticmethod(registers.fold)


class ParkedReplaces(_OnVerdict):
    """Lets an event that nobody understands yet replace what its author had seen."""

    verdict = Verdict.PARKED

    @staticmethod
    def fold(register: Register, event: Event) -> Register:
        after = registers.fold(register, event)
        left = tuple(e for e in after.siblings if e.header_bytes != event.header_bytes)
        return registers.park(Register(left, after.parked, after.cover, after.refused), event)


class NeverWaits(Meddler):
    """Pretends to hold all that any author has seen."""

    def log(self, origin: str) -> Log | None:
        log = self._tx.log(origin)
        if log is None or log.own != nodes.OTHER or origin == self._sender:
            return log
        return msgspec.structs.replace(log, own=nodes.OWN_ONCE)

    _sender = ""


def taking_with(meddler: type[Meddler]) -> Callable[..., Stored | Forked]:
    """Return ``up.take`` inside a meddled transaction."""

    def take(
        tx: Transaction,
        sent: Up,
        *,
        device: str,
        site: str,
        react: React = judge.no_reaction,
    ) -> Stored | Forked:
        meddled: Any = meddler(tx)
        meddled._sender = sent.origin
        meddled._judged = None
        return up.take(meddled, sent, device=device, site=site, react=react)

    return take


def take_again_as_fork(tx: Transaction, sent: Up, *, device: str, site: str) -> Stored | Forked:
    """Take a stretch that comes again for somebody else's."""
    log = tx.log(sent.origin)
    if log is not None and sent.first <= log.head:
        return Forked(sent.origin, sent.first)
    return up.take(tx, sent, device=device, site=site)


# ------------------------------------------------------------------ the way down


def read_without_frontier(reading: Reading, **given: Any) -> Chunk:
    """Do not say what is judged: every own event stays pending."""
    return msgspec.structs.replace(feed.read(reading, **given), judged={})


def read_without_verdicts(reading: Reading, **given: Any) -> Chunk:
    """Do not say what was refused or parked."""
    return msgspec.structs.replace(feed.read(reading, **given), verdicts=[])


def read_past_the_rest(reading: Reading, **given: Any) -> Chunk:
    """Say that a chunk leads to the end of the feed, though more follows."""
    chunk = feed.read(reading, **given)
    return msgspec.structs.replace(chunk, upto=chunk.position)


def hear_no_news(state: host.State, given: host.Input) -> host.Step:
    """Read the feed when a session opens, and never again."""
    return (state, ()) if isinstance(given, host.Changed) else host.receive(state, given)


SET_CURSOR = """INSERT INTO lanes (lane, cursor, judged) VALUES ($1, $2, x'80')
    ON CONFLICT (lane) DO UPDATE SET cursor = excluded.cursor"""
FORGET_POSITION = "UPDATE registers SET base_position = NULL WHERE record = $1 AND name = $2"


def take_older(node: Node, chunk: Down, then: Then) -> None:
    """Let an older chunk replace a newer base."""

    def change(tx: Transaction) -> int:
        cursor = {lane: held.cursor for lane, held in down.lanes(tx).items()}.get(chunk.lane, 0)
        if chunk.position < cursor:
            tx.execute(SET_CURSOR, chunk.lane, chunk.since)
            for state in chunk.registers:
                record = tx.row((state.kind, state.subject)).id
                tx.execute(FORGET_POSITION, record, state.name)
        taken = down.take(tx, chunk)
        tx.execute(SET_CURSOR, chunk.lane, max(cursor, taken))
        return max(cursor, taken)

    node.write(change, then)


def take_cursor_first(node: Node, chunk: Down, then: Then) -> None:
    """Move the cursor in one transaction, store what it passed in the next."""

    def store(tx: Transaction) -> int:
        tx.execute(SET_CURSOR, chunk.lane, chunk.since)
        return down.take(tx, chunk)

    node.write(
        lambda tx: tx.execute(SET_CURSOR, chunk.lane, chunk.upto),
        lambda _: node.write(store, then),
    )


# ------------------------------------------------------------------ the list


def _bug(name: str, rules: Callable[[], Rules], *caught_by: str) -> Bug:
    return Bug(name, rules, frozenset(caught_by))


BUGS = (
    _bug("acknowledged before it lasts", lambda: LyingDisk().rules(), "acknowledged"),
    _bug(
        "a number is reused after a crash",
        lambda: Rules(restart=forget_newest_number),
        "acknowledged",
        "fresh number",
        "incarnation",
    ),
    _bug("the journal's tail is not folded", lambda: opening_without(UNDO_FOLD), "rebuilt"),
    _bug(
        "what leads is not folded again",
        lambda: opening_without(SAY_FOLLOWED),
        "rebuilt",
        "acknowledged",
    ),
    _bug("a typed row stays behind", lambda: opening_without(UNDO_ROW), "rebuilt"),
    _bug("a side row stays behind", lambda: opening_without(UNDO_SIDE), "rebuilt"),
    _bug("the tail is counted twice", lambda: opening_without(COUNT_TWICE), "rebuilt"),
    _bug("a conflict is not found again", lambda: opening_without(UNDO_CONFLICT), "rebuilt"),
    _bug("an event leaves unguarded", lambda: Rules(guard=leave_unguarded), "guard"),
    _bug("own events enter the base", lambda: Rules(append=append_into_base), "base"),
    _bug(
        "the cover is forgotten",
        lambda: Rules(append=append_without_cover),
        "base and pending",
        "nothing revived",
    ),
    _bug(
        "a client is believed", lambda: Rules(append=append_unclipped), "verdict", "nothing hidden"
    ),
    _bug(
        "a refused event still covers",
        lambda: Rules(take_up=taking_with(RefusedCovers)),
        "nothing hidden",
    ),
    _bug(
        "a parked event replaces",
        lambda: Rules(take_up=taking_with(ParkedReplaces)),
        "real cover",
        "nothing hidden",
    ),
    _bug(
        "causality is not waited for",
        lambda: Rules(take_up=taking_with(NeverWaits)),
        "real cover",
        "nothing hidden",
    ),
    _bug("what comes again is a fork", lambda: Rules(take_up=take_again_as_fork), "incarnation"),
    _bug(
        "the judged frontier is not told",
        lambda: Rules(read_feed=read_without_frontier),
        "nothing revived",
        "base and pending",
    ),
    _bug(
        "verdicts are not told",
        lambda: Rules(read_feed=read_without_verdicts),
        "verdict told",
        "rebuilt",
        "base and pending",
    ),
    _bug("the cursor passes a cut chunk", lambda: Rules(read_feed=read_past_the_rest), "cursor"),
    _bug("news are not heard", lambda: Rules(receive_host=hear_no_news), "converged"),
    _bug("an older chunk is taken", lambda: Rules(take_down=take_older), "cursor", "converged"),
    _bug("the cursor moves first", lambda: Rules(take_down=take_cursor_first), "cursor"),
)
