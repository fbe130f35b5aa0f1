"""Which start requests are granted: tables, and properties over random requests."""

from random import Random

import pytest

from hub.locks import Blocked, Held, Request, decide
from shared.core.kinds.task_bodies import Claim

CLAIM = Claim("e", 1, 1)


def asks(task: str, *locks: str) -> Request:
    return Request(task, CLAIM, locks)


def has(task: str, *, suspect: bool = False) -> Held:
    return Held(task, CLAIM, "robot-9", suspect)


@pytest.mark.parametrize(
    ("requests", "held", "granted", "blocked"),
    [
        ([], {}, [], {}),
        ([asks("a")], {"x": has("z")}, ["a"], {}),  # a permit without locks
        ([asks("a", "x")], {}, ["a"], {}),
        ([asks("a", "x"), asks("b", "y")], {}, ["a", "b"], {}),
        ([asks("a", "x"), asks("b", "x")], {}, ["a"], {"b": ("x", "a")}),
        # All together or none: else x goes to one, y to the other, and both wait for ever.
        ([asks("a", "x", "y")], {"y": has("z")}, [], {"a": ("y", "z")}),
        # The older one keeps what is free of its locks.
        (
            [asks("a", "x", "y"), asks("b", "x"), asks("c", "w")],
            {"y": has("z")},
            ["c"],
            {"a": ("y", "z"), "b": ("x", "a")},
        ),
        # But not while it waits for one whose holder is silent: that may take days.
        (
            [asks("a", "x", "y"), asks("b", "x")],
            {"y": has("z", suspect=True)},
            ["b"],
            {"a": ("y", "z")},
        ),
        (
            [asks("a", "w", "y")],
            {"w": has("v"), "y": has("z", suspect=True)},
            [],
            {"a": ("y", "z")},
        ),
    ],
)
def test_who_is_granted(
    requests: list[Request],
    held: dict[str, Held],
    granted: list[str],
    blocked: dict[str, tuple[str, str]],
) -> None:
    decision = decide(requests, held)
    assert [request.task for request in decision.granted] == granted
    assert {t: (why.lock, why.task) for t, why in decision.blocked.items()} == blocked


@pytest.mark.parametrize("seed", range(20))
def test_a_lock_has_one_holder_and_everyone_gets_a_turn(seed: int) -> None:
    """Promise 3: whatever is asked for, in whatever order claims end."""
    chance = Random(seed)
    waiting = [
        asks(f"t{n}", *sorted(chance.sample("uvwxyz", chance.randint(0, 4)))) for n in range(30)
    ]
    held: dict[str, Held] = {}
    running: list[Request] = []
    for _ in range(200):
        decision = decide(waiting, held)
        for request in decision.granted:
            assert not set(request.locks) & set(held), f"seed {seed}"
            held |= {lock: has(request.task) for lock in request.locks}
            running.append(request)
            waiting.remove(request)
        assert set(decision.blocked) == {request.task for request in waiting}
        for why in decision.blocked.values():
            assert isinstance(why, Blocked)
        if not running:
            break
        ended = running.pop(chance.randrange(len(running)))
        held = {lock: holder for lock, holder in held.items() if holder.task != ended.task}
    assert not waiting, f"seed {seed}: {waiting}"
