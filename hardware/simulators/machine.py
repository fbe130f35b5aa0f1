"""A machine that publishes its state on a broker and shows what it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec

from hardware.mqtt import Order
from hardware.mqtt_session import Presence, Session, open_session
from hardware.simulators.watch import Watch
from shared.core.kinds.equipment import State

_decode_order = msgspec.json.Decoder(Order).decode


class MachineSimulator:
    """A connected machine. Made by ``run_machine``."""

    def __init__(
        self, session: Session, state_topic: str, changed: Callable[[State | None], None] | None
    ) -> None:
        self.told: State | None = None
        """What it was last told to show."""
        self._session = session
        self._state_topic = state_topic
        self._changed = changed
        self._watch = Watch()

    async def report(self, state: State, reason: str | None = None) -> None:
        """Publish a state; return once the broker has it."""
        report = {"state": state.value} if reason is None else {"state": state, "reason": reason}
        await self.publish(msgspec.json.encode(report))

    async def publish(self, payload: bytes) -> None:
        """Publish any bytes on the state topic, also senseless ones."""
        await self._session.publish(self._state_topic, payload)

    async def until_told(self, state: State | None, timeout_s: float = 10.0) -> None:
        """Return once the machine was told to show ``state``; raises TimeoutError."""
        await self._watch.until(lambda: self.told is state, timeout_s=timeout_s)

    async def listen(self) -> None:
        """Take orders until cancelled or the broker goes away."""
        while True:
            message = await self._session.receive()
            with contextlib.suppress(msgspec.DecodeError):
                self.told = _decode_order(message.payload).state
                if self._changed is not None:
                    self._changed(self.told)
                self._watch.notify()
            self._session.acknowledge(message)


@contextlib.asynccontextmanager
async def run_machine(
    url: str,
    *,
    name: str,
    state_topic: str,
    set_topic: str | None = None,
    changed: Callable[[State | None], None] | None = None,
) -> AsyncIterator[MachineSimulator]:
    """Connect a machine; ``name`` names its session and its status topic.

    Raises:
        BrokerDown: The broker cannot be reached. (In a group if it went away later.)
    """
    async with (
        open_session(url, f"machine-{name}", Presence(f"machines/{name}/status")) as session,
        asyncio.TaskGroup() as tasks,
    ):
        machine = MachineSimulator(session, state_topic, changed)
        listening = tasks.create_task(machine.listen(), name=f"{name} listen")
        if set_topic is not None:
            await session.subscribe(set_topic)
        yield machine
        listening.cancel()
