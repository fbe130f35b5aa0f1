"""What of bookings happens by the clock: holds run out, windows open, holidays are looked up anew.

And once at the start, whether the time-zone database is another than last time.

A hold blocks nothing from its instant on, whether or not anybody was awake to see it: decisions and
searches go by ``held_until``. That it ran out is nevertheless an event of the hub, so that every
node says the same of it, those with a wrong clock too, and listeners hear of it.
"""

import asyncio
import datetime
import logging
from collections.abc import Callable
from functools import partial

from hub import deciding, public_holidays, resource_rules, zone_watch
from shared.api.booking_world import BOOKING, RESOURCE
from shared.core.booking.status import Status
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.core.kinds.resource import PublicHolidays
from shared.errors import Refused, StoreClosed, StoreCorrupt
from shared.replica import Replica
from shared.store import windows
from shared.store.transaction import Change, Transaction

LOOK_S = 30.0
AHEAD = datetime.timedelta(days=400)  # holidays are looked up anew before they end
NEXT = "SELECT min(held_until) FROM bookings WHERE status = 'held'"
REGIONAL = "SELECT id FROM resources WHERE retired = 0 AND region IS NOT NULL"

log = logging.getLogger(__name__)


class BookingKeeper:
    """Keeps time for bookings; ``run`` until cancelled."""

    def __init__(self, replica: Replica, now_ms: Callable[[], int]) -> None:
        """Build a keeper.

        Args:
            replica: The hub's.
            now_ms: Wall clock, Unix ms.
        """
        self._replica = replica
        self._now_ms = now_ms
        self._wake = asyncio.Event()
        self._holidays_on: datetime.date | None = None
        self._knows_zones = False

    async def run(self) -> None:
        """Keep time until cancelled."""
        with self._replica.subscribe(self._heard):
            while True:
                self._wake.clear()
                try:
                    await self.tick()
                except StoreClosed:
                    return
                except StoreCorrupt:
                    raise
                except Exception:  # a full disk, a fault of ours: what is due stays due
                    log.exception("bookings could not be looked at; again in %s s", LOOK_S)
                    await asyncio.sleep(LOOK_S)
                    continue
                await self._sleep()

    async def tick(self) -> None:
        """Do all that is due."""
        now = self._now_ms()
        replica = self._replica
        today = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).date()
        if not self._knows_zones:
            await zone_watch.look(replica, today.year)
            self._knows_zones = True
        while await replica.read(lambda r: r.query(deciding.DUE, now, 1)):
            if not await replica.write(deciding.expire_due):
                break  # the clock was set back meanwhile
        if await replica.read(lambda r: r.query(deciding.UNDECIDED, 1)):
            await replica.write(deciding.decide_rest)
        # Asked first: a write that finds nothing to do would cost an fsync all the same.
        if await replica.read(lambda r: windows.is_due(r, now)):
            while await replica.write(windows.turn):
                pass
        await self._look_up_holidays(today)

    async def _look_up_holidays(self, today: datetime.date) -> None:
        """Once a day: have the holidays of each resource reach beyond its horizon."""
        if today == self._holidays_on:
            return
        for (name,) in await self._replica.read(lambda r: r.query(REGIONAL)):
            found = resources.read(await self._replica.record(RESOURCE, name))
            if found is None or found.hours is None or found.hours.holidays is None:
                continue
            try:
                known = public_holidays.of(found.hours.holidays, today)
            except Refused as error:  # the library knows that region no more
                log.warning("the holidays of %s stay as they are: %s", name, error)
                continue
            if found.holidays is None or found.holidays.through < today + AHEAD:
                await self._replica.write(partial(_set_holidays, name=name, known=known))
        self._holidays_on = today

    def _heard(self, changes: list[Change]) -> None:
        if any(_is_hold(change) for change in changes):
            self._wake.set()

    async def _sleep(self) -> None:
        ((until,),) = await self._replica.read(lambda r: r.query(NEXT))
        seconds = LOOK_S if until is None else (until - self._now_ms()) / 1000
        try:
            async with asyncio.timeout(max(0.01, min(LOOK_S, seconds))):
                await self._wake.wait()
        except TimeoutError:
            return


def _is_hold(change: Change) -> bool:
    """Say whether a change may have brought the next hold to run out nearer."""
    if change.kind != BOOKING:
        return False
    booking = None if change.record is None else bookings.stands(change.record)
    return booking is not None and booking.status is Status.HELD


def _set_holidays(tx: Transaction, name: str, known: PublicHolidays) -> None:
    found = resources.read(tx.record(RESOURCE, name))
    if found is None or found.hours is None or found.hours.holidays is None:
        return
    resource_rules.append(tx, site=found.site, name=name, body=known, actor=tx.node.device)
    resource_rules.look(tx, name)
