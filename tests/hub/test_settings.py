"""``hub.toml``: defaults, bounds, and where an error is."""

from pathlib import Path

import pytest

from hub import settings
from shared.errors import SettingsError


def load(tmp_path: Path, text: str) -> settings.Settings:
    path = tmp_path / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return settings.load(path)


SECRET = "secret = 'sixteen letters or more'"


def hook(lines: str, url: str = "https://erp.example/hook") -> str:
    return f"[[webhooks]]\nid = 'erp'\nurl = '{url}'\n{lines}"


def test_a_webhook_tells_of_every_end_by_default(tmp_path: Path) -> None:
    (webhook,) = load(tmp_path, hook("secret_env = 'ERP'")).webhooks
    assert (len(webhook.on), webhook.types) == (5, ())
    assert settings.secret_of(webhook, {"ERP": "s"}) == "s"
    with pytest.raises(SettingsError, match="ERP is not set"):
        settings.secret_of(webhook, {})


def test_without_a_file_all_are_defaults() -> None:
    found = settings.load(None)
    assert (found.data, found.sites) == ("skerry-data/hub", ("demo",))
    assert (found.api.listen, found.api.tokens) == ("127.0.0.1:8470", {})


def test_the_file_of_the_contract_is_read(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        data = "elsewhere"
        sites = ["demo", "north"]
        [api]
        listen = "[::1]:0"
        tokens = { demo = "t1", ada = "t2" }
        """,
    )
    assert found.data == "elsewhere"
    assert found.sites == ("demo", "north")
    assert found.api.tokens == {"demo": "t1", "ada": "t2"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("colour = 1", "$"),
        ("sites = []", "$.sites"),
        ('sites = ["Demo"]', "$.sites[0]"),
        ('sites = ["a", "a"]', "$.sites"),
        ('data = ""', "$.data"),
        ("[api]\nport = 1", "$.api"),
        ('[api]\nlisten = "8470"', "$.api.listen"),
        ('[api]\nlisten = "0.0.0.0:8470"', "$.api.listen"),
        ('[api]\ntokens = { ada = "" }', "$.api.tokens"),
        ('[api]\ntokens = { ada = "t", bo = "t" }', "$.api.tokens"),
        ("data = ", "TOML"),
        (hook("secret = 'short'"), "$.webhooks[0].secret"),
        (hook(""), "$.webhooks[0]: give secret or secret_env"),
        (hook(SECRET + "\nsecret_env = 'E'"), "$.webhooks[0]: give secret or secret_env"),
        (hook(SECRET, "ftp://erp.example/"), "$.webhooks[0]: url"),
        (hook(SECRET, "https://"), "$.webhooks[0]: url"),
        (hook(SECRET, "https://[::1/"), "$.webhooks[0]: url"),
        (hook(SECRET, "https://erp.example:99999/"), "$.webhooks[0]: url"),
        (hook(SECRET, "https://me:pw@erp.example/"), "$.webhooks[0]: url"),
        (hook(SECRET + "\non = []"), "$.webhooks[0].on"),
        (hook(SECRET + "\non = ['running']"), "$.webhooks[0].on"),
        (hook(SECRET) + "\n" + hook(SECRET), "$.webhooks: two"),
    ],
)
def test_an_error_names_file_and_place(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, text)
    assert "hub.toml" in str(refused.value)
    assert place in str(refused.value)


def test_what_a_flag_gave_is_checked_too() -> None:
    given = settings.Settings(api=settings.Api(listen="10.0.0.1:80"))
    with pytest.raises(SettingsError, match="--listen"):
        settings.check(given, "--listen")
