"""Serving an application on one address, and taking it down clean."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from shared.errors import SettingsError
from shared.settings import Listen

SHUTDOWN_S = 5.0  # for requests under way; live listeners and sessions come back by themselves
HEADER_BYTES_MAX = 32 * 1024  # beyond it aiohttp answers before any of our code could


@asynccontextmanager
async def serve(app: web.Application, listen: Listen) -> AsyncIterator[str]:
    """Serve until the block ends; yields the URL, with the port that was taken.

    Raises:
        SettingsError: The address is taken.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {listen.text} ({error.strerror}); stop what listens there "
                "or choose another --listen"
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await runner.cleanup()
