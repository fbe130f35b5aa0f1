"""The line over a real pseudo terminal."""

import asyncio
import contextlib
import os
import threading
import tty
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hardware.serial_line import (
    INCOMING_BYTES_MAX,
    WRITE_WAIT_S,
    WRITES_MAX,
    LineDown,
    open_line,
)
from hardware.simulators.plug import Plug
from hardware.simulators.watch import Watch
from tests.hardware.bench import WAIT_S, eventually

BAUD = 9600


class Echo:
    """The other end: remembers what came."""

    def __init__(self, link: Path) -> None:
        self.plug = Plug(link, self._receive)
        self.received = bytearray()
        self.watch = Watch()

    def _receive(self, received: bytes) -> None:
        self.received += received
        self.watch.notify()

    async def until_received(self, expected: bytes) -> None:
        await self.watch.until(lambda: self.received == expected, timeout_s=WAIT_S)


@pytest.fixture
async def echo(tmp_path: Path) -> AsyncIterator[Echo]:
    echo = Echo(tmp_path / "line")
    echo.plug.plug()
    yield echo
    echo.plug.unplug()


async def test_bytes_go_both_ways_unchanged(echo: Echo) -> None:
    every_byte = bytes(range(256))
    async with open_line(str(echo.plug.link), baud=BAUD) as line:
        await line.write(every_byte)
        await echo.until_received(every_byte)
        echo.plug.write(every_byte)
        received = b""
        async with asyncio.timeout(WAIT_S):
            while len(received) < len(every_byte):
                received += await line.read()
    assert received == every_byte


async def test_a_missing_port_is_named(tmp_path: Path) -> None:
    port = str(tmp_path / "absent")
    with pytest.raises(LineDown, match=rf"serial port {port}: .*No such file"):
        async with open_line(port, baud=BAUD):
            pass


async def test_a_port_has_one_owner(echo: Echo) -> None:
    port = str(echo.plug.link)
    async with open_line(port, baud=BAUD):
        with pytest.raises(LineDown, match="exclusively lock"):
            async with open_line(port, baud=BAUD):
                pass


async def test_what_is_no_terminal_is_refused(tmp_path: Path) -> None:
    port = tmp_path / "file"
    port.write_bytes(b"")
    with pytest.raises(LineDown, match="onfigure port"):
        async with open_line(str(port), baud=BAUD):
            pass


async def test_an_unplugged_line_ends_reader_and_writer(echo: Echo) -> None:
    async with open_line(str(echo.plug.link), baud=BAUD) as line:
        echo.plug.unplug()
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(LineDown):
                await line.read()
        with pytest.raises(LineDown):
            await line.write(b"x")


async def test_a_path_that_leads_elsewhere_ends_the_line(echo: Echo, tmp_path: Path) -> None:
    """Some adapters never report the hang-up to a reader that waits."""
    other = Echo(tmp_path / "other")
    other.plug.plug()
    async with open_line(str(echo.plug.link), baud=BAUD) as line:
        other.plug.link.replace(echo.plug.link)
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(LineDown, match="another device"):
                await line.read()
    other.plug.unplug()


@contextlib.contextmanager
def deaf_device() -> Iterator[tuple[int, str]]:
    """Yield both ends of a terminal of which nobody reads the first."""
    device_end, cable_end = os.openpty()
    tty.setraw(cable_end)
    try:
        yield device_end, os.ttyname(cable_end)
    finally:
        os.close(cable_end)
        os.close(device_end)


async def test_a_write_that_is_given_up_is_sent_whole() -> None:
    """Half a sentence would become the beginning of the next one."""
    first, second = b"a" * 200_000, b"b" * 10
    with deaf_device() as (device_end, port):
        async with open_line(port, baud=BAUD) as line:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(WRITE_WAIT_S / 10):
                    await line.write(first)
            received = b""

            def hear() -> None:
                nonlocal received
                received += os.read(device_end, 4096)

            asyncio.get_running_loop().add_reader(device_end, hear)
            await line.write(second)
            await eventually(lambda: len(received) >= len(first + second))
            asyncio.get_running_loop().remove_reader(device_end)
    assert received == first + second


async def test_a_port_that_takes_nothing_ends_the_line() -> None:
    with deaf_device() as (_, port):
        async with open_line(port, baud=BAUD) as line, asyncio.TaskGroup() as tasks:
            failed: list[LineDown] = []

            async def write() -> None:
                try:
                    await line.write(bytes(200_000))
                except LineDown as error:
                    failed.append(error)

            for _ in range(WRITES_MAX + 1):
                tasks.create_task(write())
            with pytest.raises(LineDown, match="took nothing for 2 s"):
                await line.read()
    assert [error.reason for error in failed] == [
        f"{WRITES_MAX} writes are waiting",
        *["took nothing for 2 s"] * WRITES_MAX,
    ]


async def test_what_nobody_reads_is_bounded_and_counted(echo: Echo) -> None:
    async with open_line(str(echo.plug.link), baud=BAUD) as line:
        taken = 0

        def more_taken() -> bool:
            return len(line._incoming) + line.dropped_bytes > taken

        while line.dropped_bytes == 0:
            taken = len(line._incoming)
            echo.plug.write(bytes(1024))
            await eventually(more_taken)
        assert len(await line.read()) == INCOMING_BYTES_MAX


async def test_a_cancelled_user_leaves_no_thread_behind(echo: Echo) -> None:
    async def use() -> None:
        async with open_line(str(echo.plug.link), baud=BAUD) as line:
            await line.read()

    before = threading.active_count()
    async with asyncio.TaskGroup() as tasks:
        using = tasks.create_task(use())
        await eventually(lambda: threading.active_count() > before)
        using.cancel()
    assert threading.active_count() == before


async def test_a_user_cancelled_while_it_opens_leaves_the_port_to_others(
    echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    async def use() -> None:
        async with open_line(str(echo.plug.link), baud=BAUD):
            pass

    before = threading.active_count()
    for turns in range(20):
        async with asyncio.TaskGroup() as tasks:
            using = tasks.create_task(use())
            for _ in range(turns):
                await asyncio.sleep(0)
            using.cancel()
        await eventually(lambda: threading.active_count() == before)
        await use()
    assert caplog.text == ""
