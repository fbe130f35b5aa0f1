"""Processes found by their mark, and ended."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import leftovers
from tests.agent.robot import WAIT_S, eventually

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def start(started: list[subprocess.Popen[bytes]], attempt: str, folder: Path, *argv: str) -> int:
    environment = {**os.environ, **leftovers.mark(attempt, folder)}
    process = subprocess.Popen(
        argv, env=environment, start_new_session=True, stdout=subprocess.PIPE
    )
    started.append(process)
    return process.pid


async def test_marked_processes_are_found_by_folder_and_attempt(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    mine = start(started, "a1", tmp_path, "sleep", "300")
    second = start(started, "a2", tmp_path, "sleep", "300")
    other = start(started, "a1", tmp_path / "other", "sleep", "300")
    assert leftovers.find(tmp_path) == {mine: "a1", second: "a2"}
    assert leftovers.find(tmp_path, "a2") == {second: "a2"}
    async with asyncio.timeout(WAIT_S):
        assert await leftovers.end(tmp_path) == {}
    assert leftovers.find(tmp_path / "other") == {other: "a1"}


async def test_a_process_deaf_to_sigterm_is_killed(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    start(started, "a1", tmp_path, sys.executable, "-c", f"{DEAF}; time.sleep(300)")
    output = started[0].stdout
    assert output is not None
    assert await asyncio.to_thread(output.readline) == b"1\n"
    async with asyncio.timeout(WAIT_S):
        assert await leftovers.end(tmp_path, term_s=0.2) == {}
    assert started[0].wait() == -9


async def test_a_child_in_a_session_of_its_own_is_found_too(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    start(started, "a1", tmp_path, "sh", "-c", "setsid sleep 300 & exec sleep 0.01")
    started[0].wait()
    await eventually(lambda: len(leftovers.find(tmp_path)) == 1)
    async with asyncio.timeout(WAIT_S):
        assert await leftovers.end(tmp_path) == {}
    assert leftovers.find(tmp_path) == {}


async def test_nothing_left_is_no_wait(tmp_path: Path) -> None:
    assert await leftovers.end(tmp_path) == {}
