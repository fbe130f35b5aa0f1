"""Events: immutable changes of one register, kept in their author's own bytes.

The header is a msgpack array, the body a msgpack value. Both are stored and relayed as they came
and never encoded again, so that fields and kinds which this version does not know survive.
"""

from typing import Annotated, Any

import msgspec

from shared.core.clock import Stamp
from shared.core.vector import Origin, Vector
from shared.errors import BadFrame

VERSION = 1
HEADER_BYTES_MAX = 8 * 1024
BODY_BYTES_MAX = 512 * 1024  # two bounded outputs of a command and the rest of an attempt
CRITICAL = 1  # flags: a node that does not know this kind stops trusting the record
JOINED = 2  # flags: one write with the event before it; they travel and are judged together


class Dot(msgspec.Struct, frozen=True, order=True):
    """The name of one event: origin and its number there, from 1."""

    origin: str
    seq: int


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The envelope.

    Attributes:
        v: Version of the envelope.
        origin: Log that the event belongs to, ``device.incarnation``.
        seq: Its number there: 1, 2, 3 … without a gap.
        at: Hybrid logical stamp of the author.
        clock: How far the author trusted its wall clock.
        site: Site of the log.
        kind: ``record-kind.verb``.
        subject: Id of the record.
        register: Register that the event changes.
        seen: What the author had seen of that register.
        actor: Who did it: a person, a client, a driver.
        flags: Bit field, see CRITICAL and JOINED.
    """

    v: int
    origin: str
    seq: int
    at: Annotated[Stamp, msgspec.Meta(ge=0, le=2**63 - 1)]  # what a column holds
    clock: str
    site: str
    kind: str
    subject: str
    register: str
    seen: dict[str, int]
    actor: str
    flags: int = 0


class Event(msgspec.Struct, frozen=True, gc=False):
    """One change: its header, decoded and as bytes, and its body as bytes."""

    header: Header
    header_bytes: bytes
    body_bytes: bytes

    @property
    def dot(self) -> Dot:
        """Name of the event."""
        return Dot(self.header.origin, self.header.seq)

    @property
    def size(self) -> int:
        """Bytes that the event takes on the wire before compression."""
        return len(self.header_bytes) + len(self.body_bytes)


class Pair(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event as it travels and rests: header bytes and body bytes."""

    header: bytes
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_header = msgspec.msgpack.Decoder(Header).decode


def make(
    *,
    origin: Origin,
    seq: int,
    at: Stamp,
    clock: str,
    site: str,
    kind: str,
    subject: str,
    register: str,
    seen: Vector,
    actor: str,
    body: Any,
    flags: int = 0,
) -> Event:
    """Encode a new event; ``clock`` is a ``ClockTrust``'s value, ``body`` a Struct or plain."""
    header = Header(
        v=VERSION,
        origin=origin,
        seq=seq,
        at=at,
        clock=clock,
        site=site,
        kind=kind,
        subject=subject,
        register=register,
        seen=dict(seen),
        actor=actor,
        flags=flags,
    )
    return Event(header, _encode(header), _encode(body))


def read(header_bytes: bytes, body_bytes: bytes) -> Event:
    """Decode an event that another replica wrote.

    Raises:
        BadFrame: The bytes are no header, or over the limits.
    """
    if len(header_bytes) > HEADER_BYTES_MAX or len(body_bytes) > BODY_BYTES_MAX:
        raise BadFrame(
            f"event of {len(header_bytes)} + {len(body_bytes)} bytes is over the limits", 4413
        )
    try:
        header = _header(header_bytes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"not an event header: {error}") from error
    if header.seq < 1 or not header.origin:
        raise BadFrame(f"event {header.origin!r} {header.seq} has no valid dot")
    return Event(header, header_bytes, body_bytes)


def device_of(origin: str) -> str:
    """Return the device part of ``device.incarnation``."""
    return origin.rpartition(".")[0]


def incarnation_of(origin: str) -> str:
    """Return the incarnation part of ``device.incarnation``."""
    return origin.rpartition(".")[2]
