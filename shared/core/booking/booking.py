"""A booking, what may be asked about one, and what the hub decides: event and JSON bodies.

A booking has one author, the hub. Everyone else writes requests, and each gets one decision, which
is final. A request says what it had seen: the request that last changed the booking, by its dot. It
could name the hub's decision instead, but whoever books and then moves while offline has not seen
one; and a dot never comes again, also after a restore of the hub.
"""

from typing import Annotated

import msgspec

from shared.core.booking.reason import Reason
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.event import Dot
from shared.core.ids import Uuid7

HOLD_S_MAX = 24 * 3600
TEXT_MAX = 2000
ALTERNATIVES_MAX = 10

Text = Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]


class Booking(msgspec.Struct, frozen=True):
    """A booking as it stands after the decisions so far.

    Attributes:
        id: Its id.
        status: Where it stands.
        slot: When and of what; None: it was cancelled before it came.
        held_until_ms: A hold blocks until then, Unix ms.
        changed_by: The request that last changed it.
        overbooked: It stands though it no longer fits; a person decides.
    """

    id: Uuid7
    status: Status
    slot: Slot | None = None
    held_until_ms: int | None = None
    changed_by: Dot | None = None
    overbooked: bool = False

    def blocks(self, now_ms: int) -> bool:
        """Say whether it takes a place: confirmed, or held and alive."""
        if self.status is Status.HELD:
            return self.held_until_ms is not None and now_ms < self.held_until_ms
        return self.status is Status.CONFIRMED


class Create(msgspec.Struct, frozen=True, tag_field="ask", tag="create"):
    """Body of ``booking.requested``.

    Attributes:
        slot: When and of what.
        hold_s: Only hold it for so long, to be confirmed; None: confirm it.
        alternatives: How many other slots to name if it is refused.
        title: What it is for.
    """

    slot: Slot
    hold_s: Annotated[int, msgspec.Meta(ge=1, le=HOLD_S_MAX)] | None = None
    alternatives: Annotated[int, msgspec.Meta(ge=0, le=ALTERNATIVES_MAX)] = 3
    title: Text = ""


class Confirm(msgspec.Struct, frozen=True, tag_field="ask", tag="confirm"):
    """Body of ``booking.confirm``: of a hold."""

    seen: Dot | None = None


class Move(msgspec.Struct, frozen=True, tag_field="ask", tag="move"):
    """Body of ``booking.move``: the old slot is kept until the new one is had.

    Attributes:
        slot: The new one.
        seen: The request that last changed the booking, as far as the mover knew.
        alternatives: How many other slots to name if it is refused.
    """

    slot: Slot
    seen: Dot
    alternatives: Annotated[int, msgspec.Meta(ge=0, le=ALTERNATIVES_MAX)] = 3


class Cancel(msgspec.Struct, frozen=True, tag_field="ask", tag="cancel"):
    """Body of ``booking.cancel``; it counts also if it comes before its booking."""

    reason: Text = ""


class Miss(msgspec.Struct, frozen=True, tag_field="ask", tag="miss"):
    """Body of ``booking.miss``: nobody came."""


Ask = Create | Confirm | Move | Cancel | Miss


class Request(msgspec.Struct, frozen=True):
    """Something asked about a booking, and where it stands in the order.

    Attributes:
        at: Stamp of its event, corrected.
        dot: Name of its event.
        booking: Whom it is about.
        ask: What.
    """

    at: int
    dot: Dot
    booking: Uuid7
    ask: Ask


class Decision(msgspec.Struct, frozen=True):
    """Body of ``booking.decided``: what the hub made of one request, once and for all.

    Attributes:
        request: Which.
        accepted: Whether it was carried out.
        booking: The booking afterwards; as it was, if not.
        reasons: Why not.
        alternatives: Slots that would have done at that moment; nobody keeps them free.
        actor: Who asked; for when another request has covered that one. None: nobody wrote it down.
        asked_ms: When, by the clock of whoever asked, Unix ms; likewise.
    """

    request: Dot
    accepted: bool
    booking: Booking
    reasons: tuple[Reason, ...] = ()
    alternatives: tuple[Slot, ...] = ()
    actor: str | None = None
    asked_ms: int | None = None
