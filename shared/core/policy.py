"""Policies: which of several concurrent siblings shows, and why.

Pure, run when a record is read, and they write no events: replicas that hold the same siblings
show the same one and cannot quarrel about it. Equal siblings are told apart by dot, so that the
order is total.
"""

import enum
from collections.abc import Callable, Sequence

from shared.core.event import Event


class Policy(enum.StrEnum):
    """How a register chooses among siblings."""

    MOST_SEVERE = "most-severe"  # red before yellow before green, then the latest
    LATEST = "latest"


def choose(
    siblings: Sequence[Event], policy: Policy, severity: Callable[[Event], int]
) -> Event | None:
    """Return the sibling to show, or None of an empty register."""
    if not siblings:
        return None
    if len(siblings) == 1:
        return siblings[0]
    weigh = severity if policy is Policy.MOST_SEVERE else lambda _: 0
    return max(siblings, key=lambda e: (weigh(e), e.header.at, e.header.origin, e.header.seq))
