import asyncio
import logging
from functools import partial
from pathlib import Path
from random import Random

import pytest

from hub import returned, seating
from hub.fleet import Fleet
from hub.round import Terms
from hub.sitter import ROUND_MAX, Sitter
from shared.api import task_submission
from shared.core.kinds import queue as queues
from shared.core.kinds.task_bodies import Outcome
from shared.core.lifecycle import ENDED, Status
from shared.store.store import Store
from shared.store.transaction import Transaction
from tests.api.nodes import SITE, Clock, carry, hello, open_node, seat_at, submission
from tests.hub.hubs import WITHIN_S, Hub, open_hub

# ------------------------------------------------------------------ allocation


async def test_a_task_goes_to_a_connected_device_with_the_terms_of_the_choice(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit()
    task = await hub.until(lambda t: t.allocation is not None, task_id)
    assert task.allocation is not None
    assert (task.allocation.device, task.allocation.incarnation) == ("robot-1", "aaa")
    assert (task.allocation.epoch, task.allocation.n) == (hub.node.replica.node.epoch, 1)
    assert (task.status, task.holders) == (Status.WAITING, ("robot-1",))
    assert (await hub.view(task_id)).status == "queued"
    assert (await hub.view(task_id)).waits_for[0].message == "robot-1 has it"


async def test_tasks_wait_for_a_device_and_go_when_it_connects(hub: Hub) -> None:
    ids = [await hub.node.submit() for _ in range(3)]
    await hub.settle()
    for task_id in ids:
        shown = await hub.view(task_id)
        assert (shown.status, shown.waits_for[0].reason) == ("blocked", "device")
        assert "no device of demo runs tasks of type command" in shown.waits_for[0].message
    await hub.connect("tablet-1", types=())
    await hub.connect("robot-1")
    assert [await hub.seated(task_id) for task_id in ids] == ["robot-1"] * 3


async def test_a_device_that_learns_a_type_gets_what_waited_for_it(hub: Hub) -> None:
    await hub.connect("robot-1", capabilities=("lift",))
    task_id = await hub.node.submit(requires=["lift", "swim"])
    await hub.settle()
    assert (await hub.node.task(task_id)).allocation is None
    await hub.connect("robot-1", capabilities=("swim", "lift"))
    assert await hub.seated(task_id) == "robot-1"


async def test_a_pinned_task_waits_for_its_device_and_says_since_when(hub: Hub) -> None:
    await hub.connect("robot-1")
    await hub.connect("robot-2")
    await hub.disconnect("robot-2")
    task_id = await hub.node.submit(device="robot-2")
    await hub.settle()
    assert (await hub.view(task_id)).waits_for[0].message == "robot-2 is away"
    await hub.connect("robot-2")
    assert await hub.seated(task_id) == "robot-2"
    await hub.disconnect("robot-2")
    await hub.settle()
    shown = await hub.view(task_id)
    assert (shown.status, shown.device) == ("blocked", "robot-2")
    assert "robot-2 has it and is away since 2026-11-2" in shown.waits_for[0].message


async def test_a_task_at_a_device_says_that_its_queue_is_paused(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit()
    await hub.seated(task_id)
    await hub.node.replica.write(
        lambda tx: tx.append(
            site=SITE,
            kind="queue.paused",
            subject=queues.subject(SITE, "command"),
            register=queues.PAUSED,
            body=queues.Paused(paused=True, reason="lunch"),
            actor="ada",
        )
    )
    shown = await hub.view(task_id)
    assert shown.status == "queued"
    assert [one.message for one in shown.waits_for] == [
        "the queue command is paused: lunch",
        "robot-1 has it",
    ]


async def test_work_is_spread_over_the_devices(hub: Hub) -> None:
    for name in ("robot-1", "robot-2", "robot-3"):
        await hub.connect(name)
    ids = [await hub.node.submit() for _ in range(9)]
    seats = [await hub.seated(task_id) for task_id in ids]
    assert {name: seats.count(name) for name in set(seats)} == dict.fromkeys(
        ("robot-1", "robot-2", "robot-3"), 3
    )
    for task_id, seat in zip(ids, seats, strict=True):
        if seat == "robot-2":
            await hub.node.report(task_id, Status.SUCCEEDED, number=1)
    assert await hub.seated(await hub.node.submit()) == "robot-2"


async def test_more_than_one_round_of_tasks_all_get_a_device(hub: Hub) -> None:
    planned = [
        task_submission.plan(submission(), "ada", hub.node.clock(), hub.node.new_id)
        for _ in range(ROUND_MAX + 50)
    ]
    await hub.node.replica.write(
        lambda tx: [task_submission.submit(tx, one, SITE, None) for one in planned]
    )
    await hub.settle()
    await hub.connect("robot-1")
    for one in planned:
        assert await hub.seated(one.id) == "robot-1"


async def test_a_not_before_is_the_devices_business(hub: Hub) -> None:
    await hub.connect("robot-1")
    task_id = await hub.node.submit(not_before="2030-01-01T00:00:00Z")
    assert await hub.seated(task_id) == "robot-1"


async def test_what_waited_when_the_hub_stopped_is_allocated_when_it_starts(
    tmp_path: Path,
) -> None:
    async with open_hub(tmp_path) as hub:
        task_id = await hub.node.submit()
        await hub.connect("robot-1")
        await hub.disconnect("robot-1")
    async with open_hub(tmp_path, {"robot-1"}) as hub:
        assert await hub.seated(task_id) == "robot-1"


async def test_an_agents_own_seat_stands(hub: Hub, tmp_path: Path) -> None:
    await hub.connect("robot-1")
    agent = open_node(tmp_path, "agent", "robot-2", can_run=lambda _: True)
    async with agent as robot:
        task_id = await robot.submit()
        await carry(robot.replica, hub.node.replica)
        await hub.settle()
        assert await hub.node.task(task_id) == await robot.task(task_id)


async def test_a_task_is_never_given_to_a_journal_that_its_device_left(tmp_path: Path) -> None:
    """The row says that robot-1 writes ccc; the fleet in memory still says aaa."""
    async with open_node(tmp_path, "hub", "hub") as node:
        task_id = await node.submit()
        await hello(node.replica, "robot-1", incarnation="ccc")
        for incarnation, is_given in (("aaa", False), ("ccc", True)):
            fleet = Fleet(lambda: {"robot-1"})
            row = ("robot-1", SITE, incarnation, '["command"]', "[]", 0, *[None] * 5)
            assert fleet.learn([row]) == {"robot-1"}
            sit = partial(seating.sit, batch=[task_id], devices=fleet.states, terms=Terms(0))
            found = await node.replica.write(sit)
            assert (task_id not in found.stuck) is is_given
            assert ((await node.task(task_id)).allocation is not None) is is_given


async def test_a_round_that_finds_the_disk_full_is_repeated(tmp_path: Path) -> None:
    """Promise 6: the disk fills, the sitter goes on once there is room, and no task is left."""
    here = set[str]()
    async with open_hub(tmp_path, here, retry_s=0.01) as hub:
        await hub.connect("robot-1")
        await hub.disconnect("robot-1")
        ids = [await hub.node.submit() for _ in range(200)]
        await hub.settle()
        failed = asyncio.Event()

        def full(store: Store) -> None:
            (pages,) = store.reading().db.execute("PRAGMA page_count").fetchone()
            store.reading().db.execute(f"PRAGMA max_page_count = {pages}")

        def heard(record: logging.LogRecord) -> bool:
            failed.set()
            return False

        await hub.node.replica.run_on_writer(full)
        logger = logging.getLogger("hub.sitter")
        logger.addFilter(heard)
        try:
            here.add("robot-1")
            hub.sitter.poke()
            async with asyncio.timeout(WITHIN_S):
                await failed.wait()
        finally:
            logger.removeFilter(heard)
        assert (await hub.node.task(ids[-1])).allocation is None
        await hub.node.replica.run_on_writer(
            lambda store: store.reading().db.execute("PRAGMA max_page_count = 1000000")
        )
        assert {await hub.seated(task_id) for task_id in ids} == {"robot-1"}


# ------------------------------------------------------------------ order constraints


async def test_a_successor_waits_at_the_hub_until_its_predecessors_ended(hub: Hub) -> None:
    await hub.connect("robot-1", types=("command",))
    await hub.connect("robot-2", types=("wait",))
    one = await hub.node.submit()
    two = await hub.node.submit(type="wait", payload={"seconds": 1})
    last = await hub.node.submit(after=[one, {"task": two, "on": "end"}])
    assert await hub.seated(one) == "robot-1"
    assert await hub.seated(two) == "robot-2"
    await hub.settle()
    assert (await hub.view(last)).status == "blocked"
    await hub.node.report(two, Status.DEAD, number=3)
    # Now all that it still waits for is on robot-1, which can prove the edge by itself.
    assert await hub.seated(last) == "robot-1"


async def test_a_chain_goes_to_the_one_device_that_has_its_head(hub: Hub) -> None:
    await hub.connect("robot-1")
    await hub.connect("robot-2")
    ids = [await hub.node.submit()]
    for _ in range(5):
        ids.append(await hub.node.submit(after=[ids[-1]]))
    assert len({await hub.seated(task_id) for task_id in ids}) == 1


async def test_a_successor_pinned_elsewhere_goes_there_once_its_edge_is_open(hub: Hub) -> None:
    await hub.connect("robot-1")
    await hub.connect("robot-2")
    one = await hub.node.submit(device="robot-1")
    two = await hub.node.submit(device="robot-2", after=[one])
    await hub.seated(one)
    await hub.settle()
    assert (await hub.node.task(two)).allocation is None
    await hub.node.report(one, Status.SUCCEEDED, number=1)
    assert await hub.seated(two) == "robot-2"


async def test_what_can_never_start_is_cancelled_with_the_reason_down_the_chain(hub: Hub) -> None:
    one = await hub.node.submit()
    two = await hub.node.submit(after=[one])
    three = await hub.node.submit(after=[two])
    stays = await hub.node.submit(after=[{"task": one, "on_failure": "block"}])
    await hub.node.cancel(one)
    task = await hub.until(lambda t: t.status is Status.CANCELLED, three)
    assert task.progress is not None
    assert task.progress.reason == f"its predecessor {two} is cancelled"
    assert (await hub.node.task(two)).status is Status.CANCELLED
    assert (await hub.view(stays)).status == "blocked"


async def test_an_unknown_end_opens_nothing(hub: Hub) -> None:
    await hub.connect("robot-1")
    one = await hub.node.submit()
    await hub.seated(one)
    await hub.node.report(one, Status.UNKNOWN, number=1)
    two = await hub.node.submit(after=[{"task": one, "on": "end"}])
    await hub.settle()
    assert (await hub.node.task(two)).allocation is None


# ------------------------------------------------------------------ cancel


async def test_a_cancel_asked_for_a_task_that_nobody_has_is_answered(
    hub: Hub, tmp_path: Path
) -> None:
    async with open_node(tmp_path, "agent", "tablet-1") as tablet:
        task_id = await tablet.submit()
        await tablet.cancel(task_id, "bo")
        await carry(tablet.replica, hub.node.replica)
    task = await hub.until(lambda t: t.status is Status.CANCELLED, task_id)
    assert task.allocation is None
    await hub.connect("robot-1")
    await hub.settle()
    assert (await hub.node.task(task_id)).allocation is None


# ------------------------------------------------------------------ expiry


async def test_what_nobody_can_take_expires_in_time(hub: Hub) -> None:
    first = await hub.node.submit(schedule_to_start_s=60)
    second = await hub.node.submit(schedule_to_close_s=90)
    after = await hub.node.submit(after=[second])
    await hub.pass_s(59)
    assert (await hub.view(first)).status == "blocked"
    await hub.pass_s(1)
    expired = await hub.until(lambda t: t.status is Status.EXPIRED, first)
    assert expired.progress is not None
    assert expired.progress.reason == "it did not start within 60 s of its submission"
    assert (await hub.node.task(second)).status is Status.WAITING
    await hub.pass_s(30)
    await hub.until(lambda t: t.status is Status.EXPIRED, second)
    await hub.until(lambda t: t.status is Status.CANCELLED, after)


async def test_what_waits_for_another_task_expires_in_time(hub: Hub) -> None:
    await hub.connect("robot-1")
    await hub.connect("robot-2")
    first = await hub.node.submit(device="robot-1")
    second = await hub.node.submit(device="robot-2", after=[first], schedule_to_start_s=60)
    await hub.seated(first)
    await hub.pass_s(60)
    task = await hub.until(lambda t: t.status is Status.EXPIRED, second)
    assert task.allocation is None


async def test_what_arrives_too_late_is_given_to_nobody(hub: Hub, tmp_path: Path) -> None:
    async with open_node(tmp_path, "agent", "tablet-1") as tablet:
        task_id = await tablet.submit(schedule_to_start_s=5)
        await hub.connect("robot-1")
        await hub.pass_s(5)
        await carry(tablet.replica, hub.node.replica)
    task = await hub.until(lambda t: t.status is Status.EXPIRED, task_id)
    assert task.allocation is None


async def test_a_restarted_hub_expires_what_became_late_meanwhile(tmp_path: Path) -> None:
    async with open_hub(tmp_path) as hub:
        task_id = await hub.node.submit(schedule_to_start_s=60)
        await hub.settle()
        later_ms = hub.node.clock() + 60_000
    async with open_hub(tmp_path, start_ms=later_ms) as hub:
        await hub.until(lambda t: t.status is Status.EXPIRED, task_id)


async def test_a_wall_clock_that_is_put_forward_is_noticed_though_nothing_else_happens(
    tmp_path: Path,
) -> None:
    """The boot clock, by which the hub sleeps, knows nothing of it."""
    boot = Clock()
    async with open_hub(tmp_path, boot=boot, look_s=0.05) as hub:
        task_id = await hub.node.submit(schedule_to_start_s=3600)
        await hub.settle()
        hub.node.clock.ms += 3600_000
        await hub.until(lambda t: t.status is Status.EXPIRED, task_id)


async def test_a_wall_clock_that_is_put_back_expires_nothing_early(tmp_path: Path) -> None:
    boot = Clock()
    async with open_hub(tmp_path, boot=boot, look_s=0.05) as hub:
        task_id = await hub.node.submit(schedule_to_start_s=60)
        await hub.settle()
        hub.node.clock.ms -= 3600_000
        boot.ms += 61_000
        hub.poke()
        await hub.settle()
        assert (await hub.node.task(task_id)).status is Status.WAITING


# ------------------------------------------------------------------ a lost journal


async def test_what_a_lost_journal_had_becomes_unknown_or_is_given_again(hub: Hub) -> None:
    await hub.connect("robot-1")
    asks = await hub.node.submit()
    waits = await hub.node.submit()
    again = await hub.node.submit(on_orphan="requeue")
    ended = await hub.node.submit()
    for task_id in (asks, waits, again, ended):
        await hub.seated(task_id)
    await hub.node.report(asks, Status.RUNNING, number=1)
    await hub.node.report(again, Status.RUNNING, number=2)
    await hub.node.report(ended, Status.SUCCEEDED, number=1)
    await hub.connect("robot-1", "bbb")
    assert await hub.sitter.device_returned("robot-1", "bbb") == 3

    lost = await hub.node.task(asks)
    assert lost.status is Status.UNKNOWN
    assert lost.allocation is not None
    assert lost.allocation.incarnation == "aaa"
    assert lost.attempt is not None
    assert lost.attempt.outcome is Outcome.UNKNOWN
    assert (await hub.node.task(waits)).status is Status.UNKNOWN

    given = await hub.until(lambda t: t.allocation is not None and t.allocation.n == 2, again)
    assert (given.status, given.attempts_made) == (Status.WAITING, 0)
    assert ([one.n for one in given.seat.moved], given.seat.over) == ([1], (1,))
    assert given.allocation is not None
    assert (given.allocation.n, given.allocation.incarnation) == (2, "bbb")
    assert [a.outcome for a in (await hub.view(again)).attempts] == ["lost"]

    assert (await hub.node.task(ended)).status is Status.SUCCEEDED
    assert await hub.sitter.device_returned("robot-1", "bbb") == 0


@pytest.mark.parametrize("on_orphan", ["ask", "requeue"])
async def test_more_than_one_transaction_of_tasks_are_settled_once_each(
    tmp_path: Path, on_orphan: str
) -> None:
    async with open_node(tmp_path, "hub", "hub") as node:
        count = returned.BATCH_MAX + 3
        given = submission(on_orphan=on_orphan)

        def deal(tx: Transaction) -> list[str]:
            ids = []
            for _ in range(count):
                planned = task_submission.plan(given, "ada", tx.now_ms, node.new_id)
                ids.append(task_submission.submit(tx, planned, SITE)[0])
                seat_at(tx, ids[-1], "robot-1")
            return ids

        ids = await node.replica.write(deal)
        await node.report(ids[7], Status.RUNNING, number=1)
        sitter = Sitter(node.replica, lambda: frozenset[str](), node.clock, node.clock)
        assert await sitter.device_returned("robot-1", "bbb") == count
        some = [await node.task(task_id) for task_id in (ids[0], ids[7], ids[-1])]
        wanted = (None, [1]) if on_orphan == "requeue" else (1, [])
        seats = [
            (one.allocation and one.allocation.n, [taken.n for taken in one.seat.moved])
            for one in some
        ]
        assert seats == [wanted] * 3
        assert await sitter.device_returned("robot-1", "bbb") == 0


async def test_what_a_former_holder_has_done_is_not_given_again_after_a_lost_journal(
    hub: Hub,
) -> None:
    """Model, dispatch 3: not dealt again with the success in hand (the simulator found it)."""
    await hub.connect("robot-1")
    task_id = await hub.node.submit(on_orphan="requeue")
    await hub.seated(task_id)
    await hub.node.report(task_id, Status.RUNNING, number=1)
    held = await hub.node.task(task_id)
    await hub.disconnect("robot-1")
    await hub.connect("robot-2")
    await hub.force(task_id, "robot-2")
    await hub.late(task_id, held, Status.SUCCEEDED)
    await hub.connect("robot-2", "bbb")
    await hub.sitter.device_returned("robot-2", "bbb")
    task = await hub.node.task(task_id)
    assert (task.status, task.seat.newest) == (Status.UNKNOWN, 2)


async def test_what_is_given_again_after_a_lost_journal_does_not_leave_its_group(
    hub: Hub, tmp_path: Path
) -> None:
    """✗ given back to its device: it runs beside its group, which another has (the simulator)."""
    agent = open_node(tmp_path, "agent", "robot-2", can_run=lambda _: True)
    async with agent as robot:
        task_id = await robot.submit(
            type="wait", payload={"seconds": 1}, group="ward", on_orphan="requeue"
        )
        await hub.connect("robot-1")
        first = await hub.node.submit(group="ward")
        assert await hub.seated(first) == "robot-1"
        await carry(robot.replica, hub.node.replica)
    await hub.connect("robot-2", "bbb")
    assert await hub.sitter.device_returned("robot-2", "bbb") == 1
    task = await hub.until(lambda t: t.allocation is not None and t.allocation.n == 1, task_id)
    assert task.allocation is not None
    assert task.allocation.device == "robot-1"


async def test_what_runs_anew_after_a_lost_journal_has_its_successors_asked_back(hub: Hub) -> None:
    """Model, dispatch 6: ✗ the successor starts by what the lost run had proved (the simulator)."""
    await hub.connect("robot-1")
    first = await hub.node.submit(on_orphan="requeue")
    await hub.seated(first)
    await hub.connect("robot-1", "bbb")
    after = await hub.node.submit(after=[first])
    await hub.seated(after)
    assert await hub.sitter.device_returned("robot-1", "bbb") == 1
    assert (await hub.until(lambda t: t.recall is not None, after)).status is Status.WAITING
    await hub.settle()
    assert (await hub.node.task(first)).allocation is None
    await hub.give_back(after)
    assert await hub.seated(first) == "robot-1"


async def test_a_cancel_asked_of_a_lost_journal_is_done_where_a_second_run_is_harmless(
    hub: Hub,
) -> None:
    await hub.connect("robot-1")
    ids = [await hub.node.submit(on_orphan="requeue") for _ in range(2)]
    for task_id in ids:
        await hub.seated(task_id)
        await hub.node.cancel(task_id)
    await hub.node.report(ids[0], Status.RUNNING, number=1)
    await hub.connect("robot-1", "bbb")
    await hub.sitter.device_returned("robot-1", "bbb")
    for task_id in ids:
        assert (await hub.node.task(task_id)).status is Status.CANCELLED


async def test_what_needed_a_permit_and_had_none_is_simply_given_anew(hub: Hub) -> None:
    await hub.connect("robot-1")
    waits, acts = [await hub.node.submit(offline="release") for _ in range(2)]
    await hub.seated(waits)
    await hub.seated(acts)
    await hub.ask_start(acts)
    await hub.permitted(acts)
    await hub.connect("robot-1", "bbb")
    assert await hub.sitter.device_returned("robot-1", "bbb") == 2
    task = await hub.until(
        lambda t: t.allocation is not None and t.allocation.incarnation == "bbb", waits
    )
    assert (task.status, task.seat.moved) == (Status.WAITING, ())
    assert (await hub.node.task(acts)).status is Status.UNKNOWN


async def test_what_an_agent_gave_itself_is_settled_too(hub: Hub, tmp_path: Path) -> None:
    agent = open_node(tmp_path, "agent", "robot-1", can_run=lambda _: True)
    async with agent as robot:
        task_id = await robot.submit(type="wait", payload={"seconds": 1})
        await carry(robot.replica, hub.node.replica)
    await hub.connect("robot-1", "bbb")
    assert await hub.sitter.device_returned("robot-1", "bbb") == 1
    task = await hub.until(lambda t: t.allocation is not None, task_id)
    assert task.allocation is not None
    assert task.allocation.epoch == hub.node.replica.node.epoch
    assert (task.allocation.n, task.allocation.incarnation) == (1, "bbb")


# ------------------------------------------------------------------ everything at once


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_every_task_ends_or_has_a_true_reason_to_wait(
    hub: Hub, seed: int
) -> None:
    chance = Random(seed)
    ids: list[str] = []
    for _ in range(60):
        await _anything(hub, chance, ids)
    for name in ("robot-1", "robot-2"):
        await hub.connect(name, capabilities=("lift",))
    for _ in range(len(ids)):  # each pass ends at least the heads of all chains
        await hub.settle()
        for task_id in ids:
            task = await hub.node.task(task_id)
            if task.allocation is not None and task.status not in ENDED:
                done = Status.CANCELLED if task.cancel_asked else Status.SUCCEEDED
                await hub.node.report(task_id, done, number=1)
        if {(await hub.node.task(task_id)).status for task_id in ids} <= ENDED:
            break
    for task_id in ids:
        task = await hub.node.task(task_id)
        assert task.status in ENDED, f"seed {seed}: {await hub.view(task_id)}"
        if task.allocation is not None:
            assert set(task.spec.requires) <= {"lift"}
            assert task.spec.device in (None, task.allocation.device)


async def _anything(hub: Hub, chance: Random, ids: list[str]) -> None:
    what = chance.random()
    robot = chance.choice(["robot-1", "robot-2"])
    if what < 0.15:
        await hub.connect(robot, capabilities=("lift",) if chance.random() < 0.5 else ())
    elif what < 0.3:
        await hub.disconnect(robot)
    elif what < 0.4 and ids:
        task = await hub.node.task(chance.choice(ids))
        if task.status not in ENDED:
            await hub.node.cancel(task.id)
    elif what < 0.55 and ids:
        task = await hub.node.task(chance.choice(ids))
        if task.allocation is not None and task.status not in ENDED:
            end = chance.choice([Status.SUCCEEDED, Status.DEAD])
            await hub.node.report(task.id, end, number=1)
    else:
        after = chance.sample(ids, min(len(ids), chance.randint(0, 2)))
        ids.append(
            await hub.node.submit(
                after=[{"task": a, "on": chance.choice(["end", "success"])} for a in after],
                device=chance.choice([None, None, robot]),
                requires=["lift"] if chance.random() < 0.3 else [],
            )
        )
