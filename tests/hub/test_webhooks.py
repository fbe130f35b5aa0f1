"""Webhooks against a real receiver: good, failing, slow, down, killed in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from aiohttp import web

from hub.courier import Courier, open_session
from hub.settings import Webhook
from shared.api import tasks as task_routes
from shared.core.kinds.task_bodies import Progress
from shared.core.lifecycle import Status
from shared.core.task_view import TaskView
from shared.errors import StoreFull
from shared.store.transaction import Reading, Transaction
from tests.api.nodes import START_MS, carry, open_node, seat_at
from tests.api.served import Served, serve_node
from tests.hub.killing import Trace, a_disk_that_is_full, killed_everywhere
from tests.hub.receiver import SECRET, Receiver, receiving
from tests.shared.certified import certified

DAY_MS = 24 * 3_600_000
HOUR_MS = 3_600_000


def hook(url: str, webhook_id: str = "erp", **fields: Any) -> Webhook:
    return Webhook(id=webhook_id, url=url, secret=SECRET, **fields)


class Told:
    """A courier of a hub, moved by hand."""

    def __init__(self, hub: Served, webhook: Webhook, **more: Any) -> None:
        self.hub = hub
        self.webhook = webhook
        self.courier = Courier(
            hub.replica,
            webhook,
            secret=SECRET,
            now_ms=hub.node.clock,
            chance=Random(1),
            **{"render": partial(_shown, hub), **more},
        )

    async def step(self, after_ms: int = 0) -> int:
        """Let time pass, then look and send once."""
        self.hub.node.clock.ms += after_ms
        await self.courier.collect()
        async with open_session() as http:
            return await self.courier.deliver(http)

    async def state(self) -> Any:
        items = (await self.hub.get("/api/webhooks"))["items"]
        return next(item for item in items if item["id"] == self.webhook.id)


def _shown(hub: Served, reading: Reading, task: str) -> TaskView | None:
    return task_routes.render(reading, hub.context, task)


@asynccontextmanager
async def hub_with(folder: Path, *hooks: Webhook) -> AsyncIterator[Served]:
    async with serve_node(folder, hooks=hooks) as hub:
        yield hub


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def told(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Told]:
    webhook = hook(receiver.url)
    async with hub_with(tmp_path, webhook) as hub:
        yield Told(hub, webhook)


async def ended(hub: Served, status: Status = Status.SUCCEEDED, **fields: Any) -> str:
    """Have a task run by a device and end."""
    task = await hub.node.submit(**fields)
    await hub.replica.write(lambda tx: seat_at(tx, task, "robot-1"))
    await hub.node.report(task, Status.RUNNING, number=1)
    await hub.node.report(task, status, number=1)
    return task


# ------------------------------------------------------------------ what is told


async def test_a_receiver_is_told_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.take)
    async with certified(app, monkeypatch) as url:
        webhook = hook(f"{url}/hook")
        async with hub_with(tmp_path, webhook) as hub:
            task = await ended(hub)
            assert await Told(hub, webhook).step() == 1
    assert receiver.told == [("task.succeeded", task)]


async def test_the_end_of_a_task_is_told_with_the_task(told: Told, receiver: Receiver) -> None:
    task = await ended(told.hub, command="echo hello", priority="high")
    assert await told.step() == 1
    (body,) = receiver.bodies
    shown = await told.hub.get(f"/api/tasks/{task}")
    assert body == {
        "id": body["id"],
        "type": "task.succeeded",
        "at": shown["updated_at"],
        "task": shown,
    }
    assert body["task"]["payload"] == {"argv": ["echo", "hello"]}
    state = await told.state()
    assert (state["pending"], state["failed"], state["dropped"]) == (0, 0, 0)
    assert state["last_success_at"] is not None
    assert await told.step(DAY_MS) == 0


async def test_each_status_that_is_wanted_is_told_once(told: Told, receiver: Receiver) -> None:
    """Also one that a person's retry has undone by the time the hub looks."""
    hub = told.hub
    dead = await ended(hub, Status.DEAD)
    await hub.node.retry(dead)
    await hub.replica.write(lambda tx: seat_at(tx, dead, "robot-2"))
    await hub.node.report(dead, Status.SUCCEEDED, number=1)
    unknown = await ended(hub, Status.UNKNOWN)
    cancelled = await hub.node.submit()
    await hub.node.cancel(cancelled)
    await hub.node.submit()
    while await told.step():
        pass
    assert sorted(receiver.told) == sorted(
        [
            ("task.dead", dead),
            ("task.succeeded", dead),
            ("task.unknown", unknown),
            ("task.cancelled", cancelled),
        ]
    )
    assert receiver.told.index(("task.dead", dead)) < receiver.told.index(("task.succeeded", dead))
    assert len(set(receiver.ids)) == 4


