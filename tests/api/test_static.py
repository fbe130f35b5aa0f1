"""The board's files, and nothing else."""

import pytest
from yarl import URL

from shared.api import static
from tests.api.served import Served


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/service-worker.js", "text/javascript; charset=utf-8"),
        ("/board/app.js", "text/javascript; charset=utf-8"),
        ("/board/style.css", "text/css; charset=utf-8"),
        ("/board/icon.svg", "image/svg+xml"),
        ("/board/manifest.webmanifest", "application/manifest+json"),
        ("/board/vendor/swagger-ui/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_files_have_their_type_and_an_etag(hub: Served, path: str, kind: str) -> None:
    answered = await hub.call("GET", path, actor=None)
    assert answered.status == 200
    assert answered.headers["Content-Type"] == kind
    assert answered.headers["Cache-Control"] == "no-cache"
    again = await hub.call(
        "GET", path, actor=None, headers={"If-None-Match": answered.headers["ETag"]}
    )
    assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/board/",
        "/board/nothing.js",
        "/board/__init__.py",
        "/board/vendor",
        "/board/vendor/",
        "/board/../errors.py",
        "/board/..%2ferrors.py",
        "/board/%2e%2e/errors.py",
        "/board/%2e%2e%2f%2e%2e%2fpyproject.toml",
        "/board/..%5cerrors.py",
        "/board//etc/passwd",
        "/board/%2fetc%2fpasswd",
        "/board/app.js%00.html",
        "/board/./app.js%20",
        "/board/.git",
    ],
)
async def test_nothing_beside_the_table_is_served(hub: Served, path: str) -> None:
    url = URL(hub.url + path, encoded=True)
    async with hub.client.get(url) as answer:
        assert answer.status == 404, path
        assert answer.content_type == "application/problem+json"


async def test_every_file_of_the_table_is_served(hub: Served) -> None:
    for path in static.files():
        assert (await hub.call("GET", f"/board/{path}", actor=None)).status == 200
