"""What the disk does at this moment: the floor under every durable figure."""

import os
from pathlib import Path
from time import perf_counter

BLOCK = b"\0" * 4096


def appends_s(folder: Path, seconds: float) -> float:
    """Return how often a second 4 KiB can be appended and fsynced."""
    path = folder / "probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        count = 0
        start = now = perf_counter()
        while now - start < seconds:
            os.write(descriptor, BLOCK)
            os.fsync(descriptor)
            count += 1
            now = perf_counter()
        return count / (now - start)
    finally:
        os.close(descriptor)
        path.unlink()
