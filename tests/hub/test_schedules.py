"""Schedules through the API, fired by a timekeeper that is told the time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub import cron, firing
from hub.timekeeper import Timekeeper
from shared.core import instants
from shared.core.kinds.schedule import CatchUp, Paused, Plan
from shared.errors import StoreFull
from shared.store.transaction import Change, Transaction
from tests.api.nodes import START_MS, carry, open_node
from tests.api.served import Served, serve_node
from tests.hub.killing import Trace, a_disk_that_is_full, killed_everywhere

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
WITHIN_S = 10
TASK = {"command": "echo hello", "priority": "high"}  # START_MS is Monday, 08:00 UTC


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path) as served:
        yield served


def timekeeper(hub: Served) -> Timekeeper:
    return Timekeeper(hub.replica, hub.node.clock)


async def schedule(hub: Served, cron: str = "* * * * *", **fields: Any) -> Any:
    body = {"id": "nightly", "cron": cron, "task": TASK, **fields}
    answered = await hub.call("POST", "/api/schedules", body)
    assert answered.status == 201, answered.raw
    return answered.json


async def at(hub: Served, ms: int) -> None:
    """Look at the schedules at an instant, as a hub does that starts then."""
    hub.node.clock.ms = ms
    keeper = timekeeper(hub)
    await keeper.load()
    await keeper.tick(ms)


async def tasks(hub: Served) -> list[str]:
    return sorted(task["id"] for task in (await hub.get("/api/tasks?limit=500"))["items"])


def ids(*slots: int) -> list[str]:
    return sorted(cron.task_id("nightly", slot) for slot in slots)


async def test_each_slot_gets_its_task(hub: Served) -> None:
    made = await schedule(hub, "0 6 * * MON-FRI", timezone="Europe/Berlin")
    assert made["next_at"] == "2026-11-24T05:00:00.000Z"
    assert (made["last_slot"], made["last_task"], made["paused"]) == (None, None, False)
    assert (made["task"], made["requester"]) == (TASK, "ada")
    slot = START_MS + 21 * HOUR_MS
    for ms in (START_MS + HOUR_MS, slot - 1, slot, slot + 1, slot + 30_000):
        await at(hub, ms)
    assert await tasks(hub) == ids(slot)
    shown = await hub.get("/api/schedules/nightly")
    assert shown["last_slot"] == "2026-11-24T05:00:00.000Z"
    assert shown["next_at"] == "2026-11-25T05:00:00.000Z"
    assert shown["etag"] == made["etag"]  # an editor's If-Match outlives a run
    task = await hub.get(f"/api/tasks/{shown['last_task']}")
    assert (task["requester"], task["priority"]) == ("ada", "high")
    assert task["payload"] == {"argv": ["echo", "hello"]}


@pytest.mark.parametrize(
    ("catch_up", "slots"),
    [("skip", []), ("once", [9]), ("all", [7, 8, 9])],
)
async def test_an_outage_is_made_up_for_as_wished(
    hub: Served, catch_up: str, slots: list[int]
) -> None:
    await schedule(hub, "0 * * * *", catch_up=catch_up, catch_up_max=3)
    await at(hub, START_MS + 9 * HOUR_MS + 10 * MINUTE_MS)
    assert await tasks(hub) == ids(*(START_MS + n * HOUR_MS for n in slots))
    await at(hub, START_MS + 10 * HOUR_MS)
    assert await tasks(hub) == ids(*(START_MS + n * HOUR_MS for n in (*slots, 10)))


async def test_a_clock_that_is_put_back_fires_nothing_again(hub: Served) -> None:
    await schedule(hub, catch_up="all")
    await at(hub, START_MS + 2 * MINUTE_MS)
    fired = await tasks(hub)
    assert fired == ids(START_MS + MINUTE_MS, START_MS + 2 * MINUTE_MS)
    for ms in (START_MS - HOUR_MS, START_MS + MINUTE_MS, START_MS + 2 * MINUTE_MS):
        await at(hub, ms)
    assert await tasks(hub) == fired
    await at(hub, START_MS + 3 * MINUTE_MS)
    assert len(await tasks(hub)) == 3


async def test_a_schedule_that_a_wrong_clock_carried_away_comes_back_and_repeats_nothing(
    hub: Served,
) -> None:
    """Pause and resume let it count from now; what had run under the true clock stays run."""
    await schedule(hub)
    await at(hub, START_MS + MINUTE_MS)
    await at(hub, START_MS + 1000 * HOUR_MS)
    hub.node.clock.ms = START_MS + MINUTE_MS - 1
    assert (await hub.get("/api/schedules/nightly"))["next_at"].startswith("2027")
    for paused in (True, False):
        body = {"paused": paused}
        assert (await hub.call("PATCH", "/api/schedules/nightly", body)).status == 200
    await at(hub, START_MS + MINUTE_MS)
    await at(hub, START_MS + 2 * MINUTE_MS)
    wanted = (
        MINUTE_MS,
        2 * MINUTE_MS,
        *range(1000 * HOUR_MS - MINUTE_MS, 1000 * HOUR_MS + 1, MINUTE_MS),
    )
    assert await tasks(hub) == ids(*(START_MS + ms for ms in wanted))


async def test_a_paused_schedule_lets_its_slots_pass_and_goes_on_from_now(hub: Served) -> None:
    await schedule(hub, paused=True, catch_up="all")
    await at(hub, START_MS + HOUR_MS)
    shown = await hub.call("PATCH", "/api/schedules/nightly", {"paused": False})
    assert shown.json["next_at"] == instants.text(START_MS + HOUR_MS + MINUTE_MS)
    await at(hub, START_MS + HOUR_MS + 59_999)
    assert await tasks(hub) == []
    await at(hub, START_MS + HOUR_MS + MINUTE_MS)
    assert await tasks(hub) == ids(START_MS + HOUR_MS + MINUTE_MS)


async def test_other_times_count_from_now_and_another_task_does_not_move_them(hub: Served) -> None:
    first = await schedule(hub, catch_up="all")
    hub.node.clock.ms = START_MS + HOUR_MS
    changes = {"cron": "30 * * * *", "task": {"type": "wait", "payload": {"seconds": 1}}}
    etag = {"If-Match": f'"{first["etag"]}"'}
    path = "/api/schedules/nightly"
    changed = await hub.call("PATCH", path, changes, actor="bo", headers=etag)
    assert (changed.json["requester"], changed.json["catch_up"]) == ("bo", "all")
    assert changed.json["created_at"] == first["created_at"] == instants.text(START_MS)
    assert changed.json["updated_at"] == instants.text(START_MS + HOUR_MS)
    stale = await hub.call("PATCH", path, {"catch_up": "skip"}, headers=etag)
    assert stale.status == 412
    await at(hub, START_MS + HOUR_MS + 31 * MINUTE_MS)
    slot = START_MS + HOUR_MS + 30 * MINUTE_MS
    assert await tasks(hub) == ids(slot)
    assert (await hub.get(f"/api/tasks/{ids(slot)[0]}"))["type"] == "wait"


async def test_a_deleted_schedule_is_gone_and_its_name_may_be_used_again(hub: Served) -> None:
    await schedule(hub, paused=True)
    assert (await hub.call("DELETE", "/api/schedules/nightly")).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        body: Any = {} if method == "PATCH" else None
        assert (await hub.call(method, "/api/schedules/nightly", body)).status == 404
    assert (await hub.get("/api/schedules"))["items"] == []
    await at(hub, START_MS + HOUR_MS)
    again = await schedule(hub)
    assert (again["paused"], again["last_task"]) == (False, None)
    await at(hub, START_MS + HOUR_MS + MINUTE_MS)
    assert await tasks(hub) == ids(START_MS + HOUR_MS + MINUTE_MS)


async def test_schedules_are_listed_by_id_in_pages(hub: Served) -> None:
    for name in ("c", "a", "b"):
        await schedule(hub, id=name)
    made = await schedule(hub, id=None)
    assert len(made["id"]) == 36
    first = await hub.get("/api/schedules?limit=3")
    rest = await hub.get(f"/api/schedules?limit=3&cursor={first['next']}")
    names = [item["id"] for item in (*first["items"], *rest["items"])]
    assert names == sorted(("a", "b", "c", made["id"]))
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("fields", "status", "place"),
    [
        ({"cron": "61 * * * *"}, 422, "$.cron"),
        ({"cron": "0 6 * *"}, 422, "$.cron"),
        ({"cron": "0 0 30 2 *"}, 422, "$.cron"),
        ({"timezone": "Europe/Atlantis"}, 422, "$.timezone"),
        ({"timezone": "../etc/passwd"}, 422, "$.timezone"),
        ({"timezone": "Europe"}, 422, "$.timezone"),
        (
            {"task": {"command": "echo", "not_before": "2030-01-01T00:00:00Z"}},
            422,
            "$.task.not_before",
        ),
        ({"task": {**TASK, "id": cron.task_id("x", 0)}}, 422, "$.task.id"),
        ({"task": {"type": "wait"}}, 400, "$.task.payload"),
        ({"task": {"command": "echo '"}}, 422, "$.task.command"),
        ({"catch_up": "twice"}, 400, "$.catch_up"),
        ({"catch_up_max": 0}, 400, "$.catch_up_max"),
        ({"colour": 1}, 400, "$.colour"),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_its_place(
    hub: Served, fields: dict[str, Any], status: int, place: str
) -> None:
    body = {"id": "nightly", "cron": "* * * * *", "task": TASK, **fields}
    refused = await hub.call("POST", "/api/schedules", body)
    assert (refused.status, refused.json["errors"][0]["path"]) == (status, place)
    assert (await hub.get("/api/schedules"))["items"] == []


async def test_one_name_is_one_schedule(hub: Served) -> None:
    await schedule(hub)
    body = {"id": "nightly", "cron": "* * * * *", "task": TASK}
    assert (await hub.call("POST", "/api/schedules", body)).status == 409


async def test_devices_neither_hear_of_schedules_nor_write_them(
    hub: Served, tmp_path: Path
) -> None:
    await schedule(hub)
    assert await hub.replica.read(lambda r: r.query("SELECT * FROM scope")) == []
    async with open_node(tmp_path, "agent", "tablet-1") as tablet:

        def write(tx: Transaction) -> None:
            held = Paused(True)
            tx.append(
                site="demo",
                kind="schedule.paused",
                subject="nightly",
                register="paused",
                body=held,
                actor="bo",
            )

        await tablet.replica.write(write)
        await carry(tablet.replica, hub.replica)
    assert not (await hub.get("/api/schedules/nightly"))["paused"]


# ------------------------------------------------------------------ once and only once


async def test_two_timekeepers_fire_a_slot_once(hub: Served) -> None:
    await schedule(hub)
    keepers = [timekeeper(hub) for _ in range(4)]
    for keeper in keepers:
        await keeper.load()
        await keeper.tick(START_MS)
    now = hub.node.clock.ms = START_MS + MINUTE_MS
    await asyncio.gather(*(keeper.tick(now) for keeper in keepers))
    assert await tasks(hub) == ids(now)


async def test_a_mark_that_was_lost_with_a_backup_repeats_no_task(hub: Served) -> None:
    """The tasks come back with the devices' journals, under the same ids."""
    await schedule(hub, catch_up="all")
    await at(hub, START_MS + 3 * MINUTE_MS)
    fired = await tasks(hub)
    await hub.replica.write(lambda tx: firing.start(tx, "nightly", START_MS))
    await at(hub, START_MS + 3 * MINUTE_MS)
    assert await tasks(hub) == fired
    kinds = [await hub.node.kinds(task) for task in fired]
    assert kinds == [["task.submitted"]] * 3


