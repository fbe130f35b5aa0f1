"""Vectors ``{origin: seq}``: what has been seen, origin by origin. Missing means 0.

Plain mappings, never mutated: each function returns a new one, or its argument unchanged when
there is nothing to add.
"""

from collections.abc import Mapping
from typing import NewType

Origin = NewType("Origin", str)
Vector = Mapping[str, int]

EMPTY: Vector = {}


def covers(vector: Vector, origin: str, seq: int) -> bool:
    """Say whether ``vector`` has seen event ``seq`` of ``origin``."""
    return seq <= vector.get(origin, 0)


def join(left: Vector, right: Vector) -> Vector:
    """Return the least vector that covers both."""
    if not right:
        return left
    if not left:
        return right
    joined = dict(left)
    for origin, seq in right.items():
        if seq > joined.get(origin, 0):
            joined[origin] = seq
    return joined


def add(vector: Vector, origin: str, seq: int) -> Vector:
    """Return ``vector`` with one more event seen."""
    if seq <= vector.get(origin, 0):
        return vector
    return {**vector, origin: seq}


def clip(vector: Vector, bound: Vector) -> Vector:
    """Return ``vector`` limited to ``bound``: nobody can have seen what we do not hold.

    Trusted unclipped, a client's ``{B: 9}`` would swallow B's next nine writes (model, merge 5).
    """
    return {
        origin: min(seq, bound[origin])
        for origin, seq in vector.items()
        if seq > 0 and bound.get(origin, 0) > 0
    }


def dominates(left: Vector, right: Vector) -> bool:
    """Say whether ``left`` has seen all that ``right`` has."""
    return all(seq <= left.get(origin, 0) for origin, seq in right.items())
