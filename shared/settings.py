"""Settings files: TOML into frozen Structs, each error with its file, place and remedy.

Both programs read theirs through ``read``. Bounds and defaults stand in the Structs; the
environment holds secrets only, because layered defaults once silently overrode a file elsewhere.
"""

import ipaddress
from pathlib import Path
from typing import TypeVar

import msgspec

from shared.errors import SettingsError

FILE_BYTES_MAX = 1024 * 1024  # a longer one is no settings file but a mistake

T = TypeVar("T")


class Listen(msgspec.Struct, frozen=True):
    """Where a server listens."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """``HOST:PORT``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read(path: Path | None, settings: type[T]) -> T:
    """Return the settings in a TOML file; None: all defaults.

    Raises:
        SettingsError: It cannot be read, is no TOML, or holds what the settings do not allow.
    """
    if path is None:
        return _converted({}, settings, "defaults")
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); name another file with --config"
        ) from error
    if len(text) > FILE_BYTES_MAX:
        raise SettingsError(f"{path}: over {FILE_BYTES_MAX} bytes; is it a settings file?")
    try:
        raw = msgspec.toml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}; correct that line") from error
    return _converted(raw, settings, str(path))


def parse_listen(text: str, place: str) -> Listen:
    """Return host and port of ``HOST:PORT``; port 0 takes a free one.

    Raises:
        SettingsError: It is no such text, or no loopback address: until people and devices have
            identities, nothing listens beyond loopback.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not colon or not host or not is_port:
        raise SettingsError(f"{place}: {text!r} is not HOST:PORT; write it as 127.0.0.1:8470")
    if not _is_loopback(host):
        raise SettingsError(
            f"{place}: nothing listens beyond loopback, and {host} is; use 127.0.0.1:{port}"
        )
    return Listen(host, int(port))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean any address tomorrow


def _converted(raw: object, settings: type[T], file: str) -> T:
    try:
        return msgspec.convert(raw, settings)
    except msgspec.ValidationError as error:
        # msgspec ends its sentence with "- at `$.sync.retry_max_s`"; without that, the top level.
        what, _, place = str(error).rpartition(" - at ")
        place = place.strip("`") if what else "$"
        raise SettingsError(
            f"{file}: {place}: {what or error}; correct it or remove it to get the default"
        ) from error
