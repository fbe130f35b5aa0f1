"""SQLite as Skerry uses it: WAL, ``synchronous=FULL``, STRICT tables, numbered migrations."""

import fcntl
import functools
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import StoreCorrupt, StoreFull, StoreLocked, StoreTooNew, StoreUnusable
from shared.store import sql as migrations

FILE = "skerry.db"
CACHE_KIB = 2048  # per connection; boards are small, the working set is the recent tail
WAL_PAGES = 1000  # checkpoint after some 4 MiB: readers here are short, so it always completes

_UNWRITTEN = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@functools.cache
def sql(text: str) -> str:
    """Write ``$n`` as ``?n``: in SQLite ``$n`` is a name, bound by first appearance."""
    return re.sub(r"\$(\d+)", r"?\1", " ".join(text.split()))


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a database, or ``:memory:``, with the settings that every promise rests on.

    Raises:
        StoreCorrupt: It is no database, or a damaged one.
    """
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        with translated():
            _set_up(db, read_only=read_only)
    except BaseException:
        db.close()
        raise
    return db


def _set_up(db: sqlite3.Connection, *, read_only: bool) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # promise 1: a commit survives a power cut
    db.execute("PRAGMA foreign_keys = OFF")  # ids are given in one place; checks cost the hot path
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    db.execute("PRAGMA busy_timeout = 5000")
    if read_only:
        db.execute("PRAGMA query_only = ON")


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema up to this version, all steps in one transaction.

    Raises:
        StoreTooNew: A newer version wrote the database.
    """
    (have,) = db.execute("PRAGMA user_version").fetchone()
    steps = _migrations()
    newest = steps[-1][0]
    if have > newest:
        raise StoreTooNew(f"the database has schema {have}, this version knows {newest}: upgrade")
    if have == newest:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for number, text in steps:
            if number > have:
                for statement in _statements(text):
                    db.execute(statement)
        db.execute(f"PRAGMA user_version = {newest}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _migrations() -> list[tuple[int, str]]:
    files = sorted(Path(migrations.__file__).parent.glob("*.sql"))
    return [(int(file.name[:4]), file.read_text(encoding="utf-8")) for file in files]


def _statements(text: str) -> Iterator[str]:
    """Split a migration; ``executescript`` would commit the transaction around it."""
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


class translated:  # noqa: N801 - reads as what it does; a class, for it is entered at every commit
    """Turn SQLite's errors into ours, by what the caller can do."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # absent where we misused the module
        if isinstance(error, sqlite3.OperationalError) and code in _UNWRITTEN:
            raise StoreFull(
                f"the store cannot be written: {error}; free space on its disk"
            ) from error
        if isinstance(error, sqlite3.DatabaseError) and code in _DAMAGED:
            raise StoreCorrupt(
                f"{FILE} is damaged or no database ({error}); set it aside and start again: "
                "an agent then fetches its records from the hub"
            ) from error


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a data folder for this process; the kernel lets go when the process dies.

    Raises:
        StoreLocked: Another process runs on it.
        StoreUnusable: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnusable(
            f"{folder} cannot be the data folder ({error.strerror}); let this user write there "
            "or take another --data"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise StoreLocked(
                f"process {holder or '?'} already runs on {folder}; stop it or take another --data"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
