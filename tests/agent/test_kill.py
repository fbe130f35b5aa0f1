"""kill -9 of a real agent between intent and outcome: promises 1 and 3."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from agent import leftovers
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import Status
from tests.agent.dying import Act
from tests.agent.robot import WAIT_S, eventually, robot

ROOT = Path(__file__).parents[2]


async def start(folder: Path, point: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.agent.dying", str(folder), point, cwd=ROOT
    )


async def submit(folder: Path, on_orphan: OnOrphan, type_: str = "act", **payload: object) -> str:
    async with robot(folder, running=False) as one:
        return await one.submit(payload, type_=type_, on_orphan=on_orphan)


async def killed(folder: Path, point: str) -> None:
    process = await start(folder, point)
    async with asyncio.timeout(WAIT_S):
        assert await process.wait() == -signal.SIGKILL


def acts(folder: Path) -> int:
    file = folder / "acts"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.parametrize("on_orphan", list(OnOrphan))
@pytest.mark.parametrize(
    ("point", "acted", "attempts"),
    [("before-intent", 0, 0), ("before-act", 0, 1), ("after-act", 1, 1)],
)
async def test_a_killed_agent_loses_nothing_and_repeats_only_what_may_be_repeated(
    tmp_path: Path, point: str, acted: int, attempts: int, on_orphan: OnOrphan
) -> None:
    task_id = await submit(tmp_path, on_orphan)
    await killed(tmp_path, point)
    assert acts(tmp_path) == acted
    intent_was_durable = attempts == 1
    stays = intent_was_durable and on_orphan is OnOrphan.ASK
    handler = {"act": Act(tmp_path, "never")}
    async with robot(tmp_path, handlers=handler, boot="next") as one:
        await one.until(task_id, Status.UNKNOWN if stays else Status.SUCCEEDED)
        outcomes = [outcome for _, outcome in await one.attempts(task_id)]
    if stays:
        assert outcomes == ["unknown"]
        assert acts(tmp_path) == acted
    else:
        assert outcomes == ["lost"] * attempts + ["succeeded"]
        assert acts(tmp_path) == acted + 1


async def test_a_task_that_ended_never_runs_again(tmp_path: Path) -> None:
    task_id = await submit(tmp_path, OnOrphan.REQUEUE)
    process = await start(tmp_path, "never")
    try:
        await eventually(lambda: acts(tmp_path) == 1)
    finally:
        process.kill()
        await process.wait()
    handler = {"act": Act(tmp_path, "never")}
    async with robot(tmp_path, handlers=handler, boot="next") as one:
        await one.until(task_id, Status.SUCCEEDED)
        ended = [outcome for _, outcome in await one.attempts(task_id)]
        assert acts(tmp_path) == len(ended)
        assert ended.count("succeeded") == 1


@pytest.mark.parametrize("on_orphan", list(OnOrphan))
async def test_a_command_that_outlived_its_agent_is_ended_before_it_is_settled(
    tmp_path: Path, on_orphan: OnOrphan
) -> None:
    script = "touch started; setsid sleep 300 & sleep 300"
    task_id = await submit(tmp_path, on_orphan, type_="command", argv=["sh", "-c", script])
    process = await start(tmp_path, "never")
    try:
        await eventually((tmp_path / "work" / "started").exists)
        await eventually(lambda: len(leftovers.find(tmp_path)) >= 2)
    finally:
        process.kill()
        await process.wait()
    assert leftovers.find(tmp_path)
    async with robot(tmp_path, concurrency=0, boot="next") as one:
        expected = Status.UNKNOWN if on_orphan is OnOrphan.ASK else Status.WAITING
        await one.until(task_id, expected)
        assert leftovers.find(tmp_path) == {}
