"""Handlers that installed packages bring, from a real distribution on the path."""

import logging
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest

from agent import handlers
from agent.handlers.settings import Command, Handlers, Http, Mqtt
from hardware.build import build_driver
from hardware.settings import DriverSettings
from shared.core.lifecycle import Status
from tests.agent.robot import attempt_of, robot

ROOT = Path(__file__).parents[3]
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


BUILD = """
import sys
from agent import app, handlers, settings
built = handlers.build(settings.load(None, host="x").handlers)
print(sorted(built))
print(sys.modules.keys() & {"aiomqtt", "paho", "serial", "agent.handlers.http"})
"""


def test_an_agent_that_uses_no_wire_loads_no_library_for_one() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    assert printed.stdout.decode().splitlines() == ["['wait']", "set()"]


def test_each_handler_is_built_from_its_settings() -> None:
    settings = Handlers(
        command=Command(allow=("echo",)),
        http=Http(allow=("https://erp.example/*",)),
        mqtt=Mqtt(url="mqtt://127.0.0.1", allow=("a/#",)),
    )
    driver = build_driver(
        msgspec.toml.decode(
            'id = "scale"\ntype = "serial-device"\nequipment = "press-1"\nport = "/dev/x"\n',
            type=DriverSettings,
        ),
        device="robot-1",
        now_ms=lambda: 0,
        chance=Random(1),
    )
    built = handlers.build(settings, [driver])
    assert sorted(built) == sorted(handlers.BUILT_IN)
    assert all(type_ == handler.type for type_, handler in built.items())
