"""What a run may tell and save, and what follows from how it fails."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.handlers.handler import (
    PROGRESS_BYTES_MAX,
    SAVED_BYTES_MAX,
    HandlerFailed,
    LatestNotes,
    OutcomeUnknown,
    Output,
    Run,
)
from shared.core.kinds.task_bodies import Failure, Outcome
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import Status
from tests.agent.robot import START_MS, VirtualTime, attempt_of, robot


def run_with(notes: LatestNotes, folder: Path) -> Run:
    return Run("t", "a", 1, {}, "t", folder, notes)


async def test_only_the_newest_progress_is_kept_and_each_is_a_sign_of_life(tmp_path: Path) -> None:
    notes = LatestNotes()
    run = run_with(notes, tmp_path)
    for step in range(1000):
        run.progress({"step": step})
    assert notes.latest == {"step": 999}
    assert notes.beats == 1000
    await run.save("half")
    assert notes.beats == 1001


async def test_what_was_saved_is_there_for_the_next_run(tmp_path: Path) -> None:
    run = run_with(LatestNotes(saved={"step": 3}), tmp_path)
    assert run.saved == {"step": 3}
    state = {"step": 4, "seen": [1]}
    await run.save(state)
    state["step"] = 5
    assert run.saved == {"step": 4, "seen": [1]}, "later changes are the handler's own"


async def test_notes_are_bounded_and_plain(tmp_path: Path) -> None:
    notes = LatestNotes()
    run = run_with(notes, tmp_path)
    run.progress({"text": "x" * (PROGRESS_BYTES_MAX - 11)})
    with pytest.raises(ValueError, match="at most 4096"):
        run.progress({"text": "x" * (PROGRESS_BYTES_MAX - 10)})
    with pytest.raises(ValueError, match="progress"):
        run.progress({"text": object()})
    await run.save("x" * (SAVED_BYTES_MAX - 2))
    with pytest.raises(ValueError, match="at most 65536"):
        await run.save("x" * (SAVED_BYTES_MAX - 1))
    assert len(notes.saved) == SAVED_BYTES_MAX - 2, "what did not fit replaced nothing"


class Telling:
    """Tells and saves, then ends as the payload says."""

    type = "telling"
    timeout_s = 60.0

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.gate = asyncio.Event()
        self.raises: HandlerFailed | None = None

    def check(self, payload: Mapping[str, Any]) -> None:
        pass

    async def run(self, run: Run) -> Output:
        run.progress({"step": 1})
        await run.save({"done": 1})
        self.told.set()
        await self.gate.wait()
        if self.raises is not None:
            raise self.raises
        return {}


SILENT = OutcomeUnknown(Failure("no-reply", "press-1 does not answer"), {"sent": "go"})


@pytest.mark.parametrize(
    ("on_orphan", "status", "outcome"),
    [
        (OnOrphan.ASK, Status.UNKNOWN, Outcome.UNKNOWN),
        (OnOrphan.REQUEUE, Status.WAITING, Outcome.FAILED),
    ],
)
async def test_an_unknown_outcome_is_for_a_person_unless_a_second_run_is_harmless(
    tmp_path: Path, on_orphan: OnOrphan, status: Status, outcome: Outcome
) -> None:
    """Promise 3."""
    handler = Telling()
    handler.raises = SILENT
    handler.gate.set()
    # In virtual time, so that the retry does not come.
    async with robot(tmp_path, handlers={"telling": handler}, time=VirtualTime()) as one:
        task_id = await one.submit(type_="telling", on_orphan=on_orphan)
        task = await one.until_that(
            task_id, lambda task: task.attempt is not None and task.attempt.outcome is not None
        )
        assert task.status is status
        assert attempt_of(task).outcome is outcome
        assert attempt_of(task).error == SILENT.failure
        assert attempt_of(task).output == {"sent": "go"}


async def test_a_retry_comes_no_sooner_than_the_other_side_asked(tmp_path: Path) -> None:
    handler = Telling()
    handler.raises = HandlerFailed(Failure("busy", "later"), retry_after_s=500)
    handler.gate.set()
    async with robot(tmp_path, handlers={"telling": handler}, time=VirtualTime()) as one:
        task_id = await one.submit(type_="telling")
        task = await one.until_that(
            task_id, lambda task: task.progress is not None and task.status is Status.WAITING
        )
        assert task.progress is not None
        assert task.progress.not_before_ms == START_MS + 500_000
