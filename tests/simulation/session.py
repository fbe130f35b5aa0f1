"""Both ends of a sync session, driven in virtual time as ``link.py`` drives them over a socket.

The state machines, their frames and what they do in a store are production's. What stands here is
only what production does with asyncio: order, hops to threads, the bell that tells of news.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import msgspec

from shared.core.kinds import lane_of
from shared.errors import BadFrame
from shared.store import exchange
from shared.store import node as nodes
from shared.store.store import Outcome
from shared.store.transaction import Change
from shared.sync import device, host
from shared.sync import frame as frames
from shared.sync.frame import Bye, DeviceStatus, Down, Stored, Taken, Up
from tests.simulation.node import Node
from tests.simulation.promises import Broken
from tests.simulation.wire import TO_AGENT, TO_HUB, Wire

BESIDE_RECORDS = {"conflict", "device"}  # kinds of change that no feed carries
REPEATABLE = (Up, Down, Stored, Taken)
STATUS = DeviceStatus(0, "synced", "0", ("wait", "print"), ())


class SessionEnd(ABC):
    """A process at one end: a machine, its effects, its death."""

    def __init__(
        self, node: Node, wire: Wire, outward: str, *, on_end: Callable[[str], None]
    ) -> None:
        self.node = node
        self.wire = wire
        self.is_over = False
        self._outward = outward
        self._on_end = on_end
        self._life = node.life
        self._is_ringing = False
        node.listeners.append(self._listen)

    @property
    def is_alive(self) -> bool:
        """Whether the session goes on, in the process that began it."""
        return not self.is_over and self.node.life == self._life

    def hear(self, data: bytes) -> None:
        """Take a frame from the wire."""
        if not self.is_alive:
            return
        try:
            frame = frames.decode(data)
        except BadFrame as error:
            self._say_bye(error.code, str(error))
            return
        self.step(device.Received(frame))

    def lose(self, reason: str) -> None:
        """End without a word: the other side is gone."""
        if self.is_alive:
            self._end(reason)

    def replace(self) -> None:
        """Give way to a newer session of the same device."""
        if self.is_alive:
            self._end("replaced by a newer session")

    def step(self, given: Any) -> None:
        """Give the machine an input, and perform what it asks for."""
        if not self.is_alive:
            return
        for effect in self._advance(given):
            if isinstance(effect, device.Send):
                self._check(effect.frame)
                # A greeting come twice ends the session, which teaches little.
                may_repeat = isinstance(effect.frame, REPEATABLE)
                packed = frames.encode(effect.frame)
                self.wire.send(self._outward, packed, may_repeat=may_repeat)
            elif isinstance(effect, device.Close):
                self._say_bye(effect.code, effect.reason)
                return
            else:
                self._perform(effect)

    def _say_bye(self, code: int, reason: str) -> None:
        self.wire.send(self._outward, frames.encode(Bye(code, reason)), may_repeat=False)
        self._end(f"{code} {reason}")

    def _end(self, reason: str) -> None:
        self.is_over = True
        self.node.timeline.note(self.node.name, f"session over: {reason}")
        if self._listen in self.node.listeners:
            self.node.listeners.remove(self._listen)
        self.wire.close(self._outward, reason)
        self._on_end(reason)

    def _listen(self, changes: list[Change]) -> None:
        if self._has_news(changes) and not self._is_ringing:
            self._is_ringing = True
            self.node.after(1, "bell", self._answer_bell)

    def _answer_bell(self) -> None:
        self._is_ringing = False
        news = self._news()
        if news is not None:
            self.step(news)

    def _then(self, make: Callable[[Any], Any]) -> Callable[[Outcome], None]:
        """Turn an outcome into an input; an error ends the session, as in production."""

        def then(outcome: Outcome) -> None:
            if not self.is_alive:
                return
            if outcome.error is None:
                self.step(make(outcome.value))
            else:
                self._end(f"{type(outcome.error).__name__}: {outcome.error}")

        return then

    def _guarded(self, make: Callable[[Any], Any]) -> Callable[[Outcome], None]:
        """Make the guard cover what was read before it can leave.

        Read first: what is committed between a guard and a read would leave uncovered.
        """
        then = self._then(make)
        return lambda outcome: self.node.rules.guard(self.node, lambda: then(outcome))

    @abstractmethod
    def _advance(self, given: Any) -> tuple[Any, ...]: ...

    @abstractmethod
    def _perform(self, effect: Any) -> None: ...

    @abstractmethod
    def _has_news(self, changes: list[Change]) -> bool: ...

    @abstractmethod
    def _news(self) -> Any: ...

    @abstractmethod
    def _check(self, frame: frames.Frame) -> None: ...


class DeviceEnd(SessionEnd):
    """An agent's end; performs effects as ``agent/device_session.py`` does."""

    def __init__(
        self,
        node: Node,
        wire: Wire,
        *,
        on_end: Callable[[str], None],
        on_up: Callable[[Node, Up], None],
    ) -> None:
        super().__init__(node, wire, TO_HUB, on_end=on_end)
        status = msgspec.structs.replace(STATUS, now_ms=node.clock.now_ms())
        hello = exchange.hello(node.store.node, node.site, status)
        self.was_open = False
        self.stored: dict[str, int] = {}
        self._on_up = on_up
        self._heads = {name: head.seq for name, head in hello.heads.items()}
        self._state = device.start(hello)

    def _advance(self, given: device.Input) -> tuple[device.Effect, ...]:
        self._state, effects = self.node.rules.receive_device(self._state, given)
        return effects

    def _perform(self, effect: device.Effect) -> None:
        node = self.node
        match effect:
            case device.Adopt(epoch):
                node.write(lambda tx: node.rules.adopt(tx, epoch), self._then(self._adopted))
            case device.ReadLog(origin, after):
                held = node.store.node
                node.read(
                    "read log",
                    lambda reading: exchange.read_log(reading, held, origin, after),
                    self._guarded(device.LogRead),
                )
            case device.TakeDown(chunk):
                then = self._then(lambda cursor: device.DownTaken(chunk.lane, cursor))
                node.rules.take_down(node, chunk, then)
            case device.NoteStored(origin, seq):
                self.stored[origin] = seq
            case device.TakeNewIncarnation(reason):
                raise Broken(1, "incarnation", f"{node.name} gives up its log: {reason}")
            case device.Send() | device.Close():
                raise AssertionError("sent and closed by step")

    def _adopted(self, cursors: dict[int, int]) -> device.Input:
        self.was_open = True
        return device.Adopted(cursors)

    def _has_news(self, changes: list[Change]) -> bool:
        return bool(changes)

    def _news(self) -> device.Input | None:
        heads = {
            log.name: log.head
            for log in self.node.store.node.logs.values()
            if log.own != nodes.OTHER and log.head > self._heads.get(log.name, 0)
        }
        self._heads |= heads
        return device.Advanced(heads) if heads else None

    def _check(self, frame: frames.Frame) -> None:
        if isinstance(frame, Up):
            self._on_up(self.node, frame)


