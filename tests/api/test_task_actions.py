import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from shared.api import task_actions, task_submission
from shared.api.task_submission import Planned, Submission
from shared.core.kinds import KINDS
from shared.core.kinds.task_spec import (
    Edge,
    On,
    OnFailure,
    OnOrphan,
    Priority,
    Spec,
)
from shared.core.lifecycle import Status
from shared.core.waiting import expiry
from shared.errors import (
    Clash,
    IllegalMove,
    Invalid,
    NotFound,
    Refused,
    Rejected,
    TooLarge,
)
from tests.api.nodes import SITE, START_MS, Node, carry, open_node, seat_at, submission

A = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3a"
B = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3b"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path, "hub", "hub") as node:
        yield node


@pytest.fixture
async def robot(tmp_path: Path) -> AsyncIterator[Node]:
    def can_run(spec: Spec) -> bool:
        return spec.type in ("command", "wait") and set(spec.requires) <= {"deliver"}

    async with open_node(tmp_path, "agent", "robot-1", can_run=can_run) as node:
        yield node


def plan(**fields: Any) -> Planned:
    return task_submission.plan(submission(**fields), "ada", START_MS, lambda: A)


# ------------------------------------------------------------------ what is accepted


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("echo hello", ["echo", "hello"]),
        ('  echo   \'a b\'  "c\\"d" e\\ f', ["echo", "a b", 'c"d', "e f"]),
        ("echo $HOME; x | y && z", ["echo", "$HOME;", "x", "|", "y", "&&", "z"]),
        ("''", [""]),
        ("echo # no comment", ["echo", "#", "no", "comment"]),
    ],
)
def test_a_command_is_split_as_a_shell_would_and_given_to_none(
    command: str, argv: list[str]
) -> None:
    spec = plan(command=command).spec
    assert (spec.type, spec.payload) == ("command", {"argv": argv})


@pytest.mark.parametrize("command", ["", "   ", "\n", "echo 'a", 'echo "', "echo \\"])
def test_a_command_that_names_no_program_or_cannot_be_split_is_refused(command: str) -> None:
    with pytest.raises(Refused) as refusal:
        plan(command=command)
    assert refusal.value.places[0][0] == "$.command"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"type": "wait"}, "$.payload"),
        ({"payload": {}}, "$.type"),
        ({"type": None, "payload": None}, "$.type"),
        ({"command": "echo", "type": "command"}, "$.command"),
        ({"command": "echo", "payload": {}}, "$.command"),
        ({"type": "wait", "payload": {"n": 2**80}}, "$.payload"),
    ],
)
def test_type_and_payload_or_a_command_and_nothing_the_journal_cannot_hold(
    fields: dict[str, Any], place: str
) -> None:
    with pytest.raises(Invalid) as error:
        plan(**fields)
    assert error.value.places[0][0] == place


@pytest.mark.parametrize(
    "fields",
    [
        {"colour": "red"},
        {"deadline": "2026-11-23T08:00:00"},  # naive: another instant on each node
        {"locks": ["Elevator 1"]},
        {"requester": "bo"},
        {"retry": {"base_s": 1, "jitter": 2}},
        {"retry": {"base_s": 0}},
        {"retry": {"max_s": -1}},
        {"after": [{"task": A, "colour": 1}]},
        {"after": [{"on": "end"}]},
        {"after": ["not an id"]},
        {"after": [A] * 101},
        {"priority": "urgent"},
        {"priority": 1},
        {"priority": None},
        {"not_before": "2026-11-23T08:00:00"},  # naive
        {"not_before": "tomorrow"},
        {"not_before": 1_795_420_800},
        {"max_attempts": 0},
        {"max_attempts": 101},
        {"max_attempts": 1.5},
        {"start_to_close_s": 0},
        {"start_to_close_s": 1e12},
        {"on_orphan": "again"},
        {"device": "Robot 1"},
        {"requires": ["UPPER"]},
        {"requires": "deliver"},
        {"id": "5"},
        {"id": "0199b5c0-7d1e-4c3a-9a55-2f6f0c1d2e3a"},  # version 4
        {"type": "", "payload": {}},
        {"type": "wait", "payload": []},
        {"command": ["echo"]},
    ],
)
def test_a_field_that_is_unknown_or_out_of_bounds_is_no_submission(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        submission(**fields)


def test_the_defaults_are_those_of_the_contract() -> None:
    planned = plan()
    assert planned == Planned(
        A, None, Spec("command", {"argv": ["echo", "hello"]}, Priority.NORMAL, "ada"), ()
    )
    assert planned.spec.max_attempts == 3
    assert (planned.spec.retry.base_s, planned.spec.retry.max_s) == (1, 300)


@pytest.mark.parametrize(
    ("type_", "on_orphan"),
    [("wait", "requeue"), ("http", "requeue"), ("command", "ask"), ("mqtt", "ask"), ("x", "ask")],
)
def test_only_harmless_work_is_requeued_unasked(type_: str, on_orphan: str) -> None:
    assert plan(type=type_, payload={}).spec.on_orphan == on_orphan
    for given in OnOrphan:
        assert plan(type=type_, payload={}, on_orphan=given.value).spec.on_orphan is given


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-23T08:00:00Z", START_MS),
        ("2026-11-23T09:00:00+01:00", START_MS),
        ("2026-11-22T22:30:00.5-09:30", START_MS + 500),
        ("1970-01-01T05:00:00+05:00", 0),
        ("9999-12-31T23:59:59-05:00", 253402318799000),
    ],
)
def test_an_instant_may_carry_any_offset(text: str, ms: int) -> None:
    assert plan(not_before=text).spec.not_before_ms == ms
    moment = datetime.datetime.fromisoformat(text)
    assert moment.tzinfo is not None