async def test_only_what_is_asked_for_is_told(tmp_path: Path, receiver: Receiver) -> None:
    webhook = hook(receiver.url, on=("dead",), types=("deliver",))
    async with hub_with(tmp_path, webhook) as hub:
        told = Told(hub, webhook)
        wanted = await ended(hub, Status.DEAD, type="deliver", payload={})
        await ended(hub, Status.SUCCEEDED, type="deliver", payload={})
        await ended(hub, Status.DEAD, type="command", payload={"argv": ["a"]})
        await told.step()
        assert receiver.told == [("task.dead", wanted)]


async def test_evidence_of_a_former_claim_is_not_told(told: Told, receiver: Receiver) -> None:
    """What came under an allocation that was no longer the newest changed no status."""
    hub = told.hub
    task = await hub.node.submit()
    await hub.replica.write(lambda tx: seat_at(tx, task, "robot-1"))
    former = (await hub.node.task(task)).allocation
    await hub.replica.write(lambda tx: seat_at(tx, task, "robot-2"))

    def late(tx: Transaction) -> None:
        tx.append(
            site="demo",
            kind="task.status",
            subject=task,
            register="status",
            body=Progress(Status.SUCCEEDED, former),
            actor="robot-1",
        )

    await hub.replica.write(late)
    assert await told.step() == 0
    await hub.node.report(task, Status.DEAD, number=1)
    await told.step()
    assert receiver.told == [("task.dead", task)]


async def test_what_a_device_did_while_it_was_away_is_told_when_it_comes_back(
    told: Told, receiver: Receiver, tmp_path: Path
) -> None:
    async with open_node(tmp_path, "agent", "robot-1", can_run=lambda _: True) as robot:
        task = await robot.submit()
        await robot.report(task, Status.RUNNING, number=1)
        await robot.report(task, Status.SUCCEEDED, number=1)
        await carry(robot.replica, told.hub.replica)
        await carry(robot.replica, told.hub.replica)
    await told.step()
    await told.step()
    assert receiver.told == [("task.succeeded", task)]


async def test_a_new_webhook_begins_with_what_happens_from_now_on(
    tmp_path: Path, receiver: Receiver
) -> None:
    first, second = hook(receiver.url), hook(receiver.url, "shop")
    async with hub_with(tmp_path, first) as hub:
        old = await ended(hub)
    async with hub_with(tmp_path, second) as hub:  # erp was taken out of the settings
        told = Told(hub, second)
        hub.node.clock.ms += 1  # ids are made from it
        new = await ended(hub)
        await told.step()
        assert receiver.told == [("task.succeeded", new)]
        rows = await hub.replica.read(lambda r: r.query("SELECT id FROM webhooks"))
        assert rows == [("shop",)]
    assert old != new


async def test_a_long_journal_is_looked_through_in_steps(told: Told, receiver: Receiver) -> None:
    told = Told(told.hub, told.webhook, scan_max=3)
    ids = [await ended(told.hub) for _ in range(3)]
    for number in range(20):
        await told.hub.equipment(f"press-{number}")
    while await told.step():
        pass
    assert [task for _, task in receiver.told] == ids


# ------------------------------------------------------------------ receivers in trouble


async def test_what_fails_is_tried_again_with_the_same_id(told: Told, receiver: Receiver) -> None:
    receiver.answer = 500
    await ended(told.hub)
    await told.step()
    state = await told.state()
    assert (state["pending"], state["last_error"]) == (1, "answered 500")
    receiver.answer = 200
    await told.step(HOUR_MS)
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert (await told.state())["pending"] == 0


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 503])
async def test_only_2xx_is_success_and_no_redirect_is_followed(
    told: Told, receiver: Receiver, status: int
) -> None:
    receiver.answer = status
    await ended(told.hub)
    await told.step()
    assert len(receiver.bodies) == 1
    state = await told.state()
    assert (state["pending"], state["last_error"]) == (1, f"answered {status}")


