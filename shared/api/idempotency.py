"""``Idempotency-Key``: the same request again gives the same answer, and is carried out once.

The answer is written in the transaction of the write itself: either both last or neither does.
Writes are serial, so of two concurrent requests with one key the second finds the first's answer.
A refusal is not kept: nothing was written, so asking again is harmless and may succeed by then.
"""

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256

import msgspec
from aiohttp import web

from shared.api import body as bodies
from shared.api.route import Answer, Call
from shared.errors import Invalid, KeyReused
from shared.store.transaction import Reading, Transaction

HEADER = "Idempotency-Key"
KEEP_MS = 24 * 3600 * 1000
FORGET_MAX = 100  # expired answers removed by each write with a key: more than it adds

FIND = """SELECT body_hash, status, headers, body FROM answers
    WHERE actor = $1 AND method = $2 AND path = $3 AND key = $4 AND expires_at > $5"""
KEEP = """INSERT INTO answers
    (actor, method, path, key, body_hash, status, headers, body, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (actor, method, path, key) DO UPDATE SET body_hash = excluded.body_hash,
    status = excluded.status, headers = excluded.headers, body = excluded.body,
    expires_at = excluded.expires_at"""
FORGET = """DELETE FROM answers WHERE (actor, method, path, key) IN
    (SELECT actor, method, path, key FROM answers WHERE expires_at <= $1
    ORDER BY expires_at LIMIT $2)"""

_KEY = re.compile(r"^[\x20-\x7e]{1,200}$")


class Key(msgspec.Struct, frozen=True):
    """What makes two requests the same one, and the hash of what they ask."""

    actor: str
    method: str
    path: str
    key: str
    body_hash: bytes

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where its answer is kept."""
        return self.actor, self.method, self.path, self.key


async def write(call: Call, change: Callable[[Transaction], Answer]) -> Answer:
    """Carry out a write, once per ``Idempotency-Key`` if there is one; durable on return.

    Args:
        call: The request.
        change: Runs in the transaction and builds the whole answer there.

    Raises:
        KeyReused: The key came before, with another body.
        Invalid: The key is empty, longer than 200, or not printable ASCII.
    """
    key = await _key(call)
    if key is None:
        return await call.context.replica.write(change)
    return await call.context.replica.write(lambda tx: once(tx, key, change))


async def act(call: Call, carry_out: Callable[[], Awaitable[Answer]]) -> Answer:
    """Carry out what is no write to the journal, once per ``Idempotency-Key`` if there is one.

    The act and its kept answer are not one transaction: a crash between them repeats the act.

    Args:
        call: The request.
        carry_out: Does it and returns the answer; harmless if done twice.

    Raises:
        KeyReused: The key came before, with another body; nothing was done.
        Invalid: The key is none.
    """
    key = await _key(call)
    if key is None:
        return await carry_out()
    context = call.context
    kept = await context.replica.read(lambda reading: _find(reading, key, context.now_ms()))
    if kept is not None:
        return kept
    answer = await carry_out()
    return await context.replica.write(lambda tx: once(tx, key, lambda _tx: answer))


def once(tx: Transaction, key: Key, change: Callable[[Transaction], Answer]) -> Answer:
    """Return the answer kept for a key, or carry out the change and keep its answer."""
    kept = _find(tx, key, tx.now_ms)
    if kept is not None:
        return kept
    answer = change(tx)
    headers = msgspec.json.encode(answer.headers).decode()
    expires = tx.now_ms + KEEP_MS
    tx.execute(FORGET, tx.now_ms, FORGET_MAX)
    tx.execute(KEEP, *key.place, key.body_hash, answer.status, headers, answer.body, expires)
    return answer


def _find(reading: Reading, key: Key, now_ms: int) -> Answer | None:
    """Return the answer kept for a key, None if there is none any more."""
    rows = reading.query(FIND, *key.place, now_ms)
    if not rows:
        return None
    body_hash, status, headers, body = rows[0]
    if body_hash != key.body_hash:
        raise KeyReused(f"the key {key.key!r} was used with another body; take a new one")
    return Answer(status, body, msgspec.json.decode(headers, type=dict[str, str]))


async def _key(call: Call) -> Key | None:
    request = call.request
    text = _header(request)
    if text is None:
        return None
    if not _KEY.match(text):
        message = "1 to 200 printable ASCII characters"
        raise Invalid(f"{HEADER} must be {message}", ((HEADER, message),))
    digest = sha256(await bodies.read_bytes(request)).digest()
    return Key(call.actor, request.method, request.path, text, digest)


def _header(request: web.Request) -> str | None:
    values = request.headers.getall(HEADER, [])
    if len(values) > 1:
        raise Invalid(f"{HEADER} is given twice", ((HEADER, "given twice"),))
    return values[0] if values else None
