"""agent.toml: what is allowed, and how an error names its place."""

from pathlib import Path

import pytest

from agent.handlers.pattern import Allowed
from agent.limits import Limits, Rate
from agent.settings import load
from shared.errors import SettingsError

COMMAND = "[handlers.command]\n"
WHOLE = """
data = "skerry-data/agent"
[device]
id = "robot-1"
site = "demo"
machine_id = "abc"
capabilities = ["deliver"]
[hub]
url = "http://127.0.0.1:8470"
token = "t"
[sync]
retry_max_s = 30
[api]
listen = "127.0.0.1:8471"
tokens = { ada = "x", bo = "y" }
[dispatcher]
concurrency = 1
drain_s = 30
aging_s = 600
[queues.deliver]
concurrency = 2
rate = { count = 10, per_s = 60 }
[handlers.command]
allow = ["echo", { program = "/usr/bin/rsync", args = ["--archive", "/srv/out/*"] }]
timeout_s = 300
output_bytes_max = 65536
cwd = "/tmp"
environment = ["LANG", "PATH"]
limits = { cpu_s = 60, memory_bytes = 268435456, open_files = 256, file_bytes = 1000000 }
[handlers.http]
allow = ["https://erp.example/*", { url = "http://a/", headers = { Authorization = "Bearer x" } }]
timeout_s = 60
connect_timeout_s = 10
body_bytes_max = 65536
[handlers.mqtt]
url = "mqtt://127.0.0.1:1883"
allow = ["hall-2/+/set", "hall-2/#"]
timeout_s = 30
[handlers.serial]
timeout_s = 5
[[drivers]]
id = "light-1"
type = "relay-light"
equipment = "press-1"
port = "/dev/serial/by-id/x"
relays = { red = 1, yellow = 2, green = 3 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_the_whole_file_is_read(tmp_path: Path) -> None:
    settings = load(written(tmp_path, WHOLE))
    assert settings.device.id == "robot-1"
    assert settings.hub is not None
    assert settings.hub.token == "t"
    assert settings.api.tokens == {"ada": "x", "bo": "y"}
    rsync = Allowed("/usr/bin/rsync", ("--archive", "/srv/out/*"))
    assert settings.handlers.command.allow == ("echo", rsync)
    assert settings.handlers.command.limits.cpu_s == 60
    assert settings.drivers[0].equipment == "press-1"
    assert settings.dispatcher.aging_s == 600
    assert settings.queues == {"deliver": Limits(concurrency=2, rate=Rate(count=10, per_s=60))}


def test_without_a_file_everything_has_its_default() -> None:
    settings = load(None, host="Tablet_7.lan")
    assert settings.device.id == "tablet_7"
    assert settings.device.site == "demo"
    assert settings.hub is None
    assert settings.api.listen == "127.0.0.1:8471"
    assert settings.dispatcher.concurrency == 1
    assert settings.dispatcher.aging_s == 900
    assert settings.queues == {}
    assert settings.handlers.command.allow == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("colour = 1", "$: Object contains unknown field `colour`"),
        ("[sync]\nretry_max_s = 0", "$.sync.retry_max_s: Expected `float` >= 0.1"),
        ('[sync]\nretry_max_s = "5"', "$.sync.retry_max_s: Expected `float`, got `str`"),
        ("[dispatcher]\nconcurrency = -1", "$.dispatcher.concurrency"),
        ("[dispatcher]\naging_s = -1", "$.dispatcher.aging_s"),
        ("[queues.deliver]\nconcurrency = 0", "$.queues[...].concurrency"),
        ("[queues.deliver]\nrate = { count = 1 }", "missing required field `per_s`"),
        ('[queues."No name"]\nconcurrency = 1', "$.queues"),
        ('[device]\nid = "Robot 1"', "$.device.id"),
        ('[device]\nid = ""', "$.device.id"),
        ('[api]\nlisten = "0.0.0.0:8471"', "$.api.listen: nothing listens beyond loopback"),
        ('[api]\nlisten = "8471"', "$.api.listen: '8471' is not HOST:PORT"),
        ('[api.tokens]\na = "x"\nb = "x"', "$.api.tokens: two actors have the same token"),
        ('[hub]\nurl = "ftp://hub"', "$.hub.url"),
        ('[hub]\nurl = "http://[::1"', "$.hub.url"),
        ("[hub]\n", "$.hub: Object missing required field `url`"),
        ("[handlers.fax]\n", "$.handlers: Object contains unknown field `fax`"),
        ('[handlers.mqtt]\nallow = ["a"]', "$.handlers.mqtt.url: needed"),
        ('[handlers.mqtt]\nurl = "mqtt://a"', "$.handlers.mqtt.allow: name the topics"),
        (
            '[handlers.mqtt]\nurl = "http://a"\nallow = ["a"]',
            "$.handlers.mqtt.url: write it as mqtt://host:port",
        ),
        (
            '[handlers.mqtt]\nurl = "mqtt://a"\nallow = ["a", "b#"]',
            "$.handlers.mqtt.allow[1]: b# is no topic filter",
        ),
        ("[handlers.command]\noutput_bytes_max = 70000", "$.handlers.command.output_bytes_max"),
        (
            '[handlers.http]\nallow = ["https://erp.example*"]',
            "$.handlers.http.allow[0]: the path begins with /",
        ),
        (
            '[handlers.http]\nallow = [{ url = "https://a/*", headers = { "A b" = "c" } }]',
            "$.handlers.http.allow[0].headers",
        ),
        (COMMAND + 'user = "no-such-user"', "$.handlers.command.user: "),
        (COMMAND + 'cwd = "work"', "$.handlers.command.cwd: work is no folder"),
        (COMMAND + 'cwd = "/no/such"', "$.handlers.command.cwd: /no/such is no folder"),
        (COMMAND + 'environment = ["SKERRY_HUB_TOKEN"]', "$.handlers.command.environment: SKERRY_"),
        (COMMAND + 'environment = ["A=B"]', "$.handlers.command.environment[0]"),
        (COMMAND + "limits = { cpu_s = 0 }", "$.handlers.command.limits.cpu_s"),
        (COMMAND + "limits = { ram = 1 }", "$.handlers.command.limits"),
        (
            COMMAND + 'allow = ["a", { program = "a", args = [] }]',
            "$.handlers.command.allow[1]: a is allowed with any arguments by another entry",
        ),
        (
            COMMAND + 'allow = [{ program = "a", args = ["x", "*/*"] }]',
            "$.handlers.command.allow[0].args[1]: '*/*' has more than one *",
        ),
        (
            COMMAND + 'allow = [{ program = "", args = [] }]',
            "$.handlers.command.allow[0].program: name a program",
        ),
        ('[[drivers]]\nid = "a"\ntype = "button"\nequipment = "p"', "$.drivers[0].port: needed"),
        (
            '[[drivers]]\nid = "a"\ntype = "x"\nequipment = "p"',
            "$.drivers[0].type",
        ),
        (
            '[[drivers]]\nid = "a"\ntype = "button"\nequipment = "p"\nport = "/dev/x"\n' * 2,
            "$.drivers[1].id: another driver is called a",
        ),
        ("x = = 1", "not valid TOML: Invalid value (at line 1, column 5)"),
        ("x = '\xff", "not valid TOML"),
    ],
)
def test_an_error_names_file_place_and_reason(tmp_path: Path, text: str, place: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert place in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_a_host_name_that_cannot_name_a_device_asks_for_one() -> None:
    with pytest.raises(SettingsError, match=r"\[device\] id"):
        load(None, host="-.-")


def test_a_limit_that_does_not_bind_root_is_an_error(tmp_path: Path) -> None:
    text = COMMAND + "limits = { processes = 5 }\n"
    with pytest.raises(SettingsError, match="it does not bind root; set user"):
        load(written(tmp_path, text), is_root=True)
    found = load(written(tmp_path, text + 'user = "nobody"\n'), is_root=True)
    assert found.handlers.command.user == "nobody"


def test_a_user_needs_root(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="only an agent that runs as root"):
        load(written(tmp_path, COMMAND + 'user = "nobody"'), is_root=False)
