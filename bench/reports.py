"""The workload: people and machines report the state of some hundred pieces of equipment.

A report comes as the JSON that a client sends, is decoded and checked as the API does, and is
written by the API's own steps. Reasons and notes repeat as they do at work; only some are new.
"""

from collections.abc import Iterator
from functools import partial
from itertools import cycle
from random import Random

import msgspec

from shared.api.equipment import StateReport
from shared.core.kinds import equipment
from shared.replica import Replica
from shared.store.transaction import Transaction

SITE = "demo"
PIECES = 300
READY_MADE = 5000  # reports; more than any group, so that none repeats within one

_STATES = ("green",) * 12 + ("yellow",) * 5 + ("red",) * 3
_WHAT = ("feeder", "guard", "spindle", "oil", "belt", "sensor", "valve", "coolant", "tool", "door")
_HOW = ("jam", "low", "open", "worn", "noisy", "hot", "blocked", "misaligned", "leaking", "stuck")
_NOTES = ("called maintenance", "part ordered", "checked twice", "see the log book", "shift change")

decode = msgspec.json.Decoder(StateReport).decode


class Given(msgspec.Struct, frozen=True):
    """One report, as it arrives."""

    subject: str
    actor: str
    register: str
    json: bytes


def ready_made(chance: Random) -> list[Given]:
    """Make reports before the clock runs."""
    return [_one(chance) for _ in range(READY_MADE)]


def for_ever(chance: Random) -> Iterator[Given]:
    """Yield reports without end."""
    return cycle(ready_made(chance))


def write(tx: Transaction, given: Given) -> None:
    """Check a report and write it."""
    asked = decode(given.json)
    held = tx.record("equipment", given.subject)
    if not equipment.exists(held):
        raise LookupError(given.subject)
    tx.append(
        site=held.site,
        kind="equipment.state",
        subject=given.subject,
        register=given.register,
        body=equipment.Report(asked.state, asked.reason, asked.note),
        actor=given.actor,
    )


def create_all(tx: Transaction) -> None:
    """Take all the equipment into use."""
    for number in range(PIECES):
        tx.append(
            site=SITE,
            kind="equipment.created",
            subject=_name(number),
            register="created",
            body=equipment.Created(),
            actor="ada",
        )


async def prepare(replica: Replica, given: Iterator[Given], count: int) -> None:
    """Create the equipment and write some reports, so that what is measured is an ordinary day."""
    await replica.write(create_all)
    for report in (next(given) for _ in range(count)):
        await replica.write(partial(write, given=report))


def _one(chance: Random) -> Given:
    is_machine = chance.random() < 0.7
    number = chance.randrange(PIECES)
    state = chance.choice(_STATES)
    body: dict[str, str] = {"state": state}
    if state != "green":
        body["reason"] = f"{chance.choice(_WHAT)} {chance.choice(_HOW)}"
    if not is_machine and chance.random() < 0.3:
        body["note"] = f"{chance.choice(_NOTES)}, ticket {chance.randrange(100_000)}"
    return Given(
        subject=_name(number),
        actor=f"plc-{number % 12}" if is_machine else f"person-{chance.randrange(40)}",
        register=equipment.MACHINE if is_machine else equipment.PERSON,
        json=msgspec.json.encode(body),
    )


def _name(number: int) -> str:
    return f"{('press', 'mill', 'pump')[number % 3]}-{number}"