@pytest.mark.parametrize("field", ["not_before", "deadline"])
def test_before_1970_there_are_no_times(field: str) -> None:
    """✗ It was taken, and shown as 1970."""
    with pytest.raises(Invalid) as refused:
        plan(**{field: "1969-12-31T23:59:59Z"})
    assert refused.value.places == ((f"$.{field}", "write a date and time from 1970 on"),)


@pytest.mark.parametrize("field", ["schedule_to_start_s", "schedule_to_close_s"])
def test_what_would_expire_before_it_may_start_is_refused(field: str) -> None:
    plan(not_before="2026-11-23T08:01:00Z", **{field: 61})
    with pytest.raises(Refused, match="give more than 60") as refused:
        plan(not_before="2026-11-23T08:01:00Z", **{field: 60})
    assert refused.value.places[0][0] == f"$.{field}"


def test_after_takes_plain_ids_and_edges() -> None:
    other = {"task": B, "on": "end", "on_failure": "block"}
    edges = task_submission.plan(
        submission(after=[A, other, A]), "ada", START_MS, lambda: B[:-1] + "c"
    ).spec.after
    assert edges == (Edge(A), Edge(B, On.END, OnFailure.BLOCK))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": A, "after": [A]},
        {"id": A, "after": [B, {"task": A, "on": "end"}]},
        {"id": A, "after": [B, {"task": B, "on": "end"}]},
    ],
)
def test_after_itself_or_twice_differently_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        plan(**fields)
    assert refusal.value.places[0][0].startswith("$.after[")


def test_a_task_that_no_event_can_hold_is_too_large() -> None:
    with pytest.raises(TooLarge):
        plan(type="x", payload={"text": "x" * 600_000})


def test_whatever_is_decoded_is_planned_or_rejected_with_a_reason() -> None:
    """Random submissions: a plan, or a refusal that says what to do; never another error."""
    rejected = 0
    for seed in range(300):
        chance = Random(seed)
        fields = {name: chance.choice(values) for name, values in CHOICES.items()}
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            planned = task_submission.plan(
                msgspec.convert(given, Submission), "ada", START_MS, lambda: A
            )
        except Rejected:
            rejected += 1
            continue
        packed = msgspec.msgpack.encode(planned.spec)
        assert msgspec.msgpack.decode(packed, type=Spec) == planned.spec, f"seed {seed}"
    assert 30 < rejected < 270


CHOICES: dict[str, list[Any]] = {
    "id": [None, A, B],
    "type": [None, None, "wait", "x"],
    "payload": [None, {}, {"seconds": 1, "deep": {"list": [1, 2.5, None, "ü"]}}],
    "command": [None, None, "echo hello", "echo '", ""],
    "priority": ["critical", "high", "normal", "low"],
    "device": [None, "robot-1"],
    "requires": [None, (), ("a", "b", "a")],
    "after": [None, (), (A,), (B, B), (A, B)],
    "not_before": [None, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)],
    "start_to_close_s": [None, 0.5, 60],
    "max_attempts": [1, 100],
}


# ------------------------------------------------------------------ submit


