"""Commands that ask a running agent (or hub) through its API: JSON out, for people and scripts."""

import argparse
import http.client
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from shared import program
from shared.errors import SettingsError
from shared.tokens import VARIABLE

DEFAULT_URL = "http://127.0.0.1:8471"
TIMEOUT_S = 30
POLL_S = 0.2
ENDED = frozenset({"succeeded", "dead", "cancelled", "expired", "unknown"})

Ask = Callable[..., Any]


def add_commands(commands: Any) -> None:
    """Add the clients' commands to the agent's parser."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", default=DEFAULT_URL, help=f"of the node; default {DEFAULT_URL}")
    status = commands.add_parser("status", parents=[common], help="node and uplink of an agent")
    status.set_defaults(ask=_status)

    tasks = commands.add_parser("task", help="tasks").add_subparsers(dest="verb", required=True)
    submit = tasks.add_parser("submit", parents=[common], help="submit a task")
    what = submit.add_mutually_exclusive_group(required=True)
    what.add_argument("line", nargs="?", help="a command line, such as 'echo hello'")
    what.add_argument("--json", type=Path, metavar="FILE", help="a whole task; - reads stdin")
    submit.add_argument(
        "--wait", action="store_true", help="until it has ended; 1 unless it succeeded"
    )
    submit.set_defaults(ask=_submit)

    pieces = commands.add_parser("equipment", help="equipment")
    verbs = pieces.add_subparsers(dest="verb", required=True)
    report = verbs.add_parser("set", parents=[common], help="say how a piece of equipment is")
    report.add_argument("id")
    report.add_argument("state", choices=("green", "yellow", "red"))
    report.add_argument("--reason")
    report.add_argument("--note")
    report.set_defaults(ask=_set)


def run(arguments: argparse.Namespace) -> int:
    """Run one of these commands; return the exit code."""
    try:
        ask = _connect(arguments.url, os.environ.get(VARIABLE))
        return int(arguments.ask(arguments, ask))
    except SettingsError as error:
        return program.fail(error, program.USAGE)
    except (OSError, http.client.HTTPException, _NotDone) as error:
        return program.fail(error, program.FAILURE)


class _NotDone(Exception):
    """The node said no; the text is its words."""


def _status(_arguments: argparse.Namespace, ask: Ask) -> int:
    node = ask("GET", "/api/node")
    _print({**node, "uplink": ask("GET", "/api/uplink") if node["role"] == "agent" else None})
    return program.OK


def _submit(arguments: argparse.Namespace, ask: Ask) -> int:
    task = ask("POST", "/api/tasks", _task(arguments))
    while arguments.wait and task["status"] not in ENDED:
        time.sleep(POLL_S)
        task = ask("GET", f"/api/tasks/{task['id']}")
    _print(task)
    return program.OK if not arguments.wait or task["status"] == "succeeded" else program.FAILURE


def _task(arguments: argparse.Namespace) -> Any:
    if arguments.json is None:
        return {"command": arguments.line}
    try:
        is_stdin = str(arguments.json) == "-"
        text = sys.stdin.read() if is_stdin else arguments.json.read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{arguments.json}: {error}") from error


def _set(arguments: argparse.Namespace, ask: Ask) -> int:
    report = {"state": arguments.state, "reason": arguments.reason, "note": arguments.note}
    given = {key: value for key, value in report.items() if value is not None}
    _print(ask("PUT", f"/api/equipment/{quote(arguments.id, safe='')}/state", given))
    return program.OK


def _connect(url: str, token: str | None) -> Ask:
    host, port = _address(url)
    if not token:
        raise SettingsError(f"set {VARIABLE} to a token of the node (it made one in DATA/token)")
    if not (token.isascii() and token.isprintable()):
        raise SettingsError(f"{VARIABLE}: a token that the command line sends is printable ASCII")

    def ask(method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        try:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            data = json.dumps(body).encode() if body is not None else None
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as error:
            raise _NotDone(f"no answer from {url}: {error}; is the node running?") from error
        except UnicodeDecodeError as error:
            raise _NotDone(f"{url} is no node: it does not answer in JSON") from error
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise _NotDone(text)
        try:
            return json.loads(text)
        except ValueError as error:  # a captive portal, another program on that port
            raise _NotDone(f"{url} is no node: it does not answer in JSON") from error

    return ask


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname:
            return parts.hostname, parts.port or 80
    except ValueError:  # of a port or an address that is none
        pass
    raise SettingsError(f"--url: {url!r} is no node; write it as {DEFAULT_URL}")


def _print(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
