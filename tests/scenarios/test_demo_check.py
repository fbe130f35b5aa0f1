"""``./dev demo --check``: one line that others can rely on."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec
import pytest

from demo.report import TaskCounts, count_tasks, ran_again
from demo.waiting import until
from tests.scenarios.demo_process import WAIT_S, processes_in, said, start

CHECK_S = 110.0


class Step(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    ok: bool
    detail: str


class Tasks(msgspec.Struct, forbid_unknown_fields=True):
    submitted: int
    succeeded: int
    lost: int
    run_twice: int


class Conflicts(msgspec.Struct, forbid_unknown_fields=True):
    opened: int
    resolved: int


class Line(msgspec.Struct, forbid_unknown_fields=True):
    ok: bool
    steps: list[Step]
    tasks: Tasks
    conflicts: Conflicts
    converged: bool
    seconds: float


def failed(line: Line) -> list[Any]:
    return [step for step in line.steps if not step.ok]


async def test_the_story_happens_and_is_told_in_one_line() -> None:
    """Promises 1 to 4."""
    code, out, told = await said("--check", timeout_s=CHECK_S)
    assert out.count("\n") == 1, told
    line = msgspec.json.decode(out, type=Line)
    assert failed(line) == [], told
    assert (code, line.ok, line.converged) == (0, True, True)
    assert line.tasks.submitted == line.tasks.succeeded >= 9
    assert (line.tasks.lost, line.tasks.run_twice) == (0, 0)
    assert line.conflicts == Conflicts(opened=1, resolved=1)
    assert line.seconds < 60
    for name in ("booking", "offline-queue", "decisions", "conflict", "history", "converge"):
        assert name in {step.name for step in line.steps}


async def test_a_node_that_dies_fails_the_check_at_once(tmp_path: Path) -> None:
    process = await start("--check", stdout=PIPE, temporary=tmp_path)
    try:

        async def hub() -> int | None:
            return next((pid for pid, words in processes_in(tmp_path) if "serve" in words), None)

        os.kill(await until("the hub runs", hub, WAIT_S), signal.SIGKILL)
        async with asyncio.timeout(WAIT_S):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    line = msgspec.json.decode(out, type=Line)
    assert (process.returncode, line.ok) == (1, False)
    assert "hub was ended by SIGKILL" in failed(line)[-1].detail
    assert processes_in(tmp_path) == []


def attempt(started: str, outcome: str | None) -> dict[str, Any]:
    return {"started_at": started, "outcome": outcome}


@pytest.mark.parametrize(
    ("attempts", "successes", "again"),
    [
        ([], 0, False),
        ([attempt("1", "succeeded")], 1, False),
        ([attempt("1", "failed"), attempt("2", "succeeded")], 1, False),
        ([attempt("1", "lost"), attempt("2", "succeeded")], 1, False),
        ([attempt("1", "succeeded"), attempt("2", None)], 1, True),
        ([attempt("2", "lost"), attempt("1", "succeeded")], 1, True),
        ([attempt("1", "succeeded")], 2, True),
    ],
)
def test_a_run_after_the_end_is_counted(
    attempts: list[dict[str, Any]], successes: int, again: bool
) -> None:
    history = [{"status": "running"}] + [{"status": "succeeded"}] * successes
    task = {"status": "succeeded", "attempts": attempts, "history": history}
    assert ran_again(task) is again
    assert count_tasks(["a", "b"], {"a": task}) == TaskCounts(2, 1, 1, int(again))
