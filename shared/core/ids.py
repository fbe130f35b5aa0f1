"""Identifiers: UUIDv7 for what nobody names, and the shape of names that people give."""

import re
from hashlib import sha256
from typing import Annotated

import msgspec

# Python's "$" also matches before a line break at the end; "\Z" would be foreign to JSON Schema.
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$(?!\n)"
UUID7_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$(?!\n)"

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
Uuid7 = Annotated[str, msgspec.Meta(pattern=UUID7_PATTERN)]

_name = re.compile(NAME_PATTERN)


def is_name(text: str) -> bool:
    """Say whether ``text`` can name equipment, a device or a site."""
    return _name.match(text) is not None


def uuid7(now_ms: int, bits: int) -> str:
    """Return a UUIDv7 (RFC 9562) from Unix ms and 74 random bits."""
    value = (now_ms & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76
    value |= ((bits >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= bits & 0x3FFFFFFFFFFFFFFF
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def conflict_id(site: str, kind: str, subject: str, register: str) -> str:
    """Return the id of a register's conflict: the same on every node, also after reopening."""
    name = "\0".join((site, kind, subject, register))
    return f"c-{sha256(name.encode()).hexdigest()[:16]}"
