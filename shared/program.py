"""What both programs' ``main`` do: flags, signals, logging, exit codes."""

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from shared.errors import SettingsError, SkerryError, StoreError
from shared.settings import parse_listen

OK, FAILURE, USAGE = 0, 1, 2
GC_YOUNG = 10_000  # objects made before a young collection; Python's own is 700

Run = Callable[[asyncio.Event, Callable[[str], None]], Awaitable[None]]
S = TypeVar("S", bound=Any)


def add_flags(command: argparse.ArgumentParser, listen: str) -> None:
    """Add the flags of a node's command; ``listen`` is its default address."""
    command.add_argument("--config", type=Path, help="settings (TOML); absent: all defaults")
    command.add_argument("--data", type=Path, help="data folder")
    command.add_argument("--listen", help=f"HOST:PORT of the API; default {listen}")
    command.add_argument("--check-config", action="store_true", help="validate and exit: 0 or 2")
    command.add_argument("--verbose", action="store_true", help="log what is sent and decided")


def overridden(settings: S, arguments: argparse.Namespace) -> S:
    """Return settings with what the flags say instead: flag beats file beats default.

    Raises:
        SettingsError: A flag is no address, or not of loopback.
    """
    if arguments.data is not None:
        settings = msgspec.structs.replace(settings, data=str(arguments.data))
    if arguments.listen is not None:
        parse_listen(arguments.listen, "--listen")
        api = msgspec.structs.replace(settings.api, listen=arguments.listen)
        settings = msgspec.structs.replace(settings, api=api)
    return settings


def run_node(
    load: Callable[[Path | None], S],
    arguments: argparse.Namespace,
    run: Callable[[S, asyncio.Event, Callable[[str], None]], Awaitable[None]],
) -> int:
    """Load the settings and run a node by them until a signal; return the exit code."""
    try:
        settings = overridden(load(arguments.config), arguments)
    except SettingsError as error:
        return fail(error, USAGE)
    if arguments.check_config:
        return OK
    configure_logging(verbose=arguments.verbose)
    return run_until_signal(lambda stop, ready: run(settings, stop, ready))


def configure_logging(*, verbose: bool) -> None:
    """Log to stderr; the service manager adds the time."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def fail(error: Exception, code: int) -> int:
    """Say what is wrong on stderr; return the exit code."""
    sys.stderr.write(f"{error}\n")
    return code


def run_until_signal(run: Run) -> int:
    """Run a node until SIGTERM or SIGINT; return the exit code."""
    try:
        asyncio.run(_run(run))
    except SettingsError as error:
        return fail(error, USAGE)
    except StoreError as error:
        return fail(error, FAILURE)
    except BaseExceptionGroup as group:
        errors, rest = group.split(SkerryError)
        if errors is None or rest is not None:
            raise
        return fail(_first(errors), FAILURE)
    return OK


async def _run(run: Run) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(stop, _say_ready)


def settle_memory() -> None:
    """Tell the collector that what is built by now lasts; call it once everything is.

    It is then not looked at again by each collection. What the hot path makes are values without
    cycles, so young collections may be rarer, too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG)


def _say_ready(url: str) -> None:
    settle_memory()
    logging.getLogger("skerry").info("ready on %s", url)


def _first(group: BaseExceptionGroup[SkerryError]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
