"""Devices' sockets around the hub's side of the session, and who is connected at present."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack

from aiohttp import web

from shared.core.event import incarnation_of
from shared.core.kinds import lane_of
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Task
from shared.errors import BadFrame, Busy, LinkDown, SkerryError
from shared.link import HEARTBEAT_S, Link
from shared.replica import Replica
from shared.store import exchange, feed, judge, up
from shared.store.judge import React
from shared.store.transaction import Change, Transaction
from shared.sync import frame as frames
from shared.sync import host
from shared.sync.device import Close, Send
from shared.sync.frame import DeviceStatus, Hello, WaitNote, Welcome

SESSIONS_MAX = 5000  # sockets; a thousand devices and their half-open predecessors fit
RETRY_AFTER_S = 5  # half-open sockets are found dead within a heartbeat or two
GREETING_S = 10  # for a device to say who it is: a silent socket must not hold a session
SHOWN_MAX = 20  # tasks of a device that came or went, told anew to who watches; lists show all
# What acts comes first: the statuses are in the order of the index.
HELD = """SELECT id FROM tasks WHERE device = $1 AND status IN ('cancelling', 'running', 'waiting')
    AND seated = 1 LIMIT $2"""
BESIDE_RECORDS = frozenset({"conflict", "device"})  # kinds of change that no feed carries

log = logging.getLogger(__name__)

CaughtUp = Callable[[str, str], Awaitable[object]]  # device, its incarnation
HostLink = Link[host.State, host.Input, host.Effect]


class Gateway:
    """Serves ``/sync``. One session a device: a newer one replaces a half-open older one."""

    def __init__(
        self,
        replica: Replica,
        *,
        on_connected: Callable[[], None],
        on_caught_up: CaughtUp,
        react: React = judge.no_reaction,
        sessions_max: int = SESSIONS_MAX,
        greeting_s: float = GREETING_S,
    ) -> None:
        """Wire the gateway.

        Args:
            replica: The hub's.
            on_connected: Called whenever a device comes, goes, or is ready for more or for no more.
            on_caught_up: Awaited once all that a device still had of its former incarnations is
                here: what it had under those is now settled as far as it ever will be.
            react: What the hub does about events that arrive, in their transaction.
            sessions_max: Sockets open at once; more are told to come back later.
            greeting_s: For a device to say hello.
        """
        self._replica = replica
        self._on_connected = on_connected
        self._on_caught_up = on_caught_up
        self._react = react
        self._sessions_max = sessions_max
        self._greeting_s = greeting_s
        self._sessions: dict[str, _Session] = {}
        self._open = 0

    def connected(self) -> frozenset[str]:
        """Return the devices whose session is open."""
        return frozenset(self._sessions)

    def unready(self) -> Mapping[str, str]:
        """Return the devices that get nothing at present though their session is open, and why."""
        found = {name: one.unready for name, one in self._sessions.items()}
        return {name: why for name, why in found.items() if why is not None}

    def told(self, task: Task) -> WaitNote | None:
        """Return why a task waits, as the device that has it told last; any thread may ask."""
        held = task.allocation
        session = self._sessions.get(held.device) if held is not None else None
        return session.waits.get(task.id) if session is not None else None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Run one device's session; the caller has checked its token.

        Raises:
            Busy: As many as may are open.
        """
        if self._open >= self._sessions_max:
            raise Busy(f"{self._open} sessions are open; come back later", RETRY_AFTER_S)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=frames.MESSAGE_BYTES_MAX, compress=False
        )
        await socket.prepare(request)
        self._open += 1
        try:
            await self._serve(socket)
        finally:
            self._open -= 1
        return socket

    async def close(self) -> None:
        """End every session; devices come back by themselves."""
        for session in tuple(self._sessions.values()):
            await session.socket.close(code=1001, message=b"the hub goes down")

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        session = _Session(
            self._replica,
            socket,
            self._admit,
            self._on_caught_up,
            self._on_connected,
            self._react,
        )
        with ExitStack() as stack:
            stack.enter_context(self._replica.subscribe(session.hear))
            try:
                async with asyncio.timeout(self._greeting_s) as session.patience:
                    ended = await session.link.run()
                log.info("session of %s ended: %s", session.device or "?", ended)
            except LinkDown as error:
                log.info("session of %s ended: %s", session.device or "?", error)
            except TimeoutError:
                log.info("a socket that said no hello within %s s was closed", self._greeting_s)
                await session.link.say_bye(4400, f"no hello within {self._greeting_s} s")
            except Exception as error:
                is_expected = isinstance(error, SkerryError)
                log.warning(
                    "session of %s broke: %s",
                    session.device or "?",
                    error,
                    exc_info=not is_expected,
                )
            finally:
                await self._leave(session)

    async def _admit(self, session: "_Session", hello: Hello) -> host.Input:
        try:
            welcome = await self._replica.write(lambda tx: exchange.greet(tx, hello))
        except BadFrame as error:
            return host.Turned(error.code, str(error))
        older = self._sessions.get(hello.device)
        await session.greeted(hello, welcome)
        self._sessions[hello.device] = session
        if older is not None:
            log.info("a newer session of %s replaces the older", hello.device)
            await older.socket.close(code=4409, message=b"replaced by a newer session")
        self._on_connected()
        # The greeting's own change is told before the session counts: without this one, whoever
        # watches would go on seeing the device away.
        await self._replica.write(lambda tx: _note_seen(tx, hello.device))
        return host.Greeted(welcome)

    async def _leave(self, session: "_Session") -> None:
        if self._sessions.get(session.device) is not session:
            return
        del self._sessions[session.device]
        self._on_connected()
        device = session.device
        try:
            await asyncio.shield(self._replica.write(lambda tx: _note_seen(tx, device)))
        except SkerryError as error:  # the node may be closing; last_seen_at is advice
            log.info("could not note when %s was last seen: %r", device, error)


