"""What the hub does about what arrives: a part that fails holds up nothing else."""

import sqlite3
from collections.abc import Sequence

import pytest

from hub import reactions
from shared.core.event import Event
from shared.store.judge import React
from shared.store.transaction import Transaction
from tests.shared.making import RED
from tests.shared.nodes import SITE, Node, meet, open_node


def failing(error: Exception) -> React:
    def react(_tx: Transaction, _applied: Sequence[Event], _site: str) -> None:
        raise error

    return react


@pytest.fixture
def hub() -> Node:
    return open_node("hub", "hub")


@pytest.fixture
def agent() -> Node:
    return open_node("agent", "robot-1")


def test_a_fault_of_ours_holds_up_neither_the_log_nor_other_reactions(
    hub: Node, agent: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 6."""
    heard: list[Event] = []

    def hear(_tx: Transaction, applied: Sequence[Event], _site: str) -> None:
        heard.extend(applied)

    monkeypatch.setattr(reactions, "REACTIONS", (failing(KeyError("ours")), hear))
    agent.report(RED)
    meet(agent, hub=hub)
    written = agent.store.node.logs[agent.origin].head
    assert hub.store.node.logs[agent.origin].head == written == len(heard)
    assert f"of {SITE} are taken, and not acted upon" in caplog.text


def test_what_the_store_cannot_do_is_no_fault_of_ours(
    hub: Node, agent: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a batch would be taken whose answers were not written."""
    monkeypatch.setattr(reactions, "REACTIONS", (failing(sqlite3.OperationalError("full")),))
    agent.report(RED)
    with pytest.raises(sqlite3.OperationalError):
        meet(agent, hub=hub)
