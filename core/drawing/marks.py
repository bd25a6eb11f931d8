"""How marks look: the one table, `marks.json`, that the renderer and the page's stage (`stage/marks.js`) both draw by.

Lengths are in pixels of the page, shares of the side of what the mark stands in: a panel, or the cell of an arrow.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

MARKS: dict[str, Any] = json.loads(Path(__file__).with_name("marks.json").read_text("utf-8"))


def within(rule: dict[str, float], side: float) -> float:
    """A share of `side`, held between the rule's least and most pixels."""
    return min(max(rule["share"] * side, rule.get("least", 0.0)), rule.get("most", float("inf")))


def dot(kind: str, count: int, side: float) -> tuple[float, float]:
    """(radius in pixels, opacity) of `count` dots: of "points", of the heads of "paths", of a "backdrop".

    In a crowd they are smaller and clearer, so that density shows; few are larger, so that one alone is seen.
    """
    rule = MARKS["dots"][kind]
    radius, least, opacity = rule["radius"]["share"] * side, rule["radius"]["least"], rule["opacity"]
    if crowd := rule.get("crowd"):
        times = max(1.0, count / crowd["from"])
        radius, opacity = radius / times ** crowd["radius"], max(rule["faintest"], opacity / times ** crowd["opacity"])
    if few := rule.get("few"):
        radius *= max(1.0, few["below"] / max(count, 1)) ** few["radius"]
    return max(radius, least), opacity


def trail_width(count: int, side: float) -> float:
    """The width in pixels of one of `count` trails: finer where there are many."""
    rule = MARKS["trail"]
    return within(rule["width"], side) * min(1.0, (rule["crowd"]["from"] / count) ** rule["crowd"]["width"])


def trail_strength(age: np.ndarray, frames: int) -> np.ndarray:
    """How much of a trail is seen `age` frames after its point came by, in a film of so many frames."""
    rule = MARKS["trail"]
    return np.maximum(rule["trace"], rule["fresh"] * np.exp(-age * rule["fades"] / max(frames, rule["fades"])))
