"""Groups: a doctor and a room, booked together or not at all."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from shared.core.ids import Name
from shared.errors import Refused

MEMBERS_MAX = 50


class Group(msgspec.Struct, frozen=True):
    """Body of ``resource.group``: booked together or not at all.

    Attributes:
        members: Resources, and groups of them.
    """

    members: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MEMBERS_MAX)]


def members(name: str, groups: Mapping[str, Group]) -> tuple[str, ...]:
    """Return what is booked if ``name`` is, sorted, each once: itself if it is no group.

    Raises:
        Refused: A group contains itself.
    """
    return tuple(sorted(_leaves(name, groups, ())))


def _leaves(name: str, groups: Mapping[str, Group], above: tuple[str, ...]) -> frozenset[str]:
    if name in above:
        ring = " > ".join((*above[above.index(name) :], name))
        raise Refused(
            f"group {name} contains itself ({ring}); take it out of one of them",
            (("$.members", "recursion"),),
        )
    if name not in groups:
        return frozenset((name,))
    inside = (_leaves(member, groups, (*above, name)) for member in groups[name].members)
    return frozenset().union(*inside)
