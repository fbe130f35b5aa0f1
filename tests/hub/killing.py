"""What happens to a hub's folder: kill -9 at every statement, and a disk that is full."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from shared.replica import Replica
from shared.store.database import FILE
from shared.store.store import Store

STATEMENTS_MAX = 500

Trace = Callable[[Replica], AbstractAsyncContextManager[None]]


async def killed_everywhere(
    source: Path,
    act: Callable[[Path, Trace], Awaitable[None]],
    on_kill: Callable[[], None] = lambda: None,
) -> AsyncIterator[Path]:
    """Yield what is left of a hub's folder after a kill at each statement, and after the last.

    Args:
        source: Folder to begin with each time.
        act: Opens the folder that it is given and does what may be killed inside ``trace``. It
            runs to its end all the same; what it does outside after the kill has not happened.
        on_kill: Called at the kill, to note what had happened outside by then.
    """
    for statement in range(1, STATEMENTS_MAX):
        folder, left = (source.with_name(f"{name}-{statement}") for name in ("killed", "left"))
        copy(source, folder)
        count = 0

        def ran(_text: str, folder: Path = folder, left: Path = left, at: int = statement) -> None:
            nonlocal count
            count += 1
            if count == at:  # the files as they are now, this statement not yet begun
                copy(folder, left)
                on_kill()

        @asynccontextmanager
        async def trace(replica: Replica, told: Callable[[str], None] = ran) -> AsyncIterator[None]:
            await replica.run_on_writer(_tracing(told))
            yield
            await replica.run_on_writer(_tracing(None))

        await act(folder, trace)
        if count < statement:
            copy(folder, left)
            on_kill()
        yield left
        if count < statement:
            return
    raise AssertionError(f"more than {STATEMENTS_MAX} statements")


def copy(source: Path, target: Path) -> None:
    """Copy a hub's folder, open or not."""
    (target / "hub").mkdir(parents=True)
    for name in (FILE, f"{FILE}-wal", "guard.json"):
        file = source / "hub" / name
        if file.exists():
            (target / "hub" / name).write_bytes(file.read_bytes())


def _tracing(told: Callable[[str], None] | None) -> Callable[[Store], None]:
    return lambda store: store.reading().db.set_trace_callback(told)


@asynccontextmanager
async def a_disk_that_is_full(replica: Replica) -> AsyncIterator[None]:
    """Let SQLite refuse every write meanwhile, with the error of a disk that cannot be written."""
    await replica.run_on_writer(_pragma("query_only = ON"))
    yield
    await replica.run_on_writer(_pragma("query_only = OFF"))


def _pragma(text: str) -> Callable[[Store], None]:
    def run(store: Store) -> None:
        store.reading().db.execute(f"PRAGMA {text}")

    return run
