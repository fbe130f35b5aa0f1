"""Drivers wired to records: on a real journal, with simulators on real terminals."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent.equipment import Machines, Wired
from hardware.button import Button
from hardware.driver import Health, Observation, Sink
from hardware.relay import RelayLight
from hardware.simulators.button import ButtonSimulator
from hardware.simulators.relay import LIGHT, RelaySimulator
from shared.core.kinds import equipment
from shared.core.kinds.equipment import MACHINE, PERSON, Equipment, Report, Retired, State
from shared.errors import Refused
from shared.replica import Replica
from tests.agent.robot import SITE, WAIT_S, RealTime, VirtualTime, eventually, open_journal

RED, YELLOW, GREEN = State.RED, State.YELLOW, State.GREEN


class Machine:
    """A driver whose device is this object."""

    def __init__(self, driver_id: str = "plc-1") -> None:
        self.id = driver_id
        self.health = Health(connected=True, detail="here", since_ms=0)
        self.shown: list[State | None] = []
        self.refused: list[Exception] = []
        self.acknowledged: list[Observation] = []
        self.crashes = 0
        self._observed: asyncio.Queue[Observation] = asyncio.Queue()

    def watch_health(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def become(self, health: Health) -> None:
        self.health = health
        self._changed()

    def desire(self, state: State | None) -> None:
        self.shown.append(state)

    def observe(self, state: State, reason: str | None = None) -> None:
        self._observed.put_nowait(Observation(state, reason))

    async def run(self, sink: Sink) -> None:
        if self.crashes:
            self.crashes -= 1
            raise ZeroDivisionError("a bug in the driver")
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._offer(sink, await self._observed.get()))

    async def _offer(self, sink: Sink, observation: Observation) -> None:
        try:
            await sink(observation)
        except Exception as error:  # noqa: BLE001 - a driver takes any refusal
            self.refused.append(error)
        else:
            self.acknowledged.append(observation)


@contextlib.asynccontextmanager
async def wired(
    folder: Path,
    *drivers: Machine | Button | RelayLight,
    time: VirtualTime | RealTime | None = None,
    dwell_s: float = 0.0,
    site: str = SITE,
) -> AsyncIterator[tuple[Replica, Machines]]:
    clocks = time or RealTime()
    async with open_journal(folder, clocks.now_ms) as replica:
        machines = Machines(
            replica,
            [Wired(driver, "press-1", dwell_s) for driver in drivers],
            site=site,
            boot_ms=clocks.boot_ms,
            wait=clocks.wait,
        )
        async with asyncio.TaskGroup() as group:
            job = group.create_task(machines.run())
            yield replica, machines
            job.cancel()


async def press(replica: Replica) -> Equipment:
    return equipment.view(await replica.record("equipment", "press-1"))


async def eventually_exists(replica: Replica) -> None:
    changed = asyncio.Event()
    with replica.subscribe(lambda _changes: changed.set()):
        async with asyncio.timeout(WAIT_S):
            while not equipment.exists(await replica.record("equipment", "press-1")):
                await changed.wait()
                changed.clear()


async def reports(replica: Replica) -> int:
    record = await replica.record("equipment", "press-1")
    (count,) = await replica.read(
        lambda reading: reading.query(
            "SELECT count(*) FROM journal j JOIN records r ON r.id = j.record WHERE r.subject = $1",
            record.subject,
        )
    )
    return int(count[0]) - 1  # the first one created it


async def person_says(
    replica: Replica, state: State, register: str = PERSON, actor: str = "ada"
) -> None:
    await replica.write(
        lambda tx: tx.append(
            site=SITE,
            kind="equipment.state",
            subject="press-1",
            register=register,
            body=Report(state),
            actor=actor,
        )
    )


async def test_an_observation_is_acknowledged_once_it_is_durable(tmp_path: Path) -> None:
    machine = Machine()
    async with wired(tmp_path, machine) as (replica, _):
        machine.observe(RED, "jam")
        await eventually(lambda: len(machine.acknowledged) == 1)
        shown = await press(replica)
        assert (shown.state, shown.reason, shown.actor) == (RED, "jam", "plc-1")
        assert shown.reports.machine is not None
        assert shown.reports.person is None


async def test_the_equipment_exists_before_its_first_report(tmp_path: Path) -> None:
    machine = Machine()
    async with wired(tmp_path, machine) as (replica, _):
        await eventually_exists(replica)
        assert (await press(replica)).state is None


async def test_the_shown_state_drives_the_light(tmp_path: Path) -> None:
    machine = Machine()
    async with wired(tmp_path, machine) as (replica, _):
        machine.observe(GREEN)
        await eventually(lambda: machine.shown[-1:] == [GREEN])
        await person_says(replica, RED)
        await eventually(lambda: machine.shown[-1:] == [RED])
        await replica.write(
            lambda tx: tx.append(
                site=SITE,
                kind="equipment.retired",
                subject="press-1",
                register="retired",
                body=Retired(True),
                actor="ada",
            )
        )
        await eventually(lambda: machine.shown[-1:] == [None])


async def test_a_restart_repeats_no_report(tmp_path: Path) -> None:
    for _ in range(3):
        machine = Machine()
        async with wired(tmp_path, machine) as (replica, _):
            machine.observe(RED, "jam")
            await eventually(lambda: len(machine.acknowledged) == 1)  # noqa: B023
            assert await reports(replica) == 1


async def test_a_value_must_stand_for_the_dwell(tmp_path: Path) -> None:
    time, machine = VirtualTime(), Machine()
    async with wired(tmp_path, machine, time=time, dwell_s=1.0) as (replica, _):
        machine.observe(RED)
        machine.observe(GREEN)
        for _ in range(20):
            await asyncio.sleep(0)
        assert machine.acknowledged == []
        await advance_until(time, lambda: len(machine.acknowledged) == 2)
        assert (await press(replica)).state is GREEN
        assert await reports(replica) == 1


async def test_a_loose_plug_does_not_fill_the_journal(tmp_path: Path) -> None:
    time, machine = VirtualTime(), Machine()
    async with wired(tmp_path, machine, time=time, dwell_s=0.0) as (replica, _):
        for number in range(40):
            machine.observe((RED, GREEN)[number % 2])
        await advance_until(time, lambda: len(machine.acknowledged) == 40)
        shown = await press(replica)
        assert shown.state is GREEN
        assert shown.reason == "flapping"
        assert shown.note is not None
        assert shown.note.startswith("flapping: 30 changes")
        assert await reports(replica) == 11


async def advance_until(time: VirtualTime, condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(WAIT_S):
        while not condition():
            time.advance(0.5)
            await asyncio.sleep(0.002)


async def test_red_again_after_somebody_settled_on_green_is_red(tmp_path: Path) -> None:
    machine = Machine()
    async with wired(tmp_path, machine) as (replica, _):
        machine.observe(RED)
        await eventually(lambda: len(machine.acknowledged) == 1)
        await person_says(replica, GREEN, MACHINE)
        await eventually(lambda: machine.shown[-1:] == [GREEN])
        machine.observe(RED)
        await eventually(lambda: len(machine.acknowledged) == 2)
        assert (await press(replica)).state is RED


async def test_a_driver_ends_no_conflict(tmp_path: Path) -> None:
    """Promise 4; only a person ends one."""
    machine = Machine()
    async with wired(tmp_path, machine) as (replica, _):
        machine.observe(RED)
        await eventually(lambda: len(machine.acknowledged) == 1)
        await replica.write(
            lambda tx: tx.append(
                site=SITE,
                kind="equipment.state",
                subject="press-1",
                register=MACHINE,
                body=Report(YELLOW, "from another device, unaware of red"),
                actor="plc-2",
                seen={},
            )
        )
        machine.observe(GREEN)
        await eventually(lambda: len(machine.acknowledged) == 2)
        record = await replica.record("equipment", "press-1")
        assert equipment.in_conflict(record, MACHINE)


async def test_a_report_is_stale_while_its_machine_is_away(tmp_path: Path) -> None:
    machine = Machine()
    async with wired(tmp_path, machine) as (replica, machines):
        machine.observe(YELLOW)
        await eventually(lambda: len(machine.acknowledged) == 1)
        record = await replica.record("equipment", "press-1")
        assert not machines.is_stale(record)
        machine.become(Health(connected=False, detail="unplugged", since_ms=1))
        assert machines.is_stale(record)
        await person_says(replica, RED)
        assert not machines.is_stale(await replica.record("equipment", "press-1"))


async def test_subscribers_hear_when_a_driver_is_lost_and_when_it_is_back(tmp_path: Path) -> None:
    time, machine = VirtualTime(), Machine()
    async with wired(tmp_path, machine, time=time) as (replica, _):
        machine.observe(GREEN)
        await advance_until(time, lambda: machine.shown[-1:] == [GREEN])
        for connected in (False, True):
            heard: list[str] = []
            with replica.subscribe(lambda changes: heard.extend(c.subject for c in changes)):  # noqa: B023
                machine.become(Health(connected=connected, detail="", since_ms=1))
                await advance_until(time, lambda: heard == ["press-1"])  # noqa: B023


async def test_one_bad_driver_stops_neither_itself_nor_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 6."""
    time, good, bad = VirtualTime(), Machine("plc-1"), Machine("plc-2")
    bad.crashes = 2
    async with wired(tmp_path, good, bad, time=time) as (replica, _):
        good.observe(RED)
        bad.observe(YELLOW)
        await advance_until(time, lambda: bool(good.acknowledged and bad.acknowledged))
        assert await reports(replica) == 2
    assert caplog.text.count("driver plc-2 failed") == 2


