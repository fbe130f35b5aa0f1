"""What an operator may set of the hub: ``hub.toml``."""

from pathlib import Path
from typing import Annotated

import msgspec

from hub.allocation import Battery
from hub.release import Patience
from shared import settings as files
from shared.core.ids import Name
from shared.errors import SettingsError

Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[api]``: where to listen, and tokens by the name of their actor."""

    listen: str = "127.0.0.1:8470"
    tokens: dict[Actor, Token] = {}


class Dispatch(Patience, frozen=True, forbid_unknown_fields=True):
    """``[dispatch]``: how long the hub waits for silent devices, and which it does not choose."""

    battery: Battery = Battery()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``hub.toml``.

    Attributes:
        data: Data folder.
        sites: Sites that this hub serves.
        api: Where and for whom.
        dispatch: How tasks are given to devices.
    """

    data: Annotated[str, msgspec.Meta(min_length=1)] = "skerry-data/hub"
    sites: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=100)] = ("demo",)
    api: Api = Api()
    dispatch: Dispatch = Dispatch()


def load(path: Path | None) -> Settings:
    """Read and check the settings; None: all defaults.

    Raises:
        SettingsError: With file, place and remedy.
    """
    settings = files.read(path, Settings)
    check(settings, str(path) if path else "defaults")
    return settings


def check(settings: Settings, source: str) -> None:
    """Check what types cannot say.

    Args:
        settings: From a file, or changed by flags since.
        source: How errors name where they come from.

    Raises:
        SettingsError: With source, place and remedy.
    """
    wrong = [*_wrong_sites(settings.sites), *_wrong_api(settings.api)]
    if wrong:
        raise SettingsError("; ".join(f"{source}: {text}" for text in wrong))


def _wrong_sites(sites: tuple[str, ...]) -> list[str]:
    if len(set(sites)) == len(sites):
        return []
    return ["$.sites: a site is named twice; name each once"]


def _wrong_api(api: Api) -> list[str]:
    try:
        files.parse_listen(api.listen, "$.api.listen")
    except SettingsError as error:
        return [str(error)]
    if len(set(api.tokens.values())) < len(api.tokens):
        return ["$.api.tokens: two actors have the same token; give each its own"]
    return []
