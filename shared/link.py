"""Drives a sync session over a WebSocket, for both ends.

One loop owns the session's state. A reader feeds it frames, performed effects feed it results,
and a bell tells it that the replica has news. Everything between them is bounded: a side that
sends faster than the other stores is slowed by TCP, not by memory.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from aiohttp import ClientError, WSMessage, WSMsgType

from shared.errors import BadFrame, LinkDown
from shared.sync import frame as frames
from shared.sync.device import Close, Received, Send
from shared.sync.frame import Bye, Frame

INBOX_MAX = 64  # inputs that wait for the session; frames beyond stay in the socket
SEND_TIMEOUT_S = 30  # a peer that does not read for so long is gone
HEARTBEAT_S = 15  # a ping; without a pong in half that time the connection is half-open: closed
CLOSE_TIMEOUT_S = 5

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - an input
E = TypeVar("E")

_BROKEN = (LinkDown, ClientError, ConnectionError, TimeoutError)

log = logging.getLogger(__name__)


class Socket(Protocol):
    """What both of aiohttp's WebSockets have."""

    async def send_bytes(self, data: bytes) -> None:
        """Send one binary message; waits while the peer does not read."""

    async def receive(self) -> WSMessage:
        """Return the next message."""

    async def close(self, *, code: int = 1000, message: bytes = b"") -> bool:
        """Close the connection."""


class Ended(Exception):
    """The session is over.

    Attributes:
        code: Close code, 1000 if nothing was wrong.
        reason: For people.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Link(Generic[S, I, E]):
    """A session over a socket. ``run`` once."""

    def __init__(
        self,
        socket: Socket,
        state: S,
        receive: Callable[[S, I], tuple[S, tuple[E, ...]]],
        perform: Callable[[E], Awaitable[I | None]],
        news: Callable[[], I | None],
    ) -> None:
        """Wire a session.

        Args:
            socket: Open.
            state: Where the session starts.
            receive: The state machine.
            perform: Carries out an effect that is not Send or Close; returns its result.
            news: Returns what the replica has to tell since it was asked last, or None.
        """
        self.state = state
        self._socket = socket
        self._receive = receive
        self._perform = perform
        self._news = news
        self._bell = asyncio.Event()
        self._inbox: asyncio.Queue[Any] = asyncio.Queue(INBOX_MAX)

    def ring(self) -> None:
        """Say that the replica has news."""
        self._bell.set()

    async def post(self, given: I) -> None:
        """Give the session an input; waits while it has too many."""
        await self._inbox.put(given)

    async def run(self, first: I | None = None) -> Ended:
        """Run until either side closes; return why.

        Raises:
            LinkDown: The connection broke.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(), name="sync-read")
                tasks.create_task(self._listen(), name="sync-news")
                if first is not None:
                    await self._step(tasks, first)
                while True:
                    await self._step(tasks, await self._inbox.get())
        except BaseExceptionGroup as group:
            return await self._over(group)

    async def _over(self, group: BaseExceptionGroup[Any]) -> Ended:
        """Sort out why the session ended: a word of either side, a bad frame, a broken wire."""
        errors = list(_flat(group))
        for error in errors:
            if isinstance(error, Ended):
                return error
        for error in errors:
            if isinstance(error, BadFrame):
                await self.say_bye(error.code, str(error))
                return Ended(error.code, str(error))
        for error in errors:
            if isinstance(error, _BROKEN):
                raise LinkDown(str(error) or "the peer does not answer") from group
        raise group

    async def _step(self, tasks: asyncio.TaskGroup, given: I) -> None:
        self.state, effects = self._receive(self.state, given)
        for effect in effects:
            if isinstance(effect, Send):
                await self._send(effect.frame)
            elif isinstance(effect, Close):
                await self.say_bye(effect.code, effect.reason)
                raise Ended(effect.code, effect.reason)
            else:
                # Tasks start in the order in which they are made, and the store takes them in that.
                tasks.create_task(self._carry_out(effect), name=f"sync-{type(effect).__name__}")

    async def _carry_out(self, effect: E) -> None:
        result = await self._perform(effect)
        if result is not None:
            await self._inbox.put(result)

    async def _send(self, frame: Frame) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._socket.send_bytes(frames.encode(frame))

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                await self._inbox.put(Received(frames.decode(message.data)))
            elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
                raise LinkDown(f"closed by the other side ({message.data or 'no code'})")
            elif message.type is WSMsgType.ERROR:
                raise LinkDown(f"the connection broke: {message.data}")
            else:
                raise BadFrame("a text message; frames are binary")

    async def _listen(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            news = self._news()
            if news is not None:
                await self._inbox.put(news)

    async def say_bye(self, code: int, reason: str) -> None:
        """Tell the other side why, if it still listens."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.send_bytes(frames.encode(Bye(code, reason)))
                await self._socket.close(code=code, message=reason.encode()[:120])
        except (TimeoutError, ClientError, ConnectionError) as error:
            log.debug("could not say goodbye: %s", error)


def _flat(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    """Yield the exceptions of nested groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flat(error)
        else:
            yield error
