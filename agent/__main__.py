"""``skerry-agent``: arguments, settings, signals."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from agent import app, client
from agent import settings as agent_settings
from shared import program
from shared.errors import SettingsError
from shared.settings import parse_listen


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.command != "run":
        return client.run(arguments)
    try:
        settings = _settings(arguments)
    except SettingsError as error:
        return program.fail(error, program.USAGE)
    if arguments.check_config:
        return program.OK
    program.configure_logging(verbose=arguments.verbose)
    return program.run_until_signal(lambda stop, ready: app.run(settings, stop, ready))


def _settings(arguments: argparse.Namespace) -> agent_settings.Settings:
    """Flag beats file beats default."""
    settings = agent_settings.load(arguments.config)
    if arguments.data is not None:
        settings = msgspec.structs.replace(settings, data=str(arguments.data))
    if arguments.listen is not None:
        parse_listen(arguments.listen, "--listen")
        api = msgspec.structs.replace(settings.api, listen=arguments.listen)
        settings = msgspec.structs.replace(settings, api=api)
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skerry-agent", description="An agent of a Skerry fleet.")
    parser.add_argument("--version", action="version", version=version("skerry"))
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the agent")
    run.add_argument("--config", type=Path, help="settings (TOML); absent: all defaults")
    run.add_argument("--data", type=Path, help="data folder")
    run.add_argument("--listen", help="HOST:PORT of the local API; default 127.0.0.1:8471")
    run.add_argument("--check-config", action="store_true", help="validate and exit: 0 or 2")
    run.add_argument("--verbose", action="store_true", help="log what is sent and decided")
    client.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
