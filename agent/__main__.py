"""``skerry-agent``: arguments, settings, signals."""

import argparse
import sys
from collections.abc import Sequence

from shared import tls
from shared.version import VERSION

with tls.no_authorities():
    from agent import app, client, settings
    from shared import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.command != "run":
        return client.run(arguments)
    return program.run_node(settings.load, arguments, app.run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skerry-agent", description="An agent of a Skerry fleet.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    program.add_flags(commands.add_parser("run", help="run the agent"), "127.0.0.1:8471")
    client.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
