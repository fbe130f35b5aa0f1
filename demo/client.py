"""A client of one node's API, for one actor. It outlasts a node that is killed and comes back."""

import asyncio
import uuid
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from demo.errors import DemoFailed

TRY_S = 10
AGAIN_S = 0.1
ITEMS_MAX = 500
UNAVAILABLE = 503


class Refused(DemoFailed):
    """The node answered, and said no."""

    def __init__(self, method: str, path: str, status: int, answer: Any) -> None:
        detail = answer.get("detail") if isinstance(answer, dict) else None
        super().__init__(f"{method} {path}: {status} {detail or answer}")
        self.status = status
        self.answer = answer


class Api:
    """One node as an actor sees it."""

    def __init__(
        self, http: ClientSession, *, name: str, url: str, token: str, patience_s: float
    ) -> None:
        """Make a client.

        Args:
            http: Carries the requests.
            name: Of the node.
            url: Of the node.
            token: Of the actor.
            patience_s: How long to try a node that does not answer, seconds.
        """
        self.name = name
        self.url = url
        self.patience_s = patience_s
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def get(self, path: str) -> Any:
        """Return what the node answers; raises DemoFailed."""
        return await self._ask("GET", path, None, {})

    async def items(self, path: str) -> list[Any]:
        """Return the items of a whole list; raises DemoFailed."""
        found: list[Any] = []
        sign = "&" if "?" in path else "?"
        place = f"{path}{sign}limit={ITEMS_MAX}"
        cursor = ""
        while True:
            page = await self.get(place + cursor)
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"

    async def post(self, path: str, body: object) -> Any:
        """Write once, however often it has to be tried; raises DemoFailed."""
        return await self._ask("POST", path, body, {"Idempotency-Key": uuid.uuid4().hex})

    async def put(self, path: str, body: object) -> Any:
        """Write once, however often it has to be tried; raises DemoFailed."""
        return await self._ask("PUT", path, body, {"Idempotency-Key": uuid.uuid4().hex})

    async def patch(self, path: str, body: object) -> Any:
        """Write once, however often it has to be tried; raises DemoFailed."""
        return await self._ask("PATCH", path, body, {"Idempotency-Key": uuid.uuid4().hex})

    async def delete(self, path: str) -> Any:
        """Remove once, however often it has to be tried; raises DemoFailed."""
        return await self._ask("DELETE", path, None, {"Idempotency-Key": uuid.uuid4().hex})

    async def is_ready(self) -> bool:
        """Whether the node answers that it is ready."""
        try:
            status, _ = await self._once("GET", "/readyz", None, {})
        except (ClientError, TimeoutError):
            return False
        return status == 200

    async def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> Any:
        try:
            async with asyncio.timeout(self.patience_s):
                status, answer = await self._until_answered(method, path, body, headers)
        except TimeoutError:
            raise DemoFailed(f"{self.name} did not answer for {self.patience_s:g} s") from None
        if status >= 400:
            raise Refused(method, path, status, answer)
        return answer

    async def _until_answered(
        self, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, Any]:
        while True:
            try:
                status, answer = await self._once(method, path, body, headers)
            except (ClientError, TimeoutError):
                status, answer = UNAVAILABLE, None
            if status != UNAVAILABLE:
                return status, answer
            await asyncio.sleep(AGAIN_S)

    async def _once(
        self, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, Any]:
        async with self._http.request(
            method,
            self.url + path,
            data=None if body is None else msgspec.json.encode(body),
            headers=headers | self._headers,
            timeout=ClientTimeout(total=TRY_S),
        ) as response:
            data = await response.read()
            return response.status, _decode(data)


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data) if data else None
    except msgspec.DecodeError:
        return data.decode(errors="replace")[:200]
