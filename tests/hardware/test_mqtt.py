"""The MQTT driver against a real broker, which is killed and started again."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import CoroutineType

import pytest

from hardware.driver import Observation
from hardware.look import LOOK_S
from hardware.mqtt import REASON_MAX, MqttMachine, client_id, parse_report, status_topic
from hardware.mqtt_session import KEEPALIVE_S, BrokerDown, Presence, Session, open_session
from hardware.simulators.broker import Broker, run_broker
from hardware.simulators.machine import run_machine
from shared.core.kinds.equipment import State
from tests.hardware.bench import WAIT_S, MemorySink, eventually, running

STATE = "press-1/state"
SET = "press-1/set"
JAM = Observation(State.RED, "jam")
RED, YELLOW, GREEN = (Observation(state) for state in (State.RED, State.YELLOW, State.GREEN))


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with run_broker(tmp_path / "broker") as broker:
        yield broker


def machine_driver(broker: Broker, seed: int = 1) -> MqttMachine:
    return MqttMachine(
        "press-1",
        device="gateway-1",
        url=broker.url,
        state_topic=STATE,
        set_topic=SET,
        now_ms=lambda: 0,
        chance=random.Random(seed),
    )


async def next_payload(session: Session) -> bytes:
    async with asyncio.timeout(WAIT_S):
        message = await session.receive()
    session.acknowledge(message)
    return message.payload


@pytest.mark.parametrize(
    ("payload", "observation"),
    [
        (b'{"state": "red", "reason": "jam"}', JAM),
        (b'{"state": "green"}', GREEN),
        (b'{"state": "green", "reason": "", "speed": 7}', GREEN),
        (b"yellow", YELLOW),
        (b" Red\r\n", RED),
        (b'{"state": "red", "reason": "' + b"x" * 900 + b'"}', Observation(State.RED, "x" * 200)),
        (b"", None),
        (b"blue", None),
        (b'{"state": "blue"}', None),
        (b'{"state": 1}', None),
        (b'{"state": "red"', None),
        (b'"red"', None),
        (b"\xff\xfe", None),
        (b'{"state": "red", "reason": "\xff"}', None),
        (b" " * 5000 + b"red", None),
    ],
)
def test_what_a_machine_may_send(payload: bytes, observation: Observation | None) -> None:
    assert REASON_MAX == 200
    assert parse_report(payload) == observation


async def test_states_go_in_and_desired_states_out(broker: Broker) -> None:
    driver, sink = machine_driver(broker), MemorySink()
    async with (
        running(driver, sink),
        run_machine(broker.url, name="press", state_topic=STATE, set_topic=SET) as machine,
    ):
        await eventually(lambda: driver.health.connected)
        await machine.report(State.RED, "jam")
        await machine.report(State.GREEN)
        await sink.until_stored(JAM, GREEN)
        driver.desire(State.YELLOW)
        await machine.until_told(State.YELLOW)


async def test_malformed_messages_are_counted_and_do_not_stop_the_rest(broker: Broker) -> None:
    driver, sink = machine_driver(broker), MemorySink()
    async with run_machine(broker.url, name="press", state_topic=STATE) as machine:
        async with running(driver, sink):
            await eventually(lambda: driver.health.connected)
            for payload in (b"\xff", b'{"state": "blue"}', b"red"):
                await machine.publish(payload)
            await sink.until_stored(RED)
            assert driver.malformed == 2
        again = machine_driver(broker)
        async with running(again, sink):
            await eventually(lambda: again.health.connected)
            await machine.report(State.GREEN)
            await sink.until_stored(RED, GREEN)
            assert again.malformed == 0, "they were acknowledged, though nothing was stored"


async def test_a_message_is_acknowledged_only_after_it_is_durable(broker: Broker) -> None:
    """Promise of the private names that aiomqtt is pinned for: they still do what we need."""
    sink = MemorySink()
    sink.open.clear()
    async with run_machine(broker.url, name="press", state_topic=STATE) as machine:
        first = machine_driver(broker)
        async with running(first, sink):
            await eventually(lambda: first.health.connected)
            await machine.report(State.RED, "jam")
            await sink.until_offered(1)
        assert sink.stored == [], "it stopped before the journal's commit"
        sink.open.set()
        async with running(machine_driver(broker), sink):
            await sink.until_stored(JAM)
        assert sink.offered == [JAM, JAM]
        last = machine_driver(broker)
        async with running(last, sink):
            await eventually(lambda: last.health.connected)
            await machine.report(State.GREEN)
            await sink.until_stored(JAM, GREEN)
        assert sink.offered == [JAM, JAM, GREEN], "once acknowledged it does not come again"


async def test_a_report_that_could_not_be_stored_comes_again(broker: Broker) -> None:
    driver, sink = machine_driver(broker), MemorySink()
    sink.refusals = 2
    async with (
        running(driver, sink),
        run_machine(broker.url, name="press", state_topic=STATE) as machine,
    ):
        await eventually(lambda: driver.health.connected)
        await machine.report(State.RED, "jam")
        await eventually(lambda: "not stored" in driver.health.detail)
        await sink.until_stored(JAM)
        assert sink.offered == [JAM] * 3
        await eventually(lambda: driver.health.connected)


async def test_a_message_repeated_while_it_is_held_is_not_offered_twice(broker: Broker) -> None:
    """The broker repeats after a second what is not acknowledged."""
    driver, sink = machine_driver(broker), MemorySink()
    sink.open.clear()
    async with (
        running(driver, sink),
        run_machine(broker.url, name="press", state_topic=STATE) as machine,
    ):
        await eventually(lambda: driver.health.connected)
        await machine.report(State.RED, "jam")
        await eventually(lambda: driver.repeated > 0)
        sink.open.set()
        await sink.until_stored(JAM)
        assert sink.offered == [JAM]


async def test_many_are_stored_at_once_and_in_order(broker: Broker) -> None:
    driver, sink = machine_driver(broker), MemorySink()
    sink.open.clear()
    sent = [Observation(State.RED, f"{number}") for number in range(150)]
    async with (
        running(driver, sink),
        run_machine(broker.url, name="press", state_topic=STATE) as machine,
    ):
        await eventually(lambda: driver.health.connected)
        for observation in sent:
            await machine.report(observation.state, observation.reason)
        await sink.until_offered(50)
        assert len(sink.offered) <= 64
        sink.open.set()
        await sink.until_stored(*sent)
    assert sink.stored == sent


async def test_nothing_is_lost_when_the_broker_is_killed(broker: Broker) -> None:
    driver, sink = machine_driver(broker), MemorySink()
    driver.desire(State.YELLOW)
    async with running(driver, sink):
        await eventually(lambda: driver.health.connected)
        sink.open.clear()
        async with run_machine(broker.url, name="press", state_topic=STATE) as machine:
            await machine.report(State.RED, "jam")
            await sink.until_offered(1)
        await broker.kill()
        await eventually(lambda: not driver.health.connected)
        sink.open.set()
        await broker.start()
        await sink.until_stored(JAM)
        async with run_machine(
            broker.url, name="press", state_topic=STATE, set_topic=SET
        ) as machine:
            await machine.until_told(State.YELLOW)
            await eventually(lambda: driver.health.connected)
            await machine.report(State.GREEN)
            await sink.until_stored(JAM, GREEN)


async def test_the_broker_keeps_what_comes_while_the_driver_is_away(broker: Broker) -> None:
    """The session survives both: the driver's absence and the broker's kill -9."""
    sink = MemorySink()
    first = machine_driver(broker)
    async with running(first, sink):
        await eventually(lambda: first.health.connected)
    sent = [Observation(State.RED, f"{number}") for number in range(20)]
    async with run_machine(broker.url, name="press", state_topic=STATE) as machine:
        for observation in sent:
            await machine.report(observation.state, observation.reason)
    await broker.kill()
    await broker.start()
    async with running(machine_driver(broker), sink):
        await sink.until_stored(*sent)
    assert sink.stored == sent


async def test_more_messages_than_fit_are_received_in_several_turns(broker: Broker) -> None:
    presence = Presence("slow/status")
    received: list[bytes] = []
    sent = [str(number).encode() for number in range(20)]
    async with (
        open_session(broker.url, "slow", presence, incoming_max=8) as slow,
        open_session(broker.url, "fast", Presence("fast/status")) as fast,
    ):
        await slow.subscribe(STATE)
        for payload in sent:
            await fast.publish(STATE, payload)
        await eventually(lambda: len(slow._client.messages) == 8)
        received += [await next_payload(slow) for _ in range(8)]
        with pytest.raises(BrokerDown, match="over 8 messages at once"):
            await next_payload(slow)
    assert received == sent[:8]
    async with open_session(broker.url, "slow", presence) as slow:
        while len(set(received)) < len(sent):  # at least once: the broker may repeat what it sent
            received.append(await next_payload(slow))
    assert sorted(set(received), key=int) == sent


async def test_others_see_when_the_driver_comes_and_goes(broker: Broker) -> None:
    topic = status_topic("gateway-1", "press-1")
    async with open_session(broker.url, "watcher", Presence("watcher/status")) as watcher:
        await watcher.subscribe(topic)
        driver = machine_driver(broker)
        async with running(driver, MemorySink()):
            assert await next_payload(watcher) == b"online"
        assert await next_payload(watcher) == b"offline"


async def test_the_last_will_speaks_for_a_driver_that_died(broker: Broker) -> None:
    presence = Presence(status_topic("gateway-1", "press-1"))
    name = client_id("gateway-1", "press-1")
    async with open_session(broker.url, "watcher", Presence("watcher/status")) as watcher:
        await watcher.subscribe(presence.topic)
        async with open_session(broker.url, name, presence) as session:
            assert await next_payload(watcher) == b"online"
            wire = session._client._client.socket()
            assert isinstance(wire, socket.socket)
            wire.shutdown(socket.SHUT_RDWR)  # without a goodbye
            with pytest.raises(BrokerDown):
                await session.receive()
        assert await next_payload(watcher) == b"offline"


async def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    async with run_broker(tmp_path / "broker") as broker:
        await broker.kill()
        driver = machine_driver(broker)
        async with running(driver, MemorySink()):
            await eventually(lambda: broker.url in driver.health.detail)
            assert not driver.health.connected


async def test_the_broker_hears_of_an_idle_driver_in_time(broker: Broker) -> None:
    """A private name again: that which aiomqtt runs is ours, and looks often enough."""
    async with open_session(broker.url, "idle", presence=None) as session:
        looking = session._client._misc_task
        assert looking is not None
        coroutine = looking.get_coro()
        assert isinstance(coroutine, CoroutineType)
        assert coroutine.__qualname__ == "_Client._misc_loop"
        assert not looking.done()
    assert KEEPALIVE_S + LOOK_S < 1.5 * KEEPALIVE_S, "when a broker takes a client for gone"
