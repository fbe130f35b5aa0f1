"""Which sibling shows: a total order, so that replicas cannot quarrel."""

from itertools import permutations

import pytest

from shared.core.event import Event
from shared.core.kinds.equipment import EQUIPMENT, State
from shared.core.policy import Policy, choose
from tests.shared.making import GREEN, RED, YELLOW, event

LATE, EARLY = 2_000_000, 1_000_000


@pytest.mark.parametrize(
    ("policy", "siblings", "winner"),
    [
        (Policy.MOST_SEVERE, [(RED, EARLY), (YELLOW, LATE), (GREEN, LATE)], 0),
        (Policy.MOST_SEVERE, [(GREEN, LATE), (YELLOW, EARLY)], 1),
        (Policy.MOST_SEVERE, [(RED, EARLY), (RED, LATE)], 1),
        (Policy.LATEST, [(RED, EARLY), (GREEN, LATE)], 1),
    ],
)
def test_the_policy_chooses(policy: Policy, siblings: list[tuple[State, int]], winner: int) -> None:
    made = [event(f"d{n}.1", 1, state=s, at_ms=at) for n, (s, at) in enumerate(siblings)]
    for order in permutations(made):
        assert choose(order, policy, EQUIPMENT.severity) is made[winner]


def test_equal_stamps_are_told_apart_by_dot() -> None:
    """✗ time, then origin: a correction gives ``A:1`` and ``A:2{}`` equal times."""
    made = [event("a.1", 1), event("a.1", 2), event("b.1", 1)]
    for policy in Policy:
        for order in permutations(made):
            assert choose(order, policy, EQUIPMENT.severity) is made[2]
        for order in permutations(made[:2]):
            assert choose(order, policy, EQUIPMENT.severity) is made[1]


def test_an_empty_register_shows_nothing() -> None:
    nothing: list[Event] = []
    assert choose(nothing, Policy.LATEST, EQUIPMENT.severity) is None
