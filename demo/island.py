"""Second part of the story: the links of robot and tablet are cut, and both go on."""

from typing import Any

from demo.connected import until_connected
from demo.errors import require
from demo.world import Said, World

FIRST_S = 3.0  # long enough for the others to arrive and for the cut
DELIVERY_S = 1.0

# In the order of submission. The order in which the robot starts them is another: by priority, and
# the note only when the delivery that it comes after has ended.
QUEUE = (
    ("delivery 4", "normal", FIRST_S),
    ("delivery 5", "low", DELIVERY_S),
    ("delivery 6", "normal", DELIVERY_S),
    ("delivery 7", "high", DELIVERY_S),
)
NOTE = "note after delivery 5"
URGENT, RECEIPT = "urgent delivery 8", "receipt"
STARTS = ("delivery 4", "delivery 7", "delivery 6", "delivery 5", NOTE)


async def fill_queue(world: World) -> str:
    """The robot is given a queue while it is connected."""
    ids = {}
    for name, priority, seconds in QUEUE:
        ids[name] = await world.submit(
            world.hub, name, type="wait", payload={"seconds": seconds}, priority=priority
        )
    after = [ids["delivery 5"]]
    ids[NOTE] = await world.submit(world.hub, NOTE, command="echo delivered", after=after)

    async def all_given() -> list[Any] | None:
        found = [await world.task(world.robot, task) for task in ids.values()]
        return found if all(task and task["device"] == "robot-1" for task in found) else None

    given = await world.until("the robot holds the whole queue", all_given)
    world.queued = {world.ledger.tasks[task["id"]] for task in given if not task["attempts"]}
    world.tell("hub", "someone submits deliveries 4 to 7 (5 is low, 7 is high), and a note to be")
    world.tell("", "printed after delivery 5; all are given to robot-1, which has begun with 4")
    return f"{len(ids)} tasks given to robot-1"


async def cut(world: World) -> str:
    """The links of robot and tablet are cut, as their boards' switch does."""
    for at in (world.robot, world.tablet):
        await at.put("/api/uplink", {"enabled": False})
    for at in (world.robot, world.tablet):
        await until_connected(world, at, connected=False)
    world.tell("links", "the links of robot-1 and tablet-1 are cut; the hub sees both gone")
    return "robot-1 and tablet-1 are gone at the hub"


async def change_blindly(world: World) -> str:
    """Two people change the same press without knowing of each other."""
    bo = Said("press-1", "person", "bo", "green", "guard tested")
    ada = Said("press-1", "person", "ada", "red", "guard does not close")
    await world.report(world.hub_of_bo, bo)
    await world.report(world.tablet_of_ada, ada)
    for at, state in ((world.hub, bo.state), (world.tablet, ada.state)):
        shown = await world.until_shown(at, "press-1", state)
        require(not shown["conflicts"], f"{at.name} shows a conflict that it cannot know of")
    world.tell("hub", f"bo sets press-1 {bo.state}: {bo.reason}")
    world.tell("tablet-1", f"ada sets press-1 {ada.state}: {ada.reason}")
    world.tell("", "neither can know of the other")
    return "hub shows green, tablet shows red"


async def report_offline(world: World) -> str:
    """The worker sets equipment on the tablet, which nobody else can hear."""
    said = Said("lift-1", "person", "ada", "red", "stands still")
    await world.report(world.tablet_of_ada, said)
    await world.until_shown(world.tablet, "lift-1", "red")
    await world.until_shown(world.hub, "lift-1", "yellow")
    world.tell("tablet-1", "ada sets lift-1 red: stands still; the hub still shows it yellow")
    return "tablet shows lift-1 red, hub still yellow"


async def submit_offline(world: World) -> str:
    """Someone at the robot gives it more work."""
    body = {"type": "wait", "payload": {"seconds": DELIVERY_S}, "priority": "critical"}
    ids = [
        await world.submit(world.robot, URGENT, **body),
        await world.submit(world.robot, RECEIPT, command="echo received"),
    ]
    for task in ids:
        known = await world.task(world.hub, task) is not None
        require(not known, "the hub knows a task that was submitted beyond a cut link")
    world.tell("robot-1", "someone at the robot submits the urgent delivery 8 and a receipt")
    return f"{len(ids)} tasks that the hub does not know"


async def run_queue(world: World) -> str:
    """The robot works off its queue, with nobody to ask."""
    done = await world.until_ended(world.robot, list(world.ledger.tasks))
    names = [world.ledger.tasks[task["id"]] for task in sorted(done, key=started_at)]
    seen = [name for name in names if name in world.queued]
    expected = [name for name in STARTS if name in world.queued]
    require(seen == expected, f"started {', '.join(seen)}; expected {', '.join(expected)}")
    unheard = [
        world.ledger.tasks[task["id"]] for task in done if await unheard_of(world, task["id"])
    ]
    heard = {*world.queued, URGENT, RECEIPT}.difference(unheard)
    if heard and (await world.robot.get("/api/uplink"))["enabled"]:
        world.tell("robot-1", "has run its queue; somebody has mended its link already")
        return "somebody mended the link before the story did"
    require(not heard, f"the hub heard of {', '.join(sorted(heard))} through a cut link")
    alone = [name for name in names if name in unheard]
    world.tell("robot-1", f"with nobody to ask, it ran: {', '.join(alone[:4])},")
    world.tell("", ", ".join(alone[4:]))
    world.tell("hub", f"has not heard of these {len(alone)} outcomes")
    return f"{len(alone)} of {len(alone)}"


async def unheard_of(world: World, task: str) -> bool:
    """Whether the hub does not know that a task has succeeded."""
    found = await world.task(world.hub, task)
    return found is None or found["status"] != "succeeded"


def started_at(task: Any) -> str:
    """Return when the first attempt at a task began."""
    begun: str = task["attempts"][0]["started_at"]
    return begun
