"""The fold: what a register holds after some set of events, whatever their order.

A register keeps its siblings ``S``, what it could not understand ``P``, the cover ``C`` (the join
of ``seen`` of every folded event) and the refused dots ``R``:

    fold(e):    C |= e.seen;  S = {s in S + e : s.seq > C[s.origin]};  P likewise, without e
    park(e):    if e.seq > C[e.origin]: P += e      # shown opaque, supersedes nothing
    refuse(e):  P -= e;  R |= dot(e)                # never S, never C

The model in ``docs/architecture.md`` tells for each rule what breaks without it. Tuples are kept
sorted by dot, so that equal registers are equal values.
"""

import msgspec

from shared.core import event as events
from shared.core import vector as vectors
from shared.core.event import Event, Pair
from shared.core.vector import Vector


class Register(msgspec.Struct, frozen=True, gc=False):
    """State of one register.

    Attributes:
        siblings: S: events that no folded event had seen.
        parked: P: events not understood here yet.
        cover: C: all that some folded event had seen.
        refused: R: refused dots, the highest per origin; they count as seen, they cover nothing.
    """

    siblings: tuple[Event, ...] = ()
    parked: tuple[Event, ...] = ()
    cover: Vector = vectors.EMPTY
    refused: Vector = vectors.EMPTY


EMPTY = Register()


def fold(register: Register, event: Event) -> Register:
    """Add an applied event: it replaces what its author had seen, and nothing else."""
    header = event.header
    cover = vectors.join(register.cover, header.seen)
    siblings = _with(_uncovered(register.siblings, cover), event, cover)
    parked = register.parked
    if parked:
        parked = tuple(p for p in _uncovered(parked, cover) if not _same(p, event))
    return Register(siblings, parked, cover, register.refused)


def park(register: Register, event: Event) -> Register:
    """Add an event that this replica does not understand yet: shown, but it hides nothing."""
    if vectors.covers(register.cover, event.header.origin, event.header.seq):
        return register
    parked = _with(register.parked, event, register.cover)
    return Register(register.siblings, parked, register.cover, register.refused)


def refuse(register: Register, event: Event) -> Register:
    """Remember a refused event as seen; what it had wanted to hide stays."""
    parked = tuple(p for p in register.parked if not _same(p, event))
    refused = vectors.add(register.refused, event.header.origin, event.header.seq)
    return Register(register.siblings, parked, register.cover, refused)


def join(left: Register, right: Register) -> Register:
    """Return the fold of the events of both.

    Right only where both were folded under the same verdicts: an event that one side refused and
    the other folded has left its ``seen`` in one cover. Callers refold then.
    """
    cover = vectors.join(left.cover, right.cover)
    siblings = _uncovered(left.siblings, cover)
    for event in right.siblings:
        siblings = _with(siblings, event, cover)
    parked = _uncovered(left.parked, cover)
    for event in right.parked:
        parked = _with(parked, event, cover)
    parked = tuple(p for p in parked if not any(_same(p, s) for s in siblings))
    return Register(siblings, parked, cover, vectors.join(left.refused, right.refused))


def vector(register: Register) -> Vector:
    """What a write made now has seen: ``C ⊔ R ⊔ dots(S) ⊔ dots(P)``."""
    if not register.parked and not register.refused and len(register.siblings) == 1:
        header = register.siblings[0].header  # the common case, without building joins
        return vectors.add(register.cover, header.origin, header.seq)
    seen = dict(vectors.join(register.cover, register.refused))
    for event in register.siblings + register.parked:
        if event.header.seq > seen.get(event.header.origin, 0):
            seen[event.header.origin] = event.header.seq
    return seen


def is_disputed(register: Register) -> bool:
    """Say whether it may be in conflict: more than one sibling, or one that is not understood."""
    return len(register.siblings) > 1 or bool(register.parked)


def _same(left: Event, right: Event) -> bool:
    return left.header.seq == right.header.seq and left.header.origin == right.header.origin


def _uncovered(events_: tuple[Event, ...], cover: Vector) -> tuple[Event, ...]:
    if not events_:
        return events_
    kept = [e for e in events_ if e.header.seq > cover.get(e.header.origin, 0)]
    return events_ if len(kept) == len(events_) else tuple(kept)


def _with(events_: tuple[Event, ...], event: Event, cover: Vector) -> tuple[Event, ...]:
    """Return the events and one more, sorted by dot, unless it is covered or there already."""
    if event.header.seq <= cover.get(event.header.origin, 0):
        return events_
    if not events_:
        return (event,)
    if any(_same(e, event) for e in events_):
        return events_
    return tuple(sorted((*events_, event), key=lambda e: (e.header.origin, e.header.seq)))


# ------------------------------------------------------------------ bytes, to store and to send


class _Packed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    siblings: list[Pair]
    parked: list[Pair]
    cover: dict[str, int]
    refused: dict[str, int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def pack(register: Register) -> bytes:
    """Encode a register, events in their authors' bytes."""
    # Tuples instead of ``_Packed`` and its pairs: the same bytes, in two thirds of the time.
    siblings = [(e.header_bytes, e.body_bytes) for e in register.siblings]
    parked = [(e.header_bytes, e.body_bytes) for e in register.parked]
    return _encode((siblings, parked, register.cover, register.refused))


def unpack(data: bytes) -> Register:
    """Decode what ``pack`` wrote.

    Raises:
        msgspec.DecodeError: Not a packed register.
        BadFrame: An event in it is no event.
    """
    packed = _decode(data)
    if len(packed.siblings) == 1 and not packed.parked:  # nearly all: without the generators
        (only,) = packed.siblings
        shown = events.read(only.header, only.body)
        return Register((shown,), (), packed.cover, packed.refused)
    return Register(
        tuple(events.read(p.header, p.body) for p in packed.siblings),
        tuple(events.read(p.header, p.body) for p in packed.parked),
        packed.cover,
        packed.refused,
    )