async def test_a_submission_waits_at_the_hub_for_its_allocation(hub: Node) -> None:
    task = await hub.task(await hub.submit(priority="high"))
    assert (task.status, task.allocation, task.priority) == (Status.WAITING, None, Priority.HIGH)
    assert (task.spec.requester, task.origin_device) == ("ada", "hub")


async def test_the_same_submission_again_is_the_same_task(hub: Node) -> None:
    planned = plan(id=A, type="wait", payload={"a": 1, "b": True})
    again = plan(id=A, type="wait", payload={"b": True, "a": 1})
    write = hub.replica.write
    assert await write(lambda tx: task_submission.submit(tx, planned, SITE, None)) == (A, True)
    assert await write(lambda tx: task_submission.submit(tx, again, SITE, None)) == (A, False)
    assert await hub.kinds(A) == ["task.submitted"]


async def test_a_submission_repeated_elsewhere_under_another_name_is_the_same_task(
    robot: Node, hub: Node
) -> None:
    await robot.submit("ada", id=A)
    await carry(robot.replica, hub.replica)
    assert await hub.submit("bo", id=A) == A
    assert (await hub.task(A)).spec.requester == "ada"
    assert await hub.kinds(A) == ["task.submitted", "task.allocated"]


async def test_a_device_whose_submission_is_refused_is_shown_the_task_that_has_the_id(
    robot: Node, hub: Node
) -> None:
    """Promise 4: what it had accepted while it was cut off does not just vanish from it."""
    await hub.submit(id=A, type="wait", payload={"a": 1})
    await robot.submit(id=A)
    await carry(robot.replica, hub.replica)
    assert KINDS["task"].devices(await hub.replica.record("task", A)) == ("hub", "robot-1")


@pytest.mark.parametrize(
    "fields",
    [
        {"priority": "low"},
        {"type": "wait", "payload": {"a": True}},  # true is not 1
    ],
)
async def test_another_submission_of_the_same_id_clashes(hub: Node, fields: dict[str, Any]) -> None:
    await hub.submit(id=A, type="wait", payload={"a": 1})
    with pytest.raises(Clash):
        await hub.submit(**({"id": A, "type": "wait", "payload": {"a": 1}} | fields))
    assert await hub.kinds(A) == ["task.submitted"]


async def test_after_names_tasks_that_are_known_here(hub: Node) -> None:
    first = await hub.submit()
    with pytest.raises(Refused) as refusal:
        await hub.submit(id=A, after=[first, B])
    assert B in refusal.value.detail
    assert not (await hub.replica.record("task", A)).is_known
    second = await hub.task(await hub.submit(after=[first]))
    assert second.spec.after == (Edge(first),)


async def test_a_site_that_the_node_does_not_serve_is_refused(robot: Node) -> None:
    planned = plan()
    with pytest.raises(Refused):
        await robot.replica.write(
            lambda tx: task_submission.submit(tx, planned, "elsewhere", robot.can_run)
        )


@pytest.mark.parametrize(
    ("fields", "seated"),
    [
        ({}, True),
        ({"device": "robot-1"}, True),
        ({"requires": ["deliver"]}, True),
        ({"not_before": "2030-01-01T00:00:00Z"}, True),
        ({"device": "robot-2"}, False),
        ({"requires": ["deliver", "swim"]}, False),
        ({"type": "mqtt", "payload": {}}, False),
        ({"locks": ["local:arm"]}, True),
        ({"locks": ["lift"]}, False),  # only the hub grants it
        ({"offline": "release"}, False),
    ],
)
async def test_an_agent_takes_what_it_can_run_in_the_same_transaction(
    robot: Node, fields: dict[str, Any], seated: bool
) -> None:
    task = await robot.task(await robot.submit(**fields))
    assert (task.allocation is not None) is seated
    if task.allocation is not None:
        incarnation = robot.replica.node.writes[SITE].removeprefix("robot-1.")
        assert (task.allocation.epoch, task.allocation.n) == (None, 0)
        assert (task.allocation.device, task.allocation.incarnation) == ("robot-1", incarnation)
        assert task.holders == ("robot-1",)


