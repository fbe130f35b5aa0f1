"""Handler ``command`` with real programs."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import leftovers
from agent.handlers.command import ARGUMENT_BYTES_MAX, Command
from agent.handlers.handler import HandlerFailed, LatestNotes, Output, Run
from agent.handlers.pattern import Allowed
from agent.handlers.program import Limits, Surroundings, find_user
from shared.errors import Invalid
from tests.agent.robot import WAIT_S, eventually

PROGRAMS = ("sh", "echo", "cat", "sleep", "env", "no-such-program", "/etc/hostname")
AROUND = Surroundings()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as somebody else")


def command(
    output_bytes_max: int = 1000,
    *,
    allow: tuple[str | Allowed, ...] = PROGRAMS,
    around: Surroundings = AROUND,
) -> Command:
    return Command(allow=allow, timeout_s=60, output_bytes_max=output_bytes_max, around=around)


def run_of(folder: Path, *argv: str) -> Run:
    return Run("task-1", "attempt-1", 1, {"argv": list(argv)}, "key-1", folder)


async def run(
    folder: Path, *argv: str, output_bytes_max: int = 1000, around: Surroundings = AROUND
) -> Output:
    async with asyncio.timeout(WAIT_S):
        return await command(output_bytes_max, around=around).run(run_of(folder, *argv))


async def failure(folder: Path, *argv: str, around: Surroundings = AROUND) -> HandlerFailed:
    with pytest.raises(HandlerFailed) as caught:
        await run(folder, *argv, around=around)
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
    marks = {"SKERRY_ATTEMPT", "SKERRY_DATA", "SKERRY_TASK_ID", "SKERRY_IDEMPOTENCY_KEY"}
    assert marks <= names <= own | marks
    assert output["stdout"].splitlines()[-1] == str(tmp_path / "work")


async def test_only_what_is_listed_is_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("SECRET", "x")
    output = await run(tmp_path, "env", around=Surroundings(environment=("LANG", "NOT_SET")))
    values = dict(line.split("=", 1) for line in output["stdout"].splitlines())
    assert values == {
        "LANG": "C.UTF-8",
        "SKERRY_ATTEMPT": "attempt-1",
        "SKERRY_DATA": str(tmp_path),
        "SKERRY_TASK_ID": "task-1",
        "SKERRY_IDEMPOTENCY_KEY": "key-1",
    }


async def test_the_folder_can_be_chosen(tmp_path: Path) -> None:
    around = Surroundings(cwd=tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    output = await run(tmp_path, "sh", "-c", "pwd", around=around)
    assert output["stdout"] == f"{tmp_path}/elsewhere\n"


async def test_a_folder_that_is_not_there_may_be_there_later(tmp_path: Path) -> None:
    failed = await failure(tmp_path, "echo", around=Surroundings(cwd=tmp_path / "mnt"))
    assert failed.failure.message == f"its folder {tmp_path / 'mnt'} is not there"
    assert not failed.failure.permanent


async def test_the_last_line_is_its_progress(tmp_path: Path) -> None:
    notes = LatestNotes()
    script = (
        "echo first; echo 10 %; printf '  \\n'; touch here; until [ -e go ]; do sleep 0.01; done"
    )
    run = msgspec.structs.replace(run_of(tmp_path, "sh", "-c", script), notes=notes)
    task = asyncio.ensure_future(command().run(run))
    await eventually((tmp_path / "work" / "here").exists)
    await eventually(lambda: notes.latest == {"said": "10 %"})
    (tmp_path / "work" / "go").touch()
    assert (await task)["exit_code"] == 0


async def test_any_bytes_fit_into_a_progress(tmp_path: Path) -> None:
    notes = LatestNotes()
    run = msgspec.structs.replace(
        run_of(tmp_path, "sh", "-c", "head -c 70000 /dev/zero | tr '\\0' '\\001'"), notes=notes
    )
    await command().run(run)
    assert notes.latest is not None
    assert set(notes.latest["said"]) == {"\1"}


async def test_a_table_allows_a_command_line_and_nothing_else(tmp_path: Path) -> None:
    limited = command(allow=(Allowed("echo", ("--", "/srv/out/*")),))
    output = await limited.run(run_of(tmp_path, "echo", "--", "/srv/out/a"))
    assert output["stdout"] == "-- /srv/out/a\n"
    for argv in (["echo", "--", "/srv/out/../a"], ["echo"], ["cat", "--", "/srv/out/a"]):
        with pytest.raises(HandlerFailed) as caught:
            await limited.run(run_of(tmp_path, *argv))
        assert caught.value.failure.type == "not-allowed"
        assert caught.value.failure.permanent


ALL_LIMITS = Limits(cpu_s=7, memory_bytes=2**28, processes=10_000, open_files=20, file_bytes=4096)


async def test_limits_bind_the_program_and_what_it_starts(tmp_path: Path) -> None:
    around = Surroundings(limits=ALL_LIMITS)
    output = await run(
        tmp_path, "sh", "-c", "cat /proc/self/limits", output_bytes_max=9000, around=around
    )
    limits = {line[:26].strip(): line[26:].split()[:2] for line in output["stdout"].splitlines()}
    assert limits["Max cpu time"] == ["7", "8"]
    assert limits["Max address space"] == [str(2**28)] * 2
    assert limits["Max processes"] == ["10000"] * 2
    assert limits["Max open files"] == ["20"] * 2
    assert limits["Max file size"] == ["4096"] * 2


async def test_a_program_that_computes_for_ever_is_ended(tmp_path: Path) -> None:
    around = Surroundings(limits=Limits(cpu_s=1))
    failed = await failure(tmp_path, "sh", "-c", "while :; do :; done", around=around)
    assert failed.failure.message == "ended by SIGXCPU"


async def test_memory_files_and_their_size_end_somewhere(tmp_path: Path) -> None:
    greedy = Surroundings(limits=Limits(memory_bytes=2**25))
    failed = await failure(
        tmp_path, "sh", "-c", "x=$(head -c 99000000 /dev/zero | tr '\\0' x)", around=greedy
    )
    assert failed.failure.type == "exit-status"
    long = Surroundings(limits=Limits(file_bytes=1000))
    failed = await failure(tmp_path, "sh", "-c", "exec head -c 2000 /dev/zero >big", around=long)
    assert failed.failure.message in ("ended by SIGXFSZ", "exit status 1")
    assert (tmp_path / "work" / "big").stat().st_size == 1000


@pytest.mark.parametrize("name", ["no-such-program", "/etc/hostname", "/etc", "./plain"])
async def test_what_is_no_program_is_none_with_limits_either(tmp_path: Path, name: str) -> None:
    """A file without a head must not be handed to a shell."""
    (tmp_path / "work").mkdir()
    plain = tmp_path / "work" / "plain"
    plain.write_text("touch made-by-a-shell\n")
    plain.chmod(0o755)
    limited = command(allow=(name,), around=Surroundings(limits=Limits(cpu_s=5)))
    with pytest.raises(HandlerFailed) as caught:
        await limited.run(run_of(tmp_path, name))
    assert caught.value.failure.type == "not-started"
    assert caught.value.failure.permanent
    assert not (tmp_path / "work" / "made-by-a-shell").exists()


async def test_a_script_and_a_program_of_a_path_run_with_limits(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    script = tmp_path / "work" / "script"
    script.write_text("#!/bin/sh\nulimit -t\n")
    script.chmod(0o755)
    limited = command(allow=("./script",), around=Surroundings(limits=Limits(cpu_s=5)))
    assert (await limited.run(run_of(tmp_path, "./script")))["stdout"] == "5\n"


@as_root
async def test_a_program_runs_as_the_user_that_was_set(tmp_path: Path) -> None:
    nobody = find_user("nobody")
    around = Surroundings(user=nobody, environment=("PATH", "HOME", "USER"))
    output = await run(
        tmp_path, "sh", "-c", "id -u; id -g; id -G; echo $HOME $USER; echo x >mine", around=around
    )
    group = str(nobody.gid)
    lines = [str(nobody.uid), group, group, f"{nobody.home} nobody"]
    assert output["stdout"].splitlines() == lines
    assert (tmp_path / "work" / "mine").stat().st_uid == nobody.uid


@as_root
async def test_a_user_can_be_limited_in_processes(tmp_path: Path) -> None:
    around = Surroundings(user=find_user("nobody"), limits=Limits(processes=1))
    failed = await failure(tmp_path, "sh", "-c", "sleep 300 & echo $!", around=around)
    assert failed.failure.type == "exit-status"
    assert failed.output is not None
    assert "fork" in failed.output["stderr"]


@as_root
async def test_a_run_of_another_user_is_ended_with_all_that_fled(tmp_path: Path) -> None:
    around = Surroundings(user=find_user("nobody"), limits=Limits(cpu_s=60))
    script = "setsid sleep 300 & touch here; sleep 300"
    task = asyncio.ensure_future(command(around=around).run(run_of(tmp_path, "sh", "-c", script)))
    await eventually((tmp_path / "work" / "here").exists)
    task.cancel()
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not leftovers.find(tmp_path)


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
