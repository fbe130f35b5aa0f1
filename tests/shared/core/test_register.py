"""The fold: the rules of the merge model, each with the story of what breaks without it."""

from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.event import Event
from shared.core.register import Register, fold, join, pack, park, refuse, unpack, vector
from shared.errors import BadFrame
from tests.shared.making import (
    RED,
    History,
    covered_by_truth,
    dots,
    event,
    fold_all,
    histories,
)

FATES = {  # what becomes of an event, in order
    "applied": (fold,),
    "refused": (refuse,),
    "parked": (park,),
    "parked, then applied": (park, fold),
    "parked, then refused": (park, refuse),
}


@st.composite
def judged(draw: st.DrawFn) -> tuple[History, list[str]]:
    """Draw a history and what becomes of each event."""
    history = draw(histories())
    size = len(history.events)
    fates = draw(st.lists(st.sampled_from(list(FATES)), min_size=size, max_size=size))
    return history, fates


def play(history: History, fates: list[str], order: list[int]) -> Register:
    """Carry out the fates; the order names whose next step is due, its last one again and again."""
    register = registers.EMPTY
    steps = {n: list(FATES[fate]) for n, fate in enumerate(fates)}
    for number in order:
        mine = steps[number]
        step = mine.pop(0) if len(mine) > 1 else mine[0]
        register = step(register, history.events[number])
    return register


# ------------------------------------------------------------------ properties


@given(judged(), st.data())
def test_order_repetition_and_interleaving_do_not_matter(
    given_: tuple[History, list[str]], data: st.DataObject
) -> None:
    """Promise 2."""
    history, fates = given_
    needed = [n for n, fate in enumerate(fates) for _ in FATES[fate]]
    again = data.draw(st.lists(st.sampled_from(needed), max_size=6))
    shuffled = data.draw(st.permutations(needed)) + again
    assert play(history, fates, shuffled) == play(history, fates, needed)


@given(histories(), st.data())
def test_concurrency_is_found_exactly(history: History, data: st.DataObject) -> None:
    """No false conflict and none missed, judged by what authors had truly been shown."""
    size = len(history.events)
    numbers = data.draw(st.sets(st.integers(0, size - 1)))
    arrived = data.draw(st.permutations(sorted(numbers)))
    register = fold_all([history.events[n] for n in arrived])
    alive = numbers - covered_by_truth(history, numbers)
    assert register.siblings == tuple(
        sorted((history.events[n] for n in alive), key=lambda e: (e.header.origin, e.header.seq))
    )


@given(histories(), st.data())
def test_what_a_write_has_seen_is_exactly_what_its_author_was_shown(
    history: History, data: st.DataObject
) -> None:
    numbers = data.draw(st.sets(st.integers(0, len(history.events) - 1)))
    seen = vector(fold_all([history.events[n] for n in numbers]))
    truly = numbers.union(*(history.known[n] for n in numbers))
    for number, each in enumerate(history.events):
        claimed = vectors.covers(seen, each.header.origin, each.header.seq)
        assert claimed == (number in truly)


@given(histories(), st.data())
def test_a_refusal_brings_back_what_it_had_hidden(history: History, data: st.DataObject) -> None:
    """Base and pending: what is shown is as if the refused events had never been written."""
    size = len(history.events)
    held = data.draw(st.sets(st.integers(0, size - 1)))
    refused = data.draw(st.sets(st.sampled_from(sorted(held)))) if held else set()
    base = fold_all([history.events[n] for n in held - refused])
    pending = base
    for number in refused:
        pending = fold(pending, history.events[number])
    after = base
    for number in refused:
        after = refuse(after, history.events[number])
    alive = (held - refused) - covered_by_truth(history, held - refused)
    assert dots(after.siblings) == dots(tuple(history.events[n] for n in alive))
    assert vectors.dominates(vector(pending), vector(base))
    for number in refused:
        header = history.events[number].header
        assert vectors.covers(vector(after), header.origin, header.seq), "refused dots are seen"


@given(judged(), st.data())
def test_join_is_the_fold_of_the_union(
    given_: tuple[History, list[str]], data: st.DataObject
) -> None:
    history, fates = given_
    numbers = st.sets(st.integers(0, len(fates) - 1))
    left, right = data.draw(numbers), data.draw(numbers)
    # The verdict is the same on both sides; halfway states are not what a base holds.
    final = [FATES[fate][-1:] for fate in fates]

    def made(of: set[int]) -> Register:
        register = registers.EMPTY
        for number in sorted(of):
            register = final[number][0](register, history.events[number])
        return register

    assert join(made(left), made(right)) == made(left | right)
    assert join(made(right), made(left)) == made(left | right)


