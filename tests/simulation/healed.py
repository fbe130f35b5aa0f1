"""The comparison at the end: all is mended, all is quiet, so all must be equal."""

from shared.core import chain
from shared.core import register as registers
from shared.core.kinds import task
from shared.store import node as nodes
from shared.store.database import sql
from shared.store.journal import Verdict
from tests.simulation.ghost import Ghost, Name
from tests.simulation.node import Node
from tests.simulation.promises import demand

LOG = sql(
    """SELECT j.seq, j.header, j.body, j.hash FROM journal j JOIN origins o ON o.id = j.origin
    WHERE o.name = $1 ORDER BY j.seq"""
)
SHOWN = sql(
    """SELECT e.kind, e.subject, r.name, r.shown, r.base FROM registers r
    JOIN records e ON e.id = r.record"""
)
OPEN_CONFLICTS = "SELECT id, subject, register FROM conflicts WHERE status = 'open' ORDER BY id"
SAID = sql(
    """SELECT j.verdict, j.reason FROM journal j JOIN origins o ON o.id = j.origin
    WHERE o.name = $1 AND j.seq = $2"""
)
JUDGED = "SELECT judged FROM lanes ORDER BY lane"

CONTROLLED = {"task", "booking"}  # kinds of which an agent hears only what concerns it

Shown = dict[Name, tuple[bytes, bytes | None]]
Concerns = dict[tuple[str, str], set[str]]  # kind and subject, devices


def compare(ghost: Ghost, hub: Node, agents: list[Node], concerns: Concerns) -> None:
    """Compare every agent with the hub, and both with what was acknowledged."""
    _nothing_lost(ghost, hub, agents)
    ((apart,),) = hub.db.execute("SELECT count(*) FROM held_apart")
    demand(apart == 0, 4, "fork", f"{apart} events are held apart, though nobody was cloned")
    theirs = _shown(hub)
    for agent in agents:
        mine = _shown(agent)
        for name, (packed, _) in theirs.items():
            if name[0] in CONTROLLED and agent.name not in concerns.get(name[:2], ()):
                continue
            _same_register(agent, name, mine, packed)
        _nothing_pending(agent, hub)
        _same_rows(agent, hub, concerns)
        _verdicts_told(ghost, agent, hub)


def _nothing_lost(ghost: Ghost, hub: Node, agents: list[Node]) -> None:
    """Promise 1: what was acknowledged is at its author and at the hub, once, in order."""
    logs: dict[str, dict[str, list[int]]] = {}
    for node in (hub, *agents):
        logs[node.name] = {}
        for log in node.store.node.logs.values():
            if node is hub or log.own != nodes.OTHER:
                logs[node.name][log.name] = _whole_log(node, log)
    for origin, seq in ghost.acknowledged:
        for name in (origin.rpartition(".")[0], hub.name):
            count = logs[name].get(origin, []).count(seq)
            demand(count == 1, 1, "acknowledged", f"{name} holds {origin}:{seq} {count} times")


def _whole_log(node: Node, log: nodes.Log) -> list[int]:
    digest, seqs = chain.GENESIS, []
    for seq, header, body, held in node.db.execute(LOG, (log.name,)):
        digest = chain.link(digest, header, body)
        demand(digest == held, 2, "hash chain", f"{node.name}: {log.name} breaks at {seq}")
        seqs.append(seq)
    is_whole = seqs == list(range(1, log.head + 1)) and digest == log.hash
    demand(is_whole, 2, "origin order", f"{node.name}: {log.name} is not whole to {log.head}")
    return seqs


def _shown(node: Node) -> Shown:
    return {(k, s, n): (shown, base) for k, s, n, shown, base in node.db.execute(SHOWN)}


def _same_register(agent: Node, name: Name, mine: Shown, packed: bytes) -> None:
    shown, base = mine.get(name, (None, None))
    demand(base == packed, 2, "converged", f"{agent.name}: the base of {name} is not the hub's")
    is_same = shown is not None and registers.unpack(shown) == registers.unpack(packed)
    demand(is_same, 2, "converged", f"{agent.name} shows another {name} than the hub")


def _nothing_pending(agent: Node, hub: Node) -> None:
    for log in agent.store.node.logs.values():
        if log.own == nodes.OTHER:
            continue
        held = hub.store.node.logs.get(log.name)
        is_there = log.head == (held.head if held else 0)
        demand(is_there, 6, "progress", f"{log.name} did not reach the hub up to {log.head}")


def _same_rows(agent: Node, hub: Node, concerns: Concerns) -> None:
    """Lists and filters say what the records say."""
    conflicts = [node.db.execute(OPEN_CONFLICTS).fetchall() for node in (agent, hub)]
    demand(
        conflicts[0] == conflicts[1],
        4,
        "conflicts",
        f"{agent.name} has the conflicts {conflicts[0]}, the hub {conflicts[1]}",
    )
    for table in ("equipment", "tasks"):
        mine, theirs = (
            {row[0]: row for row in node.db.execute(f"SELECT * FROM {table}")}
            for node in (agent, hub)
        )
        for key, row in theirs.items():
            if table == "equipment" or agent.name in concerns.get(("task", key), ()):
                demand(
                    mine.get(key) == row,
                    2,
                    "rows",
                    f"{agent.name}: {table} row {mine.get(key)}, at the hub {row}",
                )


def _verdicts_told(ghost: Ghost, agent: Node, hub: Node) -> None:
    """Promise 4: an author learns what became of each event."""
    for origin, seq in ghost.durable:
        if origin not in agent.store.node.logs or origin.rpartition(".")[0] != agent.name:
            continue
        mine, theirs = (node.db.execute(SAID, (origin, seq)).fetchone() for node in (agent, hub))
        is_told = theirs[0] == Verdict.APPLIED or mine == theirs
        demand(is_told, 4, "verdict told", f"{agent.name} was not told of {origin}:{seq}: {theirs}")
        is_undone = mine[0] in (Verdict.PENDING, Verdict.APPLIED) or mine == theirs
        demand(is_undone, 4, "verdict told", f"{agent.name} still says {mine} of {origin}:{seq}")


def concerns_of_tasks(hub: Node) -> Concerns:
    """Return the devices that each task concerns, derived from its record alone."""
    found: Concerns = {}
    held = [
        read
        for (subject,) in hub.db.execute("SELECT subject FROM records WHERE kind = 'task'")
        if (read := task.read(hub.reading().record("task", subject))) is not None
    ]
    for one in held:
        devices = {one.origin_device, *one.holders}
        found.setdefault(("task", one.id), set()).update(devices)
        for edge in one.spec.after:
            found.setdefault(("task", edge.task), set()).update(devices)
    return found
