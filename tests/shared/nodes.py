"""Nodes for tests: a real store each, run inline, and sessions between them, frame by frame."""

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

from agent import testimony
from hub import reactions
from shared.core.clock import ClockTrust
from shared.core.event import Event
from shared.core.kinds.equipment import PERSON, Created, Equipment, Report, State, exists, view
from shared.errors import BadFrame
from shared.store import database, exchange, feed, up
from shared.store.guard import Guard, GuardFile, GuardState
from shared.store.store import Committed, Identity, Store
from shared.store.transaction import Reading, Transaction
from shared.sync import device, host
from shared.sync import frame as frames
from shared.sync.frame import DeviceStatus
from tests.shared.making import NOW_MS

T = TypeVar("T")
SITE = "demo"
STATUS = DeviceStatus(0, "synced", "0", ("command",), ())
EVERYTHING = frozenset({0, 1})


class Clock:
    """Virtual time, Unix ms."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


class MemoryGuard:
    """A guard that a test can look into and lose."""

    def __init__(self) -> None:
        self.state: GuardState | None = None

    def load(self) -> GuardState | None:
        """Return what was saved."""
        return self.state

    def save(self, state: GuardState) -> None:
        """Keep it."""
        self.state = state


class Node:
    """A store and what tests do with it."""

    def __init__(
        self, db: sqlite3.Connection, start: Callable[[sqlite3.Connection], Store], clock: Clock
    ) -> None:
        self.db = db
        self.store = start(db)
        self.clock = clock
        self._start = start

    def restart(self) -> None:
        """Lose what is in memory, and start again on what the disk holds."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
        self.store = self._start(self.db)

    @property
    def name(self) -> str:
        """The device's."""
        return self.store.node.device

    @property
    def origin(self) -> str:
        """The log that the node writes through."""
        return self.store.node.writes[SITE]

    @property
    def reading(self) -> Reading:
        """What is committed."""
        return self.store.reading()

    def write(self, change: Callable[[Transaction], T]) -> T:
        """Run one write in a transaction of its own."""
        (outcome,) = self.store.commit([change]).outcomes
        if outcome.error is not None:
            raise outcome.error
        value: T = outcome.value
        return value

    def group(self, *changes: Callable[[Transaction], object], may_lead: bool = False) -> Committed:
        """Run several writes in one transaction."""
        return self.store.commit(changes, may_lead=may_lead)

    def report(self, state: State, reason: str | None = None, *, of: str = "press-1") -> Event:
        """Report a state a second later, creating the equipment if it is not known here."""
        self.clock.ms += 1000
        return self.write(reporting(state, reason, of=of, actor=f"at {self.name}"))

    def shown(self, subject: str = "press-1") -> Equipment:
        """Return the equipment as this node shows it."""
        return view(self.reading.record("equipment", subject))

    def conflicts(self) -> list[tuple[str, str]]:
        """Return the ids and statuses of the conflicts."""
        return [(i, s) for i, s in self.reading.query("SELECT id, status FROM conflicts")]

    def verdicts(self) -> list[tuple[int, int, str | None]]:
        """Return the own events that were not plainly applied: seq, verdict, reason."""
        return [
            (seq, verdict, reason)
            for seq, verdict, reason in self.reading.query(
                "SELECT seq, verdict, reason FROM journal WHERE verdict > 1 ORDER BY entry"
            )
        ]


def reporting(
    state: State,
    reason: str | None = None,
    *,
    of: str = "press-1",
    actor: str = "ann",
    register: str = PERSON,
) -> Callable[[Transaction], Event]:
    """Return a write that reports a state."""

    def change(tx: Transaction) -> Event:
        if not exists(tx.record("equipment", of)):
            tx.append(
                site=SITE,
                kind="equipment.created",
                subject=of,
                register="created",
                body=Created(),
                actor=actor,
            )
        return tx.append(
            site=SITE,
            kind="equipment.state",
            subject=of,
            register=register,
            body=Report(state, reason),
            actor=actor,
        )

    return change


def open_node(
    role: str,
    name: str,
    *,
    clock: Clock | None = None,
    folder: Path | None = None,
    guard: Guard | None = None,
    machine_id: str | None = None,
    sites: tuple[str, ...] = (SITE,),
    seed: int = 0,
) -> Node:
    """Open a node in memory, or in a folder (whose guard is a file beside the database)."""
    clock = clock or Clock()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    guard = guard or (GuardFile(folder) if folder else MemoryGuard())

    def start(db: sqlite3.Connection) -> Store:
        return Store(
            db,
            Identity(role, name, sites, machine_id),
            guard,
            now_ms=clock,
            trust=lambda: ClockTrust.SYNCED,
            chance=Random(f"{name} {seed}"),
        )

    db = database.connect(str(folder / database.FILE) if folder else ":memory:")
    return Node(db, start, clock)