async def test_killed_at_any_statement_a_slot_gets_its_task_once(tmp_path: Path) -> None:
    """Promise 1."""
    async with serve_node(tmp_path / "first") as hub:
        await schedule(hub, catch_up="all")
    now = START_MS + 2 * MINUTE_MS

    async def look(folder: Path, trace: Trace) -> None:
        async with serve_node(folder) as hub:
            hub.node.clock.ms = now
            keeper = timekeeper(hub)
            await keeper.load()
            async with trace(hub.replica):
                await keeper.tick(now)

    kills = 0
    async for survivor in killed_everywhere(tmp_path / "first", look):
        kills += 1
        async with serve_node(survivor) as hub:
            await at(hub, now)
            await at(hub, now + 1)
            assert await tasks(hub) == ids(START_MS + MINUTE_MS, now)
            for task in await tasks(hub):
                assert await hub.node.kinds(task) == ["task.submitted"]
    assert kills > 5


async def test_a_full_disk_leaves_the_slot_due(hub: Served) -> None:
    await schedule(hub)
    keeper = timekeeper(hub)
    await keeper.load()
    now = hub.node.clock.ms = START_MS + MINUTE_MS

    async with a_disk_that_is_full(hub.replica):
        with pytest.raises(StoreFull):
            await keeper.tick(now)
    await keeper.tick(now)
    assert await tasks(hub) == ids(now)


