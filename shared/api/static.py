"""The board's files, the same at both ends.

Paths are looked up in a table made when the node starts, never joined: there is nothing to
traverse. Files are sent from disk, so that the largest of them costs an agent no memory.
"""

from pathlib import Path

from aiohttp import web

from shared import board
from shared.api.route import Call, Route

HIDDEN = (".", "__")  # of any part of a path: caches, version control
PLAIN = "text/plain"  # licences, notices
TYPES = {  # mimetypes asks the machine's files, which differ and take an agent 0.3 MiB
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
NAMED = {
    "/": "index.html",
    "/docs": "docs.html",
    "/service-worker.js": "service-worker.js",  # at the root, since its scope is its folder
}


def files() -> dict[str, Path]:
    """Return the board's files by path below ``/board/``."""
    root = Path(board.__file__).parent
    found = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(HIDDEN) for part in parts)
        if path.is_file() and not hidden and path.suffix != ".py":
            found["/".join(parts)] = path
    return found


def routes(served: dict[str, Path]) -> tuple[Route, ...]:
    """Return the routes that serve these files to anyone."""

    async def send(call: Call) -> web.StreamResponse:
        path = NAMED.get(call.request.path) or call.request.match_info.get("path", "")
        if path not in served:
            raise web.HTTPNotFound
        return _response(served[path])

    return tuple(
        Route(
            method="GET",
            path=path,
            handler=send,
            summary="A file of the board",
            answer_type="text/html",
            is_open=True,
        )
        for path in (*NAMED, "/board/{path:.+}")
    )


def _response(path: Path) -> web.FileResponse:
    kind = TYPES.get(path.suffix, PLAIN)
    content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    # no-cache: ask each time, an unchanged file answers 304; a new version shows at once.
    return web.FileResponse(
        path, headers={"Content-Type": content_type, "Cache-Control": "no-cache"}
    )
