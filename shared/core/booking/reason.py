"""Why a booking is refused: a rule, the resource, and a sentence that says what to do."""

import enum

import msgspec


class Rule(enum.StrEnum):
    """The rule that says no. Stored and sent: never renamed."""

    HOURS = "hours"
    NOTICE = "notice"
    HORIZON = "horizon"
    GRID = "grid"
    CAPACITY = "capacity"
    TOGETHER = "together"  # each resource alone would do, but never all of them at once
    SLOT = "slot"  # no time at all: the end before the start, no length
    UNKNOWN = "unknown"  # no such resource or booking
    STATUS = "status"  # the booking is not in a status that allows it
    STALE = "stale"  # it was changed since
    SERIES = "series"  # another occurrence does not fit, and all were asked for


class Reason(msgspec.Struct, frozen=True):
    """One reason why not.

    Attributes:
        rule: For programs.
        text: One sentence for people: what is wrong, where, and what would do.
        resource: Which one it is about; None: the request itself.
        bookings: What is in the way, sorted.
    """

    rule: Rule
    text: str
    resource: str | None = None
    bookings: tuple[str, ...] = ()
