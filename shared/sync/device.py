"""The device's side of a sync session: a state machine without I/O.

    receive(state, input) -> (state, effects)

An input is a frame that arrived, the result of an effect, or news of the replica. An effect is
something to send or to ask of the store; whoever drives the session performs them in order. A
WebSocket does in production (``link.py``), the simulator with a seed.

    device                                hub
    Hello (heads of its logs)        ->
                                     <-   Welcome (epoch, heads of its copies)
    Follow (cursors)                 ->
    Up, Up …                         ->        each stored, judged, folded in one transaction
                                     <-   Stored
                                     <-   Down (control lane first), Down …
    Taken                            ->

Both directions then flow side by side, WINDOW batches ahead of their acknowledgements. A session
may end anywhere: the next one compares heads and cursors and goes on.
"""

import enum
from collections.abc import Mapping

import msgspec

from shared.sync.frame import (
    PROTOCOL,
    WINDOW,
    Bye,
    DeviceStatus,
    Down,
    Follow,
    Forked,
    Frame,
    Head,
    Hello,
    Status,
    Stored,
    Taken,
    Up,
    Welcome,
)
from shared.sync.pieces import Stretch


class Phase(enum.Enum):
    """How far the greeting has come."""

    GREETING = "greeting"
    ADOPTING = "adopting"
    OPEN = "open"
    CLOSED = "closed"


class LogProgress(msgspec.Struct, frozen=True):
    """How far one of our logs has gone: held here, sent, stored durably at the hub."""

    head: int
    sent: int = 0
    stored: int = 0


class State(msgspec.Struct, frozen=True):
    """Where the session stands.

    Attributes:
        hello: What this side opened with.
        phase: See Phase.
        logs: Our own logs by origin.
        theirs: The hub's copies of them when the session opened.
        apart: Logs of which the hub holds another copy, and how far ours is held apart there.
        under_way: Up batches sent and not acknowledged.
        reading: Whether a stretch is being read.
    """

    hello: Hello
    phase: Phase = Phase.GREETING
    logs: Mapping[str, LogProgress] = {}
    theirs: Mapping[str, Head] = {}
    apart: Mapping[str, int] = {}
    under_way: int = 0
    reading: bool = False

    @property
    def backlog(self) -> int:
        """Events of ours that the hub does not hold as far as we know."""
        return sum(log.head - log.stored for log in self.logs.values())


# ------------------------------------------------------------------ inputs


class Opened(msgspec.Struct, frozen=True):
    """The link is up."""


class Received(msgspec.Struct, frozen=True):
    """A frame arrived."""

    frame: Frame


class Adopted(msgspec.Struct, frozen=True):
    """The hub's epoch is durable here; cursors in it, by lane."""

    cursors: dict[int, int]


class LogRead(msgspec.Struct, frozen=True):
    """A stretch was read, and the guard covers it."""

    stretch: Stretch


class DownTaken(msgspec.Struct, frozen=True):
    """A chunk is durable here."""

    lane: int
    upto: int


class Advanced(msgspec.Struct, frozen=True):
    """Our logs have grown."""

    heads: dict[str, int]


class StatusChanged(msgspec.Struct, frozen=True):
    """Tell the hub how we are."""

    status: DeviceStatus


Input = Opened | Received | Adopted | LogRead | DownTaken | Advanced | StatusChanged


# ------------------------------------------------------------------ effects


class Send(msgspec.Struct, frozen=True):
    """Send a frame."""

    frame: Frame


class Close(msgspec.Struct, frozen=True):
    """Send Bye and close."""

    code: int
    reason: str


class Adopt(msgspec.Struct, frozen=True):
    """Follow this hub epoch from now on, durably; answer Adopted."""

    epoch: str


class ReadLog(msgspec.Struct, frozen=True):
    """Make the guard cover the log, read a stretch after an event; answer LogRead."""

    origin: str
    after: int


class TakeDown(msgspec.Struct, frozen=True):
    """Store a chunk with its cursor in one transaction; answer DownTaken."""

    down: Down


class NoteStored(msgspec.Struct, frozen=True):
    """The hub holds our log up to here."""

    origin: str
    seq: int


class TakeNewIncarnation(msgspec.Struct, frozen=True):
    """Somebody else writes, or wrote, under our name: go on under a new one."""

    reason: str


Effect = Send | Close | Adopt | ReadLog | TakeDown | NoteStored | TakeNewIncarnation
Step = tuple[State, tuple[Effect, ...]]


def start(hello: Hello) -> State:
    """Return the state of a session that opens with ``hello``."""
    return State(hello, logs={name: LogProgress(head.seq) for name, head in hello.heads.items()})


def receive(state: State, given: Input) -> Step:
    """Take an input; return the next state and what is to be done."""
    if state.phase is Phase.CLOSED:
        return state, ()
    match given:
        case Opened():
            return state, (Send(state.hello),)
        case Received(frame):
            return _frame(state, frame)
        case Adopted(cursors):
            opened = msgspec.structs.replace(state, phase=Phase.OPEN)
            return _pump(opened, Send(Follow(cursors)))
        case LogRead(stretch):
            return _log_read(state, stretch)
        case DownTaken(lane, upto):
            return state, (Send(Taken(lane, upto)),)
        case Advanced(heads):
            return _pump(_advance(state, heads))
        case StatusChanged(status):
            return state, (Send(Status(status)),) if state.phase is Phase.OPEN else ()


