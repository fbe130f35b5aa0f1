"""What an agent loads at its start: a gateway has 512 MiB for everything."""

import subprocess
import sys

CALENDARS = {"dateutil", "holidays", "cronsim"}


def test_an_agent_loads_no_calendars() -> None:
    code = "import sys, agent.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not CALENDARS & set(done.stdout.split())
