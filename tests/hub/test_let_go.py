"""A task is forced away from a device that is cut off: once it is back, its word ends the doubt."""

from functools import partial

import msgspec
import pytest

from agent import claim, testimony
from agent.attempt import Failed, Succeeded, conclude
from hub import evidence, force, reactions, seating
from hub.round import Terms
from shared.api import task_history, task_submission
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Failure, Outcome, Progress
from shared.core.lifecycle import Status
from shared.store.transaction import Transaction
from tests.api.nodes import submission
from tests.hub.robots import robot_of
from tests.shared.nodes import SITE, Node, meet, open_node

W = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3a"
D = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3b"
WORDS = "robot-9 had not started it"


@pytest.fixture
def hub() -> Node:
    return open_node("hub", "hub")


@pytest.fixture
def robot() -> Node:
    return open_node("agent", "robot-9")


@pytest.fixture
def other() -> Node:
    return open_node("agent", "robot-8")


def given(hub: Node, robot: Node, other: Node) -> None:
    """Submit W for robot-9, and D after it, which the hub keeps as another may run it."""
    meet(robot, other, hub=hub)
    for task_id, fields in ((W, {"device": "robot-9"}), (D, {"device": "robot-8", "after": [W]})):
        asked = submission(id=task_id, **fields)
        plan = task_submission.plan(asked, "ada", 0, lambda: "unused")
        hub.write(partial(task_submission.submit, planned=plan, site=SITE))
    sit(hub, robot, other)


def sit(hub: Node, *robots: Node) -> None:
    states = {robot.name: robot_of(robot) for robot in robots}
    hub.write(lambda tx: seating.sit(tx, [W, D], states, Terms(0)))


def force_away(hub: Node, robot: Node, other: Node) -> None:
    """Force W to robot-8, which does it."""
    states = {"robot-9": robot_of(robot, connected=False), "robot-8": robot_of(other)}
    asked = partial(force.force, task_id=W, devices=states, device="robot-8", reason="t")
    hub.write(lambda tx: asked(tx, actor="ada"))
    meet(other, hub=hub)
    run(other)
    meet(other, hub=hub)
    assert known(hub).status is Status.SUCCEEDED


def start(node: Node) -> Task:
    started = node.write(lambda tx: claim.start(tx, W, attempt_id=f"a-{node.name}", boot="b"))
    assert started is not None
    assert started.status is Status.RUNNING
    return started


def end(node: Node, started: Task, result: Succeeded | Failed) -> None:
    attempt = started.attempt
    assert attempt is not None
    follow = partial(conclude, result=result, now_ms=0, jitter=0)
    node.write(lambda tx: claim.settle(tx, started, attempt, follow))


def run(node: Node) -> None:
    end(node, start(node), Succeeded({}))


def known(node: Node, task_id: str = W) -> Task:
    task = tasks.read(node.reading.record("task", task_id))
    assert task is not None
    return task


def in_doubt(hub: Node) -> tuple[int, ...]:
    return evidence.still_open(hub.reading, known(hub))


def words(hub: Node) -> list[str | None]:
    return [one.reason for one in task_history.read(hub.reading, W)]


def test_a_device_that_never_started_it_says_so_and_what_comes_after_it_goes_on(
    hub: Node, robot: Node, other: Node
) -> None:
    """✗ It stayed in doubt for ever, and D waited for a person to call it over."""
    given(hub, robot, other)
    meet(robot, hub=hub)
    force_away(hub, robot, other)
    assert in_doubt(hub) == (1,)
    sit(hub, robot, other)
    assert known(hub, D).allocation is None, "it may still run at robot-9"
    meet(robot, hub=hub)
    assert in_doubt(hub) == ()
    assert WORDS in words(hub)
    sit(hub, robot, other)
    assert known(hub, D).allocation is not None
    assert known(hub).status is Status.SUCCEEDED, "evidence changes no status"


def test_so_does_one_that_never_heard_that_it_had_it(hub: Node, robot: Node, other: Node) -> None:
    given(hub, robot, other)
    force_away(hub, robot, other)
    assert in_doubt(hub) == (1,)
    meet(robot, hub=hub)
    assert in_doubt(hub) == ()


