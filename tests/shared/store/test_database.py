"""The database file: migrations, and whose it is."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import StoreCorrupt, StoreLocked, StoreTooNew, StoreUnusable
from shared.store import database
from tests.shared.making import RED
from tests.shared.nodes import close, open_node

NEWEST = 9  # of the migrations that this version ships; raise it with each new one
WAIT_S = 20


def schema(db: sqlite3.Connection) -> list[tuple[str, str]]:
    return db.execute("SELECT type, sql FROM sqlite_schema ORDER BY name").fetchall()


def version(db: sqlite3.Connection) -> int:
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    return found


def test_a_new_database_gets_the_newest_schema(tmp_path: Path) -> None:
    db = database.connect(str(tmp_path / "x.db"))
    database.migrate(db)
    assert version(db) == NEWEST
    before = schema(db)
    database.migrate(db)
    assert schema(db) == before
    for table, text in db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"):
        assert "STRICT" in text, table
    db.close()


def test_the_settings_that_promises_rest_on(tmp_path: Path) -> None:
    """Promise 1."""
    db = database.connect(str(tmp_path / "x.db"))
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    db.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    writing = database.connect(str(tmp_path / "x.db"))
    database.migrate(writing)
    db = database.connect(str(tmp_path / "x.db"), read_only=True)
    with pytest.raises(sqlite3.OperationalError):
        db.execute("DELETE FROM journal")
    db.close()
    writing.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    db = database.connect(str(tmp_path / "x.db"))
    database.migrate(db)
    db.execute(f"PRAGMA user_version = {NEWEST + 1}")
    with pytest.raises(StoreTooNew):
        database.migrate(db)
    db.close()


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\x00" + bytes(4000)])
def test_what_is_no_database_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        database.connect(str(path))
    assert path.read_bytes() == content, "left as it was, to be looked at"


def test_a_step_that_fails_leaves_the_old_schema(tmp_path: Path) -> None:
    """All steps in one transaction: the table that is in the way belongs to the last."""
    db = database.connect(str(tmp_path / "x.db"))
    db.execute("CREATE TABLE locks (mine TEXT)")
    before = schema(db)
    with pytest.raises(sqlite3.OperationalError):
        database.migrate(db)
    assert (version(db), schema(db), db.in_transaction) == (0, before, False)
    db.execute("DROP TABLE locks")
    database.migrate(db)
    assert version(db) == NEWEST
    db.close()


KILLED = """
import os, signal, sqlite3, sys
from shared.store import database
db = database.connect(sys.argv[1])
steps = 0
def count():
    global steps
    steps += 1
    if steps == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
db.set_progress_handler(count, 40)
database.migrate(db)
print("done")
"""


@pytest.mark.parametrize("steps", [1, 8, 15, 22])
def test_a_crash_in_the_middle_of_a_migration_leaves_the_old_schema(
    tmp_path: Path, steps: int
) -> None:
    path = str(tmp_path / "x.db")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, path, str(steps)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert ended.returncode == -9, ended.stdout + ended.stderr
    db = database.connect(path)
    assert version(db) == 0
    assert schema(db) == []
    database.migrate(db)
    assert version(db) == NEWEST
    db.close()


HOLDER = """
import sys
from pathlib import Path
from shared.store import database
with database.folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_has_one_process(tmp_path: Path) -> None:
    """The kernel lets go when the holder dies, however it dies."""
    folder = tmp_path / "data"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLocked, match=str(holder.pid)), database.folder_lock(folder):
            pytest.fail("two processes hold one folder")
    finally:
        holder.kill()
        holder.communicate(timeout=WAIT_S)
    with database.folder_lock(folder):
        assert (folder / "lock").exists()


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/skerry"])
def test_a_folder_that_cannot_be_is_refused_with_the_remedy(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    folder = tmp_path / place  # an absolute place stands for itself
    with pytest.raises(StoreUnusable, match="--data") as caught, database.folder_lock(folder):
        pytest.fail("locked what is no folder")
    assert str(folder) in str(caught.value)


def test_dollars_become_numbers_whatever_their_order() -> None:
    """In SQLite ``$n`` is a name, bound by first appearance."""
    db = sqlite3.connect(":memory:")
    text = database.sql("SELECT $2,\n  $1, $2")
    assert text == "SELECT ?2, ?1, ?2"
    assert db.execute(text, ("a", "b")).fetchone() == ("b", "a", "b")
    db.close()


def test_a_damaged_page_is_told_from_a_full_disk(tmp_path: Path) -> None:
    node = open_node("agent", "robot-1", folder=tmp_path)
    for number in range(50):
        node.report(RED, "x" * 500, of=f"p-{number}")
    node.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    close(node)
    path = tmp_path / database.FILE
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 64] = b"\xee" * 64
    path.write_bytes(bytes(content))
    with pytest.raises(StoreCorrupt):
        open_node("agent", "robot-1", folder=tmp_path)
