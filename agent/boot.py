"""Boot ids: which run of the agent's process made an attempt."""

from random import Random


def mint(chance: Random) -> str:
    """Return a new boot id.

    Random rather than a host name or a process id: both come back after a restart, and with them
    an orphan would look like a run of today.
    """
    return chance.randbytes(8).hex()
