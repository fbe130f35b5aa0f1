"""What a run says of itself on its way: shown while it runs, and gone on from after a restart."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.handlers.handler import Output, Run
from agent.notes import EVERY_S, report
from shared.core.kinds import task as tasks
from shared.core.kinds.task_bodies import Claim, Outcome, Reported
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import Status
from tests.agent.robot import Robot, VirtualTime, robot


class Steps:
    """Goes on from the step that was saved, and stops where the test lets it."""

    type = "steps"
    timeout_s = 60.0

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.told = asyncio.Event()
        self.go_on = asyncio.Event()

    def check(self, payload: Mapping[str, Any]) -> None:
        pass

    async def run(self, run: Run) -> Output:
        self.found.append(run.saved)
        step = (run.saved or {"step": 0})["step"]
        for number in range(100):
            run.progress({"percent": number})
        await run.save({"step": step + 1})
        self.told.set()
        await self.go_on.wait()
        return {"step": step + 1}


class Hasty:
    """Tells how far it is up to its very end, without a pause."""

    type = "hasty"
    timeout_s = 60.0

    def check(self, payload: Mapping[str, Any]) -> None:
        pass

    async def run(self, run: Run) -> Output:
        await run.save("all of it")
        for number in range(101):
            run.progress({"percent": number})
        return {}


async def said(one: Robot, task_id: str) -> Reported | None:
    task = tasks.read(await one.replica.record("task", task_id))
    assert task is not None
    return task.reported


async def written(one: Robot, task_id: str) -> int:
    """Return how many events of progress the journal has of a task."""
    rows = await one.replica.read(
        lambda r: r.query(
            "SELECT header FROM journal j JOIN records e ON e.id = j.record WHERE e.subject = $1",
            task_id,
        )
    )
    return sum(b"task.progress" in header for (header,) in rows)


async def test_progress_is_written_at_a_pace_and_a_saved_step_at_once(tmp_path: Path) -> None:
    steps, time = Steps(), VirtualTime()
    async with robot(tmp_path, handlers={"steps": steps}, time=time) as one:
        task_id = await one.submit(type_="steps")
        await steps.told.wait()
        found = await said(one, task_id)
        assert found is not None
        assert found.saved == {"step": 1}
        assert found.progress == {"percent": 99}
        assert await written(one, task_id) <= 2, "of a hundred words the newest counts"
        time.advance(EVERY_S)
        steps.go_on.set()
        await one.until(task_id, Status.SUCCEEDED)
        found = await said(one, task_id)
        assert found is not None
        assert found.claim.attempt == 1


async def test_the_last_word_is_written_with_the_end(tmp_path: Path) -> None:
    async with robot(tmp_path, handlers={"hasty": Hasty()}) as one:
        task_id = await one.submit(type_="hasty")
        await one.until(task_id, Status.SUCCEEDED)
        found = await said(one, task_id)
        assert found is not None
        assert (found.progress, found.saved) == ({"percent": 100}, "all of it")
        assert await written(one, task_id) <= 3


@pytest.mark.parametrize("on_orphan", [OnOrphan.RESUME, OnOrphan.REQUEUE])
async def test_a_run_after_a_restart_goes_on_from_the_saved_step(
    tmp_path: Path, on_orphan: OnOrphan
) -> None:
    """The process ends in the middle, without a word: the next one finds the run an orphan."""
    first, second = Steps(), Steps()
    async with robot(tmp_path, handlers={"steps": first}) as one:
        task_id = await one.submit(type_="steps", on_orphan=on_orphan)
        await first.told.wait()
    second.go_on.set()
    async with robot(tmp_path, handlers={"steps": second}, boot="boot-2") as one:
        task = await one.until(task_id, Status.SUCCEEDED)
        assert (first.found, second.found) == ([None], [{"step": 1}])
        assert task.attempt is not None
        assert task.attempt.output == {"step": 2}
        assert await one.attempts(task_id) == [(1, Outcome.LOST), (2, Outcome.SUCCEEDED)]


async def test_a_word_of_a_claim_that_is_over_says_nothing(tmp_path: Path) -> None:
    steps = Steps()
    async with robot(tmp_path, handlers={"steps": steps}) as one:
        task_id = await one.submit(type_="steps")
        await steps.told.wait()
        claimed = await one.task(task_id)
        assert claimed.attempt is not None
        steps.go_on.set()
        await one.until(task_id, Status.SUCCEEDED)
        late = Reported(Claim(None, 1, 1), {"percent": 7})
        for stale in (
            msgspec.structs.replace(claimed, allocation=one.allocation(n=1)),
            msgspec.structs.replace(claimed, id="0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3f"),
        ):
            attempt = claimed.attempt
            await one.replica.write(partial(report, claimed=stale, attempt=attempt, said=late))
        found = await said(one, task_id)
        assert found is not None
        assert found.progress == {"percent": 99}
