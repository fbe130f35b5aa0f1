"""Which changes become events: tables over the pure machine, driven by its own wake-ups."""

import random

import pytest

from hardware.driver import Observation
from hardware.flapping import (
    REPORTS_MAX,
    UNSETTLED_MS_MAX,
    WINDOW_MS,
    Dwell,
    Effect,
    Flapping,
    NotStored,
    Observed,
    Report,
    Wake,
    Woken,
    receive,
)
from shared.core.kinds.equipment import State

GREEN, YELLOW, RED = (Observation(state) for state in State)


class Bench:
    """Feeds observations at given times and wakes the machine when it asked to be."""

    def __init__(self, dwell_ms: int = 1000) -> None:
        self.dwell = Dwell(dwell_ms)
        self.events: list[tuple[int, Report | Flapping]] = []
        self.wake_ms: int | None = None

    def observe(self, at_ms: int, observation: Observation) -> None:
        self.run_until(at_ms)
        self.take(Observed(observation), at_ms)

    def run_until(self, end_ms: int) -> None:
        while self.wake_ms is not None and self.wake_ms <= end_ms:
            at_ms, self.wake_ms = self.wake_ms, None
            self.take(Woken(), at_ms)

    def take(self, received: Observed | Woken | NotStored, at_ms: int) -> None:
        self.dwell, effects = receive(self.dwell, received, at_ms)
        for effect in effects:
            self.perform(effect, at_ms)
        assert self.dwell.settled or self.wake_ms is not None, "unsettled for ever"

    def perform(self, effect: Effect, at_ms: int) -> None:
        match effect:
            case Wake(wake_ms):
                assert wake_ms > at_ms, "a wake-up in the past would spin"
                self.wake_ms = wake_ms
            case Report() | Flapping():
                self.events.append((at_ms, effect))


@pytest.mark.parametrize(
    ("observed", "events"),
    [
        pytest.param([(0, RED)], [(1000, Report(RED))], id="a value that stands"),
        pytest.param([(0, RED), (500, RED)], [(1000, Report(RED))], id="said twice"),
        pytest.param(
            [(0, RED), (999, GREEN)], [(1999, Report(GREEN))], id="replaced within the dwell"
        ),
        pytest.param([(0, RED), (5000, GREEN), (5500, RED)], [(1000, Report(RED))], id="a bounce"),
        pytest.param(
            [(0, RED), (5000, RED), (9000, RED)], [(1000, Report(RED))], id="no change, no event"
        ),
        pytest.param(
            [(0, RED), (3000, Observation(State.RED, "jam"))],
            [(1000, Report(RED)), (4000, Report(Observation(State.RED, "jam")))],
            id="another reason is a change",
        ),
    ],
)
def test_the_dwell(
    observed: list[tuple[int, Observation]], events: list[tuple[int, Report]]
) -> None:
    bench = Bench()
    for at_ms, observation in observed:
        bench.observe(at_ms, observation)
    bench.run_until(100_000)
    assert bench.events == events
    assert bench.dwell.settled


def test_without_dwell_a_change_is_reported_at_once() -> None:
    bench = Bench(dwell_ms=0)
    bench.observe(7, RED)
    assert bench.events == [(7, Report(RED))]


def test_changes_beyond_ten_a_minute_become_one_counted_report() -> None:
    bench = Bench()
    for index in range(20):
        bench.observe(index * 2000, RED if index % 2 else GREEN)
    bench.run_until(300_000)
    ordinary = [event for _, event in bench.events if isinstance(event, Report)]
    assert len(ordinary) == REPORTS_MAX
    assert bench.events[REPORTS_MAX:] == [(1000 + WINDOW_MS, Flapping(RED, changes=10))]


def test_changes_faster_than_the_dwell_do_not_stay_unseen() -> None:
    bench = Bench()
    for index in range(40):
        bench.observe(index * 500, RED if index % 2 else GREEN)
    assert [type(event) for _, event in bench.events] == [Flapping]
    at_ms, event = bench.events[0]
    assert at_ms == UNSETTLED_MS_MAX
    assert isinstance(event, Flapping)
    assert event.changes == UNSETTLED_MS_MAX // 500


def test_what_could_not_be_stored_is_a_change_again() -> None:
    bench = Bench(dwell_ms=0)
    bench.observe(0, RED)
    bench.take(NotStored(), 1)
    bench.observe(2, RED)
    assert bench.events == [(0, Report(RED)), (2, Report(RED))]


@pytest.mark.parametrize("seed", range(50))
def test_never_more_than_ten_a_minute_and_the_newest_value_always_arrives(seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench()
    at_ms, newest = 0, GREEN
    for _ in range(300):
        at_ms += chance.choice((50, 400, 1200, 3000, 9000))
        newest = chance.choice((GREEN, YELLOW, RED))
        bench.observe(at_ms, newest)
    bench.run_until(at_ms + WINDOW_MS + 1000)
    assert bench.dwell.settled, seed
    assert bench.events[-1][1].observation == newest, seed
    times = [at_ms for at_ms, _ in bench.events]
    for index, start_ms in enumerate(times[:-REPORTS_MAX]):
        assert times[index + REPORTS_MAX] - start_ms >= WINDOW_MS, seed
