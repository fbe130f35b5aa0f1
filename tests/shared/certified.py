"""A real HTTPS server that the system trusts, for as long as a test needs it."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from shared import tls

PEM = Path(__file__).with_name("localhost.pem")


@asynccontextmanager
async def certified(app: web.Application, environment: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve an application over TLS with the one certificate that the system now trusts."""
    environment.setenv(tls.FILE, str(PEM))
    tls.context.cache_clear()
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(PEM)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=own).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        tls.context.cache_clear()
