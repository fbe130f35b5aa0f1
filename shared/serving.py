"""Serving an application on one address, and taking it down clean."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from shared.api.unread import ProblemProtocol
from shared.errors import SettingsError
from shared.settings import Listen

SHUTDOWN_S = 5.0  # for requests under way; live listeners and sessions come back by themselves
BACKLOG = 128  # connections that the kernel holds until we take them
HEADER_BYTES_MAX = 32 * 1024  # beyond it aiohttp answers before any of our code could


@asynccontextmanager
async def serve(app: web.Application, listen: Listen) -> AsyncIterator[str]:
    """Serve until the block ends; yields the URL, with the port that was taken.

    Raises:
        SettingsError: The address is taken.
    """
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        listening = await _listen(runner.server, listen)
        try:
            host, port = listening.sockets[0].getsockname()[:2]
            yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        finally:
            listening.close()  # nobody new; the runner ends those who are here
    finally:
        await runner.cleanup()


async def _listen(server: web.Server | None, listen: Listen) -> asyncio.Server:
    """Listen with connections of our own, which answer their own errors as the API does."""
    assert server is not None, "the runner is set up"
    loop = asyncio.get_running_loop()

    def connect() -> ProblemProtocol:
        return ProblemProtocol(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # none is kept; typed as if one always were
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
        )

    try:
        return await loop.create_server(connect, listen.host, listen.port, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {listen.text} ({error.strerror}); stop what listens there "
            "or choose another --listen"
        ) from error
