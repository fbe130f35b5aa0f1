"""The hub's side of a sync session: a state machine without I/O (see ``device.py``).

Verdicts, not queues: whatever arrives is stored and judged; nothing waits behind a bad event. The
control lane is read first whenever both have something.
"""

import enum
from collections.abc import Mapping

import msgspec

from shared.core.kinds.kind import Lane
from shared.sync.device import Close, Received, Send
from shared.sync.frame import (
    WINDOW,
    Bye,
    DeviceStatus,
    Down,
    Follow,
    Forked,
    Frame,
    Hello,
    Status,
    Stored,
    Taken,
    Up,
    Welcome,
)
from shared.sync.pieces import Chunk

IDLE_SKIP = 10_000  # positions that concern a device in nothing before it is told of them
UPS_A_CHUNK = 8
"""While a device catches up, its own states change with every batch, and sending them each time
would send what is old already. Others' changes reach it a quarter of a second later at most."""
EITHER_SIDE = WINDOW + 1  # a device sends at most WINDOW; one more may cross our answer


class Phase(enum.Enum):
    """How far the greeting has come."""

    SILENT = "silent"
    GREETING = "greeting"
    WELCOMED = "welcomed"
    OPEN = "open"
    CLOSED = "closed"


class LaneProgress(msgspec.Struct, frozen=True):
    """One lane of the feed to one device.

    Attributes:
        cursor: Where the device will be once it took what was sent.
        scanned: How far the feed was read; beyond ``cursor`` nothing concerned it.
        under_way: Chunks sent and not taken.
        reading: Whether a chunk is being read.
        changed: Whether there may be more than was read.
        told: What was last said to be judged.
    """

    cursor: int
    scanned: int
    under_way: int = 0
    reading: bool = False
    changed: bool = True
    told: Mapping[str, int] | None = None


class State(msgspec.Struct, frozen=True):
    """Where the session stands.

    Attributes:
        phase: See Phase.
        device: Who greeted.
        site: Its site.
        lanes: The feed, by lane.
        taking: Stretches that are being stored.
        taken: Stretches stored since the records lane was read last.
    """

    phase: Phase = Phase.SILENT
    device: str = ""
    site: str = ""
    lanes: Mapping[int, LaneProgress] = {}
    taking: int = 0
    taken: int = UPS_A_CHUNK


# ------------------------------------------------------------------ inputs and effects


class Greeted(msgspec.Struct, frozen=True):
    """The device is admitted: answer it with this."""

    welcome: Welcome


class Turned(msgspec.Struct, frozen=True):
    """The device is not admitted, or its frame could not be taken: close with the reason."""

    code: int
    reason: str


class UpTaken(msgspec.Struct, frozen=True):
    """A stretch is durable and judged, or held apart."""

    answer: Stored | Forked


class FeedRead(msgspec.Struct, frozen=True):
    """A chunk of a lane was read."""

    lane: int
    chunk: Chunk


class Changed(msgspec.Struct, frozen=True):
    """Records of these lanes have changed."""

    lanes: frozenset[int]


Input = Received | Greeted | Turned | UpTaken | FeedRead | Changed


class Greet(msgspec.Struct, frozen=True):
    """Look the device up; answer Greeted or Turned."""

    hello: Hello


class TakeUp(msgspec.Struct, frozen=True):
    """Store, judge and fold a stretch in one transaction; answer UpTaken or Turned."""

    up: Up


class ReadFeed(msgspec.Struct, frozen=True):
    """Read a chunk of a lane after a position; answer FeedRead."""

    lane: int
    cursor: int


class NoteStatus(msgspec.Struct, frozen=True):
    """Keep what the device says of itself."""

    status: DeviceStatus


Effect = Send | Close | Greet | TakeUp | ReadFeed | NoteStatus
Step = tuple[State, tuple[Effect, ...]]


def receive(state: State, given: Input) -> Step:
    """Take an input; return the next state and what is to be done."""
    if state.phase is Phase.CLOSED:
        return state, ()
    match given:
        case Received(frame):
            return _frame(state, frame)
        case Greeted(welcome):
            welcomed = msgspec.structs.replace(state, phase=Phase.WELCOMED)
            return welcomed, (Send(welcome),)
        case Turned(code, reason):
            return _close(state, code, reason)
        case UpTaken(answer):
            taken = msgspec.structs.replace(state, taking=state.taking - 1, taken=state.taken + 1)
            return _pump(taken, Send(answer))
        case FeedRead(lane, chunk):
            return _feed_read(state, lane, chunk)
        case Changed(lanes):
            return _changed(state, lanes)


