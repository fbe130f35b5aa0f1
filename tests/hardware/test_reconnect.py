"""Reaching a device over and over, and stopping when told to."""

import asyncio
import random
from pathlib import Path

from hardware.mqtt_session import Presence, open_session
from hardware.reconnect import Backoff, HealthLog, WireDown, reconnect_for_ever
from hardware.simulators.broker import run_broker
from tests.hardware.bench import WAIT_S, eventually


def test_delays_grow_to_their_bound_and_start_again() -> None:
    chance = random.Random(7)
    backoff = Backoff(chance, base_s=1.0, max_s=8.0)
    for ceiling_s in (1.0, 2.0, 4.0, 8.0, 8.0, 8.0):
        assert 0.0 <= backoff.next_s() <= ceiling_s
    delays_s = [backoff.next_s() for _ in range(1000)]
    assert max(delays_s) <= 8.0
    assert max(delays_s) > 7.0
    assert min(delays_s) < 1.0, "full jitter"
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_health_is_dated_when_it_changes() -> None:
    times_ms = iter((1, 2, 3))
    health = HealthLog("light", lambda: next(times_ms))
    health.lost("no such port")
    health.lost("no such port")
    assert health.current.since_ms == 2
    health.connected("there")
    assert health.current.connected
    assert health.current.since_ms == 3


def test_each_change_of_health_is_told_once() -> None:
    health, told = HealthLog("light", lambda: 0), [""]
    health.watch(lambda: told.append(health.current.detail))
    health.lost("no such port")
    health.lost("no such port")
    health.connected("there")
    assert told == ["", "no such port", "there"]


async def test_trouble_and_bugs_alike_are_followed_by_another_try() -> None:
    health = HealthLog("light", lambda: 0)
    failures = [WireDown("unplugged"), RuntimeError("a bug")]
    seen: list[str] = []

    async def serve() -> None:
        seen.append(health.current.detail)
        if failures:
            raise failures.pop(0)
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(
            reconnect_for_ever(serve, health=health, backoff=Backoff(random.Random(1), base_s=0.01))
        )
        await eventually(lambda: len(seen) == 3)
        task.cancel()
    assert seen == ["not started", "unplugged", "failed: RuntimeError('a bug')"]


async def test_a_driver_stops_though_its_cancellation_met_a_failure() -> None:
    serving = asyncio.Event()

    async def serve() -> None:
        serving.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise WireDown("unplugged at the same moment")

    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(
            reconnect_for_ever(
                serve, health=HealthLog("light", lambda: 0), backoff=Backoff(random.Random(1))
            )
        )
        await serving.wait()
        task.cancel()
    assert task.cancelled()


async def test_a_publisher_stops_though_its_cancellation_met_the_answer(tmp_path: Path) -> None:
    chance = random.Random(11)

    async def publish_for_ever() -> None:
        while True:
            await session.publish("x", b"y")

    async with (
        run_broker(tmp_path) as broker,
        open_session(broker.url, "publisher", Presence("publisher/status")) as session,
    ):
        for _ in range(150):
            async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
                task = tasks.create_task(publish_for_ever())
                for _ in range(chance.randint(1, 40)):
                    await asyncio.sleep(0)
                task.cancel()
