"""SIGKILL of a real process that writes: what it acknowledged is there afterwards (promise 1)."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared.nodes import Clock, Session, close, open_node

WRITER = """
import asyncio, random, sys
from pathlib import Path
from shared.core.clock import ClockTrust
from shared.replica import open_replica
from shared.store.store import Identity
from tests.shared.making import RED
from tests.shared.nodes import reporting

async def main():
    now = 1_700_000_000_000
    async with open_replica(
        Path(sys.argv[1]), Identity("agent", "robot-1", ("demo",), "m1"),
        now_ms=lambda: now, trust=lambda: ClockTrust.SYNCED, chance=random.Random(1),
    ) as replica:
        print("open", replica.node.writes["demo"], flush=True)
        async def write(lane):
            for number in range(100_000):
                event = await replica.write(
                    reporting(RED, f"{lane} {number} " + "x" * 300, of=f"press-{lane}"))
                print("done", event.header.origin, event.header.seq, flush=True)
        await asyncio.gather(*(write(lane) for lane in range(4)))

asyncio.run(main())
"""
WAIT_S = 30


def run_and_kill(folder: Path, after: int) -> list[tuple[str, int]]:
    """Let a process write, kill it after some acknowledgements; return all that it gave."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    given: list[tuple[str, int]] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            words = line.split() if line.endswith("\n") else []  # the last one may be torn
            if words[:1] == ["done"]:
                given.append((words[1], int(words[2])))
            if len(given) == after:
                process.kill()
    finally:
        process.kill()
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == -signal.SIGKILL, errors
    return [*given]


def test_everything_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    """One folder, killed again and again at different points of the group commit."""
    folder = tmp_path / "robot"
    given: list[tuple[str, int]] = []
    chance = random.Random(5)
    for after in (0, 1, 2, *(chance.randrange(3, 300) for _ in range(4))):
        given += run_and_kill(folder, after)
    node = open_node("agent", "robot-1", folder=folder, machine_id="m1", seed=9)
    assert node.store.notice is None
    assert {origin for origin, _ in given} == {node.origin}, "a crash needs no new name"
    held = {seq for (seq,) in node.reading.query("SELECT seq FROM journal")}
    assert {seq for _, seq in given} <= held
    assert held == set(range(1, len(held) + 1)), "no gap"
    assert node.reading.query("PRAGMA integrity_check") == [("ok",)]
    hub = open_node("hub", "hub", clock=Clock())
    assert Session(node, hub).run().ended == []
    assert hub.store.node.logs[node.origin].hash == node.store.node.logs[node.origin].hash
    close(node)


@pytest.mark.parametrize("lost", ["-wal", "-shm"])
def test_files_beside_the_database_are_part_of_it(tmp_path: Path, lost: str) -> None:
    """Losing the WAL loses its tail; the guard then knows what had left."""
    folder = tmp_path / "robot"
    given = run_and_kill(folder, 40)
    (folder / f"skerry.db{lost}").unlink()
    node = open_node("agent", "robot-1", folder=folder, machine_id="m1", seed=9)
    if lost == "-shm":
        held = {seq for (seq,) in node.reading.query("SELECT seq FROM journal")}
        assert {seq for _, seq in given} <= held
    assert node.reading.query("PRAGMA integrity_check") == [("ok",)]
    close(node)
