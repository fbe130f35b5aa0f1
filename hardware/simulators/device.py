"""A device that answers requests on a serial line."""

from collections.abc import Callable
from pathlib import Path

from hardware.device_wire import Said, at_device
from hardware.simulators.plug import Plug
from hardware.simulators.watch import Watch


def agree(text: str) -> str:
    """Answer as the demo's device does: ``ok`` and what was asked."""
    return f"ok {text}"


class DeviceSimulator:
    """Answers each request at once, or when it is told to.

    Args:
        link: Where the driver finds it.
        framing: ``line`` or ``frame``.
        answer: What it says to a text; None: nothing.
    """

    def __init__(
        self, link: Path, *, framing: str = "line", answer: Callable[[str], str | None] = agree
    ) -> None:
        self.plug = Plug(link, self._receive)
        self.asked: list[str] = []
        self.answer = answer
        self._wire = at_device(framing)
        self._last: Said | None = None
        self._watch = Watch()

    async def until_asked(self, count: int, timeout_s: float = 10.0) -> None:
        """Return once it was asked at least ``count`` times; raises TimeoutError."""
        await self._watch.until(lambda: len(self.asked) >= count, timeout_s=timeout_s)

    def say(self, text: str, *, back: int = 0) -> None:
        """Say something as a reply to the last request but ``back``."""
        number = (self._last.number or 0) if self._last else 0
        self.plug.write(self._wire.encode_reply(text, (number - back) & 0xFFFF))

    def _receive(self, received: bytes) -> None:
        for said in self._wire.feed(received):
            self._last = said
            self.asked.append(said.text)
            answer = self.answer(said.text)
            if answer is not None:
                self.say(answer)
            self._watch.notify()
