"""Verdicts: what the hub says of each event that arrives, and again once something has changed."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import msgspec

from shared.core import event as events
from shared.core import register as registers
from shared.core.event import Event, Header
from shared.core.kinds import KINDS, record_kind
from shared.core.kinds.kind import Kind
from shared.store import node as nodes
from shared.store.database import sql
from shared.store.journal import Verdict
from shared.store.transaction import Transaction

PARKED = sql(
    """SELECT j.entry, j.header, j.body FROM journal j
    WHERE j.verdict_at IS NOT NULL AND j.verdict = 3 ORDER BY j.verdict_at"""
)
SET_VERDICT = sql("UPDATE journal SET verdict = $2, reason = $3, verdict_at = $4 WHERE entry = $1")
_FOLDS = {
    Verdict.APPLIED: registers.fold,
    Verdict.REFUSED: registers.refuse,
    Verdict.PARKED: registers.park,
}

# What the hub itself does about events that were applied, in the very transaction in which they
# arrived: with them, or not at all.
React = Callable[[Transaction, Sequence[Event], str], None]


def no_reaction(_tx: Transaction, _applied: Sequence[Event], _site: str) -> None:
    """Do nothing about what arrives."""


def take(tx: Transaction, event: Event, site: str) -> bool:
    """Store the next event of a log, judge it and fold it by its verdict: is it applied?"""
    verdict, reason = judge(tx, event, site)
    entry = tx.store_event(event, verdict, reason)
    _fold(tx, event, verdict, entry)
    return verdict is Verdict.APPLIED


def again(tx: Transaction, site: str, react: React = no_reaction) -> None:
    """Judge parked events again, until nothing more comes free.

    Args:
        tx: The transaction.
        site: Whose.
        react: What the hub does about those that are now applied.
    """
    applied = come_free(tx, site)
    if applied:
        react(tx, applied, site)


def come_free(tx: Transaction, site: str) -> list[Event]:
    """Judge parked events again; return those that are now applied."""
    applied: list[Event] = []
    progress = tx.parked > 0
    while progress:
        progress = False
        for entry, header_bytes, body_bytes in tx.query(PARKED):
            event = events.read(header_bytes, body_bytes)
            verdict = _judge_again(tx, entry, event, site) if event.header.site == site else None
            progress = progress or verdict is not None
            if verdict is Verdict.APPLIED:
                applied.append(event)
    return applied


def judge(tx: Transaction, event: Event, site: str) -> tuple[Verdict, str | None]:
    """Return the verdict on an event, and the reason if it is not applied.

    One bad event never blocks a log (promise 6): whatever it is, it is stored and gets a verdict.
    """
    header = event.header
    if header.site != site:
        return Verdict.REFUSED, f"wrong site: {header.site} in a log of {site}"
    if header.seen.get(header.origin, 0) >= header.seq:
        return Verdict.REFUSED, "claims to have seen itself"
    missing = _missing(tx, header)
    if missing is not None:
        return Verdict.PARKED, f"waits for {missing}"
    kind = KINDS.get(record_kind(header.kind))
    if kind is None or header.kind not in kind.bodies or header.v > events.VERSION:
        return Verdict.PARKED, f"{header.kind} is not known to this version"
    return _judge_known(tx, kind, event)


def _judge_known(tx: Transaction, kind: Kind, event: Event) -> tuple[Verdict, str | None]:
    header = event.header
    home = tx.row((kind.name, header.subject)).record.site
    if home and home != header.site:
        return Verdict.REFUSED, f"{header.subject} belongs to another site"
    try:
        body = _decoder(kind.bodies[header.kind]).decode(event.body_bytes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Verdict.REFUSED, f"invalid body: {error}"
    reason = kind.judge(event, body, partial(tx.record, kind.name, header.subject), False)
    return (Verdict.APPLIED, None) if reason is None else (Verdict.REFUSED, reason)


def _missing(tx: Transaction, header: Header) -> str | None:
    """Return an event that the author had seen and that is not here yet.

    Judged without it, the event would cover what nobody here ever saw. The hub's own events are
    excepted: a restored hub may have lost some.
    """
    for origin, seq in header.seen.items():
        if origin == header.origin:
            continue
        log = tx.log(origin)
        if log is not None and (log.own != nodes.OTHER or seq <= log.head):
            continue
        if log is None and events.device_of(origin) == tx.node.device:
            continue
        return f"{origin} {seq}"
    return None


def _judge_again(tx: Transaction, entry: int, event: Event, site: str) -> Verdict | None:
    """Judge one parked event again; return its verdict, None if it stays parked."""
    held = tx.record(record_kind(event.header.kind), event.header.subject)
    parked = held.register(event.header.register).parked
    still = any(p.header_bytes == event.header_bytes for p in parked)
    verdict, reason = judge(tx, event, site)
    if verdict is Verdict.PARKED:
        return None
    position = tx.next_position()
    tx.execute(SET_VERDICT, entry, int(verdict), reason, position)
    tx.count_parked(-1)
    if still:  # else it was superseded while it waited: folding it now would revive it
        _fold(tx, event, verdict, position)
    return verdict


def _fold(tx: Transaction, event: Event, verdict: Verdict, position: int) -> None:
    header = event.header
    key = (record_kind(header.kind), header.subject)
    current = tx.register(key, header.register)
    tx.set_register(key, header.register, _FOLDS[verdict](current, event), position)
    if verdict is Verdict.APPLIED:
        tx.applied(event)


@cache
def _decoder(body: type[msgspec.Struct]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(body)
