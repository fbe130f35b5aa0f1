"""Frames of a sync session: a tagged union in msgpack, compressed, versioned and bounded.

A frame is one byte that says how it is packed (0 plain, 1 zstd) and the msgpack of one of the
Structs below. Unknown fields are ignored, so that a newer side may add some; an unknown frame
closes the session with the reason. zstd is used in this file alone.

Close codes: 4400 not a frame · 4401 no or unknown token · 4403 not this device's business · 4409 a
gap or a fork · 4413 too large · 4426 no common protocol · 4429 too many sessions.
"""

from typing import Annotated

import msgspec
from backports import zstd

from shared.core.event import Pair
from shared.core.waiting import Reason
from shared.errors import BadFrame

PROTOCOL = 1
FRAME_BYTES_MAX = 2 * 1024 * 1024  # as sent, and again after decompression
MESSAGE_BYTES_MAX = 2 * FRAME_BYTES_MAX
"""What a socket reads at most. The socket itself closes without a word; what is over the limit of
a frame by less than that is read whole, and refused with the reason."""
BATCH_EVENTS_MAX = 1000
BATCH_BYTES_MAX = 256 * 1024  # of events before compression; at least one event whatever its size
WINDOW = 4  # batches under way in one direction before one must be acknowledged
COMPRESS_FROM = 256  # below this zstd's own frame costs more than it saves
WAITS_MAX = 100  # what people look at; of the others they see that their device has them
LEVEL = 3  # 340 MB/s at a ratio of 4.7 on event batches; higher levels gain a few per cent

_PLAIN, _ZSTD = b"\x00", b"\x01"

Metres = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
Seq = Annotated[int, msgspec.Meta(ge=0)]


class Head(msgspec.Struct, frozen=True, array_like=True):
    """How far a log goes, and the chain hash there."""

    seq: Seq
    hash: bytes


class WaitNote(msgspec.Struct, frozen=True, array_like=True):
    """Why a task waits, as its device knows it: a word (scheduled, blocked, queued) and reasons."""

    status: str
    reasons: tuple[Reason, ...]


class DeviceStatus(msgspec.Struct, frozen=True):
    """What a device tells of itself; the hub keeps the last one and journals none.

    Attributes:
        backlog: Events not yet at the hub.
        clock: How far its clock is to be trusted.
        version: Of the program.
        types: Task types that it runs.
        capabilities: What tasks may require of it.
        load: Attempts that run.
        disk_free_bytes: None: not known.
        now_ms: Its wall clock, Unix ms.
        zone: Where it is, by name.
        battery_pct: How full its battery is.
        x_m: Where it is, metres.
        y_m: The same.
        charger_m: Its way to the charger, metres.
        waits: Why tasks wait there; WAITS_MAX of them at most.
        closing: It starts nothing more, and is about to go.
    """

    backlog: int
    clock: str
    version: str
    types: tuple[str, ...]
    capabilities: tuple[str, ...]
    load: int = 0
    disk_free_bytes: int | None = None
    now_ms: int = 0
    zone: str | None = None
    battery_pct: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    x_m: Metres | None = None
    y_m: Metres | None = None
    charger_m: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    waits: Annotated[dict[str, WaitNote], msgspec.Meta(max_length=WAITS_MAX)] = {}
    closing: bool = False


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """A device opens the session.

    Attributes:
        protocol: Highest version it speaks.
        device: Its name.
        incarnation: Of the log that it writes now.
        site: Its site.
        heads: Its own logs, also of former incarnations.
        status: See DeviceStatus.
    """

    protocol: int
    device: str
    incarnation: str
    site: str
    heads: dict[str, Head]
    status: DeviceStatus


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The hub answers.

    Attributes:
        protocol: Version that both speak from here on.
        hub: Name of the hub.
        epoch: Of its database: cursors of another one mean nothing.
        heads: Its copies of the device's logs, of all incarnations that it knows.
        common: Per log offered, the hash held here at the device's head, if it goes so far.
        kinds: Kinds of record that it understands; a device writes no others.
        apart: Per log offered, how far another copy of it than the hub's is held apart.
    """

    protocol: int
    hub: str
    epoch: str
    heads: dict[str, Head]
    common: dict[str, bytes]
    kinds: tuple[str, ...]
    apart: dict[str, int] = {}


class Follow(msgspec.Struct, frozen=True, tag="follow"):
    """The device says where it stands in the hub's feed, by lane; now both directions flow."""

    cursors: dict[int, Seq]


