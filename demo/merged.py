"""Last part of the story: the links are mended, and everything comes together."""

from collections import Counter
from functools import partial
from typing import Any

from demo.client import Api
from demo.connected import until_connected, until_lit
from demo.errors import require
from demo.report import ran_again
from demo.world import Said, World

CONFLICT_VALUES = {("bo", "green"), ("ada", "red")}
RESOLUTION = Said("press-1", "person", "ada", "yellow", "run slowly until the guard is replaced")

# What a node says of itself and not of the record: whether it still reaches the machine.
LOCAL = frozenset({"stale"})
# Why a task waits and what its journal holds may differ from node to node; the outcome may not.
TASK_FIELDS = (
    "id",
    "status",
    "type",
    "payload",
    "priority",
    "device",
    "requester",
    "after",
    "attempts",
)


async def mend(world: World) -> str:
    """The links are mended; what was written meanwhile goes up."""
    for at in (world.robot, world.tablet):
        await at.put("/api/uplink", {"enabled": True})

    async def nothing_left() -> bool | None:
        links = [await at.get("/api/uplink") for at in (world.robot, world.tablet)]
        return True if all(link["connected"] and not link["backlog"] for link in links) else None

    await world.until("robot and tablet have told the hub everything", nothing_left)
    for at in (world.robot, world.tablet):
        await until_connected(world, at, connected=True)
    world.tell("links", "the links are mended; robot-1 and tablet-1 have told the hub everything")
    return "both connected, nothing left to tell"


async def merge_tasks(world: World) -> str:
    """The hub knows how every task ended; none ran twice."""
    tasks = await world.until_ended(world.hub, list(world.ledger.tasks))
    twice = [world.ledger.tasks[task["id"]] for task in tasks if ran_again(task)]
    require(not twice, f"ran again after they had ended: {', '.join(twice)}")
    world.tell("hub", f"shows {len(tasks)} of {len(tasks)} tasks succeeded, none lost or run twice")
    return f"{len(tasks)} of {len(tasks)}"


async def see_conflict(world: World) -> str:
    """Hub and tablet show the conflict with both values; the light shows the safer one."""
    for at in (world.hub, world.tablet):
        conflict = await world.until(f"{at.name} shows the conflict", partial(find, at))
        values = {(one["actor"], one["value"]["state"]) for one in conflict["siblings"]}
        require(values == CONFLICT_VALUES, f"{at.name} shows the values {sorted(values)}")
        await world.until_shown(at, "press-1", "red")
    await until_lit(world, "red")
    world.tell("hub", "a conflict on press-1: bo said green, ada said red; neither had seen the")
    world.tell("", "other's. Red is shown until a person decides: it is safer; the light is red")
    return "green by bo and red by ada, at hub and tablet"


async def resolve(world: World) -> str:
    """The worker settles the conflict on the tablet."""
    conflict = await world.until("the tablet shows the conflict", lambda: find(world.tablet))
    value = {"state": RESOLUTION.state, "reason": RESOLUTION.reason}
    path = f"/api/conflicts/{conflict['id']}/resolve"
    await world.tablet_of_ada.post(path, {"value": value, "seen": conflict["etag"]})
    world.ledger.reports[RESOLUTION] += 1
    for at in (world.hub, *world.agents):
        await world.until_shown(at, "press-1", RESOLUTION.state)
        await world.until(f"{at.name} shows no conflict", partial(none_open, at))
    await until_lit(world, RESOLUTION.state)
    world.tell("tablet-1", f"ada and bo agree; ada settles it: yellow, {RESOLUTION.reason}")
    world.tell("hub", "shows press-1 yellow, no open conflict; the light is yellow")
    return f"{conflict['id']} settled by ada at the tablet"


async def keep_history(world: World) -> str:
    """Every change of everyone stands in the hub's history, the losing one too."""
    entries: list[tuple[str, Any]] = []
    for equipment in sorted({said.equipment for said in world.ledger.reports}):
        found = await world.hub.items(f"/api/equipment/{equipment}/history")
        entries += [(equipment, entry) for entry in found]
    kept = Counter(
        Said(name, one["source"], one["actor"], one["state"], one["reason"])
        for name, one in entries
    )
    require(not world.ledger.reports - kept, f"missing: {world.ledger.reports - kept}")
    require(not kept - world.ledger.reports, f"nobody said: {kept - world.ledger.reports}")
    lost = [(one["actor"], one["state"]) for _, one in entries if one["lost_to"]]
    require(lost == [("bo", "green")], f"marked as lost: {lost}")
    world.tell("hub", f"keeps all {len(entries)} reports in its history; bo's green is marked as")
    world.tell("", "having lost to ada's red")
    return f"{len(entries)} of {world.ledger.reports.total()} reports, 1 marked as lost"


async def converge(world: World) -> str:
    """Hub and agents show the same."""

    async def no_difference() -> bool | None:
        return None if await differences(world) else True

    await world.until("hub and agents show the same", no_difference)
    world.tell("all", "hub, robot, tablet and gateway show the same equipment and tasks")
    return "hub and 3 agents show the same"


async def differences(world: World) -> list[str]:
    """Return what agents show otherwise than the hub; the robot must know every task."""
    found = []
    at_hub = [shared_part(one) for one in await world.hub.items("/api/equipment")]
    for at in world.agents:
        if [shared_part(one) for one in await at.items("/api/equipment")] != at_hub:
            found.append(f"equipment at {at.name}")
        ids = {task["id"] for task in await at.items("/api/tasks")}
        if at is world.robot:
            ids |= world.ledger.tasks.keys()
        found += [f"task {task} at {at.name}" for task in ids if not await is_same(world, at, task)]
    return found


async def is_same(world: World, at: Api, task: str) -> bool:
    """Whether an agent and the hub say alike how a task stands."""
    here, at_hub = await world.task(at, task), await world.task(world.hub, task)
    return here is not None and at_hub is not None and outcome(here) == outcome(at_hub)


def shared_part(record: Any) -> dict[str, Any]:
    """Return what all nodes must say alike of equipment."""
    return {key: value for key, value in record.items() if key not in LOCAL}


def outcome(task: Any) -> dict[str, Any]:
    """Return what all nodes must say alike of a task."""
    return {key: task[key] for key in TASK_FIELDS}


async def find(at: Api) -> Any:
    """Return the one open conflict, None if there is none."""
    found = await at.items("/api/conflicts")
    require(len(found) <= 1, f"{at.name} shows {len(found)} conflicts")
    return found[0] if found else None


async def none_open(at: Api) -> bool | None:
    """Return True if no conflict is open."""
    return None if await at.items("/api/conflicts") else True
