"""Identifiers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import UUID7_PATTERN, conflict_id, is_name, uuid7

BITS = st.integers(0, 2**74 - 1)


@given(st.integers(0, 2**48 - 1), BITS)
def test_a_uuid7_has_the_shape_and_the_time(now_ms: int, bits: int) -> None:
    made = uuid7(now_ms, bits)
    assert re.match(UUID7_PATTERN, made)
    assert int(made.replace("-", "")[:12], 16) == now_ms


@given(st.integers(0, 2**48 - 2), BITS, BITS)
def test_uuid7s_sort_by_time(now_ms: int, first: int, second: int) -> None:
    assert uuid7(now_ms, first) < uuid7(now_ms + 1, second)


@given(st.integers(0, 2**48 - 1), BITS, BITS)
def test_other_bits_make_another_id(now_ms: int, first: int, second: int) -> None:
    assert (uuid7(now_ms, first) == uuid7(now_ms, second)) == (first == second)


@pytest.mark.parametrize("text", ["press-1", "a", "0", "robot.north_2", "a" * 63])
def test_names(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["", "-a", ".a", "A", "ä", "a b", "a/b", "a" * 64, "a\n", "\na", "a\x00"]
)
def test_what_cannot_be_a_name(text: str) -> None:
    assert not is_name(text)


def test_a_conflicts_id_is_its_registers() -> None:
    one = conflict_id("demo", "equipment", "press-1", "state.person")
    assert one == conflict_id("demo", "equipment", "press-1", "state.person")
    assert re.fullmatch(r"c-[0-9a-f]{16}", one)
    assert one != conflict_id("demo", "equipment", "press-1", "state.machine")
    assert conflict_id("a", "b", "cd", "e") != conflict_id("a", "b", "c", "de")
