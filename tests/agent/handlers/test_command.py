"""Handler ``command`` with real programs."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from agent import leftovers
from agent.handlers.command import ARGUMENT_BYTES_MAX, Command
from agent.handlers.handler import HandlerFailed, Output, Run
from shared.errors import Invalid
from tests.agent.robot import WAIT_S, eventually


def command(output_bytes_max: int = 1000, *allow: str) -> Command:
    programs = allow or ("sh", "echo", "cat", "sleep", "env", "no-such-program", "/etc/hostname")
    return Command(allow=programs, timeout_s=60, output_bytes_max=output_bytes_max)


def run_of(folder: Path, *argv: str) -> Run:
    return Run("task-1", "attempt-1", 1, {"argv": list(argv)}, "key-1", folder)


async def run(folder: Path, *argv: str, output_bytes_max: int = 1000) -> Output:
    async with asyncio.timeout(WAIT_S):
        return await command(output_bytes_max).run(run_of(folder, *argv))


async def failure(folder: Path, *argv: str) -> HandlerFailed:
    with pytest.raises(HandlerFailed) as caught:
        await run(folder, *argv)
    return caught.value


async def test_a_program_runs_and_its_output_is_kept(tmp_path: Path) -> None:
    assert await run(tmp_path, "echo", "hello", "$HOME; exit 1") == {
        "exit_code": 0,
        "stdout": "hello $HOME; exit 1\n",
        "stderr": "",
        "truncated": False,
    }


async def test_an_exit_status_is_a_failure_to_try_again(tmp_path: Path) -> None:
    failed = await failure(tmp_path, "sh", "-c", "echo no >&2; exit 3")
    assert (failed.failure.type, failed.failure.message) == ("exit-status", "exit status 3")
    assert not failed.failure.permanent
    assert failed.output == {"exit_code": 3, "stdout": "", "stderr": "no\n", "truncated": False}


async def test_a_signal_is_named(tmp_path: Path) -> None:
    failed = await failure(tmp_path, "sh", "-c", "kill -9 $$")
    assert failed.failure.message == "ended by SIGKILL"


@pytest.mark.parametrize("program", ["rm", "/bin/echo", "./echo", "echo ", "ECHO"])
async def test_a_program_off_the_list_is_a_permanent_error(tmp_path: Path, program: str) -> None:
    failed = await failure(tmp_path, program, "x")
    assert failed.failure.type == "not-allowed"
    assert failed.failure.permanent


@pytest.mark.parametrize("program", ["no-such-program", "/etc/hostname"])
async def test_a_program_that_is_none_is_a_permanent_error(tmp_path: Path, program: str) -> None:
    failed = await failure(tmp_path, program)
    assert failed.failure.type == "not-started"
    assert failed.failure.permanent


async def test_much_output_is_cut_and_the_program_still_ends(tmp_path: Path) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero >&2; echo end"
    output = await run(tmp_path, "sh", "-c", script, output_bytes_max=1000)
    assert output["exit_code"] == 0
    assert output["stdout"] == "x" * 1000
    assert len(output["stderr"]) == 1000
    assert output["truncated"]


async def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    output = await run(tmp_path, "sh", "-c", "printf '\\377a'")
    assert output["stdout"] == "\N{REPLACEMENT CHARACTER}a"


async def test_the_environment_is_clean_and_the_folder_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKERRY_HUB_TOKEN", "secret")
    output = await run(tmp_path, "sh", "-c", "env; pwd; cat", output_bytes_max=10_000)
    names = {line.partition("=")[0] for line in output["stdout"].splitlines() if "=" in line}
    own = {"PATH", "LANG", "HOME", "PWD", "OLDPWD", "SHLVL", "_"}
    marks = {"SKERRY_ATTEMPT", "SKERRY_DATA", "SKERRY_TASK", "SKERRY_IDEMPOTENCY_KEY"}
    assert marks <= names <= own | marks
    assert output["stdout"].splitlines()[-1] == str(tmp_path / "work")


async def test_what_a_program_leaves_in_its_group_ends_with_it(tmp_path: Path) -> None:
    output = await run(tmp_path, "sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!")
    await eventually(lambda: not is_alive(int(output["stdout"])))


async def test_a_stranger_that_keeps_the_pipe_does_not_keep_the_run(tmp_path: Path) -> None:
    try:
        fled = "setsid sh -c 'touch fled; sleep 300' & until [ -e fled ]; do sleep 0.01; done"
        output = await run(tmp_path, "sh", "-c", f"{fled}; echo started")
        assert output["stdout"] == "started\n"
        assert output["truncated"]
        assert leftovers.find(tmp_path, "attempt-1")
    finally:
        await leftovers.end(tmp_path)
    assert not leftovers.find(tmp_path)


@pytest.mark.parametrize(
    "script",
    [
        "sleep 300",
        "sleep 300 & wait",
        "trap '' TERM; sleep 300",
        "setsid sleep 300 & sleep 300",
    ],
    ids=["alone", "with a child", "deaf to SIGTERM", "with a child that fled"],
)
async def test_a_cancelled_run_leaves_nothing(tmp_path: Path, script: str) -> None:
    task = asyncio.ensure_future(
        command().run(run_of(tmp_path, "sh", "-c", f"touch here; {script}"))
    )
    await eventually((tmp_path / "work" / "here").exists)
    task.cancel()
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not leftovers.find(tmp_path)


async def test_a_run_cancelled_twice_still_leaves_nothing(tmp_path: Path) -> None:
    script = "trap 'touch asked' TERM; touch here; sleep 300 & wait; wait"
    task = asyncio.ensure_future(command().run(run_of(tmp_path, "sh", "-c", script)))
    await eventually((tmp_path / "work" / "here").exists)
    task.cancel()
    await eventually((tmp_path / "work" / "asked").exists)
    task.cancel()
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not leftovers.find(tmp_path)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"argv": []},
        {"argv": [""]},
        {"argv": "echo"},
        {"argv": [1]},
        {"argv": ["a\0b"]},
        {"argv": ["echo"], "shell": True},
        {"argv": ["x"] * 1001},
        {"argv": ["x" * ARGUMENT_BYTES_MAX]},
    ],
)
def test_a_payload_that_names_no_program_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        command().check(payload)
    assert caught.value.places[0][0].startswith("$.payload")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
