"""How a program is started: as whom, where, with which environment and which limits.

Limits are set by ``prlimit`` of util-linux, which sets them on itself and then becomes the program:
there is no moment in which the program runs without them, and no Python runs between fork and exec,
where a lock that another thread held would hang the child for ever. Setting them from outside, on
the running child, would come after its first instructions and miss what it forked by then.
"""

import asyncio
import errno
import os
import pwd
import resource
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from agent import leftovers
from agent.handlers.handler import HandlerFailed, Run
from shared.core.kinds.task_bodies import Failure
from shared.errors import SettingsError

PASSED_ON = ("PATH", "LANG", "HOME")

# Trying again cannot help: the program is not there, or is none.
_PERMANENT = {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.E2BIG, errno.ENOTDIR, errno.ELOOP}

_HEADS = (b"\x7fELF", b"#!")


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[handlers.command.limits]``: the kernel's, each for every single process; None: no limit.

    Attributes:
        cpu_s: Processor time. SIGXCPU when it is used up, SIGKILL a second later.
        memory_bytes: Address space, which is more than what is resident.
        processes: Processes and threads of the *user*, those of other programs included.
        open_files: Open file descriptors.
        file_bytes: Size of a file that is written; SIGXFSZ beyond it.
    """

    cpu_s: Annotated[int, msgspec.Meta(ge=1, le=10**6)] | None = None
    memory_bytes: Annotated[int, msgspec.Meta(ge=2**22, le=2**60)] | None = None
    processes: Annotated[int, msgspec.Meta(ge=1, le=10**6)] | None = None
    open_files: Annotated[int, msgspec.Meta(ge=4, le=10**6)] | None = None
    file_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**60)] | None = None


class User(msgspec.Struct, frozen=True):
    """Whom a program runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class Surroundings(msgspec.Struct, frozen=True):
    """What a program finds around itself.

    Attributes:
        user: None: the agent's own.
        cwd: Its current folder; None: ``work`` in the agent's data folder.
        environment: Names of the variables of ours that it inherits; no others.
        limits: What it may use.
    """

    user: User | None = None
    cwd: Path | None = None
    environment: tuple[str, ...] = PASSED_ON
    limits: Limits = Limits()


def find_user(name: str) -> User:
    """Return a user of this machine.

    Raises:
        SettingsError: There is none of that name.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise SettingsError(f"this machine has no user {name}; create it or name another") from None
    groups = tuple(os.getgrouplist(name, entry.pw_gid))
    return User(name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def find_prlimit() -> str | None:
    """Return the path of ``prlimit``; None: not installed."""
    return shutil.which("prlimit", path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")


async def start(
    argv: Sequence[str], run: Run, around: Surroundings, *, stdout: int, stderr: int
) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, nothing on its input; never through a shell.

    Args:
        argv: Allowed.
        run: Which attempt this is; the program's children carry it.
        around: What it finds.
        stdout: Descriptor to write to.
        stderr: Descriptor to write to.

    Raises:
        HandlerFailed: ``not-started``.
        CancelledError: It may have been started; what it started meanwhile is still there.
    """
    cwd = around.cwd or _work_folder(run.folder, around.user)
    if not cwd.is_dir():  # a disk that is not mounted yet; the system would blame the program
        raise HandlerFailed(Failure("not-started", f"its folder {cwd} is not there"))
    environment = _environment(run, around)
    user = around.user
    try:
        return await asyncio.create_subprocess_exec(
            *_limited(argv, around.limits, cwd, environment.get("PATH", os.defpath)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=environment,
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=user.groups if user else None,
        )
    except OSError as error:
        raise HandlerFailed(
            Failure(
                "not-started",
                f"{argv[0]} cannot be started: {error.strerror}",
                permanent=error.errno in _PERMANENT,
            )
        ) from error


def _work_folder(folder: Path, user: User | None) -> Path:
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    if user is not None:  # only the folder itself: what is in it belongs to whoever made it
        os.chown(work, user.uid, user.gid, follow_symlinks=False)
    return work


def _environment(run: Run, around: Surroundings) -> dict[str, str]:
    own: Mapping[str, str] = os.environ
    if around.user is not None:
        name = around.user.name
        own = {**own, "HOME": around.user.home, "USER": name, "LOGNAME": name}
    environment = {name: own[name] for name in around.environment if name in own}
    environment |= leftovers.mark(run.attempt_id, run.folder)
    environment["SKERRY_TASK_ID"] = run.task_id
    environment["SKERRY_IDEMPOTENCY_KEY"] = run.idempotency_key
    return environment


# ------------------------------------------------------------------ limits


def _limited(argv: Sequence[str], limits: Limits, cwd: Path, path: str) -> Sequence[str]:
    """Return the command line that sets the limits and then becomes ``argv``.

    Raises:
        OSError: It is no program. Said here, because prlimit would say it with an exit status that
            could be the program's own, and hand a file without a head to a shell.
    """
    options = _options(limits)
    if not options:
        return argv
    prlimit = find_prlimit()
    if prlimit is None:
        raise FileNotFoundError(errno.ENOENT, "prlimit, which sets its limits, is not installed")
    return [prlimit, *options, "--", str(_program(argv[0], cwd, path)), *argv[1:]]


def _options(limits: Limits) -> list[str]:
    wanted = {
        "cpu": (resource.RLIMIT_CPU, limits.cpu_s),
        "as": (resource.RLIMIT_AS, limits.memory_bytes),
        "nproc": (resource.RLIMIT_NPROC, limits.processes),
        "nofile": (resource.RLIMIT_NOFILE, limits.open_files),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_bytes),
    }
    options = []
    for name, (kind, value) in wanted.items():
        if value is None:
            continue
        hard = resource.getrlimit(kind)[1]
        most = value + 1 if name == "cpu" else value
        if hard != resource.RLIM_INFINITY:  # our own limit binds it too, and cannot be raised
            value, most = min(value, hard), min(most, hard)
        options.append(f"--{name}={value}:{most}")
    return options


def _program(name: str, cwd: Path, path: str) -> Path:
    found = cwd / name if "/" in name else Path(shutil.which(name, path=path) or cwd / name)
    if found.is_dir() or (found.exists() and not os.access(found, os.X_OK)):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    try:
        with found.open("rb") as file:
            head = file.read(4)
    except PermissionError:
        return found  # it may be run and not read: then it is no script
    if not head.startswith(_HEADS):
        raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))
    return found
