"""Which older allocations may still act."""

import msgspec
import pytest

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
