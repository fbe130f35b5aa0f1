"""The example package of docs/handlers.md: built, put on the path as pip would, and used."""

import asyncio
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from agent import handlers
from agent.handlers.handler import Handler, HandlerFailed, LatestNotes, Run
from agent.handlers.settings import Handlers
from shared.core.lifecycle import Status
from shared.errors import Invalid
from tests.agent.robot import WAIT_S, attempt_of, eventually, robot

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "spool"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=EXAMPLE,
        check=True,
        timeout=60,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def spool(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Handler:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "skerry_spool", raising=False)
    assert version("skerry-spool") == "1.0"
    return handlers.build(Handlers())["spool"]


def pages_in(folder: Path) -> dict[str, str]:
    return {page.name: page.read_text() for page in (folder / "spool").iterdir()}


def run_of(folder: Path, notes: LatestNotes, *pages: str) -> Run:
    return Run("task-1", "attempt-1", 1, {"pages": list(pages)}, "key-1", folder, notes)


async def test_an_agent_runs_it(spool: Handler, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with robot(data, handlers={"spool": spool}) as one:
        task_id = await one.submit({"pages": ["a", "b"]}, type_="spool")
        task = await one.until(task_id, Status.SUCCEEDED)
        assert attempt_of(task).output == {"pages": 2, "resumed_at": 0}
        assert pages_in(data) == {f"{task_id}-0000.txt": "a", f"{task_id}-0001.txt": "b"}


async def test_it_goes_on_behind_what_an_earlier_run_saved(spool: Handler, tmp_path: Path) -> None:
    notes = LatestNotes(saved={"pages": 2})
    output = await spool.run(run_of(tmp_path, notes, "a", "b", "c"))
    assert output == {"pages": 3, "resumed_at": 2}
    assert pages_in(tmp_path) == {"key-1-0002.txt": "c"}
    assert notes.saved == {"pages": 3}
    assert notes.latest == {"pages": 3, "of": 3}


async def test_a_cancelled_run_takes_back_the_page_it_was_at(
    spool: Handler, tmp_path: Path
) -> None:
    notes = LatestNotes()
    task = asyncio.ensure_future(spool.run(run_of(tmp_path, notes, *["x" * 100_000] * 1000)))
    await eventually(lambda: notes.saved is not None)
    task.cancel()
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(pages_in(tmp_path)) == notes.saved["pages"]


async def test_a_file_in_its_place_is_a_permanent_error(spool: Handler, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(HandlerFailed) as caught:
        await spool.run(run_of(tmp_path, LatestNotes(), "a"))
    assert caught.value.failure.permanent


@pytest.mark.parametrize("payload", [{}, {"pages": []}, {"pages": [1]}, {"pages": ["a"], "x": 1}])
def test_a_payload_without_pages_is_refused(spool: Handler, payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="payload of type spool"):
        spool.check(payload)
