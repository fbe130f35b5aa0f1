"""``python -m bench``: measure, print a table on stderr and a line of JSON a figure on stdout."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from bench import (
    bookings,
    catchup,
    decision,
    idle,
    probe,
    programs,
    queries,
    restart,
    submissions,
    tasks,
    writes,
)
from bench.figures import Figure, figure, line, table
from bench.sizes import FULL, QUICK, Sizes
from shared.program import settle_memory

DURABLE_PLACES = (Path("/var/tmp"),)  # /tmp is often memory, where an fsync costs nothing

Bench = Callable[[Sizes, Path], Awaitable[list[Figure]]]

BENCHES: Mapping[str, Bench] = MappingProxyType(
    {
        "writes": writes.run,
        "tasks": tasks.run,
        "catchup": catchup.run,
        "agent": idle.run,
        "restart": restart.run,
        "decision": decision.run,
        "queries": queries.run,
        "submissions": submissions.run,
        "bookings": bookings.run,
    }
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args(argv)
    sizes = QUICK if arguments.quick else FULL
    if arguments.repetitions:
        sizes = msgspec.structs.replace(sizes, repetitions=arguments.repetitions)
    names = tuple(dict.fromkeys(arguments.names)) or tuple(BENCHES)
    programs.compile_all()
    with tempfile.TemporaryDirectory(prefix="skerry-bench-", dir=arguments.folder) as folder:
        figures = asyncio.run(measure(names, sizes, Path(folder)))
    sys.stderr.write(table(figures) + "\n")
    for found in figures:
        sys.stdout.write(line(found) + "\n")
    return 0


async def measure(names: Sequence[str], sizes: Sizes, folder: Path) -> list[Figure]:
    """Run benchmarks, with a probe of the disk before, between and after."""
    settle_memory()  # as both programs do once they serve
    figures: list[Figure] = []
    probes = [probe.appends_s(folder, sizes.probe_s)]
    for name in names:
        sys.stderr.write(f"{name} …\n")
        place = folder / name
        place.mkdir()
        figures += await BENCHES[name](sizes, place)
        probes.append(probe.appends_s(folder, sizes.probe_s))
    return [figure("disk", "append 4 KiB and fsync", "a second", probes), *figures]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", type=_name, help=f"default: all of {', '.join(BENCHES)}"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke run")
    parser.add_argument("--repetitions", type=int, help="samples of each figure")
    parser.add_argument(
        "--folder",
        type=Path,
        default=next((place for place in DURABLE_PLACES if place.is_dir()), None),
        help="a folder on the disk to measure; not one in memory",
    )
    return parser


def _name(text: str) -> str:
    if text not in BENCHES:
        raise argparse.ArgumentTypeError(f"no benchmark {text}; choose from {', '.join(BENCHES)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
