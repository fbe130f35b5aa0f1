"""The guard: what left this device, remembered outside the database.

A database that was restored, copied to another machine or lost its tail would hand out numbers
that are in use elsewhere. So the highest number that ever left is fsynced beside it *before* it
leaves, together with the machine's id. A journal behind its guard takes a new incarnation.
"""

import os
from pathlib import Path
from typing import Protocol

import msgspec

FILE = "guard.json"


class GuardState(msgspec.Struct, frozen=True):
    """What the guard remembers.

    Attributes:
        incarnation: Of the journal that it guards.
        machine_id: Machine that it was written on; None: not compared.
        left: Highest seq that ever left, by origin.
    """

    incarnation: str
    machine_id: str | None
    left: dict[str, int]


class Guard(Protocol):
    """Where a guard is kept."""

    def load(self) -> GuardState | None:
        """Return what was saved, or None."""

    def save(self, state: GuardState) -> None:
        """Make the state durable before returning."""


class GuardFile:
    """A guard in ``guard.json`` of the data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def load(self) -> GuardState | None:
        """Return what was saved; an unreadable guard counts as none, which mints anew."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=GuardState)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def save(self, state: GuardState) -> None:
        """Write beside, fsync, rename, fsync the folder."""
        fresh = self._path.with_suffix(".tmp")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
