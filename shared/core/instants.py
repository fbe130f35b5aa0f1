"""RFC 3339 instants at the edge; inside, times are integer Unix milliseconds."""

import datetime

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MS = datetime.timedelta(milliseconds=1)
MS_MAX = 253_402_300_799_999  # the last millisecond of year 9999, where RFC 3339 ends


def text(ms: int) -> str:
    """Write Unix ms as ``2026-11-23T08:00:00.000Z``."""
    moment = _EPOCH + datetime.timedelta(milliseconds=min(max(ms, 0), MS_MAX))
    # Its offset is cut off for the Z; strftime takes three times as long, and lists hold hundreds.
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def text_or_none(ms: int | None) -> str | None:
    """Write Unix ms, or None."""
    return None if ms is None else text(ms)


def ms(moment: datetime.datetime) -> int:
    """Return an aware datetime as Unix ms."""
    return (moment - _EPOCH) // _MS
