"""Handler ``mqtt`` with a real broker and a machine behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.handlers.handler import HandlerFailed, LatestNotes, OutcomeUnknown, Output, Run
from agent.handlers.mqtt import MESSAGE_BYTES_MAX, REPLY_BYTES_MAX, Mqtt
from agent.handlers.topic import is_filter, is_topic, matches
from hardware.mqtt_session import Message, Presence, Session, open_session
from hardware.simulators.broker import Broker, run_broker
from shared.errors import Invalid
from tests.agent.robot import WAIT_S, eventually

GO = "hall/press/go"
DONE = "hall/press/done"

Answer = Callable[[Session, Message], Any]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with run_broker(tmp_path / "broker") as broker:
        yield broker


class Machine:
    """Takes every message of a filter, and answers as the test says."""

    def __init__(self) -> None:
        self.got: list[Message] = []

    @contextlib.asynccontextmanager
    async def running(self, broker: Broker, wanted: str, answer: Answer) -> AsyncIterator[None]:
        async with (
            open_session(broker.url, "machine", Presence("machine/status")) as session,
            asyncio.TaskGroup() as tasks,
        ):
            await session.subscribe(wanted)
            task = tasks.create_task(self._serve(session, answer))
            yield
            task.cancel()

    async def _serve(self, session: Session, answer: Answer) -> None:
        while True:
            message = await session.receive()
            session.acknowledge(message)
            self.got.append(message)
            await answer(session, message)


async def silent(session: Session, message: Message) -> None:
    """Never answers."""


async def by_object(session: Session, message: Message) -> None:
    """Answers others first, then by the correlation in the object."""
    asked = msgspec.json.decode(message.payload)
    for answer in (
        b"noise",
        b"[1]",
        b'{"correlation": "other", "ok": false}',
        msgspec.json.encode({"correlation": asked["correlation"], "ok": True}),
    ):
        await session.publish(DONE, answer)


async def by_topic(session: Session, message: Message) -> None:
    """Answers text on the topic that ends as the question's does."""
    key = message.topic.rpartition("/")[2]
    await session.publish(f"{DONE}/other", b"not this")
    await session.publish(f"{DONE}/{key}", b"done: " + message.payload)


def handler(broker: Broker, *allow: str, timeout_s: float = WAIT_S) -> Mqtt:
    return Mqtt(url=broker.url, allow=allow or ("hall/#",), reply_timeout_s=timeout_s)


async def run(
    one: Mqtt,
    folder: Path,
    attempt: str = "attempt-1",
    notes: LatestNotes | None = None,
    **payload: Any,
) -> Output:
    one.check(payload)
    async with asyncio.timeout(WAIT_S):
        return await one.run(
            Run("task-1", attempt, 1, payload, "key-1", folder, notes or LatestNotes())
        )


async def test_without_a_reply_it_is_done_once_the_broker_has_it(
    broker: Broker, tmp_path: Path
) -> None:
    machine = Machine()
    async with machine.running(broker, GO, silent):
        assert await run(handler(broker), tmp_path, topic=GO, message="now") == {}
        assert await run(handler(broker), tmp_path, topic=GO, message={"speed": 3}) == {}
        await eventually(lambda: len(machine.got) == 2)
    assert [message.payload for message in machine.got] == [b"now", b'{"speed":3}']


async def test_an_object_is_answered_by_its_correlation(broker: Broker, tmp_path: Path) -> None:
    machine, notes = Machine(), LatestNotes()
    async with machine.running(broker, GO, by_object):
        output = await run(
            handler(broker), tmp_path, notes=notes, topic=GO, message={"a": 1}, reply_topic=DONE
        )
    assert output == {"reply": {"correlation": "key-1", "ok": True}, "truncated": False}
    assert msgspec.json.decode(machine.got[0].payload) == {"a": 1, "correlation": "key-1"}
    assert notes.latest == {"waits_for": DONE}


async def test_text_is_answered_by_its_topic(broker: Broker, tmp_path: Path) -> None:
    machine = Machine()
    async with machine.running(broker, f"{GO}/+", by_topic):
        output = await run(handler(broker), tmp_path, topic=GO, message="go", reply_topic=DONE)
    assert output == {"reply": "done: go", "truncated": False}
    assert machine.got[0].topic == f"{GO}/key-1"