def test_one_that_runs_it_lets_go_once_that_run_has_ended_though_it_would_try_again(
    hub: Node, robot: Node, other: Node
) -> None:
    given(hub, robot, other)
    meet(robot, hub=hub)
    started = start(robot)
    force_away(hub, robot, other)
    meet(robot, hub=hub)
    assert in_doubt(hub) == (1,), "it runs there"
    end(robot, started, Failed(Failure("slipped", "it slipped")))
    meet(robot, hub=hub)
    assert in_doubt(hub) == ()
    assert "robot-9 runs it no more" in words(hub)
    assert known(robot).status is Status.SUCCEEDED, "the try again is robot-8's, and it is done"


def test_one_that_had_failed_and_would_try_again_lets_go(
    hub: Node, robot: Node, other: Node
) -> None:
    given(hub, robot, other)
    meet(robot, hub=hub)
    end(robot, start(robot), Failed(Failure("slipped", "it slipped")))
    force_away(hub, robot, other)
    assert in_doubt(hub) == (1,)
    meet(robot, hub=hub)
    assert in_doubt(hub) == ()


def test_one_that_does_not_know_how_its_run_ended_leaves_that_to_a_person(
    hub: Node, robot: Node, other: Node
) -> None:
    given(hub, robot, other)
    meet(robot, hub=hub)
    end(robot, start(robot), Failed(Failure("silent", "no answer"), is_unknown=True))
    force_away(hub, robot, other)
    meet(robot, hub=hub)
    assert in_doubt(hub) == (1,)


def test_it_is_said_once_however_often_the_task_changes_hands(
    hub: Node, robot: Node, other: Node
) -> None:
    given(hub, robot, other)
    meet(robot, hub=hub)
    force_away(hub, robot, other)
    for _ in range(3):
        meet(robot, other, hub=hub)
    assert words(hub).count(WORDS) == 1
    # The task changes hands again before the hub's answer is here.
    robot.write(lambda tx: tx.append(
        site=SITE, kind="task.allocated", subject=W, register=task_bodies.SEAT,
        body=msgspec.structs.replace(known(robot).seat, over=()), actor="hub",
    ))  # fmt: skip
    said = robot.store.node.logs[robot.origin].head
    robot.write(lambda tx: testimony.let_go(tx, tx.record("task", W)))
    assert robot.store.node.logs[robot.origin].head == said


def test_a_journal_that_was_lost_is_not_spoken_for(hub: Node, robot: Node, other: Node) -> None:
    """Nobody knows what the old one had begun."""
    given(hub, robot, other)
    meet(robot, hub=hub)
    force_away(hub, robot, other)
    meet(open_node("agent", "robot-9", seed=1), hub=hub)
    assert in_doubt(hub) == (1,)


def test_a_number_under_which_another_device_runs_stays_in_doubt(
    hub: Node, robot: Node, other: Node
) -> None:
    """Two agents may have given the same task to themselves, both as number 0."""
    given(hub, robot, other)
    force_away(hub, robot, other)
    task = known(hub)
    (taken,) = task.seat.moved
    beside = msgspec.structs.replace(taken, device="tablet-1")
    attempt = task_bodies.Attempt("a", 1, "b", 0)

    def append(tx: Transaction, body: Progress) -> None:
        event = tx.append(
            site=SITE,
            kind="task.status",
            subject=W,
            register=task_bodies.STATUS,
            body=body,
            actor="t",
            seen={},
        )
        reactions.react(tx, [event], SITE)

    hub.write(lambda tx: append(tx, Progress(Status.RUNNING, beside, attempt)))
    hub.write(lambda tx: append(tx, Progress(Status.WAITING, taken, returned=True)))
    assert in_doubt(hub) == (1,)
    ended = msgspec.structs.replace(attempt, ended_ms=1, outcome=Outcome.SUCCEEDED)
    hub.write(lambda tx: append(tx, Progress(Status.SUCCEEDED, beside, ended)))
    assert in_doubt(hub) == ()
