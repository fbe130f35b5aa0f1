from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.served import Served, serve_node


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path) as served:
        yield served


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path, "agent", "robot-1") as served:
        yield served
