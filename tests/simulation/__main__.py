"""``./dev simulate [--sync] [--fleet] [--bookings] [--seeds 200] [--first 0] [--seed S]``.

Three worlds over the same engine: ``sync`` (anybody writes anything anywhere), ``fleet`` (a hub
deals, robots run, people interfere) and ``bookings`` (people want the same few times, a hub
decides). Without a choice each seed plays all. The last line on stdout is the summary in JSON;
exit status 1 if a promise was broken. One seed alone tells on stderr what happened, in virtual
milliseconds.
"""

import argparse
import logging
import sys
import time

import msgspec

from tests.simulation.campaign import WORLDS, campaign, play, summarise
from tests.simulation.world import Report

SHOWN_EVERY = 20  # seeds


def main() -> int:
    """Run what the arguments ask for; return the exit status."""
    wanted = _arguments()
    logging.disable(logging.WARNING)  # what production warns of is what the faults are for
    worlds = tuple(wanted.worlds or WORLDS)
    began = time.perf_counter()
    if wanted.seed is not None:
        first = wanted.seed
        played = [(world, first) for world in worlds]
        reports = tuple(play(one, steps=wanted.steps, narrate=_tell) for one in played)
    else:
        first = wanted.first
        played = [(world, first + n) for n in range(wanted.seeds) for world in worlds]
        reports = campaign(played, steps=wanted.steps, told=_show_progress)
    summary = summarise(reports, first=first, worlds=worlds, seconds=time.perf_counter() - began)
    for failure in summary.failed:
        _tell(f"promise {failure.promise} broken: {failure.message}\n  {failure.replay}")
    print(msgspec.json.encode(summary).decode(), flush=True)
    return 0 if summary.ok else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev simulate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for world, words in WORLDS.items():
        parser.add_argument(
            f"--{world}", dest="worlds", action="append_const", const=world, help=words
        )
    parser.add_argument("--seeds", type=_positive, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="first of them")
    parser.add_argument("--seed", type=int, help="this one alone, told step by step")
    parser.add_argument("--steps", type=_positive, help="writes, or acts of people, in each")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _show_progress(report: Report) -> None:
    if report.failure is not None or (report.seed + 1) % SHOWN_EVERY == 0:
        said = report.failure.message if report.failure else "all promises kept"
        _tell(f"{report.world} {report.seed}: {said}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
