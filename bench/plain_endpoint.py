"""The peer of submissions: what one would write without Skerry, an endpoint of one statement.

aiohttp and sqlite3, WAL and ``synchronous=FULL``: a task is a row, and each request commits by
itself before it is answered. Nothing is merged, given to a robot, shown to anybody or safe to
repeat. The commit runs in the handler, on the event loop: handing it to a thread takes longer.
"""

import argparse
import sqlite3
import uuid
from pathlib import Path

import msgspec
from aiohttp import web

TABLE = """CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    priority TEXT NOT NULL,
    status TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT, WITHOUT ROWID"""
INSERT = "INSERT INTO tasks (id, type, priority, status, payload) VALUES (?, ?, ?, ?, ?)"
COUNT = "SELECT count(*) FROM tasks"


class Task(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    payload: dict[str, object]
    priority: str = "normal"


_decode = msgspec.json.Decoder(Task).decode


def make_app(db: sqlite3.Connection, token: str) -> web.Application:
    async def ready(_request: web.Request) -> web.Response:
        return web.Response()

    async def submit(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {token}":
            raise web.HTTPUnauthorized
        task = _decode(await request.read())
        task_id = str(uuid.uuid4())
        payload = msgspec.json.encode(task.payload).decode()
        with db:  # a commit, and its fsync
            db.execute(INSERT, (task_id, task.type, task.priority, "queued", payload))
        shown = {"id": task_id, "status": "queued", **msgspec.to_builtins(task)}
        return web.Response(
            status=201,
            body=msgspec.json.encode(shown),
            headers={"Location": f"/api/tasks/{task_id}"},
            content_type="application/json",
        )

    async def summary(_request: web.Request) -> web.Response:
        (total,) = db.execute(COUNT).fetchone()
        return web.json_response({"total": total})

    app = web.Application()
    app.router.add_get("/readyz", ready)
    app.router.add_post("/api/tasks", submit)
    app.router.add_get("/api/tasks/summary", summary)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--token", required=True)
    asked = parser.parse_args()
    asked.database.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(asked.database)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(TABLE)
    app = make_app(db, asked.token)
    web.run_app(app, host="127.0.0.1", port=asked.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
