"""Handler ``command``: runs a program of the allow-list, never through a shell.

``pattern`` says which command lines are allowed, ``program`` how one is started. The program gets
a process group of its own and nothing on its input. Whatever is left of the group when it ends is
ended.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

import msgspec

from agent import leftovers
from agent.handlers import program
from agent.handlers.handler import HandlerFailed, HandlerStopped, Output, Run, read_payload
from agent.handlers.pattern import Allowed, allows
from agent.handlers.program import Surroundings
from shared.core.kinds.task_bodies import Failure
from shared.errors import Invalid

ARGUMENTS_MAX = 1000
ARGUMENT_BYTES_MAX = 64 * 1024  # all together; the kernel's own limit is beyond that
TERM_S = 5.0  # between SIGTERM and SIGKILL
DRAIN_S = 2.0  # for what the pipes still hold when the program has ended
TOLD_BYTES_MAX = 400  # of what was written last; even escaped it fits into a progress

log = logging.getLogger(__name__)

Argument = Annotated[str, msgspec.Meta(max_length=ARGUMENT_BYTES_MAX, pattern=r"\A[^\0]*\Z")]


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a ``command`` task."""

    argv: Annotated[list[Argument], msgspec.Meta(min_length=1, max_length=ARGUMENTS_MAX)]


class Command:
    """Runs programs that an operator allowed.

    Attributes:
        timeout_s: How long one may run if its task does not say.
    """

    type = "command"

    def __init__(
        self,
        *,
        allow: Sequence[str | Allowed],
        timeout_s: float,
        output_bytes_max: int,
        around: Surroundings = Surroundings(),  # noqa: B008 - frozen
    ) -> None:
        self.timeout_s = timeout_s
        self._with_any = frozenset(one for one in allow if isinstance(one, str))
        self._with_these = tuple(one for one in allow if not isinstance(one, str))
        self._output_bytes_max = output_bytes_max
        self._around = around

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether it names a program and its arguments."""
        _read(payload)

    async def run(self, run: Run) -> Output:
        """Run the program; exit status 0 is success."""
        argv = _read(run.payload).argv
        self._refuse_others(argv)
        with ExitStack() as pipes:
            told = partial(_tell, run)
            stdout, stdout_end = await _open_pipe(pipes, self._output_bytes_max, told)
            stderr, stderr_end = await _open_pipe(pipes, self._output_bytes_max, told)
            process = await self._start(argv, run, stdout_end[0], stderr_end[0])
            os.close(stdout_end.pop())
            os.close(stderr_end.pop())
            try:
                status = await process.wait()
            except asyncio.CancelledError as stop:
                await _uninterrupted(lambda: _end(process, run))
                await _uninterrupted(lambda: _drained(stdout, stderr))
                raise HandlerStopped(_output(process.returncode, stdout, stderr)) from stop
            await _uninterrupted(lambda: _end(process, run))
            await _drained(stdout, stderr)
        output = _output(status, stdout, stderr)
        if status:
            raise HandlerFailed(Failure("exit-status", _sentence(status)), output)
        return output

    def _refuse_others(self, argv: Sequence[str]) -> None:
        if argv[0] in self._with_any or any(allows(one, argv) for one in self._with_these):
            return
        text = f"{argv[0]!r} is not in [handlers.command] allow of this device"
        if any(one.program == argv[0] for one in self._with_these):
            text = f"{argv[0]!r} is not allowed with these arguments on this device"
        raise HandlerFailed(Failure("not-allowed", text, permanent=True))

    async def _start(
        self, argv: Sequence[str], run: Run, stdout: int, stderr: int
    ) -> asyncio.subprocess.Process:
        try:
            return await program.start(argv, run, self._around, stdout=stdout, stderr=stderr)
        except asyncio.CancelledError:
            # asyncio ends the program, but not what it started meanwhile.
            await _uninterrupted(lambda: _end_marked(run))
            raise


class _Pipe(asyncio.Protocol):
    """The first bytes of a stream; the rest is read and dropped, so that nobody blocks on us."""

    def __init__(self, bytes_max: int, told: Callable[[bytes], None]) -> None:
        self.closed = asyncio.Event()
        self.truncated = False
        self._bytes_max = bytes_max
        self._kept = bytearray()
        self._told = told

    def data_received(self, data: bytes) -> None:
        room = self._bytes_max - len(self._kept)
        self._kept += data[:room]
        self.truncated = self.truncated or len(data) > room
        self._told(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set()

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")


def _output(status: int | None, stdout: _Pipe, stderr: _Pipe) -> Output:
    return {
        "exit_code": status,
        "stdout": stdout.text,
        "stderr": stderr.text,
        "truncated": stdout.truncated or stderr.truncated,
    }


def _tell(run: Run, data: bytes) -> None:
    """Tell the last line that a program wrote: it is how most of them say how far they are."""
    text = data[-TOLD_BYTES_MAX:].decode(errors="replace").strip()
    if text:
        run.progress({"said": text.splitlines()[-1]})


async def _open_pipe(
    pipes: ExitStack, bytes_max: int, told: Callable[[bytes], None]
) -> tuple[_Pipe, list[int]]:
    """Return the reading protocol and, to be popped when closed, the end to write to.

    Pipes of our own rather than asyncio's: a grandchild that keeps one open must not keep the
    attempt waiting, so we need to be able to close it.
    """
    reading, writing = os.pipe()
    ends = [writing]
    pipes.callback(_close_all, ends)
    transport, protocol = await asyncio.get_running_loop().connect_read_pipe(
        lambda: _Pipe(bytes_max, told), os.fdopen(reading, "rb", buffering=0)
    )
    pipes.callback(transport.close)
    return protocol, ends


def _close_all(ends: list[int]) -> None:
    for end in ends:
        os.close(end)


async def _end(process: asyncio.subprocess.Process, run: Run) -> None:
    """End the process and all that it started; at once if it has ended by itself."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(TERM_S):
                await process.wait()
        except TimeoutError:
            log.warning("attempt %s does not end on SIGTERM", run.attempt_id)
        _signal(process.pid, signal.SIGKILL)
        await process.wait()
        # It was stopped: what fled into a session of its own must not go on either.
        await _end_marked(run)
    else:
        _signal(process.pid, signal.SIGKILL)


