"""Commands for a running simulator: lines on its standard input or on a named pipe."""

import asyncio
import logging
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

log = logging.getLogger(__name__)

LINE_BYTES_MAX = 4096


async def read_lines(control: Path | None) -> AsyncIterator[str]:
    """Yield each line, stripped, empty ones left out.

    Ends when standard input is closed, so that a simulator ends with the program that started it.
    Where standard input is neither pipe nor terminal, nothing ever comes.

    Args:
        control: Make a named pipe here and read that instead; anyone may write to it at any time.
    """
    if control is not None:
        control.unlink(missing_ok=True)
        os.mkfifo(control, 0o600)
        # Opened for writing too, so that it never ends when a writer closes its end.
        descriptor = os.open(control, os.O_RDWR | os.O_NONBLOCK)
    elif _carries_lines(sys.stdin.fileno()):
        descriptor = os.dup(sys.stdin.fileno())
    else:
        await asyncio.Event().wait()
        return
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        while line := await _read_line(reader):
            if text := line.decode(errors="replace").strip():
                yield text
    finally:
        transport.close()
        if control is not None:
            control.unlink(missing_ok=True)


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # its word for a line over the limit, of which it drops what it has
        log.warning("a line of more than %d bytes was dropped", LINE_BYTES_MAX)
        return b"\n"


def _carries_lines(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