@given(judged())
def test_pack_and_unpack_are_inverse(given_: tuple[History, list[str]]) -> None:
    history, fates = given_
    order = [n for n, fate in enumerate(fates) for _ in FATES[fate]]
    register = play(history, fates, order)
    assert unpack(pack(register)) == register


@given(judged())
def test_what_has_been_seen_never_shrinks(given_: tuple[History, list[str]]) -> None:
    history, fates = given_
    register, seen = registers.EMPTY, vectors.EMPTY
    for number, fate in enumerate(fates):
        for step in FATES[fate]:
            register = step(register, history.events[number])
            assert vectors.dominates(vector(register), seen)
            seen = vector(register)


# ------------------------------------------------------------------ counterexamples, by name


def test_a_replaced_event_does_not_resurrect() -> None:
    """✗ supersede on arrival, remember nothing: ``A:1{B:1}``, then ``B:1`` relayed again."""
    a1, b1 = event("a.1", 1, {"b.1": 1}), event("b.1", 1)
    assert fold_all([a1, b1]).siblings == (a1,)
    assert fold_all([b1, a1, b1]).siblings == (a1,)


def test_a_lower_number_is_no_duplicate() -> None:
    """✗ ``seq <= vector`` is a duplicate: A:1 parked, a web client's A:2{} applied, upgrade."""
    a1, a2 = event("a.1", 1), event("a.1", 2, {})
    assert dots(fold(fold(park(registers.EMPTY, a1), a2), a1).siblings) == {("a.1", 1), ("a.1", 2)}


def test_a_parked_event_is_seen_by_its_author() -> None:
    """✗ parked is invisible: an author loses sight of his write."""
    held = park(registers.EMPTY, event("a.1", 1))
    assert dots(held.parked) == {("a.1", 1)}
    assert vector(held) == {"a.1": 1}


def test_a_parked_event_hides_nothing() -> None:
    """✗ parked supersedes: an unjudged event hides a red."""
    red = event("b.1", 1, state=RED)
    held = park(fold(registers.EMPTY, red), event("a.1", 1, {"b.1": 1}))
    assert held.siblings == (red,)
    assert held.cover == {}


def test_a_covered_event_is_not_parked_again() -> None:
    a1, a2 = event("a.1", 1), event("a.1", 2, {"a.1": 1})
    assert park(fold_all([a2]), a1).parked == ()


def test_equal_values_stay_apart_in_storage() -> None:
    """✗ equal values collapse: ``A:1=red, B:1=red, B:2{B:1}``: A:1 lost here, sibling there."""
    a1, b1 = event("a.1", 1, state=RED), event("b.1", 1, state=RED)
    b2 = event("b.1", 2, {"b.1": 1})
    for order in permutations((a1, b1, b2)):
        assert dots(fold_all(list(order)).siblings) == {("a.1", 1), ("b.1", 2)}


def test_a_refused_dot_counts_as_seen() -> None:
    """✗ refused dots are not seen: the author's next write would be a conflict with it."""
    held = refuse(registers.EMPTY, event("a.1", 1))
    assert vector(held) == {"a.1": 1}
    assert held.siblings == held.parked == ()


def test_a_refused_dot_covers_nothing() -> None:
    """✗ R is not C: a refused ``A:2`` in the cover would hide ``A:1``."""
    a1 = event("a.1", 1)
    held = fold(refuse(registers.EMPTY, event("a.1", 2, {"a.1": 1})), a1)
    assert held.siblings == (a1,)


def test_a_refusal_takes_a_parked_event_away() -> None:
    a1 = event("a.1", 1)
    assert refuse(park(registers.EMPTY, a1), a1).parked == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\x94\x90\x90\x80", msgspec.msgpack.encode([[[b"no", b"event"]], [], {}, {}])],
)
def test_what_is_no_register_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, BadFrame)):
        unpack(data)


def test_events_are_sorted_so_that_equal_registers_are_equal_values() -> None:
    siblings: list[Event] = [event("b.1", 1), event("a.1", 2), event("a.1", 1)]
    names = [(e.header.origin, e.header.seq) for e in fold_all(siblings).siblings]
    assert names == [("a.1", 1), ("a.1", 2), ("b.1", 1)]
