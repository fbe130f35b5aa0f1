"""``python -m demo``: arguments and signals."""

import argparse
import asyncio
import faulthandler
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from demo.check import check
from demo.configuration import PORT, PORT_MAX
from demo.errors import DemoFailed
from demo.stay import stay
from demo.teller import Teller

HANG_S = 115.0  # --check ends by itself long before, unless this very process hangs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parse(argv)
    try:
        if arguments.check:
            return asyncio.run(run_check())
        asyncio.run(run_demo(arguments.folder, arguments.port))
    except DemoFailed as failed:
        sys.stderr.write(f"demo: {failed}\n")
        return 1
    except asyncio.CancelledError:
        sys.stderr.write("demo: everything has ended\n")
        return 1 if arguments.check else 0
    return 0


async def run_check() -> int:
    """Print the one line; return the exit code."""
    end_on_signals()
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    report = await check(Teller(sys.stderr))
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 0 if report.ok else 1


async def run_demo(folder: Path, port: int) -> None:
    """Play, then stay until a signal comes."""
    end_on_signals()
    await stay(folder, port, Teller(sys.stdout))


def end_on_signals() -> None:
    """Have the first signal end this task in order; further ones change nothing."""
    this = asyncio.current_task()
    assert this is not None

    def end() -> None:
        if not this.cancelling():
            this.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; ends the process with 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="./dev demo",
        description="A hub, a robot, a tablet and a gateway on this machine, and a story.",
    )
    parser.add_argument(
        "--port", type=port, default=PORT, help="the hub's; the agents take the next three"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(".demo"), help="where settings, data and logs go"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="free ports, a folder of its own, one JSON line on stdout, exit 0 or 1 by itself",
    )
    return parser.parse_args(argv)


def port(text: str) -> int:
    """Return the number of a port that has three after it."""
    number = int(text)
    if not 1 <= number <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"from 1 to {PORT_MAX}")
    return number


if __name__ == "__main__":
    sys.exit(main())