async def test_while_one_with_its_unique_key_is_not_over_a_submission_returns_it(
    robot: Node,
) -> None:
    first = await robot.submit(unique="bed-7")
    assert await robot.submit(unique="bed-7", priority="high") == first
    other = await robot.submit(unique="bed-8")
    elsewhere = await robot.submit(type="wait", payload={"seconds": 1}, unique="bed-7")
    assert len({first, other, elsewhere}) == 3
    for status, is_over in (
        (Status.RUNNING, False),
        (Status.UNKNOWN, False),
        (Status.SUCCEEDED, True),
    ):
        await robot.report(first, status)
        assert (await robot.submit(unique="bed-7") != first) is is_over


async def test_a_tablet_that_runs_nothing_takes_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path, "agent", "tablet-1") as tablet:
        assert (await tablet.task(await tablet.submit())).allocation is None


async def test_an_agent_takes_a_successor_only_if_it_has_all_that_comes_before(
    robot: Node,
) -> None:
    mine = await robot.submit()
    theirs = await robot.submit(device="robot-2")
    assert (await robot.task(await robot.submit(after=[mine]))).allocation is not None
    assert (await robot.task(await robot.submit(after=[mine, theirs]))).allocation is None
    await robot.report(theirs, Status.CANCELLED)  # final: nothing changes it any more
    assert (await robot.task(await robot.submit(after=[mine, theirs]))).allocation is not None


@pytest.mark.parametrize("has_hub", [False, True])
async def test_an_agent_leaves_what_comes_after_a_dead_task_to_its_hub(
    robot: Node, has_hub: bool
) -> None:
    """✗ it runs, and then the dead one, which somebody at the hub retried (the simulator)."""
    if has_hub:
        await robot.replica.write(lambda tx: tx.adopt("e81c"))
    dead = await robot.submit()
    await robot.report(dead, Status.DEAD)
    task = await robot.task(await robot.submit(after=[{"task": dead, "on": "end"}]))
    assert (task.allocation is None) is has_hub


async def test_what_an_agent_took_for_itself_stands_at_the_hub(robot: Node, hub: Node) -> None:
    task_id = await robot.submit()
    await carry(robot.replica, hub.replica)
    assert await hub.task(task_id) == await robot.task(task_id)


# ------------------------------------------------------------------ cancel


async def test_the_hub_cancels_what_nobody_has(hub: Node) -> None:
    task_id = await hub.submit()
    await hub.cancel(task_id, "bo")
    task = await hub.task(task_id)
    assert task.status is Status.CANCELLED
    assert task.progress is not None
    assert task.progress.reason == "cancelled by bo"
    assert await hub.kinds(task_id) == ["task.submitted", "task.status"]
    with pytest.raises(IllegalMove):
        await hub.cancel(task_id)


async def test_of_a_task_that_a_device_has_cancelling_is_asked_once(robot: Node, hub: Node) -> None:
    task_id = await robot.submit()
    await carry(robot.replica, hub.replica)
    for node in (robot, hub):
        await node.cancel(task_id)
        await node.cancel(task_id, "bo")
        task = await node.task(task_id)
        assert (task.status, task.cancel_asked) == (Status.WAITING, True)
        assert (await node.kinds(task_id)).count("task.cancel_requested") == 1


async def test_an_agent_cancels_its_own_submission_while_it_alone_knows_it(robot: Node) -> None:
    task_id = await robot.submit(device="robot-2")
    await robot.cancel(task_id)
    assert (await robot.task(task_id)).status is Status.CANCELLED


async def test_a_cancel_made_offline_is_asked_for_when_the_hub_had_allocated(
    robot: Node, hub: Node
) -> None:
    """The acknowledgement was lost: the agent believes that it alone knows its submission."""
    task_id = await robot.submit(device="robot-2")
    await carry(robot.replica, hub.replica)
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-2"))
    await robot.cancel(task_id)
    await carry(robot.replica, hub.replica)
    task = await hub.task(task_id)
    assert (task.status, task.cancel_asked) == (Status.WAITING, True)


async def test_once_the_hub_has_a_submission_the_agent_asks(robot: Node) -> None:
    task_id = await robot.submit(device="robot-2")

    def acknowledge(tx: Any) -> None:
        log = tx.log(tx.node.writes[SITE])
        tx.set_log(msgspec.structs.replace(log, acked=log.head))

    await robot.replica.write(acknowledge)
    await robot.cancel(task_id)
    task = await robot.task(task_id)
    assert (task.status, task.cancel_asked) == (Status.WAITING, True)


