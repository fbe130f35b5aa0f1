"""What the hub does about events of devices in the very transaction in which they arrive."""

import logging
import sqlite3
from collections.abc import Sequence

from hub import deciding, let_go
from shared.core.event import Event
from shared.errors import StoreError
from shared.store.transaction import Transaction

REACTIONS = (deciding.react, let_go.react)

log = logging.getLogger(__name__)


def react(tx: Transaction, applied: Sequence[Event], site: str) -> None:
    """Do all that is due; ``shared.store.judge.React``.

    A fault of ours must not hold up the device's log (promise 6): a request that is not decided
    then stays ``requested`` and is looked at again, an allocation in doubt stays in doubt.
    """
    for reaction in REACTIONS:
        try:
            reaction(tx, applied, site)
        except (sqlite3.Error, StoreError):
            raise
        except Exception:
            log.exception("%s events of %s are taken, and not acted upon", len(applied), site)
