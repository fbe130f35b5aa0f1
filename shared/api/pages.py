"""Pages of lists: a limit, and an opaque cursor that names the last item given."""

import base64
import binascii
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from shared.errors import Invalid

LIMIT_DEFAULT = 50
LIMIT_MAX = 500

Limit = Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]

T = TypeVar("T")


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query parameters of every list."""

    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; ``next`` is the cursor of the part that follows, None: this is all."""

    items: list[T]
    next: str | None


def write_cursor(*values: Any) -> str:
    """Return a cursor that holds these values."""
    packed = msgspec.msgpack.encode(values)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_cursor(text: str, shape: type[T]) -> T:
    """Return the values in a cursor.

    Args:
        text: As the client gave it back.
        shape: Type of the tuple that ``write_cursor`` was given.

    Raises:
        Invalid: Not a cursor of this list.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return msgspec.msgpack.decode(packed, type=shape)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        message = "not a cursor of this list; start again without one"
        raise Invalid(message, (("$.cursor", message),)) from error
