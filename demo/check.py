"""``--check``: play the story, assert every step, say in one JSON line what happened."""

import asyncio
import tempfile
from pathlib import Path

from demo import configuration, story
from demo.errors import DemoFailed
from demo.fleet import Fleet, run_fleet
from demo.report import ConflictCounts, Report, StepResult, TaskCounts
from demo.teller import Teller
from demo.world import World

CHECK_S = 75.0  # for the whole story; with everything's ending it stays under two minutes
STEP_S = 40.0
PATIENCE_S = 25.0

Counts = tuple[TaskCounts, ConflictCounts, bool]
NOTHING: Counts = (TaskCounts(), ConflictCounts(), False)


async def check(teller: Teller) -> Report:
    """Play the story in a folder of its own, on free ports; never longer than CHECK_S."""
    results: list[StepResult] = []
    counts = NOTHING
    with tempfile.TemporaryDirectory(prefix="skerry-demo-") as folder:
        try:
            async with asyncio.timeout(CHECK_S):
                plan = configuration.plan(Path(folder), port=None)
                async with run_fleet(plan, PATIENCE_S) as fleet:
                    results.append(StepResult("start", ok=True, detail=f"{len(fleet.nodes)} nodes"))
                    counts = await play_while_all_live(fleet, teller, results)
                results.append(end_of(fleet))
        except TimeoutError:
            results.append(StepResult("end", ok=False, detail=f"not over after {CHECK_S:g} s"))
        except DemoFailed as failed:
            results.append(StepResult("end", ok=False, detail=str(failed)))
    return report(results, counts, teller.seconds)


async def play_while_all_live(fleet: Fleet, teller: Teller, results: list[StepResult]) -> Counts:
    """Play and count; give up as soon as a node ends, as here nobody starts it again."""

    async def play() -> Counts:
        world = World(fleet, teller.tell)
        await story.play(world, results, step_s=STEP_S)
        try:
            return await story.count(world)
        except DemoFailed as failed:
            results.append(StepResult("count", ok=False, detail=str(failed)))
            return NOTHING

    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(play(), name="story")
        watching = [
            tasks.create_task(child.until_ended(), name=f"watch {name}")
            for name, child in fleet.nodes.items()
        ]
        await asyncio.wait((playing, *watching), return_when=asyncio.FIRST_COMPLETED)
        for task in (playing, *watching):
            task.cancel()
    return NOTHING if playing.cancelled() else playing.result()


def end_of(fleet: Fleet) -> StepResult:
    """Return whether all nodes, told to end, did so in order."""
    if all(node.ended_well for node in fleet.nodes.values()):
        return StepResult("end", ok=True, detail=f"{len(fleet.nodes)} nodes ended in order")
    return StepResult("end", ok=False, detail="; ".join(fleet.endings()))


def report(results: list[StepResult], counts: Counts, seconds: float) -> Report:
    """Return the line; all is well only if every part of it is."""
    tasks, conflicts, converged = counts
    whole = tasks.succeeded == tasks.submitted and not tasks.lost and not tasks.run_twice
    settled = conflicts.opened == conflicts.resolved == 1
    return Report(
        ok=story.is_complete(results) and whole and settled and converged,
        steps=results,
        tasks=tasks,
        conflicts=conflicts,
        converged=converged,
        seconds=round(seconds, 1),
    )