def close(node: Node) -> None:
    """Close a node's database."""
    node.db.close()


class Session:
    """A sync session between an agent and a hub, performed step by step in any order.

    Attributes:
        ended: Close codes and reasons, as the device and as the hub gave them.
    """

    def __init__(self, agent: Node, hub: Node) -> None:
        self.agent, self.hub = agent, hub
        hello = exchange.hello(agent.store.node, SITE, STATUS)
        self.device = device.start(hello)
        self.host = host.State()
        self.to_device: deque[device.Input] = deque([device.Opened()])
        self.to_host: deque[host.Input] = deque()
        self.ended: list[tuple[int, str]] = []

    @property
    def is_idle(self) -> bool:
        """Whether both sides wait."""
        return not (self.to_device or self.to_host)

    def run(self, steps_max: int = 100_000) -> "Session":
        """Go on until both sides wait, or a number of steps were made."""
        for _ in range(steps_max):
            if self.is_idle:
                break
            self.step(at_device=bool(self.to_device))
        return self

    def step(self, *, at_device: bool) -> None:
        """Let one side take one input."""
        if at_device and self.to_device:
            self.device, effects = device.receive(self.device, self.to_device.popleft())
            for effect in effects:
                self._perform_device(effect)
        elif self.to_host:
            self.host, effects_ = host.receive(self.host, self.to_host.popleft())
            for effect_ in effects_:
                self._perform_host(effect_)

    def wake(self) -> "Session":
        """Tell both sides that their replicas have news."""
        logs = self.agent.store.node.logs.values()
        self.to_device.append(device.Advanced({g.name: g.head for g in logs if g.own}))
        self.to_host.append(host.Changed(EVERYTHING))
        return self

    def _perform_device(self, effect: device.Effect) -> None:
        agent = self.agent
        match effect:
            case device.Send(sent):
                self.to_host.append(device.Received(frames.decode(frames.encode(sent))))
            case device.Close(code, reason):
                self.ended.append((code, reason))
            case device.Adopt(epoch):
                cursors = agent.write(lambda tx: exchange.adopt(tx, epoch))
                self.to_device.append(device.Adopted(cursors))
            case device.ReadLog(origin, after):
                agent.store.about_to_leave()
                stretch = exchange.read_log(agent.reading, agent.store.node, origin, after)
                self.to_device.append(device.LogRead(stretch))
            case device.TakeDown(chunk):
                cursor = agent.write(lambda tx: testimony.take(tx, chunk))
                self.to_device.append(device.DownTaken(chunk.lane, cursor))
            case device.NoteStored(origin, seq):
                agent.write(lambda tx: exchange.note_stored(tx, {origin: seq}))
            case device.TakeNewIncarnation(reason):
                agent.store.new_incarnation(reason)

    def _perform_host(self, effect: host.Effect) -> None:
        hub, name, site = self.hub, self.host.device, self.host.site
        match effect:
            case device.Send(sent):
                self.to_device.append(device.Received(frames.decode(frames.encode(sent))))
            case device.Close(code, reason):
                self.ended.append((code, reason))
            case host.Greet(hello):
                self._answer(lambda tx: host.Greeted(exchange.greet(tx, hello)))
            case host.TakeUp(taken):
                self._answer(
                    lambda tx: host.UpTaken(
                        up.take(tx, taken, device=name, site=site, react=reactions.react)
                    )
                )
                self.to_host.append(host.Changed(EVERYTHING))
            case host.ReadFeed(lane, cursor):
                chunk = feed.read(hub.reading, device=name, site=site, lane=lane, cursor=cursor)
                self.to_host.append(host.FeedRead(lane, chunk))
            case host.NoteStatus(status):
                told = self.device.hello.incarnation
                hub.write(lambda tx: exchange.note_status(tx, name, site, told, status))

    def _answer(self, work: Callable[[Transaction], host.Input]) -> None:
        try:
            self.to_host.append(self.hub.write(work))
        except BadFrame as error:
            self.to_host.append(host.Turned(error.code, str(error)))


def meet(*agents: Node, hub: Node) -> None:
    """Run a whole session of each agent, twice: so that all learn what all had written."""
    for agent in (*agents, *agents):
        assert Session(agent, hub).run().ended == []


def push(agent: Node, hub: Node) -> None:
    """Bring an agent's log to the hub, whose answers get lost."""
    log = agent.store.node.logs[agent.origin]
    known = hub.store.node.logs.get(log.name)
    sent = exchange.read_log(agent.reading, agent.store.node, log.name, known.head if known else 0)
    whole = frames.Up(sent.origin, sent.first, sent.previous, sent.events)
    hub.write(lambda tx: up.take(tx, whole, device=agent.name, site=SITE))
