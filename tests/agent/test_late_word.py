"""A device whose task was given to another while it ran: its word is evidence, and not lost."""

import asyncio
from pathlib import Path

from shared.core.kinds.task_bodies import Allocation, Outcome, Seat
from shared.core.lifecycle import Status
from tests.agent.robot import Robot, append, eventually, robot

ATTEMPTS = """SELECT device, epoch, n, number, outcome FROM attempts WHERE task = $1
    ORDER BY n, number"""


async def attempts(one: Robot, task_id: str) -> list[tuple[object, ...]]:
    return await one.replica.read(lambda reading: reading.query(ATTEMPTS, task_id))


async def give(one: Robot, task_id: str, allocation: Allocation) -> None:
    """Write what the hub writes when a person forces a task, as the feed brings it."""
    seat = Seat(allocation, ("robot-1", "robot-2"))
    await one.replica.write(lambda tx: append(tx, task_id, "task.allocated", seat))


async def test_the_end_of_a_run_whose_task_was_moved_is_kept_and_decides_nothing(
    tmp_path: Path,
) -> None:
    """Promises 1 and 4."""
    async with robot(tmp_path) as one:
        await one.adopt_hub("e1")
        task_id = await one.submit({"do": "hold"})
        await one.until(task_id, Status.RUNNING)
        await give(one, task_id, Allocation("e1", 1, "robot-2", "x"))
        one.handler.gate.set()
        await one.until_that(task_id, lambda _: bool(one.handler.ended))
        other = await one.submit()  # the loop has turned when this one has run
        await one.until(other, Status.SUCCEEDED)
        assert await attempts(one, task_id) == [("robot-1", "", 0, 1, Outcome.SUCCEEDED)]
        task = await one.task(task_id)
        assert (task.status, task.allocation) == (
            Status.WAITING,
            Allocation("e1", 1, "robot-2", "x"),
        )


class Slow:
    """Stops when it is told to, once its gate is open."""

    type = "slow"
    timeout_s = 60.0

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    def check(self, payload: object) -> None:
        del payload

    async def run(self, run: object) -> dict[str, object]:
        del run
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.asked.set()
            await self.gate.wait()
            raise
        return {}


async def test_a_run_that_stops_on_request_after_its_task_was_moved_is_told_of(
    tmp_path: Path,
) -> None:
    """✗ "a task that is running cannot cancel": the end stays untold till the agent restarts."""
    slow = Slow()
    async with robot(tmp_path, handlers={"slow": slow}) as one:
        await one.adopt_hub("e1")
        task_id = await one.submit(type_="slow")
        await one.until(task_id, Status.RUNNING)
        await one.ask_cancel(task_id)
        await asyncio.wait_for(slow.asked.wait(), 5)
        await give(one, task_id, Allocation("e1", 1, "robot-2", "x"))
        slow.gate.set()
        await eventually(lambda: not one.dispatcher._runs)
        assert await attempts(one, task_id) == [("robot-1", "", 0, 1, Outcome.CANCELLED)]
        assert (await one.task(task_id)).status is Status.WAITING


async def test_a_run_that_a_crash_ended_after_its_task_was_moved_is_told_of(tmp_path: Path) -> None:
    async with robot(tmp_path) as one:
        await one.adopt_hub("e1")
        task_id = await one.submit({"do": "hold"})
        await one.until(task_id, Status.RUNNING)
        await give(one, task_id, Allocation("e1", 1, "robot-2", "x"))
    async with robot(tmp_path, boot="boot-2") as one:
        other = await one.submit()
        await one.until(other, Status.SUCCEEDED)
        assert await attempts(one, task_id) == [("robot-1", "", 0, 1, Outcome.UNKNOWN)]
        assert (await one.task(task_id)).status is Status.WAITING
        said = len(await one.replica.read(lambda r: r.query("SELECT 1 FROM journal")))
    async with robot(tmp_path, boot="boot-3") as one:
        await one.until(await one.submit(), Status.SUCCEEDED)
        more = len(await one.replica.read(lambda r: r.query("SELECT 1 FROM journal"))) - said
        assert more == 4, "told once: the rest is the task of this boot"


async def test_a_late_word_hides_nothing_that_this_device_said_under_a_newer_allocation(
    tmp_path: Path,
) -> None:
    """✗ the hub refuses it as hiding what is newer, and the attempt never ends (the simulator)."""
    async with robot(tmp_path) as one:
        mine = await one.adopt_hub("e1")
        task_id = await one.submit({"do": "hold"})
        await one.until(task_id, Status.RUNNING)
        await give(one, task_id, mine)
        await one.recall(task_id)
        await one.until_that(task_id, lambda task: task.is_returned)
        one.handler.gate.set()
        await eventually(lambda: not one.dispatcher._runs)
        assert await attempts(one, task_id) == [("robot-1", "", 0, 1, Outcome.SUCCEEDED)]
        assert (await one.task(task_id)).is_returned


async def test_a_task_never_runs_beside_itself_under_its_next_allocation(tmp_path: Path) -> None:
    """Promise 3."""
    async with robot(tmp_path, concurrency=2) as one:
        mine = await one.adopt_hub("e1")
        task_id = await one.submit({"do": "hold"})
        await one.until(task_id, Status.RUNNING)
        await give(one, task_id, mine)
        other = await one.submit()
        await one.until(other, Status.SUCCEEDED)
        assert [run.number for run in one.handler.runs if run.task_id == task_id] == [1]
        one.handler.gate.set()
        await one.until(task_id, Status.SUCCEEDED)
        assert one.handler.most_at_once == 2
        assert await attempts(one, task_id) == [
            ("robot-1", "", 0, 1, Outcome.SUCCEEDED),
            ("robot-1", "e1", 1, 1, Outcome.SUCCEEDED),
        ]
