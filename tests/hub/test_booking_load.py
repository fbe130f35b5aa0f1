"""Many people at once, over HTTP: whatever they do, no instant bears more than its capacity."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.core import instants
from tests.api.nodes import START_MS
from tests.api.served import Served, serve_node

MINUTE_MS = 60_000
WAVES, AT_ONCE = 5, 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BLOCKING = """SELECT begins, ends FROM booking_places WHERE resource = $1
    AND (status = 'confirmed' OR (status = 'held' AND held_until > $2))"""


@dataclass
class People:
    """Who book, move, confirm and cancel at random; and what the rules are."""

    hub: Served
    chance: Random
    rules: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    booked: list[str] = field(default_factory=list)

    async def make(self, name: str) -> None:
        capacity, before, after = (
            self.chance.choice(c) for c in ((1, 1, 2, 3), (0, 600), (0, 900))
        )
        hours = {"timezone": "Europe/Berlin", "week": {day: ["00:00-24:00"] for day in DAYS}}
        limits = {"capacity": capacity, "before_s": before, "after_s": after}
        body = {"id": name, "hours": hours, "limits": limits}
        assert (await self.hub.call("POST", "/api/resources", body)).status == 201
        self.rules[name] = (capacity, before * 1000, after * 1000)

    async def act(self) -> None:
        deed = self.chance.random()
        at = instants.text(START_MS + (60 + self.chance.randrange(600)) * MINUTE_MS)
        if deed < 0.6 or not self.booked:
            await self.book(at)
            return
        path = f"/api/bookings/{self.chance.choice(self.booked)}"
        if deed < 0.8:
            answered = await self.hub.call("PATCH", path, {"start": at})
        elif deed < 0.9:
            answered = await self.hub.call("PATCH", path, {"status": "confirmed"})
        else:
            answered = await self.hub.call("DELETE", path)
        assert answered.status in (200, 409), answered.raw

    async def book(self, at: str) -> None:
        names = self.chance.sample(sorted(self.rules), self.chance.choice((1, 1, 2)))
        body: dict[str, Any] = {
            "resources": names,
            "start": at,
            "minutes": self.chance.choice((15, 45, 90)),
        }
        body["hold_s"] = self.chance.choice((None, None, 300))
        answered = await self.hub.call("POST", "/api/bookings", body)
        assert answered.status in (201, 409), answered.raw
        if answered.status == 201:
            self.booked.append(answered.json["id"])

    async def crowd(self, name: str) -> int:
        """Return how many are on at the fullest instant, with their buffers."""
        _, before, after = self.rules[name]
        now = self.hub.node.clock.ms
        rows = await self.hub.replica.read(lambda r: r.query(BLOCKING, name, now))
        taken = [(begins - before, ends + after) for begins, ends in rows]
        return max((sum(b <= at < e for b, e in taken) for at, _ in taken), default=0)


@pytest.mark.parametrize("seed", range(3))
async def test_no_instant_bears_more_than_its_capacity(tmp_path: Path, seed: int) -> None:
    """Promise 3."""
    async with serve_node(tmp_path) as hub:
        people = People(hub, Random(seed))
        for number in range(4):
            await people.make(f"r{number}")
        for _ in range(WAVES):
            await asyncio.gather(*(people.act() for _ in range(AT_ONCE)))
            hub.node.clock.ms += people.chance.choice((0, 200_000, -100_000))
            for name, (capacity, _, _) in people.rules.items():
                assert await people.crowd(name) <= capacity, (seed, name)
        assert len(people.booked) > 20
