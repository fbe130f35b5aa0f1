"""The script and its locks: what a newcomer runs first must not fail for a reason of ours."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shared.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("demo", "test", "check", "bench", "simulate", "clean", "help")
PUBLIC_HOSTS = {"pypi.org", "files.pythonhosted.org"}
WAIT_S = 60


def run_dev(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "dev"), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def normal(name: str) -> str:
    """Spell a package's name as the registry does, so that two spellings compare equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return {normal(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]) for line in requirements}


def locked_by_uv() -> dict[str, str]:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {normal(each["name"]): each["version"] for each in packages}


def locked_for_pip() -> dict[str, str]:
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    return {normal(name): version for name, version in pins}


@pytest.mark.parametrize("spelling", ["help", "-h", "--help"])
def test_help_lists_every_command(spelling: str) -> None:
    done = run_dev(spelling)
    assert done.returncode == 0
    assert done.stderr == ""
    listed = re.findall(r"^  (\w+) ", done.stdout, re.MULTILINE)
    assert tuple(listed) == COMMANDS


def test_an_unknown_command_is_refused_with_the_list() -> None:
    done = run_dev("dmeo")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "unknown command: dmeo" in done.stderr
    assert "usage: ./dev" in done.stderr


def test_no_command_shows_the_list_and_fails() -> None:
    done = run_dev()
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ./dev")


def test_it_works_from_another_folder(tmp_path: Path) -> None:
    assert run_dev("help", cwd=tmp_path).returncode == 0


def fresh_copy(folder: Path) -> Path:
    for name in ("dev", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder / "dev"


def test_an_old_python_is_named_before_anything_is_made(tmp_path: Path) -> None:
    old = tmp_path / "python-of-yesterday"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        [str(fresh_copy(tmp_path)), "demo"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(old)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr
    assert str(old) in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_without_ensurepip_and_pip_gets_the_one_line_to_type(tmp_path: Path) -> None:
    """Debian splits both out of its python3; the stand-in refuses the same two modules."""
    bare = tmp_path / "bare-python"
    bare.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--without-pip*) ;; "-m venv"*|"-m pip"*) exit 1 ;; esac\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    bare.chmod(0o755)
    done = subprocess.run(
        [str(fresh_copy(tmp_path)), "demo"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(bare)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("apt install python3-venv")
    assert not (tmp_path / ".venv" / "made-for").exists()


@pytest.mark.parametrize(("shell", "script"), [("sh", "dev"), ("bash", ".ci/run")])
def test_the_scripts_parse_and_may_be_executed(shell: str, script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111 == 0o111
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([program, "-n", str(path)], timeout=WAIT_S, check=True)


@pytest.mark.parametrize("name", ["uv.lock", "requirements.lock"])
def test_the_locks_name_the_public_registry_only(name: str) -> None:
    text = (ROOT / name).read_text()
    hosts = set(re.findall(r"[a-z+]+://([^/\s\"']*)", text))
    assert hosts <= PUBLIC_HOSTS


def test_both_locks_pin_the_same_versions() -> None:
    uv = locked_by_uv()
    del uv["skerry"]
    assert locked_for_pip() == uv


def test_every_declared_dependency_is_locked() -> None:
    assert declared() <= locked_for_pip().keys()


def test_every_pin_for_pip_has_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked_for_pip())
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_every_declared_dependency_is_explained() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    assert {name for name in declared() if name not in normal(page)} == set()


def test_the_programs_tell_the_version_that_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
