"""A nurse offline and one online want the same hour: real processes, real links."""

import uuid
import zoneinfo
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demo.client import Api, Refused
from demo.configuration import ROBOT, TABLET
from demo.waiting import until
from shared import system
from shared.core import instants
from tests.scenarios.two_nodes import WAIT_S, Node, caught_up, fleet

DAY_MS = 24 * 3600 * 1000
HOUR_MS = DAY_MS // 24
ALWAYS = {day: ["00:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


def hour(number: int, day: int = 1) -> str:
    """Return the start of an hour of a day ahead."""
    midnight = system.now_ms() // DAY_MS * DAY_MS
    return instants.text(midnight + day * DAY_MS + number * HOUR_MS)


async def ask(api: Api, resource: str, start: str, **more: Any) -> Any:
    body = {"resource": resource, "start": start, "minutes": 60, **more}
    return await api.post("/api/bookings", body)


async def knows(api: Api, path: str, **wanted: Any) -> Any:
    """Wait until a node shows something so."""

    async def look() -> Any:
        try:
            shown = await api.get(path)
        except Refused:
            return None
        return shown if all(shown[key] == value for key, value in wanted.items()) else None

    return await until(f"{api.name} shows {path} as {wanted}", look, WAIT_S)


async def ready(hub: Node, *agents: Node) -> None:
    for name in ("strange", "who"):
        body = {"id": name, "hours": {"timezone": "Europe/Berlin", "week": ALWAYS}}
        await hub.api.post("/api/resources", body)
        for agent in agents:
            await knows(agent.api, f"/api/resources/{name}")


async def cut(*agents: Node) -> None:
    for agent in agents:
        await agent.api.put("/api/uplink", {"enabled": False})


async def mend(*agents: Node) -> None:
    for agent in agents:
        await agent.api.put("/api/uplink", {"enabled": True})
        await until(f"{agent.name} has told all", partial(caught_up, agent.api), WAIT_S)


async def test_of_two_nurses_offline_one_gets_the_hour_and_both_are_told(tmp_path: Path) -> None:
    """Promises 3 and 4."""
    async with fleet(tmp_path, ROBOT, TABLET) as (hub, first, second):
        await ready(hub, first, second)
        await cut(first, second)
        mine = await ask(first.api, "strange", hour(10), title="Check-up")
        theirs = await ask(second.api, "strange", hour(10))
        assert (mine["status"], mine["tentative"]) == ("requested", True)
        known = await first.api.get("/api/bookings?resource=strange")
        assert [b["id"] for b in known["items"]] == [mine["id"]]
        assert not known["complete"]
        found = await first.api.get(
            f"/api/availability?resource=strange&minutes=60&after={hour(10)}"
        )
        assert (found["certain"], found["slots"][0]["start"]) == (False, hour(11))

        await mend(first)
        for node in (hub, first):
            await knows(node.api, f"/api/bookings/{mine['id']}", status="confirmed")
        await mend(second)
        for node in (hub, second, first):
            await knows(node.api, f"/api/bookings/{mine['id']}", status="confirmed")
        lost = await knows(second.api, f"/api/bookings/{theirs['id']}", status="refused")
        assert not lost["tentative"]
        assert lost["reasons"][0]["rule"] == "capacity"
        assert lost["reasons"][0]["bookings"] == [mine["id"]]
        assert lost["alternatives"][0]["start"] == hour(11)
        assert await hub.api.get(f"/api/bookings/{theirs['id']}") == lost


async def test_what_surely_cannot_be_is_refused_offline(tmp_path: Path) -> None:
    async with fleet(tmp_path, TABLET) as (hub, tablet):
        await ready(hub, tablet)
        taken = await ask(hub.api, "strange", hour(10))
        await knows(tablet.api, f"/api/bookings/{taken['id']}")
        await cut(tablet)
        with pytest.raises(Refused) as refused:
            await ask(tablet.api, "strange", hour(10))
        assert refused.value.status == 409
        sent = await ask(tablet.api, "strange", hour(10), anyway=True)
        await hub.api.delete(f"/api/bookings/{taken['id']}")
        await mend(tablet)
        await knows(tablet.api, f"/api/bookings/{sent['id']}", status="confirmed")


async def test_own_requests_are_looked_at_in_their_order(tmp_path: Path) -> None:
    async with fleet(tmp_path, TABLET) as (hub, tablet):
        await ready(hub, tablet)
        await cut(tablet)
        first = await ask(tablet.api, "strange", hour(10))
        await ask(tablet.api, "strange", hour(10), anyway=True)  # the hub will refuse this one
        path = f"/api/bookings/{first['id']}"
        with pytest.raises(Refused, match="confirmed already"):
            await tablet.api.patch(path, {"status": "confirmed"})
        await tablet.api.patch(path, {"start": hour(14)})
        await ask(tablet.api, "strange", hour(10))  # whose time is free again
        await mend(tablet)
        await knows(tablet.api, path, status="confirmed", start=hour(14))


async def test_booked_moved_and_cancelled_before_there_is_a_link(tmp_path: Path) -> None:
    async with fleet(tmp_path, TABLET) as (hub, tablet):
        await ready(hub, tablet)
        await cut(tablet)
        one = await ask(tablet.api, "strange", hour(10))
        two = await ask(tablet.api, "who", hour(10))
        moved = await tablet.api.patch(f"/api/bookings/{one['id']}", {"start": hour(12)})
        assert [r["accepted"] for r in moved["requests"]] == [None, None]
        await tablet.api.delete(f"/api/bookings/{two['id']}")
        await mend(tablet)
        for node in (hub, tablet):
            shown = await knows(node.api, f"/api/bookings/{one['id']}", status="confirmed")
            assert shown["start"] == hour(12)
            await knows(node.api, f"/api/bookings/{two['id']}", status="cancelled")


async def test_far_ahead_only_who_asked_is_told(tmp_path: Path) -> None:
    async with fleet(tmp_path, ROBOT, TABLET) as (hub, robot, tablet):
        await ready(hub, robot, tablet)
        far = await ask(tablet.api, "strange", hour(10, day=90))
        near = await ask(tablet.api, "strange", hour(10, day=3))
        for booking in (far, near):
            await knows(tablet.api, f"/api/bookings/{booking['id']}", status="confirmed")
        await knows(robot.api, f"/api/bookings/{near['id']}", status="confirmed")
        with pytest.raises(Refused):
            await robot.api.get(f"/api/bookings/{far['id']}")
        assert uuid.UUID(far["id"]).version == 7


async def test_a_hold_made_offline_is_confirmed_or_runs_out_at_the_hub(tmp_path: Path) -> None:
    async with fleet(tmp_path, TABLET) as (hub, tablet):
        await ready(hub, tablet)
        await cut(tablet)
        kept = await ask(tablet.api, "strange", hour(10), hold_s=3600)
        short = await ask(tablet.api, "who", hour(10), hold_s=1)
        await mend(tablet)
        await knows(tablet.api, f"/api/bookings/{kept['id']}", status="held")
        await tablet.api.patch(f"/api/bookings/{kept['id']}", {"status": "confirmed"})
        for node in (hub, tablet):
            await knows(node.api, f"/api/bookings/{kept['id']}", status="confirmed")
            await knows(node.api, f"/api/bookings/{short['id']}", status="expired")


async def test_a_new_time_zone_database_flags_what_no_longer_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Berlin goes by London's clock from one start to the next: nine has become eight."""
    place = tmp_path / "zones"
    monkeypatch.setenv("PYTHONTZPATH", str(place))
    berlin, london = (_database(zone) for zone in ("Europe/Berlin", "Europe/London"))
    (place / "Europe").mkdir(parents=True)
    (place / "Europe" / "Berlin").write_bytes(berlin)
    week = {day: ["09:00-17:00"] for day in ALWAYS}
    async with fleet(tmp_path) as (hub,):
        body = {"id": "strange", "hours": {"timezone": "Europe/Berlin", "week": week}}
        await hub.api.post("/api/resources", body)
        day = hour(0, 2)[:10]
        early, late = [await ask(hub.api, "strange", f"{day}T{h}:00") for h in ("09", "16")]
        await hub.end()
        await hub.start()
        assert (await hub.api.get(f"/api/bookings/{early['id']}"))["outside"] == []
        await hub.end()
        (place / "Europe" / "Berlin").write_bytes(london)
        await hub.start()

        async def flagged() -> Any:
            return (await hub.api.get(f"/api/bookings/{early['id']}"))["outside"] or None

        (reason,) = await until("the early booking is flagged", flagged, WAIT_S)
        assert reason["rule"] == "hours"
        shown = await hub.api.get(f"/api/bookings/{late['id']}")
        assert (shown["start"], shown["outside"]) == (late["start"], [])


def _database(zone: str) -> bytes:
    """Return what the system knows of a zone."""
    return next(
        (Path(folder) / zone).read_bytes()
        for folder in zoneinfo.TZPATH
        if (Path(folder) / zone).is_file()
    )
