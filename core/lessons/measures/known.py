"""The measures that there are; each registers itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..expressions import FUNCTIONS, Measure

MEASURES: dict[str, Measure] = {}
F = TypeVar("F", bound=Callable)


def measure(function: F) -> F:
    """Make a function known to lessons by its name. ValueError for one that is taken, or without a docstring."""
    known = Measure.of(function)
    if known.name in MEASURES or known.name in FUNCTIONS or not function.__doc__:
        raise ValueError(f"{known.name} is a measure already, or has no docstring")
    MEASURES[known.name] = known
    return function
