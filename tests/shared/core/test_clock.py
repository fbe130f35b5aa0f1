"""The hybrid logical clock."""

from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import (
    COUNTER_BITS,
    DRIFT_MS_MAX,
    Stamp,
    at_ms,
    from_ms,
    observe,
    tick,
)

NOW = 1_700_000_000_000
STAMPS = st.integers(0, 2**62).map(Stamp)
TIMES = st.integers(0, 2**46)


def test_a_stamp_is_milliseconds_then_a_counter() -> None:
    assert at_ms(from_ms(NOW)) == NOW
    assert from_ms(NOW) == NOW * 65536


@given(STAMPS, TIMES)
def test_a_tick_is_always_later(last: Stamp, now_ms: int) -> None:
    assert tick(last, now_ms) > last
    assert at_ms(tick(last, now_ms)) >= now_ms


@given(STAMPS, STAMPS, TIMES)
def test_observing_never_moves_back_and_is_idempotent(
    last: Stamp, remote: Stamp, now_ms: int
) -> None:
    moved = observe(last, remote, now_ms)
    assert moved >= last
    assert observe(moved, remote, now_ms) == moved


@given(STAMPS, TIMES)
def test_a_remote_stamp_pushes_by_a_minute_at_most(remote: Stamp, now_ms: int) -> None:
    moved = observe(Stamp(0), remote, now_ms)
    assert at_ms(moved) <= now_ms + DRIFT_MS_MAX
    assert moved <= remote


def test_an_honest_remote_stamp_is_passed() -> None:
    remote = Stamp(from_ms(NOW + 5) + 7)
    assert tick(observe(from_ms(NOW), remote, NOW), NOW) == remote + 1


def test_a_device_from_2036_does_not_drag_the_fleet_along() -> None:
    remote = from_ms(2_100_000_000_000)
    assert observe(from_ms(NOW), remote, NOW) == from_ms(NOW + DRIFT_MS_MAX)


def test_a_full_counter_carries_into_the_milliseconds() -> None:
    full = Stamp(from_ms(NOW) + 2**COUNTER_BITS - 1)
    assert tick(full, NOW) == from_ms(NOW + 1)


def test_a_clock_set_back_does_not_turn_stamps_back() -> None:
    last = tick(Stamp(0), NOW)
    assert tick(last, NOW - 3_600_000) == last + 1