async def test_runs_beside_each_other_get_their_own_replies(broker: Broker, tmp_path: Path) -> None:
    one, machine = handler(broker), Machine()
    async with machine.running(broker, GO, by_object), asyncio.TaskGroup() as tasks:
        runs = [
            tasks.create_task(
                one.run(
                    Run(
                        "t",
                        f"attempt-{number}",
                        1,
                        {"topic": GO, "message": {}, "reply_topic": DONE},
                        f"key-{number}",
                        tmp_path,
                    )
                )
            )
            for number in range(5)
        ]
    replies = [task.result()["reply"]["correlation"] for task in runs]
    assert replies == [f"key-{number}" for number in range(5)]


async def test_a_long_reply_is_cut(broker: Broker, tmp_path: Path) -> None:
    async def much(session: Session, message: Message) -> None:
        await session.publish(f"{DONE}/key-1", b"x" * (REPLY_BYTES_MAX + 1))

    async with Machine().running(broker, f"{GO}/+", much):
        output = await run(handler(broker), tmp_path, topic=GO, message="go", reply_topic=DONE)
    assert output == {"reply": "x" * REPLY_BYTES_MAX, "truncated": True}


async def test_nobody_knows_what_a_silent_machine_did(broker: Broker, tmp_path: Path) -> None:
    async with Machine().running(broker, GO, silent):
        with pytest.raises(OutcomeUnknown) as caught:
            await run(
                handler(broker), tmp_path, topic=GO, message={}, reply_topic=DONE, timeout_s=0.2
            )
    assert caught.value.failure.type == "no-reply"
    assert caught.value.failure.message == f"no reply on {DONE} within 0.2 s"


async def test_a_broker_that_goes_while_we_wait_leaves_the_outcome_unknown(
    broker: Broker, tmp_path: Path
) -> None:
    notes = LatestNotes()
    task = asyncio.ensure_future(
        run(handler(broker), tmp_path, notes=notes, topic=GO, message={}, reply_topic=DONE)
    )
    await eventually(lambda: notes.latest is not None)
    await broker.kill()
    with pytest.raises(OutcomeUnknown) as caught:
        await task
    assert caught.value.failure.type == "broker-down"


async def test_a_broker_that_is_away_is_tried_again(broker: Broker, tmp_path: Path) -> None:
    await broker.kill()
    with pytest.raises(HandlerFailed) as caught:
        await run(handler(broker), tmp_path, topic=GO, message="go")
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.failure.type == "broker-down"
    assert not caught.value.failure.permanent


async def test_a_cancelled_run_leaves_the_broker(broker: Broker, tmp_path: Path) -> None:
    notes = LatestNotes()
    task = asyncio.ensure_future(
        run(handler(broker), tmp_path, notes=notes, topic=GO, message={}, reply_topic=DONE)
    )
    await eventually(lambda: notes.latest is not None)
    task.cancel()
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "payload", [{"topic": "other/go"}, {"topic": GO, "reply_topic": "other/done"}]
)
async def test_a_topic_off_the_list_is_not_used(
    broker: Broker, tmp_path: Path, payload: dict[str, Any]
) -> None:
    with pytest.raises(HandlerFailed) as caught:
        await run(handler(broker), tmp_path, message="x", **payload)
    assert caught.value.failure.type == "not-allowed"
    assert caught.value.failure.permanent


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"topic": GO},
        {"message": "x"},
        {"topic": "", "message": "x"},
        {"topic": "a/#", "message": "x"},
        {"topic": "$SYS/x", "message": "x"},
        {"topic": GO, "reply_topic": "a/+", "message": "x"},
        {"topic": GO, "message": "x", "qos": 2},
        {"topic": GO, "message": "x", "timeout_s": 0},
        {"topic": GO, "message": "x" * MESSAGE_BYTES_MAX},
        {"topic": GO, "message": {"correlation": 1}, "reply_topic": DONE},
    ],
)
def test_a_payload_that_is_no_message_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        Mqtt(url="mqtt://x", allow=(), reply_timeout_s=1).check(payload)
    assert caught.value.places[0][0].startswith("$.payload")


@pytest.mark.parametrize(
    ("wanted", "topic", "fits"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+/c", "a/b/c", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("+", "a", True),
        ("+", "a/b", False),
    ],
)
def test_a_filter_means_topics(wanted: str, topic: str, fits: bool) -> None:
    assert is_filter(wanted)
    assert is_topic(topic)
    assert matches(wanted, topic) is fits


@pytest.mark.parametrize("text", ["", "a+", "a/#/b", "a#", "##", "a/b+/c", "a\0"])
def test_what_is_no_filter(text: str) -> None:
    assert not is_filter(text)
