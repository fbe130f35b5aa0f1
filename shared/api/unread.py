"""What is answered to bytes that are no HTTP request: aiohttp's parser refuses them by itself.

No route, middleware or signal ever sees those, so this is the lowest place that aiohttp supports:
the protocol of a connection, and those methods of it that answer errors and log them.
"""

from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from shared.api import problem
from shared.errors import Malformed

WORDS_MAX = 200  # of the parser's complaint, which quotes the bytes it got


class ProblemProtocol(RequestHandler):
    """A connection that answers its own errors as the API answers all others."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the problem of a request that could not be read, or that no code answered."""
        plain = super().handle_error(request, status, exc, message)  # logs, and ends the connection
        if status < 500:
            words = (message or "it cannot be read").strip().partition("\n")[0].strip(" :")
            answer = problem.of_rejected(Malformed(f"this is no HTTP request: {words[:WORDS_MAX]}"))
        else:
            answer = problem.of_unanswered(plain.status)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log a fault; none of ours is a body that proves not to be packed as it says.

        It was answered as malformed, or before it was read; the connection ends here either way.
        """
        if isinstance(kw.get("exc_info"), web.RequestPayloadError):
            self.log_debug(*args, **kw)
        else:
            super().log_exception(*args, **kw)
