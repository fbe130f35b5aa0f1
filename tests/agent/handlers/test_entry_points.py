"""Handlers that installed packages bring, from a real distribution on the path."""

import logging
from pathlib import Path

import pytest

from agent import handlers
from agent.handlers.settings import Command, Handlers
from shared.core.lifecycle import Status
from tests.agent.robot import attempt_of, robot

MODULE = """
class Deliver:
    type = "deliver"
    timeout_s = 30.0

    def check(self, payload):
        pass

    async def run(self, run):
        return {"delivered": run.payload["to"]}


class Misnamed(Deliver):
    type = "other"


class Broken:
    def __init__(self):
        raise RuntimeError("no gripper")
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    record = folder / "my_robot-1.0.dist-info"
    record.mkdir(parents=True)
    (folder / "my_robot_handlers.py").write_text(MODULE)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: my-robot\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(
        "[skerry.handlers]\n"
        "deliver = my_robot_handlers:Deliver\n"
        "wait = my_robot_handlers:Deliver\n"
        "misnamed = my_robot_handlers:Misnamed\n"
        "broken = my_robot_handlers:Broken\n"
        "missing = my_robot_handlers:Missing\n"
    )
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.usefixtures("installed")
async def test_an_installed_handler_runs_its_tasks(tmp_path: Path) -> None:
    built = handlers.build(Handlers())
    async with robot(tmp_path / "data", handlers=built) as one:
        task_id = await one.submit({"to": "ward 3"}, type_="deliver")
        task = await one.until(task_id, Status.SUCCEEDED)
        assert attempt_of(task).output == {"delivered": "ward 3"}


@pytest.mark.usefixtures("installed")
def test_a_bad_package_is_named_in_the_log_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Promise 6."""
    with caplog.at_level(logging.ERROR):
        built = handlers.build(Handlers())
    assert sorted(built) == ["deliver", "wait"]
    assert type(built["wait"]).__module__ == "agent.handlers.wait"
    for name in ("wait", "misnamed", "broken", "missing"):
        assert f"handler {name} " in caplog.text


def test_command_is_off_until_an_operator_allows_a_program() -> None:
    assert "command" not in handlers.build(Handlers())
    built = handlers.build(Handlers(command=Command(allow=("echo",), timeout_s=7)))
    assert built["command"].timeout_s == 7
