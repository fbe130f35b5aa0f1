"""A serial device on a pseudo terminal, under a name that survives unplugging."""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from pathlib import Path

READ_BYTES_MAX = 4096


class Plug:
    """The device's end of a serial cable; the driver opens ``link``.

    Unplugging closes the terminal, so that a driver which has it open sees a hang-up, and removes
    the link, as udev does.
    """

    def __init__(self, link: Path, received: Callable[[bytes], None]) -> None:
        self.link = link
        self._received = received
        self._device_end: int | None = None
        self._cable_end: int | None = None

    @property
    def plugged(self) -> bool:
        """Whether the cable is in."""
        return self._device_end is not None

    def plug(self) -> None:
        """Put the cable in: the link leads to a new terminal."""
        if self._device_end is not None:
            return
        self._device_end, self._cable_end = os.openpty()
        tty.setraw(self._cable_end)
        os.set_blocking(self._device_end, False)
        asyncio.get_running_loop().add_reader(self._device_end, self._read)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        arriving = self.link.with_name(self.link.name + ".new")
        arriving.unlink(missing_ok=True)
        arriving.symlink_to(os.ttyname(self._cable_end))
        arriving.replace(self.link)

    def unplug(self) -> None:
        """Pull the cable out."""
        if self._device_end is None or self._cable_end is None:
            return
        self.link.unlink(missing_ok=True)
        asyncio.get_running_loop().remove_reader(self._device_end)
        os.close(self._device_end)
        os.close(self._cable_end)
        self._device_end = self._cable_end = None

    def write(self, data: bytes) -> None:
        """Send; lost if the cable is out or nobody reads, as on a real wire."""
        if self._device_end is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._device_end, data)

    def _read(self) -> None:
        if self._device_end is not None:
            with contextlib.suppress(BlockingIOError):
                self._received(os.read(self._device_end, READ_BYTES_MAX))
