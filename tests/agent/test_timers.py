"""When a run is stopped, and how long nothing happens by itself."""

import pytest

from agent.attempt import Acting
from agent.timers import Deadline, Stop, deadline, pause_s
from shared.core.kinds.task_bodies import Attempt
from tests.agent.desk import NOW_MS, task

ATTEMPT = Attempt("a", 1, "boot-1", NOW_MS)


@pytest.mark.parametrize(
    ("start_to_close_s", "schedule_to_close_s", "expected"),
    [
        (None, None, Deadline(1000 + 60_000, Stop.TIMEOUT)),
        (5.0, None, Deadline(1000 + 5000, Stop.TIMEOUT)),
        (5.0, 100.0, Deadline(1000 + 5000, Stop.TIMEOUT)),
        (None, 30.0, Deadline(1000 + 20_000, Stop.CLOSE)),  # ten of the thirty are over
        (None, 5.0, Deadline(1000 - 5000, Stop.CLOSE)),
    ],
)
def test_a_run_ends_at_the_first_of_its_limits(
    start_to_close_s: float | None, schedule_to_close_s: float | None, expected: Deadline
) -> None:
    one = task("a", start_to_close_s=start_to_close_s, schedule_to_close_s=schedule_to_close_s)
    assert deadline(one, 60.0, now_ms=NOW_MS + 10_000, boot_ms=1000) == expected


def test_a_sign_of_life_puts_off_the_end_for_silence_and_no_other() -> None:
    boot_ms = [0]
    end = Deadline(12_000, Stop.TIMEOUT)
    acting = Acting(task("a", heartbeat_s=5.0), ATTEMPT, end=end, boot_ms=lambda: boot_ms[0])
    assert (acting.beat_deadline, acting.deadline) == (5000, Deadline(5000, Stop.SILENCE))
    boot_ms[0] = 4000
    acting.beat()
    assert acting.deadline == Deadline(9000, Stop.SILENCE)
    boot_ms[0] = 8000
    acting.beat()
    assert acting.deadline == end


def test_a_run_without_heartbeat_needs_no_sign_of_life() -> None:
    end = Deadline(12_000, Stop.TIMEOUT)
    acting = Acting(task("a"), ATTEMPT, end=end, boot_ms=lambda: 0)
    acting.beat()
    assert (acting.beat_deadline, acting.deadline) == (None, end)


@pytest.mark.parametrize(
    ("at_ms", "wake_ms", "expected"),
    [
        ((), None, None),
        ((3000,), None, 2.0),
        ((3000, 2500), NOW_MS + 9000, 1.5),
        ((), NOW_MS + 700, 0.7),
        ((), NOW_MS - 5, 0.0),
        ((500,), None, 0.0),
        ((10**9,), None, 10.0),
    ],
)
def test_a_pause_lasts_until_the_first_of_all_times(
    at_ms: tuple[int, ...], wake_ms: int | None, expected: float | None
) -> None:
    deadlines = [Deadline(at, Stop.TIMEOUT) for at in at_ms]
    found = pause_s(deadlines, wake_ms, now_ms=NOW_MS, boot_ms=1000, tick_s=10.0)
    assert found == expected
