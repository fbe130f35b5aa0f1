"""The benchmark runs, and what it prints has the shape that others read."""

from pathlib import Path

import msgspec
import pytest

from bench import __main__ as program
from bench import raw
from bench.figures import Figure, Target, figure, line, table
from bench.sizes import Sizes

TINY = Sizes(
    repetitions=1,
    probe_s=0.01,
    rate_s=0.05,
    tasks=20,
    tasks_alone=3,
    backlog=700,
    idle_s=0.05,
    settle_s=0,
    outage_s=0,
    few_tasks=100,
    many_tasks=300,
    questions=3,
    waiting=300,
    decisions=50,
    bookings=4000,
    resources=16,
)
FIELDS = {
    "bench": str,
    "figure": str,
    "unit": str,
    "median": float | int,
    "min": float | int,
    "max": float | int,
    "repetitions": int,
    "ratio_to": str | None,
    "ratio": float | int | None,
    "target": float | int | None,
    "stretch": float | int | None,
    "target_of": str | None,
    "target_is": str | None,
    "met": bool | None,
}


def decoded(shown: Figure) -> dict[str, object]:
    fields: dict[str, object] = msgspec.json.decode(line(shown))
    return fields


async def test_every_benchmark_measures_something_and_says_so_in_one_shape(tmp_path: Path) -> None:
    names = ("writes", "tasks", "catchup")
    figures = await program.measure(names, TINY, tmp_path)
    assert {shown.bench for shown in figures} == {"disk", *names}
    assert len({(shown.bench, shown.name) for shown in figures}) == len(figures)
    known = {(shown.bench, shown.name) for shown in figures}
    for shown in figures:
        fields = decoded(shown)
        assert fields.keys() == FIELDS.keys()
        for name, kind in FIELDS.items():
            assert isinstance(fields[name], kind), name
        assert min(shown.samples) > 0, shown
        assert shown.ratio_to is None or (shown.bench, shown.ratio_to) in known
    assert len(table(figures).splitlines()) == len(figures) + 1


@pytest.mark.parametrize(
    "name", ["agent", "restart", "decision", "queries", "submissions", "bookings"]
)
async def test_the_real_programs_are_measured_too(tmp_path: Path, name: str) -> None:
    figures = await program.measure((name,), TINY, tmp_path)
    assert {shown.bench for shown in figures} == {"disk", name}
    assert all(min(shown.samples) >= 0 for shown in figures)


def test_a_probe_of_the_disk_stands_before_between_and_after() -> None:
    """The disk drifts: without it nobody can tell a slow run from a slow disk."""
    probes = figure("disk", "append", "a second", [200, 300, 100])
    assert decoded(probes)["median"] == 200
    assert decoded(probes)["repetitions"] == 3


def test_a_ratio_is_the_median_of_pairs_taken_beside_each_other() -> None:
    """Not the ratio of medians: a disk that got faster meanwhile would be in it."""
    ours, theirs = [10.0, 30.0, 200.0], [10.0, 10.0, 100.0]
    shown = figure("b", "ours", "/s", ours, beside=("theirs", theirs), target=Target(1.5, 4))
    assert shown.ratio == 2
    assert shown.is_met is True
    assert decoded(shown)["target_of"] == "ratio"


@pytest.mark.parametrize(
    ("samples", "target", "is_met"),
    [
        ([40.0], Target(46, at_most=True), True),
        ([46.0], Target(46, at_most=True), True),
        ([47.0], Target(46, at_most=True), False),
        ([5.0], Target(6), False),
        ([6.0], Target(6), True),
        ([6.0], None, None),
    ],
)
def test_a_target_is_a_least_or_a_most(
    samples: list[float], target: Target | None, is_met: bool | None
) -> None:
    shown = figure("b", "f", "MiB", samples, target=target)
    assert shown.is_met is is_met
    assert decoded(shown)["met"] is is_met


def test_the_floor_inserts_every_row_it_is_given(tmp_path: Path) -> None:
    row = (None, 1, 1, 1, 1, b"header", b"body", b"hash", 1, 1, None, None)
    db = raw.open_table(tmp_path / "raw.db")
    try:
        raw.insert_all_s(db, [row] * 25, group=10)
        assert db.execute("SELECT count(*), max(entry) FROM journal").fetchone() == (25, 25)
    finally:
        db.close()


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["speed"])
    assert ended.value.code == 2
    assert "no benchmark speed" in capsys.readouterr().err
