"""First part of the story: all are connected and work together."""

from functools import partial
from typing import Any

from demo.client import Api
from demo.processes import Simulator
from demo.world import Said, World

WIRED = {"press-1": "Press 1", "oven-1": "Oven 1"}
ENTERED = {"lift-1": "Lift 1"}
DELIVERY_S = 0.7


async def connect(world: World) -> str:
    """The three agents find the hub; equipment of one of them is known to all."""

    async def all_here() -> list[Any] | None:
        devices = await world.hub.items("/api/devices")
        here = [device for device in devices if device["connected"]]
        return here if len(here) == len(world.agents) else None

    here = await world.until("three agents are connected", all_here)
    world.tell("hub", f"{', '.join(device['id'] for device in here)} are connected")
    for equipment, name in WIRED.items():
        known = partial(world.equipment, world.hub, equipment)
        await world.until(f"the hub knows {equipment}", known)
        await world.hub.patch(f"/api/equipment/{equipment}", {"name": name})
    for equipment, name in ENTERED.items():
        await world.hub.post("/api/equipment", {"id": equipment, "name": name})
    wanted = WIRED | ENTERED

    async def known_everywhere() -> bool | None:
        lists = [await at.items("/api/equipment") for at in world.agents]
        known = ({one["id"]: one["name"] for one in found} for found in lists)
        return True if all(names == wanted for names in known) else None

    await world.until("all agents know the equipment", known_everywhere)
    world.tell("hub", f"knows {', '.join(WIRED)} from the gateway's wires; someone names them and")
    world.tell("", f"enters {', '.join(ENTERED)}. All agents know them at once")
    return f"{len(here)} of {len(world.agents)} agents"


async def deliver(world: World) -> str:
    """Tasks submitted at the hub run on the robot."""
    tasks = [
        await world.submit(
            world.hub, f"delivery {number}", type="wait", payload={"seconds": DELIVERY_S}
        )
        for number in (1, 2, 3)
    ]
    tasks.append(await world.submit(world.hub, "greeting", command="echo 'hello from the robot'"))
    world.tell("hub", "someone submits deliveries 1, 2, 3 and a command; the hub chooses robot-1")
    done = await world.until_ended(world.hub, tasks)
    output = done[-1]["attempts"][-1]["output"]["stdout"].strip()
    world.tell("robot-1", f"ran them one after the other; the command printed {output!r}")
    world.tell("hub", f"shows {len(done)} of {len(tasks)} succeeded")
    return f"{len(done)} of {len(tasks)}"


async def ask_inventory(world: World) -> str:
    """A delivery asks whether its syringe is in stock; until it is, all see why it waits."""
    task = await world.submit(
        world.hub,
        "syringe",
        type="wait",
        payload={"seconds": DELIVERY_S},
        checks=[{"name": "stock", "ask": {"item": "syringe", "count": 1}}],
    )
    said = await until_held_by(world, task, "check")
    world.tell("robot-1", f"does not start the delivery of a syringe: {said}")
    await world.restock("syringe", 1)
    world.tell("inventory", "a syringe is put into stock")
    (done,) = await world.until_ended(world.hub, [task])
    world.tell("robot-1", "asks again, and delivers it: nothing was tried in vain")
    return f"{said}; then {len(done['attempts'])} attempt"


async def report(world: World) -> str:
    """A worker sets equipment on the tablet; everybody sees it."""
    said = Said("lift-1", "person", "ada", "yellow", "makes a noise")
    await world.report(world.tablet_of_ada, said)
    world.tell("tablet-1", "ada sets lift-1 yellow: makes a noise")
    for at in (world.hub, world.robot, world.gateway):
        await world.until_shown(at, "lift-1", "yellow")
    world.tell("hub", "shows lift-1 yellow, and so do the robot and the gateway")
    return "lift-1 is yellow at all nodes"


async def press_button(world: World) -> str:
    """A button at the press reports to the gateway; the press's light follows."""
    for state, reason in (("red", "jam"), ("green", "jam cleared")):
        await world.hardware.button.tell(f"{state} {reason}")
        await until_lit(world, state)
        world.ledger.reports[Said("press-1", "machine", "button-1", state, reason)] += 1
        await world.until_shown(world.hub, "press-1", state)
        world.tell("press-1", f"the {state} button is pressed ({reason}): its light turns {state}")
        world.tell("hub", f"shows press-1 {state}")
    return "red and green: light and hub followed"


async def hear_machine(world: World) -> str:
    """A machine reports by MQTT; what a worker says of it reaches its own lamp."""
    oven = world.hardware.oven
    await oven.tell("yellow too hot")
    await until_told(world, oven, "yellow")
    world.ledger.reports[Said("oven-1", "machine", "oven-plc", "yellow", "too hot")] += 1
    await world.until_shown(world.hub, "oven-1", "yellow")
    world.tell("oven-1", "reports by MQTT that it is too hot; the hub shows it yellow")
    said = Said("oven-1", "person", "ada", "red", "smells burnt")
    await world.report(world.tablet_of_ada, said)
    await until_told(world, oven, "red")
    world.tell("tablet-1", "ada sets oven-1 red: smells burnt; the oven's own lamp turns red")
    return "oven-1 reported yellow and was told red"


async def until_held_by(world: World, task: str, reason: str) -> str:
    """Return what the hub says of a task once it waits for such a reason."""

    async def look() -> str | None:
        found = await world.task(world.hub, task)
        messages = [why["message"] for why in found["waits_for"] if why["reason"] == reason]
        return messages[0] if messages else None

    return await world.until(f"the hub shows {world.ledger.tasks[task]} held by a {reason}", look)


async def until_lit(world: World, state: str) -> None:
    """Return once the light at the press shows a state."""

    async def look() -> bool | None:
        return True if world.hardware.light.latest("lit") == [state] else None

    await world.until(f"the light is {state}", look)


async def until_told(world: World, machine: Simulator, state: str) -> None:
    """Return once a machine was told to show a state."""

    async def look() -> bool | None:
        return True if machine.latest("told") == state else None

    await world.until(f"{machine.child.name} is told {state}", look)


async def until_connected(world: World, at: Api, connected: bool) -> None:
    """Return once the hub sees an agent connected, or not."""

    async def look() -> bool | None:
        device = await world.hub.get(f"/api/devices/{at.name}")
        return True if device["connected"] is connected else None

    await world.until(f"the hub sees {at.name} {'connected' if connected else 'gone'}", look)
