"""Entry points as installers write them."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from agent.handlers.installed import Offer, offers, read

TEXT = """
# written by an installer
[console_scripts]
deliver = other:main

[skerry.handlers]
deliver = my_robot.deliver:Deliver
  lift=my_robot.lift:make.it [extra]
bare = my_robot
# off = my_robot:Off
nonsense
[skerry.drivers]
gripper = my_robot:Gripper
"""


def test_the_entries_of_one_group() -> None:
    assert list(read(TEXT, "skerry.handlers")) == [
        Offer("deliver", "my_robot.deliver", "Deliver"),
        Offer("lift", "my_robot.lift", "make.it"),
        Offer("bare", "my_robot", ""),
    ]
    assert list(read(TEXT, "nobody's")) == []


def test_of_one_name_the_first_folder_counts(tmp_path: Path) -> None:
    for name in ("first", "second"):
        record = tmp_path / name / "robot-1.dist-info"
        record.mkdir(parents=True)
        (record / "entry_points.txt").write_text(f"[skerry.handlers]\ndeliver = {name}\n")
    folders = [str(tmp_path / name) for name in ("missing", "first", "second")]
    assert offers("skerry.handlers", folders) == (Offer("deliver", "first", ""),)


@pytest.mark.parametrize("group", ["console_scripts", "pytest11"])
def test_the_library_finds_the_same(group: str) -> None:
    ours = {(o.name, f"{o.module}:{o.attributes}".rstrip(":")) for o in offers(group)}
    theirs = {(e.name, e.value.partition(" ")[0]) for e in entry_points(group=group)}
    assert ours == theirs
    assert ours


def test_what_is_offered_is_loaded() -> None:
    assert Offer("x", "os.path", "join").load() is __import__("os").path.join
    assert Offer("x", "os", "").load() is __import__("os")
    with pytest.raises(ModuleNotFoundError):
        Offer("x", "no_such_module", "A").load()


def test_an_agent_does_without_the_library() -> None:
    code = "import sys, agent.__main__; sys.exit('importlib.metadata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
