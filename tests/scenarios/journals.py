"""Reading a node's journal behind its back, once the node has ended."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec

from shared.core import chain
from tests.shared.counting import assert_counted

LOGS = "SELECT id, name, head, hash FROM origins WHERE head > 0 ORDER BY name"
EVENTS = "SELECT seq, header, body, hash FROM journal WHERE origin = ? ORDER BY seq"


class Head(msgspec.Struct, frozen=True):
    """The end of a log."""

    seq: int
    hash: bytes


def verify(data: Path) -> dict[str, Head]:
    """Return the head of each whole log in a data folder.

    Every link of each was checked, and every counter against the rows that it counts.
    """
    with contextlib.closing(sqlite3.connect(data / "skerry.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert_counted(db)
        logs = db.execute(LOGS).fetchall()
        for origin, name, head, hash_at_head in logs:
            expected, last = 1, chain.GENESIS
            for seq, header, body, link in db.execute(EVENTS, (origin,)):
                assert seq == expected, f"{name} has no event {expected}"
                last = chain.link(last, header, body)
                assert link == last, f"{name} is broken at {seq}"
                expected += 1
            assert (expected - 1, last) == (head, hash_at_head), f"{name} ends elsewhere"
    return {name: Head(head, hash_at_head) for _, name, head, hash_at_head in logs}
