"""Which older allocations may still act."""

import msgspec
import pytest

from shared.api.task_events import MOVED_MAX, after_leaving
from shared.core.doubt import Last, still_open
from shared.core.kinds.task_bodies import Allocation, Outcome, Seat
from tests.shared.core.test_waiting import task as made

ENDED = Last(1, Outcome.SUCCEEDED)
RUNS = Last(2, None)


@pytest.mark.parametrize(
    ("last", "open_"),
    [
        ({}, (0,)),
        ({(0, "a"): ENDED}, ()),
        ({(0, "a"): RUNS, (0, "b"): ENDED}, (0,)),
        ({(0, "a"): ENDED, (0, "b"): RUNS}, (0,)),
        ({(0, "a"): ENDED, (1, "b"): RUNS}, ()),
        # What the other will not try again, as its seat was refused.
        ({(0, "a"): ENDED, (0, "b"): Last(1, Outcome.FAILED)}, ()),
    ],
)
def test_a_number_that_two_agents_gave_is_open_until_both_have_ended(
    last: dict[tuple[int, str], Last], open_: tuple[int, ...]
) -> None:
    taken = Allocation(None, 0, "a", "x")
    task = msgspec.structs.replace(made(), seat=Seat(None, ("a", "b"), moved=(taken,)))
    assert still_open(task, last) == open_


def test_a_seat_forgets_the_oldest_moves_that_are_over_and_no_others() -> None:
    """A task that goes round for months must still fit an event."""
    taken = tuple(Allocation("e", n, f"robot-{n % 7}", "x") for n in range(1, MOVED_MAX + 1))
    now = Allocation("e", MOVED_MAX + 1, "robot-1", "x")
    over = tuple(one.n for one in taken if one.n not in (1, 3))
    seat = Seat(now, (), moved=taken, over=over)
    task = msgspec.structs.replace(made(), seat=seat, allocation=now)
    moved, ended = after_leaving(task, moved=True)
    assert (moved, ended) == ((taken[0], *taken[2:], now), over), "2 was the oldest that is over"
    kept, _ = after_leaving(
        msgspec.structs.replace(task, seat=Seat(now, (), moved=taken)), moved=True
    )
    assert kept == (*taken, now), "of none is it known that it is over"
