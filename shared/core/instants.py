"""RFC 3339 instants at the edge; inside, times are integer Unix milliseconds."""

import datetime

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_UTC_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - half the time without its zone
_MS = datetime.timedelta(milliseconds=1)
MS_MAX = 253_402_300_799_999  # the last millisecond of year 9999, where RFC 3339 ends


def text(ms: int) -> str:
    """Write Unix ms as ``2026-11-23T08:00:00.000Z``."""
    # By place: by name, or by strftime, it takes twice or three times as long; lists hold hundreds.
    moment = _UTC_EPOCH + datetime.timedelta(0, 0, 0, min(max(ms, 0), MS_MAX))
    return moment.isoformat("T", "milliseconds") + "Z"


def text_or_none(ms: int | None) -> str | None:
    """Write Unix ms, or None."""
    return None if ms is None else text(ms)


def ms(moment: datetime.datetime) -> int:
    """Return an aware datetime as Unix ms."""
    return (moment - _EPOCH) // _MS