@pytest.mark.parametrize(
    "status",
    [Status.SUCCEEDED, Status.DEAD, Status.CANCELLED, Status.EXPIRED, Status.UNKNOWN],
)
async def test_what_has_ended_or_is_unknown_is_not_cancelled(robot: Node, status: Status) -> None:
    task_id = await robot.submit()
    await robot.report(task_id, status, number=1)
    with pytest.raises(IllegalMove):
        await robot.cancel(task_id)


async def test_a_task_that_nobody_knows_is_not_found(hub: Node) -> None:
    write = hub.replica.write
    with pytest.raises(NotFound):
        await hub.cancel(A)
    with pytest.raises(NotFound):
        await hub.retry(A)
    with pytest.raises(NotFound):
        await write(lambda tx: task_actions.set_priority(tx, A, Priority.LOW, "ada"))


# ------------------------------------------------------------------ retry


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.DEAD])
async def test_only_a_dead_task_is_retried(hub: Node, status: Status) -> None:
    task_id = await hub.submit()
    if status is not Status.WAITING:
        await hub.report(task_id, status)
    with pytest.raises(IllegalMove):
        await hub.retry(task_id)


async def test_the_hub_takes_back_what_it_retries(robot: Node, hub: Node) -> None:
    task_id = await robot.submit()
    await robot.report(task_id, Status.DEAD, number=3)
    await carry(robot.replica, hub.replica)
    await hub.retry(task_id, "bo")
    task = await hub.task(task_id)
    assert (task.status, task.attempts_made) == (Status.WAITING, 0)
    assert (task.allocation, task.holders) == (None, ("robot-1",))
    with pytest.raises(IllegalMove):
        await hub.retry(task_id)


async def test_an_agent_retries_what_it_gave_itself(robot: Node) -> None:
    task_id = await robot.submit()
    for n in (1, 2):
        await robot.report(task_id, Status.DEAD, number=1)
        await robot.retry(task_id)
        task = await robot.task(task_id)
        assert task.allocation is not None
        assert (task.status, task.allocation.epoch, task.allocation.n) == (
            Status.WAITING,
            None,
            n,
        )


async def test_what_an_agent_retries_has_the_whole_time_to_start_again(robot: Node) -> None:
    task_id = await robot.submit(schedule_to_start_s=60)
    await robot.report(task_id, Status.DEAD, number=1)
    robot.clock.ms += 3600_000
    await robot.retry(task_id)
    late = expiry(await robot.task(task_id))
    assert late is not None
    assert late.at_ms == robot.clock() + 60_000


async def test_an_agent_does_not_retry_what_the_hub_gave_it(robot: Node) -> None:
    task_id = await robot.submit(device="robot-2")
    await robot.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))
    await robot.report(task_id, Status.DEAD, number=1)
    with pytest.raises(IllegalMove):
        await robot.retry(task_id)


async def test_a_task_that_died_without_a_seat_waits_again(hub: Node) -> None:
    task_id = await hub.submit()
    await hub.report(task_id, Status.DEAD)
    await hub.retry(task_id)
    assert (await hub.task(task_id)).status is Status.WAITING


async def test_an_agent_does_not_retry_what_another_comes_after(robot: Node) -> None:
    task_id = await robot.submit()
    await robot.submit(after=[{"task": task_id, "on": "end"}])
    await robot.report(task_id, Status.DEAD, number=1)
    with pytest.raises(IllegalMove, match="comes after this task"):
        await robot.retry(task_id)


# ------------------------------------------------------------------ priority


async def test_the_priority_of_a_waiting_task_changes(hub: Node) -> None:
    task_id = await hub.submit()
    write = hub.replica.write
    for _ in range(2):  # the second changes nothing
        await write(lambda tx: task_actions.set_priority(tx, task_id, Priority.CRITICAL, "bo"))
    assert (await hub.task(task_id)).priority is Priority.CRITICAL
    assert await hub.kinds(task_id) == ["task.submitted", "task.priority_requested"]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.WAITING}))
async def test_the_priority_of_any_other_task_does_not(hub: Node, status: Status) -> None:
    task_id = await hub.submit()
    await hub.report(task_id, status)
    with pytest.raises(IllegalMove):
        await hub.replica.write(
            lambda tx: task_actions.set_priority(tx, task_id, Priority.LOW, "ada")
        )


async def test_a_task_to_be_cancelled_keeps_its_priority(robot: Node) -> None:
    task_id = await robot.submit()
    await robot.cancel(task_id)
    with pytest.raises(IllegalMove):
        await robot.replica.write(
            lambda tx: task_actions.set_priority(tx, task_id, Priority.LOW, "ada")
        )
