"""Task statuses: the whole product of statuses and signals."""

from itertools import product

import pytest

from shared.core.lifecycle import (
    ACTING,
    ENDED,
    FINAL,
    JOURNALED,
    MOVES,
    SHOWN_WAITING,
    Signal,
    Status,
    move,
)
from shared.errors import IllegalMove

# Columns: what the journal knows; nothing moves out of a status that is only shown.
TABLE = """
signal     waiting   running    cancelling succeeded dead    cancelled expired unknown
start      running   -          -          -         -       -         -       -
succeed    -         succeeded  succeeded  -         -       -         -       -
fail       -         waiting    -          -         -       -         -       -
die        dead      dead       dead       -         -       -         -       dead
ask-cancel -         cancelling -          -         -       -         -       -
cancel     cancelled -          cancelled  -         -       -         -       cancelled
expire     expired   -          -          -         -       -         -       -
lose       unknown   unknown    unknown    -         -       -         -       -
requeue    -         waiting    waiting    -         -       -         -       -
retry      -         -          -          -         waiting -         -       waiting
settle     -         -          -          -         -       -         -       succeeded
"""


def expected() -> dict[tuple[Status, Signal], Status]:
    first, *lines = [line.split() for line in TABLE.strip().splitlines()]
    statuses = [Status(word) for word in first[1:]]
    assert set(statuses) == JOURNALED
    assert {line[0] for line in lines} == {signal.value for signal in Signal}
    return {
        (status, Signal(line[0])): Status(word)
        for line in lines
        for status, word in zip(statuses, line[1:], strict=True)
        if word != "-"
    }


@pytest.mark.parametrize(("status", "signal"), list(product(Status, Signal)))
def test_every_signal_in_every_status(status: Status, signal: Signal) -> None:
    following = expected().get((status, signal))
    if following is None:
        with pytest.raises(IllegalMove):
            move(status, signal)
    else:
        assert move(status, signal) is following


def test_what_is_final_stays() -> None:
    assert not [status for status, _ in MOVES if status in FINAL]


def test_only_a_person_brings_back_what_has_ended() -> None:
    assert {signal for status, signal in MOVES if status in ENDED} == {Signal.RETRY}


def test_the_journal_knows_no_derived_status() -> None:
    assert set(MOVES.values()) <= JOURNALED
    assert not {status for status, _ in MOVES} & SHOWN_WAITING


def test_every_journaled_status_can_be_reached_and_left_towards_an_end() -> None:
    reached = {Status.WAITING}
    for _ in Status:
        reached |= {after for (before, _), after in MOVES.items() if before in reached}
    assert reached == set(JOURNALED)
    for status in JOURNALED - FINAL:
        ends, following = {status}, set(Status)
        while ends != following:
            following = set(ends)
            ends |= {after for (before, _), after in MOVES.items() if before in following}
        assert ends & FINAL, f"{status} never ends"


def test_nothing_starts_twice_without_having_ended_or_been_declared_harmless() -> None:
    """Promise 3."""
    again = {signal for (status, signal), to in MOVES.items() if to is Status.WAITING}
    assert again == {Signal.FAIL, Signal.REQUEUE, Signal.RETRY}
    assert {s for (s, signal), _ in MOVES.items() if signal is Signal.REQUEUE} == ACTING
