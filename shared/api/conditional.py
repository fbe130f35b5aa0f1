"""``If-Match`` and ``seen``: what a writer had read, as a condition or as causality."""

import re
from typing import Annotated

import msgspec
from aiohttp import web

from shared.core import record as records
from shared.core.record import Record
from shared.core.vector import Vector
from shared.errors import Invalid, Stale

# An ETag names every origin that ever wrote the record; this many characters hold some 150, and
# still fit the line of a request.
Seen = Annotated[str, msgspec.Meta(max_length=6000)]

_TAG = re.compile(r'\s*(?P<weak>W/)?"(?P<tag>[^"]*)"\s*(?:,|$)')


class Precondition(msgspec.Struct, frozen=True):
    """What a write says of the record it changes.

    Attributes:
        if_match: ETags of which one must be current; None: unconditional; empty: none can be.
        any_will_do: ``If-Match: *``: the record must exist.
        seen: ETag that the writer had read; concurrent with all that came later.
    """

    if_match: tuple[str, ...] | None = None
    any_will_do: bool = False
    seen: str | None = None


def read(request: web.Request, seen: str | None = None) -> Precondition:
    """Return what a request says it has read.

    Raises:
        Invalid: Both ways at once, or an ``If-Match`` that is none.
    """
    text = request.headers.get("If-Match")
    if text is None:
        return Precondition(seen=seen)
    if seen is not None:
        message = "give If-Match or seen, not both"
        raise Invalid(message, (("$.seen", message),))
    if text.strip() == "*":
        return Precondition(any_will_do=True)
    return Precondition(if_match=tags(text))


def check(precondition: Precondition, record: Record) -> Vector | None:
    """Return what the writer had seen, for ``tx.append``; None: all that this node shows.

    Raises:
        Stale: The record is no longer as the writer read it.
        Invalid: ``seen`` is no ETag of this record.
    """
    if precondition.if_match is not None:
        current = records.etag(record)
        if current not in precondition.if_match:
            raise Stale(f"{record.subject} has changed since; read it again")
    if precondition.seen is not None:
        return records.read_etag(precondition.seen, record.kind, record.subject)
    return None


def tags(text: str) -> tuple[str, ...]:
    """Return the strong tags of an ``If-Match``; a weak one never matches (RFC 9110, 13.1.1)."""
    strong, place = [], 0
    while place < len(text):
        found = _TAG.match(text, place)
        if found is None:
            message = 'write it as "tag", quotes included'
            raise Invalid(f"If-Match: {message}", (("If-Match", message),))
        if not found["weak"]:
            strong.append(found["tag"])
        place = found.end()
    return tuple(strong)
