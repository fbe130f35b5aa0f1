"""Bookings in the story: two doctors, a room, and a press that somebody wants to maintain."""

import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from demo.client import Api, Refused
from demo.errors import DemoFailed, require
from demo.world import NOT_FOUND, World

ZONE = "Europe/Berlin"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # so that the story plays on any of them
RESOURCES = {
    "strange": ("Dr Strange", "09:00-17:00"),
    "who": ("Dr Who", "08:00-16:00"),
    "room-2": ("Room 2", "08:00-18:00"),
    "press-1": ("Press 1, maintenance", "06:00-22:00"),
}
CONFLICT = 409


async def open_clinic(world: World) -> str:
    """The hub is told what can be booked; everybody knows it."""
    today = datetime.datetime.now(ZoneInfo(ZONE)).date()
    world.tomorrow = today + datetime.timedelta(days=1)  # of the whole story, also over midnight
    for name, (title, hours) in RESOURCES.items():
        body = {
            "id": name,
            "name": title,
            "hours": {"timezone": ZONE, "week": {day: [hours] for day in DAYS}},
            "limits": {"grid": {"minutes": 15}},
        }
        await world.hub.post("/api/resources", body)

    async def known_everywhere() -> bool | None:
        for at in world.agents:
            if {one["id"] for one in await at.items("/api/resources")} != RESOURCES.keys():
                return None
        return True

    await world.until("all agents know what can be booked", known_everywhere)
    world.tell("hub", "can book Dr Strange (9 to 17), Dr Who (8 to 16), a room and, to be")
    world.tell("", "maintained, press-1; all agents know their hours")
    return f"{len(RESOURCES)} resources at all nodes"


async def book(world: World) -> str:
    """Somebody books at the hub; who wants the same time is told what is in the way, and others."""
    made = await world.hub_of_bo.post(
        "/api/bookings", wanted(world, "strange", "room-2", start="10:00", title="check-up")
    )
    require(made["status"] == "confirmed", f"the booking is {made['status']}")
    world.tell("hub", "bo books Dr Strange and room-2 tomorrow at 10:00 for 45 minutes")
    try:
        await world.hub.post(
            "/api/bookings", wanted(world, "strange", start="10:30", title="x-ray")
        )
    except Refused as refused:
        problem = refused.answer
        require(refused.status == CONFLICT, f"refused with {refused.status}")
    else:
        raise DemoFailed("Dr Strange was booked twice")
    in_the_way = [one["booking"] for one in problem["conflicts"]]
    require(in_the_way == [made["id"]], f"named as in the way: {in_the_way}")
    others = [clock(one["start_local"]) for one in problem["alternatives"]]
    require(others == ["10:45", "11:30", "12:15"], f"offered {others}")
    world.tell("", "someone else wants Dr Strange at 10:30: refused, bo's booking is named, and")
    world.tell("", f"{', '.join(others)} are offered")
    return f"confirmed; 10:30 refused, {', '.join(others)} offered"


async def ask_offline(world: World) -> str:
    """The cut-off tablet asks for two bookings; meanwhile the hub gives one of these times away."""
    for title, name, start in (("vaccination", "who", "11:00"), ("new guard", "press-1", "13:00")):
        body = wanted(world, name, start=start, title=title)
        asked = await world.tablet_of_ada.post("/api/bookings", body)
        require(asked["tentative"], "the tablet says that a request is decided")
        require(asked["status"] == "requested", f"the tablet shows {asked['status']}")
        world.asked[title] = asked["id"]
    await world.hub_of_bo.post(
        "/api/bookings", wanted(world, "who", start="11:15", title="stitches")
    )
    world.tell(
        "tablet-1", "ada asks for Dr Who tomorrow at 11:00, and for press-1 at 13:00 to mount"
    )
    world.tell("", "a new guard; the tablet shows both as requested, not as booked")
    world.tell("hub", "cannot know: bo books Dr Who tomorrow at 11:15")
    return "two requested at the tablet, one of these times taken at the hub"


async def decide(world: World) -> str:
    """The hub has decided what the tablet asked for; the tablet shows it."""
    at_hub = await decided(world, world.hub)
    at_tablet = await decided(world, world.tablet)
    require(at_hub == at_tablet, f"the hub shows {at_hub}, the tablet {at_tablet}")
    statuses = {title: status for title, (status, _) in at_hub.items()}
    expected = {"vaccination": "refused", "new guard": "confirmed"}
    require(statuses == expected, f"decided {statuses}")
    others = at_hub["vaccination"][1]
    require(others == ["12:00", "12:45", "13:30"], f"offered {others}")
    world.tell(
        "hub", "confirms press-1 at 13:00; Dr Who is taken at 11:15, so 11:00 is refused and"
    )
    world.tell("", f"{', '.join(others)} are offered. The tablet shows the same")
    return f"1 confirmed, 1 refused with {', '.join(others)}"


async def decided(world: World, at: Api) -> dict[str, tuple[str, list[str]]]:
    """Return status and alternatives of what the tablet asked for, once a node has decisions."""

    async def look() -> dict[str, Any] | None:
        found = {t: await at.get(f"/api/bookings/{b}") for t, b in world.asked.items()}
        return None if any(one["tentative"] for one in found.values()) else found

    found = await world.until(f"{at.name} shows what was decided", partial(until_known, look))
    return {
        title: (one["status"], [clock(other["start_local"]) for other in one["alternatives"]])
        for title, one in found.items()
    }


async def until_known(look: Any) -> dict[str, Any] | None:
    """Look, where what is looked for may not have arrived yet."""
    try:
        found: dict[str, Any] | None = await look()
    except Refused as refused:
        if refused.status != NOT_FOUND:
            raise
        return None
    return found


def wanted(world: World, *names: str, start: str, title: str) -> dict[str, Any]:
    """Return a request for 45 minutes of tomorrow."""
    return {
        "resources": list(names),
        "start": f"{world.tomorrow}T{start}",
        "minutes": 45,
        "title": title,
    }


def clock(local: str) -> str:
    """Return the time of a local time with its date and offset."""
    return local[11:16]
