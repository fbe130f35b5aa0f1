"""Authorities of TLS, read once and when first needed.

As it is imported, aiohttp makes two contexts, and OpenSSL reads all authorities of the system into
each: 2 MiB and 35 ms, in agents that mostly speak plain HTTP to a hub on their site. So both
programs import it while there are none to read, and every request is given ``ssl=tls.of(url)``.
Where the system has its authorities in a folder by hash, too, OpenSSL finds them even without.
"""

import functools
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

FILE = "SSL_CERT_FILE"  # where OpenSSL reads authorities instead of the system's file


@contextmanager
def no_authorities() -> Iterator[None]:
    """Have contexts made within the block read no authorities; for the first import of aiohttp."""
    before = os.environ.get(FILE)
    os.environ[FILE] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ[FILE]
        else:
            os.environ[FILE] = before


@functools.cache
def context() -> ssl.SSLContext:
    """Return the context that trusts the system's authorities; the first call reads them, 20 ms."""
    made = ssl.create_default_context()
    made.set_alpn_protocols(("http/1.1",))  # as aiohttp's own
    return made


def of(url: object) -> ssl.SSLContext | bool:
    """Return what a request to a URL is given as ``ssl``; True, aiohttp's own, where none is used.

    Args:
        url: A text or a ``yarl.URL``.
    """
    return context() if str(url).lower().startswith("https:") else True
