"""The hash chain of an origin's log: two logs with one head hash are the same log.

``h(n) = SHA-256(h(n-1) ‖ header ‖ SHA-256(body))``. The body enters as its hash, so that a body
can later be redacted without breaking the chain.
"""

from hashlib import sha256

GENESIS = bytes(32)


def link(previous: bytes, header_bytes: bytes, body_bytes: bytes) -> bytes:
    """Return the hash of a log whose next event is this one."""
    return sha256(previous + header_bytes + sha256(body_bytes).digest()).digest()
