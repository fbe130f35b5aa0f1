"""An agent in a process of its own that kills itself at a chosen point; see test_kill.py.

Usage: python -m tests.agent.dying FOLDER POINT
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from agent.boot import mint
from agent.dispatcher import Dispatcher
from agent.handlers.command import Command
from agent.handlers.handler import Output, Run
from tests.agent.robot import RealTime, open_journal


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingChance(Random):
    """Kills the process when the id of an attempt is drawn: nothing of the start is written."""

    def getrandbits(self, k: int, /) -> int:
        if k == 74:
            die()
        return super().getrandbits(k)


class Act:
    """A handler whose act is a line in a file, and whose process dies around it."""

    type = "act"
    timeout_s = 60.0

    def __init__(self, folder: Path, point: str) -> None:
        self._file = folder / "acts"
        self._point = point

    def check(self, payload: Mapping[str, Any]) -> None:
        del payload
        if self._point == "before-act":
            die()

    async def run(self, run: Run) -> Output:
        with self._file.open("a") as file:
            file.write(f"{run.task_id} {run.number}\n")
            file.flush()
            os.fsync(file.fileno())
        if self._point == "after-act":
            die()
        return {}


async def main(folder: Path, point: str) -> None:
    clocks = RealTime()
    command = Command(allow=("sh",), timeout_s=60, output_bytes_max=1000)
    async with open_journal(folder, clocks.now_ms) as replica:
        await Dispatcher(
            replica,
            {"act": Act(folder, point), "command": command},
            folder=folder,
            boot=mint(Random()),
            concurrency=1,
            now_ms=clocks.now_ms,
            boot_ms=clocks.boot_ms,
            chance=DyingChance(1) if point == "before-intent" else Random(2),
        ).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
