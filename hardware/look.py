"""When drivers look at what tells nothing by itself.

All look at the same moments, so that a gateway with many wires wakes once and not once for each.
"""

import asyncio

LOOK_S = 5.0
"""How long a port that was exchanged, or a broker that fell silent, may go unnoticed."""


def next_look(now_s: float) -> float:
    """Return when to look next; both by the event loop's clock, seconds."""
    return (now_s // LOOK_S + 1) * LOOK_S


async def until_next_look() -> None:
    """Return when it is time to look."""
    now_s = asyncio.get_running_loop().time()
    await asyncio.sleep(next_look(now_s) - now_s)
