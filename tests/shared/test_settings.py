"""What both programs' settings share."""

import pytest

from shared.errors import SettingsError
from shared.settings import Listen, parse_listen


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8470", Listen("127.0.0.1", 8470)),
        ("localhost:0", Listen("localhost", 0)),
        ("[::1]:65535", Listen("::1", 65535)),
        ("127.9.9.9:1", Listen("127.9.9.9", 1)),
    ],
)
def test_a_loopback_address_is_taken(text: str, listen: Listen) -> None:
    parsed = parse_listen(text, "--listen")
    assert parsed == listen
    assert parsed.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        ":8470",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:\u0661",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--listen: .* is not HOST:PORT"):
        parse_listen(text, "--listen")


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.1.2", "example.org", "1.2.3"])
def test_nothing_listens_beyond_loopback(host: str) -> None:
    with pytest.raises(SettingsError, match="beyond loopback"):
        parse_listen(f"{host}:8470", "--listen")
