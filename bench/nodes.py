"""Replicas as the programs open them."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from bench.reports import SITE
from shared import system
from shared.replica import Replica, open_replica
from shared.store.store import Identity

DEVICE = "robot-1"


def open_agent(folder: Path) -> AbstractAsyncContextManager[Replica]:
    """Open an agent's replica."""
    return _open(folder, Identity("agent", DEVICE, (SITE,)))


def open_hub(folder: Path) -> AbstractAsyncContextManager[Replica]:
    """Open a hub's replica."""
    return _open(folder, Identity("hub", "hub", (SITE,)))


def _open(folder: Path, identity: Identity) -> AbstractAsyncContextManager[Replica]:
    return open_replica(
        folder, identity, now_ms=system.now_ms, trust=system.trust, chance=system.chance()
    )
