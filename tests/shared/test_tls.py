"""Authorities: read by nobody who does not speak TLS, and by all who do."""

import os
import subprocess
import sys

import pytest
from yarl import URL

from shared import tls
from tests.shared.certified import PEM

PROGRAM = """
import importlib, os
importlib.import_module("{module}")
from aiohttp import connector
from shared import tls
print(os.environ.get(tls.FILE))
print(connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"])
print(tls.context().cert_store_stats()["x509"])
"""


@pytest.mark.parametrize("module", ["agent.__main__", "hub.__main__"])
@pytest.mark.parametrize("file", [str(PEM), None])
def test_programs_start_without_authorities(module: str, file: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != tls.FILE}
    if file is not None:
        environment[tls.FILE] = file
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    set_again, at_start, when_needed = done.stdout.split()
    assert set_again == str(file), "what an operator set stays, for us and for our children"
    assert at_start == "0"
    if file is not None:
        assert when_needed == "1"


@pytest.mark.parametrize("url", ["https://hub", "HTTPS://hub/x", URL("https://hub:8470/sync")])
def test_who_speaks_tls_trusts_the_systems_authorities(url: object) -> None:
    assert tls.of(url) is tls.context()
    assert tls.context().check_hostname


@pytest.mark.parametrize("url", ["http://hub", URL("http://hub/https:"), ""])
def test_who_does_not_reads_none(url: object) -> None:
    assert tls.of(url) is True
