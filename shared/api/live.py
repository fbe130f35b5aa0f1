"""``/api/live``: a WebSocket that says what to listen to once, and then hears of every change."""

import asyncio
import logging

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from shared.api import auth
from shared.api.live_feed import CaughtUp, Listener, LiveFeed
from shared.api.route import Call, Route

HELLO_S = 5
HELLO_BYTES_MAX = 64 * 1024
TOPICS_MAX = 500
HEARTBEAT_S = 30
CLOSE_S = 5  # a listener that does not even read its end is dropped

BAD_MESSAGE = 4400
NO_TOKEN = 4401
TRY_LATER = 1013

log = logging.getLogger(__name__)


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first and only message of a listener.

    Attributes:
        subscribe: Topics.
        token: In place of the header, which a browser cannot send.
        after: Position to go on from.
    """

    subscribe: list[str]
    token: str | None = None
    after: str | None = None


class Subscribed(msgspec.Struct, frozen=True, tag_field="type", tag="subscribed"):
    """The answer to ``Hello``."""

    topics: list[str]
    position: str


class _Refused(Exception):
    """A hello that is not answered; becomes the close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def routes(feed: LiveFeed) -> tuple[Route, ...]:
    """Return the one route, served from a feed that runs."""

    async def listen(call: Call) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=HELLO_BYTES_MAX, compress=False
        )
        await socket.prepare(call.request)
        try:
            code, reason = await _serve(call, socket, feed)
        except Exception:  # the answer has begun, so no problem can be sent any more
            log.exception("a live connection failed")
            code, reason = WSCloseCode.INTERNAL_ERROR, "a fault of this node"
        await _close(call.request, socket, code, reason)
        return socket

    return (
        Route(
            method="GET",
            path="/api/live",
            handler=listen,
            summary='WebSocket: send {"subscribe": [topics]}, then hear of each change',
            status=101,
            is_open=True,  # the first message may carry the token
        ),
    )


async def _serve(call: Call, socket: web.WebSocketResponse, feed: LiveFeed) -> tuple[int, str]:
    """Run a connection; return how to close it."""
    try:
        hello = await _hello(call, socket, feed)
    except _Refused as refused:
        return refused.code, refused.reason
    listener = Listener(frozenset(hello.subscribe))
    if not feed.join(listener):
        return TRY_LATER, "too many listeners"
    try:
        # Joined first, read then: what changes in between is told twice rather than never.
        caught_up = await feed.catch_up(listener, hello.after)
        topics = list(dict.fromkeys(hello.subscribe))
        first = msgspec.json.encode(Subscribed(topics, str(caught_up.start)))
        async with asyncio.TaskGroup() as tasks:
            running = (
                tasks.create_task(_send(socket, listener, first, caught_up), name="live-send"),
                tasks.create_task(_watch(socket, listener), name="live-watch"),
            )
            await listener.ended.wait()
            for task in running:
                task.cancel()
    finally:
        feed.leave(listener)
    return listener.ending


async def _hello(call: Call, socket: web.WebSocketResponse, feed: LiveFeed) -> Hello:
    try:
        message = await socket.receive(timeout=HELLO_S)
    except TimeoutError as error:
        raise _Refused(BAD_MESSAGE, f"nothing came within {HELLO_S} s") from error
    if message.type is not WSMsgType.TEXT:
        raise _Refused(BAD_MESSAGE, "the first message must be JSON text")
    try:
        hello = msgspec.json.decode(message.data, type=Hello)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _Refused(BAD_MESSAGE, str(error)) from error
    token = auth.bearer(call.request) or hello.token or ""
    if auth.actor_of(token, call.context.tokens) is None:
        raise _Refused(NO_TOKEN, "no token of this node")
    if not 1 <= len(hello.subscribe) <= TOPICS_MAX:
        raise _Refused(BAD_MESSAGE, f"subscribe to 1 to {TOPICS_MAX} topics")
    for name in hello.subscribe:
        if not feed.has_topic(name):
            raise _Refused(BAD_MESSAGE, f"no topic {name[:60]!r}")
    return hello


async def _send(
    socket: web.WebSocketResponse, listener: Listener, first: bytes, caught_up: CaughtUp
) -> None:
    """Send what waits, as fast as the listener takes it."""
    try:
        for data in (first, *caught_up.messages):
            await socket.send_frame(data, WSMsgType.TEXT)
        while True:
            await listener.news.wait()
            listener.news.clear()
            while listener.queue:
                message = listener.queue.popleft()
                if message.at > caught_up.floor:
                    await socket.send_frame(message.data, WSMsgType.TEXT)
    except ConnectionError:
        listener.end(WSCloseCode.GOING_AWAY, "connection lost")


async def _watch(socket: web.WebSocketResponse, listener: Listener) -> None:
    """Wait for the listener to go; it has nothing more to say."""
    message = await socket.receive()
    if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
        listener.end(WSCloseCode.OK, "")
    else:
        listener.end(BAD_MESSAGE, "one message only; connect again for other topics")


async def _close(
    request: web.Request, socket: web.WebSocketResponse, code: int, reason: str
) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await socket.close(code=code, message=reason.encode()[:120])
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
