"""The demo for a person: the story on the terminal, then everything stays up to be played with."""

import asyncio
import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from demo import configuration, story
from demo.configuration import ANYBODY, NODES, ROBOT
from demo.fleet import Fleet, run_fleet
from demo.folder import own
from demo.processes import Child
from demo.report import StepResult
from demo.teller import Teller
from demo.world import World

# Long enough for a person who kills a node to start it again.
PATIENCE_S = 120.0
STEP_S = 300.0
PAUSE_S = 1.0
FILE = "demo.json"
SYRINGE = (
    '{"command": "echo here it is", "checks": [{"name": "stock", "ask": {"item": "syringe"}}]}'
)


async def stay(place: Path, port: int, teller: Teller) -> None:
    """Play the story and stay up until cancelled.

    Raises:
        DemoFailed: It could not begin.
    """
    with own(place):
        plan = configuration.plan(place, port)
        teller.line("Starting simulated hardware, a hub and three agents, a process each ...")
        async with run_fleet(plan, PATIENCE_S) as fleet:
            for name in NODES:
                teller.tell(name, plan.url(name))
            async with asyncio.TaskGroup() as watching:
                for child in fleet.nodes.values():
                    watching.create_task(tell_end(child, teller), name=f"watch {child.name}")
                with published(fleet):
                    await play(fleet, teller)
                    await asyncio.Event().wait()


async def play(fleet: Fleet, teller: Teller) -> None:
    """Play the story, and say what to try next."""
    results: list[StepResult] = []
    await story.play(World(fleet, teller.tell), results, step_s=STEP_S, pause_s=PAUSE_S)
    teller.line("")
    if not story.is_complete(results):
        failed = results[-1]
        teller.line(f"The story ended at {failed.name!r}: {failed.detail}")
        teller.line(f"Everything that still runs stays up; logs are in {fleet.plan.folder}.")
    teller.line(what_to_try(fleet))


@contextlib.contextmanager
def published(fleet: Fleet) -> Iterator[None]:
    """Keep ``demo.json`` while the block runs: whole or not at all, and never of a demo past."""
    path = fleet.plan.folder / FILE
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(fleet.describe())))
    fresh.chmod(0o600)  # it has the token
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def tell_end(child: Child, teller: Teller) -> None:
    """Say when a node ends that nobody told to."""
    await child.until_ended()
    teller.tell(child.name, f"{child.ending}; nobody restarts it here. Start it again with")
    teller.tell("", shlex.join(child.argv))


def what_to_try(fleet: Fleet) -> str:
    """Return where the boards are, and some things worth doing."""
    plan = fleet.plan
    token = plan.tokens[ANYBODY]
    client = f"{sys.executable} -m agent"
    stock = fleet.inventory.latest("ready")
    submit = f"SKERRY_TOKEN={token} {client} task submit --url {plan.url('hub')} --json -"
    boards = "\n".join(f"  {name:{10}} {plan.url(name)}/#token={token}" for name in NODES)
    return f"""\
The boards stay up until Ctrl-C:

{boards}

Try:
  - The switch on an agent's board cuts its link and mends it; set the same equipment on two boards
    meanwhile, and settle the conflict afterwards.
  - Submit a task on any board: command echo hello, or type wait with {{"seconds": 3}}.
  - Ask for a syringe that is not there, and put one into stock:
      curl -X PUT {stock}/stock/syringe -d '{{"count": 0}}'
      echo '{SYRINGE}' |
        {submit}
      curl -X PUT {stock}/stock/syringe -d '{{"count": 1}}'
  - Press the button:         echo 'red jam' > {plan.control("button")}
  - Let the oven report:      echo 'green' > {plan.control("oven")}
  - Watch the light's lamps:  tail -f {plan.log("light")}
  - Kill the robot:           kill -9 {fleet.nodes[ROBOT].pid}
    and start it again:       {shlex.join(fleet.nodes[ROBOT].argv)}
  - Read on: {plan.url("hub")}/docs
"""
