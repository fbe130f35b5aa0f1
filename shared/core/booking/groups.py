"""Groups: a doctor and a room, booked together or not at all."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from shared.core.booking.slot import RESOURCES_MAX
from shared.core.ids import Name
from shared.errors import Refused

MEMBERS_MAX = 50


class Group(msgspec.Struct, frozen=True):
    """Body of ``resource.group``: what is booked if the group is.

    Attributes:
        members: Resources, and groups of them.
    """

    members: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MEMBERS_MAX)]


Groups = Mapping[str, Group]


def resolve(names: Iterable[str], groups: Groups) -> tuple[str, ...]:
    """Return the resources behind names of resources and groups, sorted, each once.

    Raises:
        Refused: A group contains itself, or they are too many for one booking.
    """
    found: set[str] = set()
    for name in names:
        _gather(name, groups, (), found)
    leaves = sorted(name for name in found if name not in groups)
    if len(leaves) > RESOURCES_MAX:
        text = f"{len(leaves)} resources at once; at most {RESOURCES_MAX} can be booked together"
        raise Refused(text, (("$.resources", "too many"),))
    return tuple(leaves)


def _gather(name: str, groups: Groups, above: tuple[str, ...], found: set[str]) -> None:
    """Add a name and all below it; what is there already is not walked again."""
    if name in above:
        ring = " > ".join((*above[above.index(name) :], name))
        raise Refused(
            f"group {name} contains itself ({ring}); take it out of one of them",
            (("$.members", "recursion"),),
        )
    if name in found:
        return
    for member in groups[name].members if name in groups else ():
        _gather(member, groups, (*above, name), found)
    found.add(name)
