"""What can be turned while a training runs, and the record of what was: settings change from one step to the next.

    trainer.turn(lr=3e-4, batch=64)        # the next step is taken with these
    trainer.turns                          # (Turn(step=500, changes={"lr": (1e-3, 3e-4), "batch": (256, 64)}),)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .weightings import WEIGHTINGS

#: Settings that a step reads anew, → what people call them. All others are built into the network or its data.
LIVE = {"lr": "rate", "batch": "batch", "weighting": "weighting", "steps": "steps"}


@dataclass(frozen=True)
class Turn:
    """From step number `step` on, the first that is taken so, settings have new values: {setting: (old, new)}."""

    step: int
    changes: dict[str, tuple[Any, Any]]

    @property
    def words(self) -> str:
        """As it stands at its mark: "rate 0.001 → 0.0003 · batch 256 → 64"."""
        return " · ".join(f"{LIVE[name]} {_said(name, old)} → {_said(name, new)}"
                          for name, (old, new) in self.changes.items())


def _said(name: str, value: Any) -> str:
    if name == "weighting":
        return WEIGHTINGS[value].removeprefix("weighted ")
    return f"{value:g}" if name == "lr" else f"{value:,}"


def added(turns: Sequence[Turn], turn: Turn) -> tuple[Turn, ...]:
    """The turns with one more at their end. Those of one step are one; what was turned back before a step is none."""
    if turns and turns[-1].step == turn.step:
        first = turns[-1].changes
        both = {**first, **{name: (first.get(name, change)[0], change[1]) for name, change in turn.changes.items()}}
        turns, turn = turns[:-1], Turn(turn.step, both)
    left = {name: (old, new) for name, (old, new) in turn.changes.items() if old != new}
    return (*turns, Turn(turn.step, left)) if left else tuple(turns)


def to_json(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """As cards have them: [{"step": 500, "lr": [0.001, 0.0003]}]."""
    return [{"step": turn.step, **{name: list(change) for name, change in turn.changes.items()}} for turn in turns]


def from_json(values: Any) -> tuple[Turn, ...]:
    """The inverse of `to_json`. ValueError for what is none."""
    turns = []
    for value in values if isinstance(values, list) else [None]:
        changes = dict(value) if isinstance(value, dict) else {}
        step = changes.pop("step", None)
        pairs = all(name in LIVE and isinstance(pair, list) and len(pair) == 2 and all(_could_be(name, v) for v in pair)
                    for name, pair in changes.items())
        if isinstance(step, bool) or not isinstance(step, int) or step < 0 or not changes or not pairs:
            raise ValueError(f"{str(value)[:60]!r} is nothing that was turned; that is a step and some of "
                             f"{', '.join(LIVE)}, each with the old and the new value")
        turns.append(Turn(step, {name: (old, new) for name, (old, new) in changes.items()}))
    return tuple(turns)


def _could_be(name: str, value: Any) -> bool:
    if name == "weighting":
        return isinstance(value, str) and value in WEIGHTINGS
    kinds = (int, float) if name == "lr" else (int,)
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
