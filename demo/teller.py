"""Telling a person what happens, while it happens."""

import asyncio
from typing import TextIO

WIDTH = 9
CLEAR, BOLD, DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"


class Teller:
    """Writes lines of time, place and what happens there."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._start_s = asyncio.get_running_loop().time()
        self._styled = out.isatty()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return asyncio.get_running_loop().time() - self._start_s

    def tell(self, where: str, what: str) -> None:
        """Write a line. Where ``#``: a heading; where and what empty: a blank line."""
        if where == "#":
            self.line(self._style(BOLD, what))
        elif where or what:
            time = f"{self.seconds:5.1f} s" if where else " " * 7
            self.line(f"{self._style(DIM, time)}  {where:{WIDTH}} {what}")
        else:
            self.line("")

    def line(self, text: str) -> None:
        """Write text as it is."""
        self._out.write(text + "\n")
        self._out.flush()

    def _style(self, style: str, text: str) -> str:
        return f"{style}{text}{CLEAR}" if self._styled else text
