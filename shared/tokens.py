"""Named tokens of a node: from its settings, from the environment, or made at the first start."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

FILE = "token"
OPERATOR = "operator"
VARIABLE = "SKERRY_TOKEN"


def gather(
    folder: Path, configured: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the tokens by actor.

    ``SKERRY_TOKEN`` adds one for ``operator``. With none at all, one is made for ``operator`` and
    kept in ``DATA/token``, readable by this user alone.
    """
    tokens = dict(configured)
    if environ.get(VARIABLE):
        tokens[OPERATOR] = environ[VARIABLE]
    return tokens or {OPERATOR: _kept(folder / FILE)}


def _kept(path: Path) -> str:
    try:
        kept = path.read_text(encoding="ascii").strip()
        if kept:
            return kept
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(24)
    fresh = path.with_suffix(".tmp")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return token
