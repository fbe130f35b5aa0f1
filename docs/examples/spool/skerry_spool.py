"""Tasks of type ``spool``: lay pages into a printer's folder, one after the other.

    {"type": "spool", "payload": {"pages": ["page one", "page two"]}}

It shows all that a handler may do: check a payload, tell its progress, save each step so that a
later run goes on behind it, tell permanent errors from others, and clean up when it is cancelled.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from agent.handlers.handler import HandlerFailed, Output, Run, read_payload
from shared.core.kinds.task_bodies import Failure

PAGES_MAX = 1000


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a ``spool`` task."""

    pages: Annotated[list[str], msgspec.Meta(min_length=1, max_length=PAGES_MAX)]


class Spool:
    """Lays pages into ``spool`` in the agent's data folder, where a printer takes them."""

    type = "spool"
    timeout_s = 60.0

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether there are pages. Called before each run; quick, and without effect."""
        read_payload(payload, Payload, self.type)

    async def run(self, run: Run) -> Output:
        """Lay down the pages that an earlier run did not."""
        pages = read_payload(run.payload, Payload, self.type).pages
        done = run.saved["pages"] if run.saved else 0
        for number in range(done, len(pages)):
            # The key is the same in every run of the task. If we die between laying the page down
            # and saving that we did, the next run writes the same file again: harmless.
            page = run.folder / "spool" / f"{run.idempotency_key}-{number:04}.txt"
            await _finished(page, pages[number])
            await run.save({"pages": number + 1})
            run.progress({"pages": number + 1, "of": len(pages)})
        return {"pages": len(pages), "resumed_at": done}


async def _finished(page: Path, text: str) -> None:
    """Write a page in a thread, so that a slow disk does not stop the agent.

    A thread cannot be cancelled. So if we are, we wait for it (it is soon done), take the page back
    and only then let the cancellation go on: until then the run has not really ended.
    """
    writing = asyncio.ensure_future(asyncio.to_thread(_write, page, text))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        page.unlink(missing_ok=True)
        raise
    except NotADirectoryError as error:
        # Another attempt finds the same: whoever set the machine up has to look.
        text = f"{page.parent} is no folder"
        raise HandlerFailed(Failure("no-spool", text, permanent=True)) from error
    # Any other OSError, a full disk for example, is a failure that is tried again.


def _write(page: Path, text: str) -> None:
    """Make the page appear whole or not at all, and durably: ``save`` says that it is there."""
    if page.parent.exists() and not page.parent.is_dir():
        raise NotADirectoryError(page.parent)
    page.parent.mkdir(exist_ok=True)
    arriving = page.with_suffix(".new")
    with arriving.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    arriving.replace(page)
