"""How tasks went in a window: throughput, durations, failures, retries."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from shared.api import task_metrics
from shared.api.task_metrics import MetricsQuery, Percentiles, TaskMetrics, percentiles
from shared.core.kinds.task_bodies import Attempt, Outcome
from shared.core.lifecycle import Status
from tests.api.nodes import START_MS, Node, open_node, report, seat_at
from tests.api.served import Served


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path, "hub", "hub") as opened:
        yield opened


async def ran(
    node: Node, task_id: str, outcome: Outcome, *, number: int = 1, wait_ms: int, run_ms: int
) -> None:
    """Let a task's attempt start so long from now and end so long after that."""
    await node.replica.write(lambda tx: None if number > 1 else seat_at(tx, task_id, "robot-1"))
    start = node.clock.ms + wait_ms
    node.clock.ms = start + run_ms
    attempt = Attempt(f"{task_id}/{number}", number, "b", start, node.clock.ms, outcome)
    status = Status.SUCCEEDED if outcome is Outcome.SUCCEEDED else Status.WAITING
    await node.replica.write(lambda tx: report(tx, task_id, status, attempt=attempt))


async def measure(
    node: Node, window_s: int = 3600, by: str = "type", most: int = 100
) -> TaskMetrics:
    asked = MetricsQuery(window_s, "device" if by == "device" else "type")
    return await node.replica.read(lambda r: task_metrics.measure(r, asked, node.clock(), most))


async def test_attempts_are_measured_by_type_and_by_device(node: Node) -> None:
    one = await node.submit()
    await ran(node, one, Outcome.FAILED, wait_ms=2000, run_ms=500)
    await ran(node, one, Outcome.SUCCEEDED, number=2, wait_ms=9000, run_ms=1500)
    two = await node.submit(type="wait", payload={"seconds": 1})
    await ran(node, two, Outcome.CANCELLED, wait_ms=4000, run_ms=0)
    shown = await measure(node, window_s=100)
    assert (shown.by, shown.complete) == ("type", True)
    assert list(shown.groups) == ["command", "wait"]
    command = shown.groups["command"]
    assert (command.attempts, command.retries, command.failure_rate) == (2, 1, 0.5)
    none = {outcome.value: 0 for outcome in Outcome}
    assert command.outcomes == {**none, "failed": 1, "succeeded": 1}
    assert command.per_s == 2 / 100
    assert command.wait_s == Percentiles(2, 2, 2), "of the first attempt only"
    assert command.run_s == Percentiles(0.5, 1.5, 1.5)
    wait = shown.groups["wait"]
    assert (wait.failure_rate, wait.wait_s) == (None, Percentiles(4, 4, 4))
    assert (shown.total.attempts, shown.total.failure_rate) == (3, 0.5)
    assert list((await measure(node, by="device")).groups) == ["robot-1"]


async def test_the_window_ends_now_and_has_nothing_older(node: Node) -> None:
    old = await node.submit()
    await ran(node, old, Outcome.SUCCEEDED, wait_ms=0, run_ms=0)
    node.clock.ms += 10_000
    new = await node.submit()
    await ran(node, new, Outcome.SUCCEEDED, wait_ms=0, run_ms=0)
    assert (await measure(node, window_s=9)).total.attempts == 1
    assert (await measure(node, window_s=11)).total.attempts == 2
    node.clock.ms -= 5000  # an end in the future is some device's wrong clock
    assert (await measure(node, window_s=11)).total.attempts == 1


async def test_of_more_than_it_looks_at_the_newest_are_measured_and_it_says_since_when(
    node: Node,
) -> None:
    for _ in range(5):
        await ran(node, await node.submit(), Outcome.SUCCEEDED, wait_ms=0, run_ms=1000)
    shown = await measure(node, most=3)
    assert (shown.complete, shown.total.attempts) == (False, 3)
    assert shown.start == "2026-11-23T08:00:03.000Z"
    assert shown.total.per_s == 3 / 2


async def test_nothing_is_no_durations(node: Node) -> None:
    shown = await measure(node)
    assert (shown.total.attempts, shown.total.run_s, shown.total.wait_s) == (0, None, None)
    assert shown.groups == {}


@pytest.mark.parametrize("seed", range(20))
def test_percentiles_are_the_least_that_so_many_do_not_exceed(seed: int) -> None:
    chance = Random(seed)
    ms = [chance.randint(0, 50) * 1000 for _ in range(chance.randint(1, 300))]
    shown = percentiles(ms)
    assert shown is not None
    for share, value in ((50, shown.p50), (90, shown.p90), (99, shown.p99)):
        assert 100 * sum(v <= value * 1000 for v in ms) >= share * len(ms)
        assert 100 * sum(v < value * 1000 for v in ms) < share * len(ms)


async def test_the_route_answers_and_refuses(hub: Served) -> None:
    shown = await hub.get("/api/tasks/metrics?window_s=60&by=device")
    assert set(shown) == {"from", "to", "by", "complete", "total", "groups"}
    assert (shown["to"], shown["from"]) == ("2026-11-23T08:00:00.000Z", "2026-11-23T07:59:00.000Z")
    for query in ("window_s=0", "window_s=99999999", "by=colour", "colour=1"):
        answered = await hub.call("GET", f"/api/tasks/metrics?{query}")
        assert answered.status == 400, query


async def test_prometheus_counts_tasks_by_status_and_attempts_by_outcome(hub: Served) -> None:
    assert hub.node.clock.ms == START_MS
    done = await hub.node.submit()
    await ran(hub.node, done, Outcome.SUCCEEDED, wait_ms=0, run_ms=10)
    runs = await hub.node.submit()
    await hub.replica.write(lambda tx: seat_at(tx, runs, "robot-1"))
    await hub.node.report(runs, Status.RUNNING, number=1)
    text = (await hub.call("GET", "/metrics")).raw.decode()
    for line in (
        'skerry_tasks{status="succeeded"} 1',
        'skerry_tasks{status="running"} 1',
        'skerry_attempts{outcome="succeeded"} 1',
        'skerry_attempts{outcome="running"} 1',
    ):
        assert f"{line}\n" in text