class Up(msgspec.Struct, frozen=True, tag="up"):
    """A stretch of a log, in order.

    Attributes:
        origin: The log.
        first: Number of its first event here.
        previous: Chain hash before it.
        events: Header and body of each, in their author's bytes.
        seal: Signature over the head; empty until devices have keys.
    """

    origin: str
    first: Annotated[int, msgspec.Meta(ge=1)]
    previous: bytes
    events: Annotated[list[Pair], msgspec.Meta(min_length=1, max_length=BATCH_EVENTS_MAX)]
    seal: bytes = b""


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """The hub holds what was sent of a log durably, up to here."""

    origin: str
    head: Head


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """The hub holds other content under these names: this copy is kept apart.

    Attributes:
        origin: The log.
        seq: Number of the first event kept apart of what was sent.
        upto: Number of the last.
    """

    origin: str
    seq: int
    upto: Seq = 0


class RegisterState(msgspec.Struct, frozen=True, array_like=True):
    """A register as the hub holds it (``register.pack``)."""

    kind: str
    subject: str
    site: str
    name: str
    state: bytes


class VerdictNote(msgspec.Struct, frozen=True, array_like=True):
    """A verdict other than plain applied, for the event's author."""

    origin: str
    seq: int
    verdict: int
    reason: str | None


class Down(msgspec.Struct, frozen=True, tag="down"):
    """A stretch of the hub's feed in one lane.

    Attributes:
        lane: Which.
        since: Cursor that it continues from.
        upto: Cursor that it leads to.
        position: Hub position at which the states were read; not below ``upto``.
        judged: How far the device's logs are judged at ``position``.
        registers: Registers that changed and concern the device, as they are now.
        verdicts: On the device's events.
    """

    lane: int
    since: Seq
    upto: Seq
    position: Seq
    judged: dict[str, int]
    registers: list[RegisterState]
    verdicts: list[VerdictNote]


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """The device holds a lane durably up to here."""

    lane: int
    upto: Seq


class Status(msgspec.Struct, frozen=True, tag="status"):
    """A device's status changed."""

    status: DeviceStatus


class Bye(msgspec.Struct, frozen=True, tag="bye"):
    """The last frame: why this side closes."""

    code: int
    reason: str


Frame = Hello | Welcome | Follow | Up | Stored | Forked | Down | Taken | Status | Bye

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """Pack a frame."""
    plain = _encoder.encode(frame)
    if len(plain) < COMPRESS_FROM:
        return _PLAIN + plain
    return _ZSTD + zstd.compress(plain, level=LEVEL)


def decode(data: bytes) -> Frame:
    """Unpack a frame.

    Raises:
        BadFrame: Garbage, too large, or a frame of a future version; says which.
    """
    if len(data) > FRAME_BYTES_MAX:
        raise BadFrame(f"frame of {len(data)} bytes; at most {FRAME_BYTES_MAX}", 4413)
    marker, packed = data[:1], data[1:]
    if marker == _ZSTD:
        packed = _decompress(packed)
    elif marker != _PLAIN:
        raise BadFrame("not a frame: unknown packing; upgrade this side or check the address")
    try:
        return _decoder.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"not a frame of protocol {PROTOCOL}: {error}") from error


def _decompress(packed: bytes) -> bytes:
    """Decompress within the bound: a small frame may be a very large bomb."""
    decompressor = zstd.ZstdDecompressor()
    try:
        plain = decompressor.decompress(packed, FRAME_BYTES_MAX + 1)
    except zstd.ZstdError as error:
        raise BadFrame(f"not a frame: {error}") from error
    if len(plain) > FRAME_BYTES_MAX:
        raise BadFrame(f"frame of more than {FRAME_BYTES_MAX} bytes when unpacked", 4413)
    if not decompressor.eof:
        raise BadFrame("not a frame: it ends too early")
    return plain
