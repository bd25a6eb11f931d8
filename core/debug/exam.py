"""The state of one examination: what was identified, and what has been found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .identify import levels_of
from .levels import Levels
from .places import Place
from .record import Run, Walk
from .report import Cause


def walk_of(run: Run) -> Walk | None:
    """The walk that is examined: of the last two the longer."""
    walks = [w for w in run.walks if len(w.calls) > 1] or run.walks
    return max(walks[-2:], key=lambda w: len(w.calls)) if walks else None


class Exam:
    """Collects findings. Tests of samples are held to LEVEL each, so that all of them together rarely cry wolf."""

    LEVEL = 1e-7

    def __init__(self, run: Run):
        self.run = run
        self.levels: Levels | None = levels_of(run)
        self.wrong: list[Cause] = []
        self.unusual: list[Cause] = []
        self.unknown: list[dict[str, str]] = []
        self.checked: set[Place] = set()
        self.weight: dict[int, float] = {}
        self.tests = 0
        self.identified: dict[str, Any] = {"sentences": []}
        self.learning = [c for c in run.trains if c.facts.get("gradient")]
        self.walk: Walk | None = walk_of(run)
        self.landings: list = []

    def found(self, place: Place, says: str, *, unusual: bool = False, weight: float = 0.0, **more) -> Cause:
        self.checked.add(place)
        cause = Cause(place, says, verdict="unusual" if unusual else "wrong", **more)
        (self.unusual if unusual else self.wrong).append(cause)
        self.weight[id(cause)] = weight
        return cause

    def fine(self, *places: Place) -> None:
        self.checked.update(places)

    def not_seen(self, what: str, how: str) -> None:
        self.unknown.append({"what": what, "how": how})

    def has(self, *places: Place) -> bool:
        return any(c.place in places for c in self.wrong)

    def tell(self, sentence: str) -> None:
        self.identified["sentences"].append(sentence)

    def normal(self, groups: list[dict], expected: float = 1.0) -> tuple[str, str, float] | None:
        """Whether draws, given by their moments, are N(0, expected²) together: (what is off, measured, chance) or None.

        Mean, variance and kurtosis of n normal numbers have standard errors 1, √2 and √24 over √n; each is held to
        LEVEL, and to a size that matters.
        """
        groups = [g for g in groups if g.get("count") and g.get("finite") and not g.get("modulated")]
        n = sum(g["count"] for g in groups)
        if n < 8:
            return None
        w = np.array([g["count"] for g in groups], float) / n
        mean = float((w * [g["mean"] for g in groups]).sum()) / expected
        second = float((w * [g["std"] ** 2 + g["mean"] ** 2 for g in groups]).sum()) / expected**2
        std = math.sqrt(max(second - mean**2, 0))
        kurtosis = float((w * [g["kurtosis"] for g in groups]).sum())
        skew = float((w * [g.get("skew", 0.0) for g in groups]).sum())
        self.tests += 4
        limit = 5.33  # two-sided 1e-7
        tests = (
            ("mean", mean, 0.0, 1 / math.sqrt(n), 0.02),
            ("std", std, 1.0, 1 / math.sqrt(2 * n), 0.02),
            ("excess kurtosis", kurtosis, 0.0, math.sqrt(24 / n), 0.3),
            ("skew", skew, 0.0, math.sqrt(6 / n), 0.15),
        )
        for name, value, ideal, error, matters in tests:
            if name in ("excess kurtosis", "skew") and min(g["count"] for g in groups) < 50:
                continue
            z = abs(value - ideal) / error
            if z > limit and abs(value - ideal) > matters:
                return name, f"{name} {value:.3g} of {n:,} numbers, {z:.0f} standard errors off", math.erfc(z / 2**0.5)
        return None


def number(x: float) -> str:
    """A number as a sentence has it."""
    return f"{x:.4g}"
