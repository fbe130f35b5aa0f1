"""The link between a session and a socket, over real sockets: what is no frame closes with why."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from backports import zstd

from shared.store import exchange
from shared.sync import frame as frames
from shared.sync.frame import FRAME_BYTES_MAX, Bye, Frame, Hello, Welcome
from shared.sync.host import EITHER_SIDE
from tests.shared.making import GREEN, event
from tests.shared.nodes import SITE, STATUS
from tests.shared.store.test_up import log, stretch
from tests.shared.wire import WAIT_S, Hub, eventually, listening, opened, report

HELLO = Hello(1, "a", "1", SITE, {}, STATUS)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with opened(tmp_path / "hub", "hub", "hub") as replica, listening(replica) as hub:
        yield hub


@asynccontextmanager
async def connected(hub: Hub) -> AsyncIterator[ClientWebSocketResponse]:
    async with ClientSession() as client, client.ws_connect(f"{hub.url}/sync") as socket:
        yield socket


async def send(socket: ClientWebSocketResponse, frame: Frame) -> None:
    await socket.send_bytes(frames.encode(frame))


async def receive(socket: ClientWebSocketResponse) -> Frame:
    return frames.decode(await socket.receive_bytes(timeout=WAIT_S))


async def closing(socket: ClientWebSocketResponse) -> tuple[Bye | None, int | None]:
    """Read to the end; return the last word and the close code."""
    bye = None
    async with asyncio.timeout(WAIT_S):
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                frame = frames.decode(message.data)
                bye = frame if isinstance(frame, Bye) else None
    return bye, socket.close_code


async def test_a_hello_is_answered(hub: Hub) -> None:
    async with connected(hub) as socket:
        await send(socket, HELLO)
        welcome = await receive(socket)
        assert isinstance(welcome, Welcome)
        assert (welcome.hub, welcome.epoch) == ("hub", hub.replica.node.epoch)
        assert hub.gateway.connected() == {"a"}
    await eventually(lambda: not hub.gateway.connected())


BAD = {
    "garbage": (b"\xff\xfe garbage", 4400),
    "empty": (b"", 4400),
    "a frame of a later version": (
        b"\x00" + msgspec.msgpack.encode({"type": "greetings", "protocol": 9}),
        4400,
    ),
    "a frame that does not belong here": (
        frames.encode(stretch(log(event("a.1", 1)), 1, 1)),
        4400,
    ),
    "a bomb": (b"\x01" + zstd.compress(bytes(FRAME_BYTES_MAX + 1)), 4413),
    "protocol 0": (frames.encode(msgspec.structs.replace(HELLO, protocol=0)), 4426),
    "another site": (frames.encode(msgspec.structs.replace(HELLO, site="elsewhere")), 4403),
    "no incarnation": (frames.encode(msgspec.structs.replace(HELLO, incarnation="")), 4403),
    "no name": (frames.encode(msgspec.structs.replace(HELLO, device="../hub")), 4403),
    "the hub's name": (frames.encode(msgspec.structs.replace(HELLO, device="hub")), 4403),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
async def test_what_cannot_be_taken_closes_with_code_and_reason(
    hub: Hub, case: tuple[bytes, int]
) -> None:
    """Promise 6; nothing is written."""
    data, code = case
    before = hub.replica.node
    async with connected(hub) as socket:
        await socket.send_bytes(data)
        bye, close_code = await closing(socket)
    assert close_code == code
    assert bye is not None
    assert bye.code == code
    assert bye.reason
    assert hub.replica.node.logs == before.logs
    assert await hub.replica.read(lambda r: r.query("SELECT count(*) FROM devices")) == [(0,)]
    assert hub.gateway.connected() == frozenset()


async def test_a_socket_that_says_nothing_is_closed_with_the_reason(tmp_path: Path) -> None:
    async with (
        opened(tmp_path / "hub", "hub", "hub") as replica,
        listening(replica, greeting_s=0.05) as hub,
        connected(hub) as socket,
    ):
        bye, code = await closing(socket)
    assert code == 4400
    assert bye is not None
    assert "hello" in bye.reason


async def test_a_text_message_closes(hub: Hub) -> None:
    async with connected(hub) as socket:
        await socket.send_str('{"type": "hello"}')
        bye, code = await closing(socket)
    assert code == 4400
    assert bye is not None
    assert "binary" in bye.reason


async def test_a_message_over_the_limit_closes(hub: Hub) -> None:
    async with connected(hub) as socket:
        await send(socket, HELLO)
        assert isinstance(await receive(socket), Welcome)
        await socket.send_bytes(bytes(FRAME_BYTES_MAX + 100))
        bye, code = await closing(socket)
    assert code == 4413
    assert bye is not None
    assert str(FRAME_BYTES_MAX) in bye.reason
    await eventually(lambda: not hub.gateway.connected())


async def test_garbage_in_the_middle_ends_the_session_and_keeps_what_was_stored(hub: Hub) -> None:
    made = log(event("a.1", 1), event("a.1", 2, {"a.1": 1}))
    async with connected(hub) as socket:
        await send(socket, HELLO)
        await receive(socket)
        await send(socket, frames.Follow({}))
        await send(socket, stretch(made, 1, 1))
        while not isinstance(await receive(socket), frames.Stored):
            continue
        await send(socket, stretch(log(*(event("b.1", n) for n in (1, 2))), 1, 2))
        bye, code = await closing(socket)
    assert code == 4403
    assert bye is not None
    assert hub.head("a.1") == 1
    assert "b.1" not in hub.replica.node.logs
    await report(hub.replica, GREEN)


async def test_a_device_that_sends_on_without_waiting_is_closed(hub: Hub) -> None:
    made = log(*(event("a.1", n) for n in range(1, 31)))
    disk = threading.Event()
    async with connected(hub) as socket, asyncio.TaskGroup() as tasks:
        await send(socket, HELLO)
        await receive(socket)
        await send(socket, frames.Follow({}))
        tasks.create_task(hub.replica.write(lambda _: disk.wait(WAIT_S)))  # a slow disk
        try:
            for number in range(1, 31):
                await send(socket, stretch(made, number, number))
            bye, code = await closing(socket)
        finally:
            disk.set()
    assert code == 4400
    assert bye is not None
    assert "without waiting" in bye.reason
    assert hub.head("a.1") <= EITHER_SIDE


async def test_a_device_that_vanishes_is_noted(hub: Hub) -> None:
    async with ClientSession() as client:
        socket = await client.ws_connect(f"{hub.url}/sync")
        await send(socket, HELLO)
        await receive(socket)
        assert socket._response.connection is not None
        transport = socket._response.connection.transport
        assert transport is not None
        transport.abort()
        await eventually(lambda: not hub.gateway.connected())
    assert hub.came_and_went == 2


async def test_two_sessions_of_one_device_the_newer_wins(hub: Hub) -> None:
    async with connected(hub) as older:
        await send(older, HELLO)
        await receive(older)
        async with connected(hub) as newer:
            await send(newer, HELLO)
            reading = asyncio.ensure_future(closing(older))
            assert isinstance(await receive(newer), Welcome)
            _, code = await reading
            assert code == 4409
            assert hub.gateway.connected() == {"a"}
            await send(newer, frames.Follow({}))
            await send(newer, stretch(log(event("a.1", 1)), 1, 1))
            while not isinstance(await receive(newer), frames.Stored):
                continue
    await eventually(lambda: not hub.gateway.connected())


async def test_a_hub_that_goes_down_says_so(hub: Hub) -> None:
    async with connected(hub) as socket:
        await send(socket, HELLO)
        await receive(socket)
        reading = asyncio.ensure_future(closing(socket))
        await hub.gateway.close()
        assert (await reading)[1] == 1001


async def test_hello_names_every_log_of_the_device(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica, GREEN)
        await replica.run_on_writer(lambda store: store.new_incarnation("a test"))
        hello = exchange.hello(replica.node, SITE, STATUS)
        assert [head.seq for head in hello.heads.values()] == [2, 0]
        assert hello.incarnation == list(hello.heads)[1].rpartition(".")[2]
