"""When drivers look."""

import pytest

from hardware.look import LOOK_S, next_look


@pytest.mark.parametrize(
    ("now_s", "then_s"),
    [(0.0, LOOK_S), (0.1, LOOK_S), (LOOK_S - 0.001, LOOK_S), (LOOK_S, 2 * LOOK_S)],
)
def test_all_look_at_the_same_moment_whenever_they_began(now_s: float, then_s: float) -> None:
    assert next_look(now_s) == then_s
