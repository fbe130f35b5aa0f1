"""Figures: what was measured, what it is compared with, and what it should be."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """How much was done in how many seconds; slices of one sample add up."""

    count: int
    seconds: float

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.count + other.count, self.seconds + other.seconds)

    @property
    def per_s(self) -> float:
        """Return the rate."""
        return self.count / self.seconds


class Target(msgspec.Struct, frozen=True):
    """What a figure must reach; of the ratio if it has one, else of its median.

    Attributes:
        must: The least (or most) that is good enough.
        stretch: What we would like.
        at_most: Whether smaller is better.
    """

    must: float
    stretch: float | None = None
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        """Say whether a value is good enough."""
        return value <= self.must if self.at_most else value >= self.must

    def text(self, unit: str) -> str:
        """Return the target as the table shows it."""
        sign = "<=" if self.at_most else ">="
        wish = f" ({number(self.stretch)})" if self.stretch is not None else ""
        return f"{sign} {number(self.must)}{unit}{wish}"


class Figure(msgspec.Struct, frozen=True):
    """One thing measured several times.

    Attributes:
        bench: Which benchmark.
        name: What was measured.
        unit: Of the samples.
        samples: One value a repetition.
        ratio_to: Figure of the same benchmark that it is compared with.
        ratios: One a repetition, each against the other's sample beside it: the disk drifts.
        target: None: shown for comparison only.
    """

    bench: str
    name: str
    unit: str
    samples: tuple[float, ...]
    ratio_to: str | None = None
    ratios: tuple[float, ...] = ()
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Return the median of the ratios."""
        return median(self.ratios) if self.ratios else None

    @property
    def is_met(self) -> bool | None:
        """Say whether the target is met; None without one."""
        if self.target is None:
            return None
        ratio = self.ratio
        return self.target.is_met(median(self.samples) if ratio is None else ratio)


def figure(
    bench: str,
    name: str,
    unit: str,
    samples: Sequence[float],
    *,
    beside: tuple[str, Sequence[float]] | None = None,
    target: Target | None = None,
) -> Figure:
    """Build a figure; ``beside`` is the name and the samples of what it is compared with."""
    if beside is None:
        return Figure(bench, name, unit, tuple(samples), target=target)
    peer, others = beside
    ratios = tuple(ours / theirs for ours, theirs in zip(samples, others, strict=True))
    return Figure(bench, name, unit, tuple(samples), peer, ratios, target)


def line(shown: Figure) -> str:
    """Return a figure as one line of JSON."""
    target = shown.target
    fields: dict[str, Any] = {
        "bench": shown.bench,
        "figure": shown.name,
        "unit": shown.unit,
        "median": _rounded(median(shown.samples)),
        "min": _rounded(min(shown.samples)),
        "max": _rounded(max(shown.samples)),
        "repetitions": len(shown.samples),
        "ratio_to": shown.ratio_to,
        "ratio": _rounded(shown.ratio),
        "target": target.must if target else None,
        "stretch": target.stretch if target else None,
        "target_of": None if target is None else "median" if shown.ratio is None else "ratio",
        "target_is": None if target is None else "at most" if target.at_most else "at least",
        "met": shown.is_met,
    }
    return msgspec.json.encode(fields).decode()


HEADINGS = ("bench", "figure", "unit", "median", "min .. max", "ratio", "target (stretch)", "")


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a table for people."""
    rows = [HEADINGS, *(_row(shown) for shown in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    numbers = {3, 4}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _row(shown: Figure) -> tuple[str, ...]:
    ratio, target = shown.ratio, shown.target
    return (
        shown.bench,
        shown.name,
        shown.unit,
        number(median(shown.samples)),
        f"{number(min(shown.samples))} .. {number(max(shown.samples))}",
        f"{number(ratio)}x {shown.ratio_to}" if ratio is not None else "",
        target.text("x" if ratio is not None else f" {shown.unit}") if target else "",
        {None: "", True: "met", False: "MISSED"}[shown.is_met],
    )


def number(value: float) -> str:
    """Return three digits of a number, all of a large one."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