async def test_410_drops_the_event_and_counts_it(told: Told, receiver: Receiver) -> None:
    receiver.answer = 410
    await ended(told.hub)
    await told.step()
    state = await told.state()
    assert (state["pending"], state["dropped"], state["last_error"]) == (0, 1, "answered 410")


async def test_a_receiver_that_is_down_is_told_once_it_is_up(tmp_path: Path) -> None:
    async with receiving() as gone:
        url = gone.url
    webhook = hook(url)
    async with hub_with(tmp_path, webhook) as hub:
        told = Told(hub, webhook)
        await ended(hub)
        await told.step()
        state = await told.state()
        assert state["pending"] == 1
        assert "ClientConnectorError" in state["last_error"]
        async with receiving() as receiver:
            up = Told(hub, hook(receiver.url))
            await up.step(HOUR_MS)
            assert len(receiver.bodies) == 1


async def test_a_slow_receiver_is_given_up_after_its_timeout(
    tmp_path: Path, receiver: Receiver
) -> None:
    never = asyncio.Event()

    async def hang(_body: Any) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    receiver.answer = hang
    webhook = hook(receiver.url)
    async with hub_with(tmp_path, webhook) as hub:
        told = Told(hub, webhook, timeout_s=0.1)
        await ended(hub)
        await told.step()
        assert (await told.state())["last_error"] == "no answer within 0.1 s"
        never.set()


async def test_a_receiver_that_hangs_delays_no_other(tmp_path: Path, receiver: Receiver) -> None:
    """Promise 6."""
    never = asyncio.Event()
    async with receiving() as stuck:

        async def hang(_body: Any) -> web.StreamResponse:
            await never.wait()
            return web.Response()

        stuck.answer = hang
        hooks = (hook(stuck.url, "stuck"), hook(receiver.url, "well"))
        async with hub_with(tmp_path, *hooks) as hub, asyncio.TaskGroup() as running:
            loops = [running.create_task(Told(hub, webhook).courier.run()) for webhook in hooks]
            ids = [await ended(hub) for _ in range(5)]
            await receiver.until(5)
            await stuck.until(1)
            assert [task for _, task in receiver.told] == ids
            assert len(stuck.bodies) == 1
            never.set()
            for loop in loops:
                loop.cancel()


async def test_after_three_days_an_event_is_given_up_and_a_person_has_it_tried_again(
    told: Told, receiver: Receiver
) -> None:
    receiver.answer = 500
    await ended(told.hub)
    begun = told.hub.node.clock.ms
    tries = 0
    while (await told.state())["failed"] == 0:
        tries += await told.step(20 * 60_000)
        assert told.hub.node.clock.ms <= begun + 3 * DAY_MS + HOUR_MS
    assert told.hub.node.clock.ms >= begun + 3 * DAY_MS
    assert tries > 72  # at least once an hour
    assert await told.step(HOUR_MS) == 0
    receiver.answer = 204
    again = await told.hub.call("POST", "/api/webhooks/erp/retry")
    assert (again.status, again.json["pending"], again.json["failed"]) == (200, 1, 0)
    assert await told.step() == 1
    assert (await told.state())["pending"] == 0
    assert len(set(receiver.ids)) == 1