async def test_a_report_that_cannot_be_stored_is_not_acknowledged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine()
    with caplog.at_level(logging.WARNING):
        async with wired(tmp_path, machine, site="another-site"):
            machine.observe(RED)
            await eventually(lambda: len(machine.refused) == 1)
            machine.observe(RED)
            await eventually(lambda: len(machine.refused) == 2)
    assert machine.acknowledged == []
    assert isinstance(machine.refused[0], Refused)
    assert "driver plc-1 cannot report" in caplog.text


async def test_a_pressed_button_lights_the_lamp_of_the_same_press(tmp_path: Path) -> None:
    box = ButtonSimulator(tmp_path / "box", chance=random.Random(1))
    board = RelaySimulator(tmp_path / "board")
    box.plug.plug()
    board.plug.plug()
    now_ms = RealTime().now_ms
    button = Button(
        "button-1", port=str(box.plug.link), baud=9600, now_ms=now_ms, chance=random.Random(2)
    )
    light = RelayLight(
        "light-1",
        port=str(board.plug.link),
        baud=9600,
        relays=LIGHT,
        now_ms=now_ms,
        chance=random.Random(3),
    )
    async with wired(tmp_path / "data", button, light) as (replica, _):
        await box.press(RED, "jam", timeout_s=WAIT_S)
        shown = await press(replica)
        assert (shown.state, shown.reason, shown.actor) == (RED, "jam", "button-1")
        await board.until_lit(RED)
        await box.press(GREEN, timeout_s=WAIT_S)
        await board.until_lit(GREEN)
    box.plug.unplug()
    board.unplug()