def _frame(state: State, frame: Frame) -> Step:
    match frame:
        case Welcome() if state.phase is Phase.GREETING:
            return _welcome(state, frame)
        case Stored(origin, head) if state.phase is Phase.OPEN:
            return _stored(state, origin, head)
        case Forked(origin, seq, upto) if state.phase is Phase.OPEN:
            return _forked(state, origin, seq, upto)
        case Down() if state.phase is Phase.OPEN:
            return state, (TakeDown(frame),)
        case Bye(code, reason):
            return _close(state, code, reason)
        case _:
            name = type(frame).__name__
            return _close(state, 4400, f"{name} does not belong here ({state.phase.value})")


def _welcome(state: State, welcome: Welcome) -> Step:
    if not 1 <= welcome.protocol <= PROTOCOL:
        return _close(state, 4426, f"the hub speaks protocol {welcome.protocol}; upgrade this side")
    logs = dict(state.logs)
    differs = {
        origin
        for origin, digest in welcome.common.items()
        if origin in logs and logs[origin].head and digest != state.hello.heads[origin].hash
    }
    for origin, mine in state.logs.items():
        theirs = welcome.heads.get(origin, Head(0, b""))
        if _is_current(state, origin) and origin in differs:
            return _go_on_anew(state, f"the hub holds another {origin} than this device: a fork")
        if _is_current(state, origin) and theirs.seq > mine.head:
            reason = f"the hub holds {origin} up to {theirs.seq}, this device up to {mine.head}"
            return _go_on_anew(state, f"{reason}: its journal was rolled back")
        known = welcome.apart.get(origin, 0) if origin in differs else theirs.seq
        known = min(known, mine.head)
        logs[origin] = LogProgress(mine.head, sent=known, stored=known)
    following = msgspec.structs.replace(
        state,
        phase=Phase.ADOPTING,
        logs=logs,
        theirs=welcome.heads,
        apart={origin: welcome.apart.get(origin, 0) for origin in logs if origin in differs},
    )
    notes = (NoteStored(origin, log.stored) for origin, log in logs.items())
    return following, (*notes, Adopt(welcome.epoch))


def _log_read(state: State, stretch: Stretch) -> Step:
    state = msgspec.structs.replace(state, reading=False)
    if not stretch.events:
        return state, ()
    theirs = state.theirs.get(stretch.origin, Head(0, b""))
    is_at_theirs = 0 < theirs.seq == stretch.first - 1
    if is_at_theirs and theirs.hash != stretch.previous and stretch.origin not in state.apart:
        return _differs(state, stretch.origin)
    log = state.logs[stretch.origin]
    last = stretch.first + len(stretch.events) - 1
    progress = LogProgress(max(log.head, last), last, log.stored)
    sent = msgspec.structs.replace(
        state,
        logs={**state.logs, stretch.origin: progress},
        under_way=state.under_way + 1,
    )
    up = Up(stretch.origin, stretch.first, stretch.previous, stretch.events)
    return _pump(sent, Send(up))


def _stored(state: State, origin: str, head: Head) -> Step:
    log = state.logs.get(origin)
    if log is None or head.seq > log.sent:
        return _close(state, 4400, f"the hub stored {origin} {head.seq}, which was not sent")
    progress = LogProgress(log.head, log.sent, max(log.stored, head.seq))
    state = msgspec.structs.replace(
        state, logs={**state.logs, origin: progress}, under_way=max(0, state.under_way - 1)
    )
    return _pump(state, NoteStored(origin, progress.stored))


def _forked(state: State, origin: str, seq: int, upto: int) -> Step:
    """Our copy is held apart at the hub. Nobody is bricked: work goes on under a new name."""
    reason = f"the hub holds other events than ours from {origin} {seq} on: a fork, held apart"
    if _is_current(state, origin):
        return _go_on_anew(state, reason)
    log = state.logs.get(origin)
    if log is None or upto > log.sent:
        return _close(state, 4400, f"the hub holds apart {origin} {upto}, which was not sent")
    progress = LogProgress(log.head, log.sent, max(log.stored, upto))
    state = msgspec.structs.replace(
        state, logs={**state.logs, origin: progress}, under_way=max(0, state.under_way - 1)
    )
    return _pump(state, NoteStored(origin, progress.stored))


def _differs(state: State, origin: str) -> Step:
    """Before anything of it was sent: our log goes on from another content than the hub's."""
    if _is_current(state, origin):
        return _go_on_anew(state, f"the hub holds another {origin} than this device: a fork")
    log = state.logs[origin]
    again = LogProgress(log.head)  # from its start: the hub keeps apart what differs
    return _pump(
        msgspec.structs.replace(
            state, logs={**state.logs, origin: again}, apart={**state.apart, origin: 0}
        )
    )


def _is_current(state: State, origin: str) -> bool:
    return origin.rpartition(".")[2] == state.hello.incarnation


def _go_on_anew(state: State, reason: str) -> Step:
    closed = msgspec.structs.replace(state, phase=Phase.CLOSED)
    return closed, (TakeNewIncarnation(reason), Close(4409, reason))


def _advance(state: State, heads: Mapping[str, int]) -> State:
    logs = dict(state.logs)
    for origin, head in heads.items():
        log = logs.get(origin, LogProgress(0))
        logs[origin] = LogProgress(max(head, log.head), log.sent, log.stored)
    return msgspec.structs.replace(state, logs=logs)


def _pump(state: State, *before: Effect) -> Step:
    """Read on as far as the window allows: one stretch at a time, logs in their given order."""
    if state.phase is not Phase.OPEN or state.reading or state.under_way >= WINDOW:
        return state, before
    for origin, log in state.logs.items():
        if log.head > log.sent:
            reading = msgspec.structs.replace(state, reading=True)
            return reading, (*before, ReadLog(origin, log.sent))
    return state, before


def _close(state: State, code: int, reason: str) -> Step:
    return msgspec.structs.replace(state, phase=Phase.CLOSED), (Close(code, reason),)