async def test_the_loop_hears_of_a_new_schedule_and_fires_it(hub: Served) -> None:
    keeper = timekeeper(hub)
    running = asyncio.ensure_future(keeper.run())
    fired = asyncio.Event()
    with hub.replica.subscribe(
        lambda changes: fired.set() if any(c.kind == "task" for c in changes) else None
    ):
        try:
            await schedule(hub, catch_up="all")
            hub.node.clock.ms = START_MS + MINUTE_MS
            await schedule(hub, id="other", paused=True)  # a change wakes it
            async with asyncio.timeout(WITHIN_S):
                await fired.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert await tasks(hub) == ids(START_MS + MINUTE_MS)


async def put_plan(hub: Served, cron: str, zone: str, task: dict[str, Any]) -> None:
    """Journal a plan that this version would not accept: a newer one has."""
    plan = Plan(cron, zone, task, "ada", CatchUp.SKIP, 1)
    await hub.replica.write(
        lambda tx: tx.append(
            site="demo",
            kind="schedule.plan",
            subject="nightly",
            register="plan",
            body=plan,
            actor="ada",
        )
    )


async def test_a_task_that_is_refused_shows_and_the_schedule_goes_on(hub: Served) -> None:
    """Promise 6."""
    await schedule(hub)
    await put_plan(hub, "* * * * *", "UTC", {"colour": 1})
    await at(hub, START_MS + MINUTE_MS)
    shown = await hub.get("/api/schedules/nightly")
    assert "colour" in shown["last_error"]
    assert shown["next_at"] == instants.text(START_MS + 2 * MINUTE_MS)
    assert await tasks(hub) == []


