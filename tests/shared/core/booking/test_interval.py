"""Half-open intervals, and sequences of them, against sets of instants."""

import itertools
from random import Random

from shared.core.booking.interval import Interval, common, merged, without


def instants(intervals: list[Interval]) -> set[int]:
    return {ms for i in intervals for ms in range(i.start_ms, i.end_ms)}


def some(random: Random) -> list[Interval]:
    starts = sorted(random.sample(range(40), random.randint(0, 8)))
    return [Interval(start, start + random.randint(0, 6)) for start in starts]


def test_touching_is_not_overlapping() -> None:
    assert not Interval(0, 5).overlaps(Interval(5, 9))
    assert Interval(0, 5).overlaps(Interval(4, 9))
    assert Interval(0, 5).covers(Interval(0, 5))
    assert not Interval(0, 5).covers(Interval(0, 6))
    assert Interval(2, 5).length_ms == 3


def test_adjacent_intervals_merge_and_empty_ones_vanish() -> None:
    found = list(merged([Interval(0, 2), Interval(2, 4), Interval(5, 5), Interval(6, 7)]))
    assert found == [Interval(0, 4), Interval(6, 7)]


def test_sequences_are_what_they_are_as_sets_of_instants() -> None:
    for seed in range(400):
        random = Random(seed)
        left, right = some(random), some(random)
        joined, other = list(merged(left)), list(merged(right))
        assert instants(joined) == instants(left), seed
        assert all(a.end_ms < b.start_ms for a, b in itertools.pairwise(joined)), seed
        both = list(common(joined, other))
        assert instants(both) == instants(left) & instants(right), seed
        rest = list(without(joined, other))
        assert instants(rest) == instants(left) - instants(right), seed
        for found in (both, rest):
            assert found == sorted(i for i in found if i.length_ms > 0), seed
