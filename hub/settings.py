"""What an operator may set of the hub: ``hub.toml``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from hub.allocation import Battery
from hub.release import Patience
from shared import settings as files
from shared.core.ids import Name
from shared.errors import SettingsError

Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]

Ending = Literal["succeeded", "dead", "cancelled", "expired", "unknown"]
Endings = Annotated[tuple[Ending, ...], msgspec.Meta(min_length=1, max_length=5)]
Secret = Annotated[str, msgspec.Meta(min_length=16, max_length=1000)]
WEBHOOKS_MAX = 50  # each has a loop of its own


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[api]``: where to listen, and tokens by the name of their actor."""

    listen: str = "127.0.0.1:8470"
    tokens: dict[Actor, Token] = {}


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[webhooks]]``: whom to tell how tasks end.

    Attributes:
        id: Its name.
        url: Where to POST; https, or http on networks that are trusted.
        secret: Key of the signature; or ``secret_env``.
        secret_env: Environment variable that holds it.
        on: Statuses to tell of.
        types: Types of task to tell of; empty: all.
    """

    id: Name
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    secret: Secret | None = None
    secret_env: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    on: Endings = ("succeeded", "dead", "cancelled", "expired", "unknown")
    types: Annotated[tuple[Name, ...], msgspec.Meta(max_length=100)] = ()


class Dispatch(Patience, frozen=True, forbid_unknown_fields=True):
    """``[dispatch]``: how long the hub waits for silent devices, and which it does not choose."""

    battery: Battery = Battery()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``hub.toml``.

    Attributes:
        data: Data folder.
        sites: Sites that this hub serves.
        api: Where and for whom.
        webhooks: Whom to tell how tasks end.
        dispatch: How tasks are given to devices.
    """

    data: Annotated[str, msgspec.Meta(min_length=1)] = "skerry-data/hub"
    sites: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=100)] = ("demo",)
    api: Api = Api()
    webhooks: Annotated[tuple[Webhook, ...], msgspec.Meta(max_length=WEBHOOKS_MAX)] = ()
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
    wrong = [
        *_wrong_sites(settings.sites),
        *_wrong_api(settings.api),
        *_wrong_webhooks(settings.webhooks),
    ]
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


def secret_of(webhook: Webhook, environ: Mapping[str, str]) -> str:
    """Return the key of a webhook's signature.

    Raises:
        SettingsError: Its environment variable is not set.
    """
    secret = webhook.secret or environ.get(webhook.secret_env or "")
    if not secret:
        raise SettingsError(
            f"webhook {webhook.id}: {webhook.secret_env} is not set; set it, or give secret"
        )
    return secret


def _wrong_webhooks(webhooks: tuple[Webhook, ...]) -> list[str]:
    wrong = [
        f"$.webhooks[{place}]: {text}"
        for place, webhook in enumerate(webhooks)
        for text in _wrong_webhook(webhook)
    ]
    if len({webhook.id for webhook in webhooks}) < len(webhooks):
        wrong.append("$.webhooks: two have the same id; give each its own")
    return wrong


def _wrong_webhook(webhook: Webhook) -> list[str]:
    wrong = []
    if (webhook.secret is None) == (webhook.secret_env is None):
        wrong.append("give secret or secret_env, one of them")
    try:
        url = urlsplit(webhook.url)
        is_web = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        return [*wrong, f"url: {webhook.url!r} is no URL; write it as https://erp.example/hook"]
    if not is_web:
        wrong.append(f"url: {webhook.url!r} is no URL; write it as https://erp.example/hook")
    if url.username is not None or url.password is not None:
        wrong.append("url: no name and password, which anybody may read; the body is signed")
    return wrong
