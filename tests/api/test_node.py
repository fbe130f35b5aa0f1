"""The node about itself: who it is, whether it lives, its numbers."""

from prometheus_client.parser import text_string_to_metric_families

from shared.api import metrics
from shared.api.context import Sample
from tests.api.served import Served


async def test_who_this_node_is(hub: Served, agent: Served) -> None:
    node = await hub.get("/api/node")
    assert (node["role"], node["id"], node["sites"]) == ("hub", "hub", ["demo"])
    assert node["version"] == "0.1.0"
    assert node["backed_up_at"] is None
    assert node["actor"] == "ada"
    node = await agent.get("/api/node")
    assert (node["role"], node["id"]) == ("agent", "robot-1")


async def test_alive_and_ready(hub: Served) -> None:
    assert await hub.get("/healthz", actor=None) == {"status": "ok"}
    assert await hub.get("/readyz", actor=None) == {"status": "ready"}


async def test_head_is_a_get_without_body(hub: Served) -> None:
    answered = await hub.call("HEAD", "/api/equipment")
    assert (answered.status, answered.raw) == (200, b"")
    assert "Skerry-Position" in answered.headers


async def test_metrics_are_what_prometheus_reads(hub: Served) -> None:
    await hub.conflict()
    await hub.call("POST", "/api/tasks", {"command": "echo"})
    await hub.call("GET", "/nothing")
    answered = await hub.call("GET", "/metrics")
    assert answered.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answered.raw.decode())
        for sample in family.samples
    }
    assert found["skerry_conflicts_open", ()] == 1
    assert found["skerry_tasks", (("status", "waiting"),)] == 1
    assert found["skerry_equipment", (("state", "red"),)] == 1
    assert found["skerry_position", ()] == hub.replica.node.position
    not_found = (("method", "GET"), ("status", "404"))
    assert found["skerry_http_requests_total", not_found] == 1


def test_labels_are_escaped_and_large_numbers_exact() -> None:
    samples = [Sample("a", 2**53, {"x": 'q"\\\n'}), Sample("b_total", 0.5)]
    first, second = text_string_to_metric_families(metrics.text(samples))
    assert (first.type, second.type) == ("gauge", "counter")
    assert first.samples[0].labels == {"x": 'q"\\\n'}
    assert first.samples[0].value == 2**53
    assert second.samples[0].value == 0.5
