"""Events and histories for tests, short to write."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from shared.core import event as events
from shared.core import register as registers
from shared.core.clock import ClockTrust, Stamp, from_ms
from shared.core.event import Event
from shared.core.kinds.equipment import PERSON, Report, State
from shared.core.vector import Origin

NOW_MS = 1_700_000_000_000
RED, YELLOW, GREEN = State.RED, State.YELLOW, State.GREEN


def event(
    origin: str,
    seq: int,
    seen: dict[str, int] | None = None,
    *,
    state: State = GREEN,
    at_ms: int = NOW_MS,
    at: int | None = None,
    kind: str = "equipment.state",
    subject: str = "press-1",
    register: str = PERSON,
    site: str = "demo",
    actor: str = "ann",
    body: Any = None,
) -> Event:
    """Return event ``seq`` of ``origin``; without a body it reports ``state``."""
    return events.make(
        origin=Origin(origin),
        seq=seq,
        at=from_ms(at_ms) if at is None else Stamp(at),
        clock=ClockTrust.SYNCED,
        site=site,
        kind=kind,
        subject=subject,
        register=register,
        seen=seen or {},
        actor=actor,
        body=Report(state, f"{origin}:{seq}") if body is None else body,
    )


def dots(found: tuple[Event, ...]) -> set[tuple[str, int]]:
    """Return the names of events."""
    return {(e.header.origin, e.header.seq) for e in found}


class History(msgspec.Struct, frozen=True):
    """What some authors wrote of one register, and the truth about who had seen what.

    Attributes:
        events: In the order of writing.
        known: Ghost knowledge: for each event the numbers of those that its author had been shown,
            directly or through others. No vector is asked.
    """

    events: tuple[Event, ...]
    known: tuple[frozenset[int], ...]


@st.composite
def histories(draw: st.DrawFn, authors_max: int = 4, steps_max: int = 14) -> History:
    """Draw authors that write, and that hear some of what others wrote, in any order."""
    count = draw(st.integers(1, authors_max))
    names = [f"{chr(ord('a') + i)}.1" for i in range(count)]
    held: list[set[int]] = [set() for _ in names]
    made: list[Event] = []
    known: list[frozenset[int]] = []
    for _ in range(draw(st.integers(1, steps_max))):
        author = draw(st.integers(0, count - 1))
        if draw(st.booleans()) and made:
            held[author] |= draw(st.sets(st.integers(0, len(made) - 1), min_size=1))
            continue
        shown = registers.EMPTY
        for number in held[author]:
            shown = registers.fold(shown, made[number])
        seq = 1 + sum(e.header.origin == names[author] for e in made)
        state = draw(st.sampled_from(State))
        made.append(event(names[author], seq, dict(registers.vector(shown)), state=state))
        known.append(frozenset(held[author]).union(*(known[n] for n in held[author])))
        held[author].add(len(made) - 1)
    return History(tuple(made), tuple(known))


def covered_by_truth(history: History, numbers: set[int]) -> set[int]:
    """Return which of some events are replaced by others of them."""
    return {n for n in numbers if any(n in history.known[other] for other in numbers)}


def fold_all(found: list[Event]) -> registers.Register:
    """Fold events in the given order."""
    register = registers.EMPTY
    for each in found:
        register = registers.fold(register, each)
    return register
