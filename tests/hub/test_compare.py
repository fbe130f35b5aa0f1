"""After a reconnect: both sides compare what each knows, never what is absent (model, dispatch 3).

The feed carries states, so that most of it needs no code of its own; this is the proof.
"""

from functools import partial

from hub import returned, seating
from hub.round import Terms
from shared.api import task_submission
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Progress
from shared.core.lifecycle import Status
from tests.api.nodes import an_attempt, submission
from tests.hub.robots import robot_of
from tests.shared.nodes import SITE, Node, Session, meet, open_node

TASK = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3a"


def given(hub: Node, agent: Node) -> Task:
    """Submit a task at the hub, which gives it to the agent; return it."""
    meet(agent, hub=hub)
    plan = partial(task_submission.plan, submission(id=TASK), "ada", 0, lambda: TASK)
    hub.write(lambda tx: task_submission.submit(tx, plan(), SITE))
    return deal(hub, agent)


def deal(hub: Node, agent: Node) -> Task:
    states = {agent.name: robot_of(agent)}
    hub.write(lambda tx: seating.sit(tx, [TASK], states, Terms(0)))
    return known(hub)


def known(node: Node) -> Task:
    task = tasks.read(node.reading.record("task", TASK))
    assert task is not None
    return task


def report(agent: Node, status: Status, task: Task) -> None:
    body = Progress(status, task.allocation, an_attempt(task, 1, status))
    agent.write(
        lambda tx: tx.append(
            site=SITE,
            kind="task.status",
            subject=TASK,
            register=task_bodies.STATUS,
            body=body,
            actor=agent.name,
        )
    )


def test_an_allocation_that_was_lost_on_its_way_comes_again_the_same() -> None:
    """Lower than given: resend the same. "Nothing held" proves nothing, so it is not dealt anew."""
    hub, agent = open_node("hub", "hub"), open_node("agent", "robot-1")
    held = given(hub, agent)
    for steps in (1, 2, 3, 5, 8):
        Session(agent, hub).run(steps)  # and the link is lost there
        assert deal(hub, agent).allocation == held.allocation
    meet(agent, hub=hub)
    assert known(agent).allocation == held.allocation


def test_what_the_device_no_longer_holds_has_its_outcome_in_the_log() -> None:
    hub, agent = open_node("hub", "hub"), open_node("agent", "robot-1")
    held = given(hub, agent)
    meet(agent, hub=hub)
    report(agent, Status.RUNNING, held)
    report(agent, Status.SUCCEEDED, held)
    assert deal(hub, agent).allocation == held.allocation, "not heard is not over"
    meet(agent, hub=hub)
    assert known(hub).status is Status.SUCCEEDED


def test_an_allocation_that_comes_twice_or_late_changes_nothing() -> None:
    hub, agent = open_node("hub", "hub"), open_node("agent", "robot-1")
    held = given(hub, agent)
    meet(agent, hub=hub)
    report(agent, Status.RUNNING, held)
    report(agent, Status.DEAD, held)
    for _ in range(3):
        meet(agent, hub=hub)
        assert known(agent).status is Status.DEAD
    assert known(hub).allocation == held.allocation


def test_a_new_incarnation_makes_unknown_what_the_old_one_had() -> None:
    hub, agent = open_node("hub", "hub"), open_node("agent", "robot-1")
    held = given(hub, agent)
    meet(agent, hub=hub)
    anew = open_node("agent", "robot-1", seed=1)
    meet(anew, hub=hub)
    assert anew.origin != agent.origin
    incarnation = anew.origin.rpartition(".")[2]
    settle = partial(
        returned.settle,
        device="robot-1",
        incarnation=incarnation,
        status=Status.WAITING,
        after=returned.START,
    )
    assert hub.write(lambda tx: settle(tx)) == (1, None)
    meet(anew, hub=hub)
    for node in (hub, anew):
        assert (known(node).status, known(node).allocation) == (Status.UNKNOWN, held.allocation)
