"""The folder of a demo: made or emptied at the start, and never anybody else's."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from demo.errors import DemoFailed

MARK = "demo.lock"


@contextlib.contextmanager
def own(folder: Path) -> Iterator[None]:
    """Empty the folder and keep it for this demo until the block is left.

    Raises:
        DemoFailed: It holds something else than an earlier demo, or one that still runs.
    """
    try:
        lock = _take(folder)
    except OSError as error:
        raise DemoFailed(f"{folder} cannot be used: {error}") from error
    with lock:
        yield


def _take(folder: Path) -> TextIO:
    """Return the open file that is locked; the kernel frees it however we end."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if any(folder.iterdir()) and not mark.exists():
        raise DemoFailed(f"{folder} is not empty and no demo's; choose another --folder")
    with contextlib.ExitStack() as opened:
        lock = opened.enter_context(mark.open("a"))
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another demo runs in {folder}; end it or choose another --folder"
            raise DemoFailed(text) from None
        _empty(folder, mark)
        opened.pop_all()
        return lock


def _empty(folder: Path, mark: Path) -> None:
    for old in folder.iterdir():
        if old == mark:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
