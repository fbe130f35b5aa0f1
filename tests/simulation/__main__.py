"""``./dev simulate [--seeds 200] [--first 0] [--seed S] [--steps 200]``.

The last line on stdout is the summary in JSON; exit status 1 if a promise was broken. One seed
alone tells on stderr what happened, in virtual milliseconds.
"""

import argparse
import sys
import time

import msgspec

from tests.simulation.campaign import campaign, summarise
from tests.simulation.world import STEPS, Report, simulate

SHOWN_EVERY = 20  # seeds


def main() -> int:
    """Run what the arguments ask for; return the exit status."""
    wanted = _arguments()
    began = time.perf_counter()
    if wanted.seed is not None:
        first = wanted.seed
        reports: tuple[Report, ...] = (simulate(first, steps=wanted.steps, narrate=_tell),)
    else:
        first = wanted.first
        seeds = range(first, first + wanted.seeds)
        reports = campaign(seeds, steps=wanted.steps, told=_show_progress)
    summary = summarise(reports, first=first, seconds=time.perf_counter() - began)
    for failure in summary.failed:
        _tell(f"promise {failure.promise} broken: {failure.message}\n  {failure.replay}")
    print(msgspec.json.encode(summary).decode(), flush=True)
    return 0 if summary.ok else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__)
    parser.add_argument("--seeds", type=_positive, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="first of them")
    parser.add_argument("--seed", type=int, help="this one alone, told step by step")
    parser.add_argument("--steps", type=_positive, default=STEPS, help="writes tried in each")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _show_progress(report: Report) -> None:
    if report.failure is not None or (report.seed + 1) % SHOWN_EVERY == 0:
        said = report.failure.message if report.failure else "all promises kept"
        _tell(f"seed {report.seed}: {said}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
