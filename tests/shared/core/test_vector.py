"""Vectors: a lattice, and never mutated."""

from hypothesis import given
from hypothesis import strategies as st

from shared.core import vector as vectors

VECTORS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), max_size=4)


def same(left: vectors.Vector, right: vectors.Vector) -> bool:
    return vectors.dominates(left, right) and vectors.dominates(right, left)


@given(VECTORS, VECTORS, VECTORS)
def test_join_is_the_least_upper_bound(
    a: dict[str, int], b: dict[str, int], c: dict[str, int]
) -> None:
    before = (dict(a), dict(b))
    joined = vectors.join(a, b)
    assert vectors.dominates(joined, a)
    assert vectors.dominates(joined, b)
    assert same(joined, vectors.join(b, a))
    assert same(vectors.join(joined, c), vectors.join(a, vectors.join(b, c)))
    assert same(vectors.join(a, a), a)
    if vectors.dominates(c, a) and vectors.dominates(c, b):
        assert vectors.dominates(c, joined)
    assert (a, b) == before


@given(VECTORS, st.sampled_from("abcd"), st.integers(1, 9))
def test_add_covers_the_event_and_no_more(a: dict[str, int], origin: str, seq: int) -> None:
    assert same(vectors.add(a, origin, seq), vectors.join(a, {origin: seq}))
    assert vectors.covers(vectors.add(a, origin, seq), origin, seq)


@given(VECTORS, VECTORS)
def test_clip_is_the_greatest_lower_bound(a: dict[str, int], b: dict[str, int]) -> None:
    clipped = vectors.clip(a, b)
    assert vectors.dominates(a, clipped)
    assert vectors.dominates(b, clipped)
    assert all(clipped.get(o, 0) == min(a.get(o, 0), b.get(o, 0)) for o in "abcd")
    assert all(clipped.values()), "an origin at 0 is left out"


def test_a_missing_origin_is_zero() -> None:
    assert not vectors.covers({}, "a", 1)
    assert vectors.covers({"a": 2}, "a", 2)
    assert not vectors.covers({"a": 2}, "a", 3)


def test_a_vector_from_the_future_is_clipped_to_what_is_held() -> None:
    """Merge 5: trusted, ``seen {B:9}`` swallows B's next nine writes."""
    assert vectors.clip({"b.1": 9, "c.1": 4}, {"b.1": 1}) == {"b.1": 1}
