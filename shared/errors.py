"""Every deliberate error, one tree, split by what the caller can do about it.

SkerryError
├── Rejected            the request; ``status`` and ``problem`` are its words in HTTP
│   ├── Malformed       400  not JSON, not a frame
│   ├── Invalid         400  well-formed, but not the shape; names each place
│   ├── NoToken         401
│   ├── Forbidden       403
│   ├── NotFound        404
│   ├── Clash           409  the record is not as the request assumes
│   ├── IllegalMove     409  a status has no such move
│   ├── Stale           412  someone was faster than this If-Match
│   ├── TooLarge        413
│   ├── Refused         422  a rule says no
│   ├── KeyReused       422  an Idempotency-Key with another body
│   └── Busy            429  try again after ``retry_after_s``
├── StoreError          the data folder
│   ├── StoreFull       503  refuse new requests, keep running
│   ├── StoreUnusable   its folder cannot be made or written: do not start
│   ├── StoreLocked     another process has the folder: do not start
│   ├── StoreTooNew     written by a newer version: do not start
│   ├── StoreCorrupt    stop
│   └── StoreClosed     the node is going down
├── LinkError           the wire between two replicas
│   ├── LinkDown        retry with backoff
│   └── BadFrame        close with the reason; retrying the same frame is of no use
└── SettingsError       what an operator wrote; names file, place and remedy
"""

from typing import Any, ClassVar


class SkerryError(Exception):
    """Root of every deliberate error."""


class Rejected(SkerryError):
    """A request that was not carried out; nothing was written.

    Attributes:
        detail: One sentence that says what is wrong and what to do next.
        places: ``(path, message)`` pairs, such as ``("$.colour", "unknown field")``.
        facts: What programs may want to know beside, by the name of a member of the problem.
    """

    status: ClassVar[int] = 400
    problem: ClassVar[str] = "invalid"
    title: ClassVar[str] = "Invalid request"

    def __init__(self, detail: str, places: tuple[tuple[str, str], ...] = (), **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.places = places
        self.facts = facts


class Malformed(Rejected):
    """Not JSON at all, or not in UTF-8."""

    problem = "malformed"
    title = "Malformed request"


class Invalid(Rejected):
    """The wrong shape: an unknown field, a wrong type, a value out of bounds."""


class NoToken(Rejected):
    """No token, or one that this node does not know.

    Attributes:
        challenge: How one can be given, as ``WWW-Authenticate`` says it.
    """

    status = 401
    problem = "no-token"
    title = "Token required"

    def __init__(self, detail: str, challenge: str = "Bearer") -> None:
        super().__init__(detail)
        self.challenge = challenge


class Forbidden(Rejected):
    """Known caller, not allowed."""

    status = 403
    problem = "forbidden"
    title = "Forbidden"


class NotFound(Rejected):
    """No such record or path on this node."""

    status = 404
    problem = "not-found"
    title = "Not found"


class WrongMethod(Rejected):
    """The path exists, the verb does not."""

    status = 405
    problem = "method"
    title = "Method not allowed"


class Clash(Rejected):
    """The record is not as the request assumes (it exists already, with another body)."""

    status = 409
    problem = "conflict"
    title = "Conflict"


class IllegalMove(Rejected):
    """The task's status has no such move."""

    status = 409
    problem = "illegal-move"
    title = "Illegal move"


class Stale(Rejected):
    """``If-Match`` names an older state of the record."""

    status = 412
    problem = "stale"
    title = "Stale"


class TooLarge(Rejected):
    """A body over the limit."""

    status = 413
    problem = "too-large"
    title = "Too large"


class Refused(Rejected):
    """Well-formed, but a rule says no."""

    status = 422
    problem = "refused"
    title = "Refused"


class KeyReused(Rejected):
    """An ``Idempotency-Key`` that was used with another body."""

    status = 422
    problem = "key-reused"
    title = "Idempotency key reused"


class Busy(Rejected):
    """A bound was reached; nothing was queued.

    Attributes:
        retry_after_s: When another try makes sense, seconds.
    """

    status = 429
    problem = "busy"
    title = "Busy"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class StoreError(SkerryError):
    """Trouble with the data folder."""


class StoreFull(StoreError):
    """The disk or the budget is full: refuse new requests; what is stored stays safe."""


class StoreUnusable(StoreError):
    """The data folder cannot be made or written."""


class StoreLocked(StoreError):
    """Another process holds this data folder."""


class StoreTooNew(StoreError):
    """A newer version wrote this database; start that version."""


class StoreCorrupt(StoreError):
    """The database contradicts itself: stop, set it aside, restore or resync."""


class StoreClosed(StoreError):
    """The replica is closed; the write did not happen."""


class LinkError(SkerryError):
    """Trouble on the wire between two replicas."""


class LinkDown(LinkError):
    """The other side is away: try again with backoff."""


class BadFrame(LinkError):
    """Bytes that are no frame of this protocol; close and say why.

    Attributes:
        code: WebSocket close code (``shared.sync.frame`` lists them).
    """

    def __init__(self, message: str, code: int = 4400) -> None:
        super().__init__(message)
        self.code = code


class SettingsError(SkerryError):
    """What an operator wrote cannot be used; the text names the place and the remedy."""
