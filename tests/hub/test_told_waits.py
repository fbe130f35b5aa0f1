"""Why a task waits at its device: what only the device knows shows at the hub as well."""

from pathlib import Path

import msgspec

from hub.allocation import DeviceState
from hub.explain import HubExplain
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, Seat
from shared.core.lifecycle import Status
from shared.core.waiting import Reason
from shared.replica import Replica
from shared.store.transaction import Change
from shared.sync.frame import WaitNote
from tests.shared.nodes import SITE, STATUS
from tests.shared.tasks import ID, SPEC_BODY
from tests.shared.wire import eventually, listening, opened, running, uplink_of

NONE_LEFT = WaitNote("blocked", (Reason("check", "stock", "stock says no: none left"),))
PAUSED = WaitNote("queued", (Reason("paused", None, "the queue wait is paused: lunch"),))


async def dealt_to(replica: Replica, device: str) -> Task:
    """Write a task that the hub has given to a device."""
    seat = Seat(Allocation(replica.node.epoch, 1, device, "1"), (device,))
    for kind, body in (("task.submitted", SPEC_BODY), ("task.allocated", seat)):
        await replica.write(
            lambda tx, kind=kind, body=body: tx.append(  # type: ignore[misc]
                site=SITE,
                kind=kind,
                subject=ID,
                register=task_bodies.REGISTER_OF[kind],
                body=body,
                actor="ada",
            )
        )
    task = tasks.read(await replica.record("task", ID))
    assert task is not None
    return task


async def test_what_a_device_tells_shows_and_is_news_of_the_task(tmp_path: Path) -> None:
    told: list[str] = []
    status = msgspec.structs.replace(STATUS, waits={ID: NONE_LEFT, "unknown": NONE_LEFT})

    def hear(changes: list[Change]) -> None:
        told.extend(change.subject for change in changes if change.kind == "task")

    async with (
        opened(tmp_path / "hub", "hub", "hub") as replica,
        opened(tmp_path / "a", "agent", "a") as agent,
        listening(replica) as hub,
    ):
        task = await dealt_to(replica, "a")
        here = DeviceState("a", SITE, "1", frozenset(), frozenset(), connected=True, last_seen_ms=0)
        explain = HubExplain(lambda: {"a": here}, lambda _: None, hub.gateway.told)

        def shown() -> tuple[Status, str]:
            waiting = explain(task, lambda _: None, 0)
            assert waiting is not None
            return waiting.status, waiting.reasons[0].message

        assert shown() == (Status.QUEUED, "a has it")
        async with running(uplink_of(agent, tmp_path / "a", hub.url, lambda: status)):
            await eventually(lambda: hub.gateway.told(task) == NONE_LEFT)
            assert shown() == (Status.BLOCKED, "stock says no: none left")
            with replica.subscribe(hear):
                status = msgspec.structs.replace(STATUS, waits={ID: PAUSED, "unknown": PAUSED})
                await eventually(lambda: bool(told) and hub.gateway.told(task) == PAUSED)
            assert set(told) == {ID}, "of a task that the device does not have there is no news"
            assert shown() == (Status.QUEUED, "the queue wait is paused: lunch")
        await eventually(lambda: hub.gateway.told(task) is None)
