"""A node as the hub's allocation sees it."""

from hub.allocation import DeviceState
from tests.shared.nodes import SITE, Node


def robot_of(agent: Node, *, connected: bool = True) -> DeviceState:
    """Return a device that runs commands."""
    return DeviceState(
        id=agent.name,
        site=SITE,
        incarnation=agent.origin.rpartition(".")[2],
        types=frozenset({"command"}),
        capabilities=frozenset(),
        connected=connected,
        last_seen_ms=0,
    )
