"""However a demo ends, nobody of it stays; where it cannot begin, it says why."""

import signal
import socket
from pathlib import Path

import pytest

from demo.configuration import find_free_port
from demo.waiting import until
from tests.scenarios.demo_process import WAIT_S, ended, processes_in, run_demo, said


@pytest.mark.parametrize(
    ("how", "code"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)],
)
async def test_no_process_stays(tmp_path: Path, how: signal.Signals, code: int) -> None:
    async with run_demo(tmp_path / "demo") as demo:
        assert len(processes_in(demo.folder)) >= 8  # 4 nodes, 4 simulators, and the broker's own
        demo.process.send_signal(how)
        assert await ended(demo.process) == code

        async def nobody() -> bool | None:
            return None if processes_in(demo.folder) else True

        await until("every process has ended", nobody, WAIT_S)


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    port = find_free_port()
    with socket.create_server(("127.0.0.1", port + 2)):
        code, _, complaint = await said("--port", str(port), "--folder", str(tmp_path / "demo"))
    assert code == 1
    assert f"port {port + 2}" in complaint
    assert "--port" in complaint
    assert not processes_in(tmp_path)


async def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all I have")
    port = find_free_port()
    code, _, complaint = await said("--port", str(port), "--folder", str(tmp_path))
    assert code == 1
    assert "--folder" in complaint
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


async def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    async with run_demo(tmp_path / "demo") as demo:
        other = str(find_free_port())
        code, _, complaint = await said("--port", other, "--folder", str(demo.folder))
        assert code == 1
        assert "another demo" in complaint
        assert await demo.api("hub").get("/api/node")
