"""What listeners of ``/api/live`` hear: each changed record read once, encoded once, for all."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from shared.api.context import Topic
from shared.replica import Replica
from shared.store import changes
from shared.store.changes import Position
from shared.store.transaction import Change, Reading

QUEUE_MAX = 1000  # messages that wait for one listener; then it is cut off (SHAPES, Live)
LISTENERS_MAX = 500
RESUME_MAX = 500  # changes told to one who comes back; of more, reading the lists is cheaper
PENDING_MAX = 10_000  # records whose change nobody was told yet
RENDER_MAX = 100  # records read in one step, so that other readers get their turn

LAGGED = 4408
GOING_AWAY = 1001

log = logging.getLogger(__name__)


class ChangeMessage(msgspec.Struct, frozen=True, tag_field="type", tag="change"):
    """A record is another now, or gone: then ``record`` is its id."""

    topic: str
    position: str
    op: str
    record: msgspec.Raw


class ResetMessage(msgspec.Struct, frozen=True, tag_field="type", tag="reset"):
    """Changes were missed: fetch the lists again."""

    position: str
    reason: str


class Message(msgspec.Struct, frozen=True):
    """One message to the listeners of a topic.

    Attributes:
        topic: Who it is for.
        at: Position of the change.
        data: Encoded.
    """

    topic: str
    at: int
    data: bytes


class CaughtUp(msgspec.Struct, frozen=True):
    """What a listener is told before anything new.

    Attributes:
        start: Position that it stands at before the messages.
        floor: Position up to which the messages bring it.
        messages: Encoded.
    """

    start: Position
    floor: int
    messages: list[bytes]


class Listener:
    """One live connection: what it wants, what waits for it, and how it ends."""

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.queue: deque[Message] = deque()
        self.news = asyncio.Event()
        self.ended = asyncio.Event()
        self.ending: tuple[int, str] = (GOING_AWAY, "")

    def put(self, message: Message) -> None:
        """Queue a message; a listener that does not keep up is cut off, never waited for."""
        if self.ended.is_set():
            return
        if len(self.queue) >= QUEUE_MAX:
            self.end(LAGGED, f"{QUEUE_MAX} messages wait; come back with the last position")
            return
        self.queue.append(message)
        self.news.set()

    def end(self, code: int, reason: str) -> None:
        """End the connection; the first ending counts."""
        if not self.ended.is_set():
            self.queue.clear()
            self.ending = (code, reason)
            self.ended.set()


class LiveFeed:
    """Follows the replica and tells listeners. ``run`` until cancelled.

    Changes of a record that come while listeners are being told of earlier ones coalesce: they
    hear the current record once. So a burst costs as many messages as it has records.
    """

    def __init__(self, replica: Replica, topics: Iterable[Topic]) -> None:
        self._replica = replica
        self._topics: Mapping[str, Topic] = {topic.kind: topic for topic in topics}
        self._listeners: set[Listener] = set()
        self._pending: dict[tuple[str, str], int] = {}  # in order of position
        self._overflowed = False
        self._news = asyncio.Event()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def has_topic(self, name: str) -> bool:
        """Say whether a topic can be subscribed to."""
        return any(
            name == t.name or (t.one and name.startswith(t.one) and name != t.one)
            for t in self._topics.values()
        )

    def join(self, listener: Listener) -> bool:
        """Tell a listener of all changes from now on; False: too many listen."""
        if len(self._listeners) >= LISTENERS_MAX:
            return False
        self._listeners.add(listener)
        return True

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """End every connection: the node goes down."""
        for listener in tuple(self._listeners):
            listener.end(GOING_AWAY, "the node goes down")

    async def catch_up(self, listener: Listener, after: str | None) -> CaughtUp:
        """Return what a listener that has joined missed since a position."""
        return await self._replica.read(lambda reading: self._missed(reading, listener, after))

    async def run(self) -> None:
        """Tell listeners of every change, until cancelled."""
        with self._replica.subscribe(self._hear):
            while True:
                await self._news.wait()
                self._news.clear()
                while self._pending or self._overflowed:
                    await self._tell_some()

    # ------------------------------------------------------------------ on the event loop

    def _hear(self, heard: list[Change]) -> None:
        if not self._listeners:
            return
        for change in heard:
            if change.kind in self._topics:
                self._pending.pop((change.kind, change.subject), None)
                self._pending[change.kind, change.subject] = change.position
        if len(self._pending) > PENDING_MAX:
            self._pending.clear()
            self._overflowed = True
        self._news.set()

    async def _tell_some(self) -> None:
        if self._overflowed:
            self._overflowed = False
            self._reset_all("too many changes at once")
            return
        some = islice(self._pending.items(), RENDER_MAX + 1)
        batch = [Change(at, kind, subject) for (kind, subject), at in some]
        labels = _labels(batch)[:RENDER_MAX]
        del batch[RENDER_MAX:]
        for change in batch:
            del self._pending[change.kind, change.subject]
        wanted = frozenset[str]().union(*(listener.topics for listener in self._listeners))
        try:
            messages = await self._replica.read(
                lambda reading: list(self._render(reading, batch, labels, wanted))
            )
        except Exception:  # one failed read never stops the feed (promise 6)
            log.exception("changes could not be read for live listeners; they start anew")
            self._reset_all("changes could not be read")
            return
        for listener in tuple(self._listeners):
            for message in messages:
                if message.topic in listener.topics:
                    listener.put(message)

    def _reset_all(self, reason: str) -> None:
        node = self._replica.node
        position = Position(node.epoch, node.position)
        data = msgspec.json.encode(ResetMessage(str(position), reason))
        for listener in tuple(self._listeners):
            listener.put(Message("", position.number, data))

    # ------------------------------------------------------------------ on the reading thread

    def _missed(self, reading: Reading, listener: Listener, after: str | None) -> CaughtUp:
        now = changes.position(reading)
        if after is None:
            return CaughtUp(now, now.number, [])
        place = changes.parse(after)
        if place is None or place.epoch != now.epoch or place.number > now.number:
            return _reset(now, "not a position of this node as it is now")
        missed = changes.since(reading, place.number, RESUME_MAX)
        if missed is None:
            return _reset(now, "position too old")
        missed = [change for change in missed if change.kind in self._topics]
        told = self._render(reading, missed, _labels(missed), listener.topics)
        return CaughtUp(place, now.number, [message.data for message in told])

    def _render(
        self,
        reading: Reading,
        batch: Sequence[Change],
        labels: Sequence[int],
        wanted: frozenset[str],
    ) -> Iterator[Message]:
        epoch = changes.position(reading).epoch
        for change, label in zip(batch, labels, strict=True):
            topic = self._topics[change.kind]
            for subject in topic.also(reading, change.subject):
                before = Position(epoch, change.position - 1)
                yield from _messages(reading, topic, subject, change.position, before, wanted)
            position = Position(epoch, label)
            yield from _messages(reading, topic, change.subject, change.position, position, wanted)


def _labels(batch: Sequence[Change]) -> list[int]:
    """Return the position to tell with each change: coming back from it, nothing is missed.

    A record and its conflict may share a position. Only the last of them may be told with it: one
    who heard the first alone must come back from before both.
    """
    positions = [change.position for change in batch]
    following = [*positions[1:], None]
    return [at - 1 if at == after else at for at, after in zip(positions, following, strict=False)]


def _messages(
    reading: Reading,
    topic: Topic,
    subject: str,
    at: int,
    position: Position,
    wanted: frozenset[str],
) -> Iterator[Message]:
    names = {topic.name, topic.one + subject if topic.one else topic.name} & wanted
    if not names:
        return
    try:
        view = topic.render(reading, subject)
    except Exception:  # a record that cannot be shown must not hide the others (promise 6)
        log.exception("%s %s cannot be shown to live listeners", topic.kind, subject)
        return
    op = "delete" if view is None else "put"
    record = msgspec.Raw(msgspec.json.encode(subject if view is None else view))
    for name in names:
        data = msgspec.json.encode(ChangeMessage(name, str(position), op, record))
        yield Message(name, at, data)


def _reset(now: Position, reason: str) -> CaughtUp:
    message = ResetMessage(str(now), reason)
    return CaughtUp(now, now.number, [msgspec.json.encode(message)])