def _frame(state: State, frame: Frame) -> Step:
    match frame:
        case Hello() if state.phase is Phase.SILENT:
            return _hello(state, frame)
        case Follow(cursors) if state.phase is Phase.WELCOMED:
            return _follow(state, cursors)
        case Up() if state.phase is Phase.OPEN:
            if state.taking >= EITHER_SIDE:
                return _close(state, 4400, f"more than {WINDOW} batches without waiting")
            taking = msgspec.structs.replace(state, taking=state.taking + 1)
            return taking, (TakeUp(frame),)
        case Taken(lane, _) if state.phase is Phase.OPEN and lane in state.lanes:
            held = state.lanes[lane]
            freed = msgspec.structs.replace(held, under_way=max(0, held.under_way - 1))
            return _pump(_with_lane(state, lane, freed))
        case Status(status) if state.phase is Phase.OPEN:
            return state, (NoteStatus(status),)
        case Bye(code, reason):
            return _close(state, code, reason)
        case _:
            name = type(frame).__name__
            return _close(state, 4400, f"{name} does not belong here ({state.phase.value})")


def _hello(state: State, hello: Hello) -> Step:
    if hello.protocol < 1:
        return _close(state, 4426, f"protocol {hello.protocol} is not spoken here")
    greeting = msgspec.structs.replace(
        state, phase=Phase.GREETING, device=hello.device, site=hello.site
    )
    return greeting, (Greet(hello),)


def _follow(state: State, cursors: Mapping[int, int]) -> Step:
    """Start both lanes where the device stands; a lane that it does not name starts anew."""
    lanes = {int(lane): cursors.get(int(lane), 0) for lane in Lane}
    progress = {lane: LaneProgress(cursor, cursor) for lane, cursor in lanes.items()}
    opened = msgspec.structs.replace(state, phase=Phase.OPEN, lanes=progress)
    return _pump(opened)


def _changed(state: State, lanes: frozenset[int]) -> Step:
    if state.phase is not Phase.OPEN:
        return state, ()
    held = dict(state.lanes)
    for lane in lanes & held.keys():
        held[lane] = msgspec.structs.replace(held[lane], changed=True)
    return _pump(msgspec.structs.replace(state, lanes=held))


def _feed_read(state: State, lane: int, chunk: Chunk) -> Step:
    held = state.lanes[lane]
    is_news = bool(
        chunk.registers
        or chunk.verdicts
        or held.told != chunk.judged
        or chunk.upto - held.cursor >= IDLE_SKIP
    )
    more = held.changed or not chunk.is_last
    if not is_news:
        quiet = msgspec.structs.replace(held, scanned=chunk.upto, reading=False, changed=more)
        return _pump(_with_lane(state, lane, quiet))
    sent = LaneProgress(
        cursor=chunk.upto,
        scanned=chunk.upto,
        under_way=held.under_way + 1,
        reading=False,
        changed=more,
        told=chunk.judged,
    )
    down = Down(
        lane=lane,
        since=held.cursor,
        upto=chunk.upto,
        position=chunk.position,
        judged=chunk.judged,
        registers=chunk.registers,
        verdicts=chunk.verdicts,
    )
    return _pump(_with_lane(state, lane, sent), Send(down))


def _pump(state: State, *before: Effect) -> Step:
    """Read on in each lane as far as its window allows."""
    effects: list[Effect] = list(before)
    for lane in sorted(state.lanes):
        held = state.lanes[lane]
        waits = lane != Lane.CONTROL and state.taking and state.taken < UPS_A_CHUNK
        if held.changed and not held.reading and held.under_way < WINDOW and not waits:
            if lane != Lane.CONTROL:
                state = msgspec.structs.replace(state, taken=0)
            effects.append(ReadFeed(lane, held.scanned))
            reading = msgspec.structs.replace(held, reading=True, changed=False)
            state = _with_lane(state, lane, reading)
    return state, tuple(effects)


def _with_lane(state: State, lane: int, held: LaneProgress) -> State:
    return msgspec.structs.replace(state, lanes={**state.lanes, lane: held})


def _close(state: State, code: int, reason: str) -> Step:
    return msgspec.structs.replace(state, phase=Phase.CLOSED), (Close(code, reason),)