def _note_seen(tx: Transaction, device: str) -> None:
    """Note that a device was here until now; its tasks show another thing since it came or went."""
    exchange.note_seen(tx, device)
    for (task_id,) in tx.query(HELD, device, SHOWN_MAX):
        tx.announce("task", task_id)


class _Session:
    """Performs the effects of one device's session on the hub's replica."""

    def __init__(
        self,
        replica: Replica,
        socket: web.WebSocketResponse,
        admit: Callable[["_Session", Hello], Awaitable[host.Input]],
        on_caught_up: CaughtUp,
        on_ready: Callable[[], None],
        react: React,
    ) -> None:
        self.socket = socket
        self.device = ""
        self.site = ""
        self.incarnation = ""
        self.waits: Mapping[str, WaitNote] = {}  # replaced as a whole: other threads read it
        self.patience: asyncio.Timeout | None = None  # for the greeting
        self._replica = replica
        self._admit = admit
        self._on_caught_up = on_caught_up
        self._on_ready = on_ready
        self._react = react
        self._is_closing = False
        self._missing: dict[str, int] = {}  # logs of the device that are not whole here, how far
        self._changed: set[int] = set()
        self.link: HostLink = Link(socket, host.State(), host.receive, self._perform, self._news)

    async def greeted(self, hello: Hello, welcome: Welcome) -> None:
        """Note who it is, and which of its former logs are still to come."""
        self.device, self.site, self.incarnation = hello.device, hello.site, hello.incarnation
        self.waits, self._is_closing = hello.status.waits, hello.status.closing
        if self.patience is not None:
            self.patience.reschedule(None)
        held = {origin: head.seq for origin, head in welcome.heads.items()}
        self._missing = {
            origin: head.seq
            for origin, head in hello.heads.items()
            if head.seq > held.get(origin, 0)
        }
        if not self._lacks_former:
            await self._on_caught_up(self.device, self.incarnation)

    @property
    def unready(self) -> str | None:
        """Why the device gets nothing at present, for people; None: it may."""
        if self._missing:  # perhaps it has done already what it would be given
            return "is back, and is still telling what it did"
        return "is closing down" if self._is_closing else None

    @property
    def _lacks_former(self) -> bool:
        return any(incarnation_of(origin) != self.incarnation for origin in self._missing)

    def hear(self, changes: list[Change]) -> None:
        """Note which lanes have news; the link asks when it is ready."""
        # A record of a kind not known here travels too: its author waits for the verdict.
        lanes = {int(lane_of(c.kind)) for c in changes if c.kind not in BESIDE_RECORDS}
        if lanes - self._changed:
            self._changed |= lanes
            self.link.ring()

    def _news(self) -> host.Input | None:
        lanes, self._changed = frozenset(self._changed), set()
        return host.Changed(lanes) if lanes else None

    async def _perform(self, effect: host.Effect) -> host.Input | None:
        device, site = self.device, self.site
        match effect:
            case host.Greet(hello):
                return await self._admit(self, hello)
            case host.TakeUp(taken):
                return await self._take_up(taken)
            case host.ReadFeed(lane, cursor):
                chunk = await self._replica.read(
                    lambda reading: feed.read(
                        reading, device=device, site=site, lane=lane, cursor=cursor
                    )
                )
                # Afterwards: what is committed between a guard and a read would leave unguarded.
                await self._replica.about_to_leave()
                return host.FeedRead(lane, chunk)
            case host.NoteStatus(status):
                await self._note_status(status)
            case Send() | Close():
                raise AssertionError("the link sends and closes by itself")
        return None

    async def _note_status(self, status: DeviceStatus) -> None:
        """Keep what the device says of itself; tell listeners of tasks that wait otherwise now."""
        device, site, incarnation = self.device, self.site, self.incarnation
        before, self.waits = self.waits, status.waits
        changed = [i for i in {**before, **status.waits} if before.get(i) != status.waits.get(i)]

        def note(tx: Transaction) -> None:
            exchange.note_status(tx, device, site, incarnation, status)
            for task_id in changed:
                task = tasks.read(tx.record("task", task_id))
                if task is not None and task.allocation and task.allocation.device == device:
                    tx.announce("task", task_id)

        await self._replica.write(note)
        if status.closing != self._is_closing:
            self._is_closing = status.closing
            self._on_ready()

    async def _take_up(self, taken: frames.Up) -> host.Input:
        device, site, react = self.device, self.site, self._react
        try:
            answer = await self._replica.write(
                lambda tx: up.take(tx, taken, device=device, site=site, react=react)
            )
        except BadFrame as error:
            return host.Turned(error.code, str(error))
        if isinstance(answer, frames.Forked):
            log.warning("%s: a fork at %s %s is held apart", device, answer.origin, answer.seq)
            await self._note_arrival(answer.origin, None)
        else:
            await self._note_arrival(answer.origin, answer.head.seq)
        return host.UpTaken(answer)

    async def _note_arrival(self, origin: str, seq: int | None) -> None:
        """Note how far a log has come; None: as far as it ever will."""
        if origin not in self._missing or (seq is not None and seq < self._missing[origin]):
            return
        lacked_former = self._lacks_former
        del self._missing[origin]
        if lacked_former and not self._lacks_former:
            await self._on_caught_up(self.device, self.incarnation)
        if not self._missing:
            self._on_ready()