@pytest.mark.parametrize(("cron", "zone"), [("@never", "UTC"), ("* * * * *", "Mars/Base")])
async def test_a_schedule_that_cannot_be_read_stops_no_other(
    hub: Served, cron: str, zone: str
) -> None:
    """Promise 6."""
    await schedule(hub, id="other")
    await schedule(hub)
    await put_plan(hub, cron, zone, {"command": "echo"})
    await at(hub, START_MS + MINUTE_MS)
    assert len(await tasks(hub)) == 1
    shown = await hub.get("/api/schedules/nightly")
    assert shown["next_at"] is None
    assert cron in shown["last_error"] or zone in shown["last_error"]


async def test_a_clock_that_is_put_forward_is_noticed_though_nothing_else_happens(
    hub: Served,
) -> None:
    await schedule(hub)
    submitted = asyncio.Event()

    def heard(changes: list[Change]) -> None:
        if any(change.kind == "task" for change in changes):
            submitted.set()

    keeper = Timekeeper(hub.replica, hub.node.clock, look_s=0.05)
    keeping = asyncio.ensure_future(keeper.run())
    try:
        with hub.replica.subscribe(heard):
            await asyncio.sleep(0)  # it looks, finds nothing due, and sleeps
            hub.node.clock.ms += MINUTE_MS
            async with asyncio.timeout(WITHIN_S):
                await submitted.wait()
    finally:
        keeping.cancel()
