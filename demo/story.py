"""The story, step by step, and the record of what happened."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from demo import clinic, connected, island, merged
from demo.errors import DemoFailed
from demo.report import ConflictCounts, StepResult, TaskCounts, count_tasks
from demo.world import World

log = logging.getLogger(__name__)

Act = Callable[[World], Awaitable[str]]

STORY: tuple[tuple[str, str, Act], ...] = (
    ("connect", "Four programs that work together", connected.connect),
    ("deliver", "", connected.deliver),
    ("check", "", connected.ask_inventory),
    ("report", "", connected.report),
    ("button", "", connected.press_button),
    ("mqtt", "", connected.hear_machine),
    ("clinic", "", clinic.open_clinic),
    ("booking", "", clinic.book),
    ("queue", "The links of robot and tablet are cut", island.fill_queue),
    ("cut", "", island.cut),
    ("blind-change", "", island.change_blindly),
    ("offline-report", "", island.report_offline),
    ("offline-booking", "", clinic.ask_offline),
    ("offline-submit", "", island.submit_offline),
    ("offline-queue", "", island.run_queue),
    ("mend", "The links are mended", merged.mend),
    ("outcomes", "", merged.merge_tasks),
    ("decisions", "", clinic.decide),
    ("conflict", "", merged.see_conflict),
    ("resolve", "", merged.resolve),
    ("history", "", merged.keep_history),
    ("converge", "", merged.converge),
)
"""Name, heading of the part that begins with it, and what happens."""


async def play(
    world: World, results: list[StepResult], *, step_s: float, pause_s: float = 0
) -> None:
    """Play the story until its end or the first step that fails.

    Args:
        world: Where it plays.
        results: Gets the result of each step, so that they are known even if we are cancelled.
        step_s: Longest duration of a step, seconds.
        pause_s: For a person to read, before each part but the first, seconds.
    """
    for name, heading, act in STORY:
        if heading:
            await asyncio.sleep(pause_s if results else 0)
            world.tell("", "")
            world.tell("#", heading)
        result = await _step(name, act, world, step_s)
        results.append(result)
        if not result.ok:
            return


def is_complete(results: list[StepResult]) -> bool:
    """Whether every step of the story happened, and nothing else went wrong."""
    happened = {result.name for result in results}
    return all(result.ok for result in results) and all(name in happened for name, _, _ in STORY)


async def count(world: World) -> tuple[TaskCounts, ConflictCounts, bool]:
    """Return what became of tasks and conflicts, and whether all nodes show the same.

    Raises:
        DemoFailed: The hub does not answer.
    """
    at_hub: dict[str, Any] = {}
    for task_id in world.ledger.tasks:
        found = await world.task(world.hub, task_id)
        if found is not None:
            at_hub[task_id] = found
    still_open = await world.hub.items("/api/conflicts")
    resolved = await world.hub.items("/api/conflicts?status=resolved")
    return (
        count_tasks(world.ledger.tasks, at_hub),
        ConflictCounts(opened=len(still_open) + len(resolved), resolved=len(resolved)),
        await is_same_everywhere(world),
    )


async def is_same_everywhere(world: World) -> bool:
    """Whether all nodes show the same; one that does not answer shows nothing."""
    try:
        return not await merged.differences(world)
    except DemoFailed:
        return False


async def _step(name: str, act: Act, world: World, step_s: float) -> StepResult:
    try:
        async with asyncio.timeout(step_s):
            return StepResult(name, ok=True, detail=await act(world))
    except TimeoutError:
        return StepResult(name, ok=False, detail=f"not done after {step_s:g} s")
    except DemoFailed as failed:
        return StepResult(name, ok=False, detail=str(failed))
    except Exception as error:
        # Such as an answer in another shape: the step has failed, the report must come.
        log.exception("step %s", name)
        return StepResult(name, ok=False, detail=repr(error))