class HostEnd(SessionEnd):
    """The hub's end for one device; performs effects as ``hub/gateway.py`` does."""

    def __init__(
        self,
        node: Node,
        wire: Wire,
        sessions: "dict[str, HostEnd]",
        *,
        on_end: Callable[[str], None],
        on_down: Callable[[Node, Down], None],
    ) -> None:
        super().__init__(node, wire, TO_AGENT, on_end=on_end)
        self.device = ""
        self.site = ""
        self._incarnation = ""
        self._sessions = sessions
        self._on_down = on_down
        self._changed: set[int] = set()
        self._state = host.State()

    def _advance(self, given: host.Input) -> tuple[host.Effect, ...]:
        self._state, effects = self.node.rules.receive_host(self._state, given)
        return effects

    def _perform(self, effect: host.Effect) -> None:
        node, name, site = self.node, self.device, self.site
        match effect:
            case host.Greet(hello):
                node.write(
                    lambda tx: exchange.greet(tx, hello),
                    self._or_turned(lambda welcome: self._admit(hello, welcome)),
                )
            case host.TakeUp(taken):
                node.write(
                    lambda tx: node.rules.take_up(tx, taken, device=name, site=site),
                    self._or_turned(host.UpTaken),
                )
            case host.ReadFeed(lane, cursor):
                node.read(
                    f"read feed {lane}",
                    lambda reading: node.rules.read_feed(
                        reading, device=name, site=site, lane=lane, cursor=cursor
                    ),
                    self._guarded(lambda chunk: host.FeedRead(lane, chunk)),
                )
            case host.NoteStatus(status):
                node.write(
                    lambda tx: exchange.note_status(tx, name, site, self._incarnation, status),
                    lambda _: None,
                )
            case device.Send() | device.Close():
                raise AssertionError("sent and closed by step")

    def _admit(self, hello: frames.Hello, welcome: frames.Welcome) -> host.Input:
        self.device, self.site, self._incarnation = hello.device, hello.site, hello.incarnation
        older = self._sessions.get(hello.device)
        self._sessions[hello.device] = self
        if older is not None:
            older.replace()
        return host.Greeted(welcome)

    def _or_turned(self, make: Callable[[Any], Any]) -> Callable[[Outcome], None]:
        then = self._then(make)

        def turned(outcome: Outcome) -> None:
            if isinstance(outcome.error, BadFrame):
                self.step(host.Turned(outcome.error.code, str(outcome.error)))
            else:
                then(outcome)

        return turned

    def _end(self, reason: str) -> None:
        super()._end(reason)
        if self._sessions.get(self.device) is self:
            del self._sessions[self.device]
            name = self.device
            self.node.write(lambda tx: exchange.note_seen(tx, name), lambda _: None)

    def _has_news(self, changes: list[Change]) -> bool:
        lanes = {int(lane_of(c.kind)) for c in changes if c.kind not in BESIDE_RECORDS}
        self._changed |= lanes
        return bool(lanes)

    def _news(self) -> host.Input | None:
        lanes, self._changed = frozenset(self._changed), set()
        return host.Changed(lanes) if lanes else None

    def _check(self, frame: frames.Frame) -> None:
        if isinstance(frame, Down):
            self._on_down(self.node, frame)