async def _end_marked(run: Run) -> None:
    await leftovers.end(run.folder, run.attempt_id)


async def _uninterrupted(work: Callable[[], Awaitable[None]]) -> None:
    """Finish ``work`` though we are cancelled again meanwhile; the cancellation then goes on."""
    task = asyncio.ensure_future(work())
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


async def _drained(*pipes: _Pipe) -> None:
    """Wait for the end of each stream; not for long: a stranger may hold it open."""
    try:
        async with asyncio.timeout(DRAIN_S):
            for pipe in pipes:
                await pipe.closed.wait()
    except TimeoutError:
        for pipe in pipes:
            pipe.truncated = pipe.truncated or not pipe.closed.is_set()


def _signal(group: int, how: signal.Signals) -> None:
    try:
        os.killpg(group, how)
    except ProcessLookupError:
        return  # nobody of it is left
    except PermissionError:
        log.warning("may not signal process group %d", group)


def _sentence(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _read(payload: Mapping[str, Any]) -> Payload:
    decoded = read_payload(payload, Payload, "command")
    size = sum(len(argument.encode()) + 1 for argument in decoded.argv)
    if size > ARGUMENT_BYTES_MAX or not decoded.argv[0]:
        text = "an empty program name" if size <= ARGUMENT_BYTES_MAX else f"{size} bytes of argv"
        raise Invalid(f"payload of type command: {text}", (("$.payload.argv", text),))
    return decoded
