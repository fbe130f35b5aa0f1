"""Records: one thing with independent registers, and the ETag that names what was seen of it."""

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import msgspec

from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.clock import Stamp
from shared.core.event import Event
from shared.core.register import Register
from shared.core.vector import Vector
from shared.errors import Invalid

_NONE: Mapping[str, Register] = MappingProxyType({})


class Record(msgspec.Struct, frozen=True, gc=False, eq=False):
    """The current value of one thing.

    Records of the same value are equal, whether they were decoded or not.

    Attributes:
        kind: Kind of record, ``equipment``.
        subject: Its id.
        site: The one site it belongs to; empty while nothing is known of it.
        registers: Its registers by name.
        decoded: What its kind makes of them, once somebody has asked for it (``remember``).
    """

    kind: str
    subject: str
    site: str = ""
    registers: Mapping[str, Register] = _NONE
    decoded: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._value == other._value

    @property
    def _value(self) -> tuple[str, str, str, Mapping[str, Register]]:
        return self.kind, self.subject, self.site, self.registers

    def register(self, name: str) -> Register:
        """Return a register, empty if nobody wrote it."""
        return self.registers.get(name, registers.EMPTY)

    @property
    def is_known(self) -> bool:
        """Whether this replica holds anything of the record."""
        return bool(self.registers)


def with_register(record: Record, name: str, register: Register, site: str) -> Record:
    """Return the record with one register changed; the first event gives it its site."""
    return Record(
        record.kind, record.subject, record.site or site, {**record.registers, name: register}
    )


def remember(record: Record, decoded: Any) -> None:
    """Keep what a pure function makes of a record with it, for whoever asks next.

    A value that many read, in several threads, is so decoded once; two at a time make the same.
    """
    msgspec.structs.force_setattr(record, "decoded", decoded)


def vector(record: Record) -> Vector:
    """Return all that a reader of the whole record has seen: the join over its registers."""
    seen: dict[str, int] = {}
    for register in record.registers.values():
        for origin, seq in registers.vector(register).items():
            if seq > seen.get(origin, 0):
                seen[origin] = seq
    return seen


def newest(record: Record) -> Stamp:
    """Return when a record changed last; 0: nothing shows in it."""
    held = record.registers.values()
    return max([e.header.at for one in held for e in one.siblings], default=Stamp(0))


def latest(register: Register) -> Event | None:
    """Return the sibling that shows in a register without conflicts: the newest stamp."""
    siblings = register.siblings
    if len(siblings) == 1:
        return siblings[0]
    if not siblings:
        return None
    return max(siblings, key=lambda e: (e.header.at, e.header.origin, e.header.seq))


# ------------------------------------------------------------------ etags


class _Tag(msgspec.Struct, frozen=True, array_like=True):
    name: bytes
    seen: dict[str, int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Tag).decode


def etag(record: Record) -> str:
    """Return the record's ETag, without quotes: opaque, and good for this record only."""
    seen = dict(sorted(vector(record).items()))
    packed = _encode(_Tag(_name(record.kind, record.subject), seen))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_etag(tag: str, kind: str, subject: str) -> Vector:
    """Return the vector in an ETag.

    Raises:
        Invalid: Not an ETag, or another record's; y's ETag on x would cover writes nobody saw.
    """
    try:
        packed = _decode(base64.urlsafe_b64decode(tag + "=" * (-len(tag) % 4)))
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise Invalid(
            "seen is not an etag of this node; read the record again", (("$.seen", "not an etag"),)
        ) from error
    if packed.name != _name(kind, subject):
        raise Invalid(
            f"seen is the etag of another record than {subject}; read this one",
            (("$.seen", "etag of another record"),),
        )
    return packed.seen


def clip(seen: Vector, register: Register) -> Vector:
    """Return what of ``seen`` can be true of a register here."""
    return vectors.clip(seen, registers.vector(register))


def _name(kind: str, subject: str) -> bytes:
    return sha256(f"{kind}\0{subject}".encode()).digest()[:4]
