"""How a time zone is reckoned with, in few bytes: kept to notice a new time-zone database."""

import datetime
from hashlib import sha256

import msgspec

from shared.core import zones
from shared.core.booking import local_time
from shared.core.booking.local_time import DAY
from shared.store.transaction import Reading, Transaction

YEARS = 3  # from the start of one: beyond the longest horizon
KNOWN = "SELECT year, digest FROM zones WHERE name = $1"
KEEP = """INSERT INTO zones (name, year, digest) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET year = excluded.year, digest = excluded.digest"""


class Reckoned(msgspec.Struct, frozen=True):
    """How a zone was reckoned with.

    Attributes:
        year: First of YEARS years.
        digest: Of the offsets in them.
    """

    year: int
    digest: bytes


def reckoned(name: str, year: int) -> Reckoned:
    """Return how a zone is reckoned with now.

    Raises:
        Refused: The system knows no such zone.
    """
    zone = zones.find(name)
    first = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    last = datetime.datetime(year + YEARS, 1, 1, tzinfo=datetime.UTC)
    offset = local_time.offset_ms(_ms(first), zone)
    found = [f"{offset}"]
    while first < last:
        after = local_time.offset_ms(_ms(first + DAY), zone)
        if after != offset:
            found.append(f"{local_time.shift(_ms(first), _ms(first + DAY), zone)} {after}")
        first, offset = first + DAY, after
    return Reckoned(year, sha256("\n".join(found).encode()).digest())


def known(reading: Reading, name: str) -> Reckoned | None:
    """Return how a zone was reckoned with when it was looked at last."""
    rows = reading.query(KNOWN, name)
    return Reckoned(*rows[0]) if rows else None


def note(tx: Transaction, name: str) -> None:
    """Keep how a zone is reckoned with, unless that is known."""
    if known(tx, name) is None:
        year = datetime.datetime.fromtimestamp(tx.now_ms / 1000, datetime.UTC).year
        keep(tx, name, reckoned(name, year))


def keep(tx: Transaction, name: str, now: Reckoned) -> None:
    """Keep how a zone is reckoned with."""
    tx.execute(KEEP, name, now.year, now.digest)


def _ms(moment: datetime.datetime) -> int:
    return round(moment.timestamp()) * 1000