async def test_a_retry_wakes_the_loop(told: Told, receiver: Receiver) -> None:
    receiver.answer = 500
    await ended(told.hub)
    await told.step(3 * DAY_MS)
    await told.step(3 * DAY_MS + HOUR_MS)
    assert (await told.state())["failed"] == 1
    receiver.answer = 204
    running = asyncio.ensure_future(told.courier.run())
    await told.hub.call("POST", "/api/webhooks/erp/retry")
    await receiver.until(3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_events_of_a_task_are_told_in_order_and_others_do_not_wait(
    told: Told, receiver: Receiver
) -> None:
    hub = told.hub

    async def first_fails(body: Any) -> web.StreamResponse:
        return web.Response(status=500 if body["type"] == "task.dead" else 204)

    receiver.answer = first_fails
    dead = await ended(hub, Status.DEAD)
    await hub.node.retry(dead)
    await hub.replica.write(lambda tx: seat_at(tx, dead, "robot-2"))
    await hub.node.report(dead, Status.SUCCEEDED, number=1)
    other = await ended(hub)
    for _ in range(5):
        await told.step(HOUR_MS)
    assert ("task.succeeded", other) in receiver.told
    assert ("task.succeeded", dead) not in receiver.told
    receiver.answer = 204
    await told.step(HOUR_MS)
    await told.step()
    assert receiver.told[-2:] == [("task.dead", dead), ("task.succeeded", dead)]


async def test_of_too_many_pending_the_oldest_are_dropped_and_counted(
    told: Told, receiver: Receiver
) -> None:
    """Promise 4."""
    told = Told(told.hub, told.webhook, pending_max=3)
    ids = [await ended(told.hub) for _ in range(5)]
    while await told.step():
        pass
    assert [task for _, task in receiver.told] == ids[2:]
    assert (await told.state())["dropped"] == 2


async def test_a_clock_that_is_put_back_does_not_hold_events_back(
    told: Told, receiver: Receiver
) -> None:
    receiver.answer = 500
    told.hub.node.clock.ms = START_MS + 365 * DAY_MS
    await ended(told.hub)
    await told.step()
    receiver.answer = 204
    told.hub.node.clock.ms = START_MS
    await told.step()
    assert (await told.state())["pending"] == 0


async def test_a_task_that_cannot_be_shown_stops_no_other(told: Told, receiver: Receiver) -> None:
    """Promise 6."""
    bad, good = await ended(told.hub), await ended(told.hub)

    def render(reading: Reading, task: str) -> TaskView | None:
        if task == bad:
            raise ValueError("a column of nonsense")
        return task_routes.render(reading, told.hub.context, task)

    told = Told(told.hub, told.webhook, render=render)
    await told.step()
    assert [task for _, task in receiver.told] == [good]
    state = await told.state()
    assert (state["pending"], "nonsense" in state["last_error"]) == (1, True)


async def test_an_event_that_is_not_understood_stops_no_other(
    told: Told, receiver: Receiver
) -> None:
    """Promise 6. A newer version's status, read by this one after a step back."""
    bad, good = await ended(told.hub), await ended(told.hub)
    body = msgspec.msgpack.encode({"status": "vanished"})
    await told.hub.replica.write(
        lambda tx: tx.execute(
            """UPDATE journal SET body = $1 WHERE entry = (SELECT max(entry) FROM journal j
            JOIN records r ON r.id = j.record WHERE r.subject = $2)""",
            body,
            bad,
        )
    )
    await told.step()
    assert [task for _, task in receiver.told] == [good]


# ------------------------------------------------------------------ once at least


async def test_killed_at_any_statement_an_end_is_told(tmp_path: Path, receiver: Receiver) -> None:
    """Promise 1: at least once, and under one id."""
    webhook = hook(receiver.url)
    async with hub_with(tmp_path / "first", webhook) as hub:
        tasks = [await ended(hub), await ended(hub, Status.DEAD)]

    async def act(folder: Path, trace: Trace) -> None:
        async with hub_with(folder, webhook) as hub, trace(hub.replica):
            await Told(hub, webhook).step()

    kills, before = 0, list[Any]()

    def on_kill() -> None:
        before[:] = receiver.bodies

    async for survivor in killed_everywhere(tmp_path / "first", act, on_kill):
        kills += 1
        receiver.bodies[:] = before
        async with hub_with(survivor, webhook) as hub:
            told = Told(hub, webhook)
            while await told.step(HOUR_MS):
                pass
            assert {task for _, task in receiver.told} == set(tasks)
            assert len(set(receiver.ids)) == 2
            assert (await told.state())["pending"] == 0
        receiver.bodies.clear()
    assert kills > 10


async def test_an_end_is_told_although_the_disk_was_full(told: Told, receiver: Receiver) -> None:
    """Promise 6."""
    task = await ended(told.hub)

    async with a_disk_that_is_full(told.hub.replica):
        with pytest.raises(StoreFull):
            await told.step()
    assert receiver.told == []
    await told.step()
    assert receiver.told == [("task.succeeded", task)]


async def test_an_unknown_webhook_is_not_found(told: Told) -> None:
    assert (await told.hub.call("POST", "/api/webhooks/shop/retry")).status == 404


async def test_webhooks_are_listed_in_pages(tmp_path: Path) -> None:
    hooks = tuple(hook("http://127.0.0.1:1/", name) for name in ("b", "a", "c"))
    async with hub_with(tmp_path, *hooks) as hub:
        first = await hub.get("/api/webhooks?limit=2")
        rest = await hub.get(f"/api/webhooks?limit=2&cursor={first['next']}")
        assert [item["id"] for item in (*first["items"], *rest["items"])] == ["a", "b", "c"]
        assert SECRET not in str(first)
