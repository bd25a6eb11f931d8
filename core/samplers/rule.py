"""What a sampler is: an update rule, the coefficients that it takes a step with, and the equation they stand in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import TypeVar, cast

import torch
from torch import Tensor

from ..prediction import Denoise, Prediction

Update = Callable[[Denoise, Tensor, Prediction, Tensor, Tensor], tuple[Tensor, Tensor]]

#: The numbers of one step, each by the symbol that it stands before: {"x0": 0.8, "eps": 0.6, "std": 0.0}.
Coefficients = dict[str, float]


@dataclass(frozen=True)
class Equation:
    """What stands under a walk. `figures` is filled with a step's coefficients, and with the std really added."""

    formula: str
    figures: str
    note: str
    source: str  #: the file and the line in it that says the formula


@dataclass(frozen=True)
class Rule:
    """An `Update` that tells what it takes a step with, so that who shows the step need not work it out again.

    take            (denoise, x_t, prediction, t, s) → (mean (B, ...) of x_s, the coefficients it was made with), for a
                    step from t down to s < t; always among them: "std", of the noise that the walk adds
    coefficients    (t, s, before) → the same, from times alone; before is the time at which the step before this one
                    began, None at the first
    equation        what they stand in; None for a rule that was made without one
    """

    take: Callable[[Denoise, Tensor, Prediction, Tensor, Tensor], tuple[Tensor, Coefficients]]
    coefficients: Callable[..., Coefficients]
    equation: Equation | None = None

    def __call__(self, denoise: Denoise, x_t: Tensor, prediction: Prediction, t: Tensor,
                 s: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, std ()) of x_s."""
        mean, used = self.take(denoise, x_t, prediction, t, s)
        return mean, x_t.new_full((), used["std"])

    def plan(self, times: Tensor) -> dict[str, Tensor]:
        """The coefficients of every step down a grid (K+1,): name → (K,), float64."""
        steps = [self.coefficients(*step) for step in zip(times[:-1], times[1:], [None, *times[:-2]])]
        return {name: torch.tensor([step[name] for step in steps], dtype=torch.float64) for name in steps[0]}


@dataclass(frozen=True)
class Sampler:
    """A rule that has a name: make(schedule, …) with those of "eta" and "generator" that it `hears`."""

    make: Callable[..., Rule]
    title: str  #: what people read
    equation: Equation
    hears: frozenset[str]
    fails: bool  #: it makes no samples of the data, on purpose


#: name → the sampler; `sampler` fills it.
SAMPLERS: dict[str, Sampler] = {}
Make = TypeVar("Make", bound=Callable[..., Rule])


def sampler(title: str, formula: str, figures: str, note: str, line: str,
            fails: bool = False) -> Callable[[Make], Make]:
    """Above what makes a rule: it can then be asked for by the function's name, in the page and on the command line.

    The function takes a schedule and, where it needs them, `eta` and the `generator` of noise within a step.

    title     what people read
    formula   x_{s} = …; what stands in {} is written lower
    figures   the same with the coefficients in it, as {std:.3f}
    note      one line about it
    line      of the function's own text, which says the formula
    fails     it makes no samples of the data, on purpose
    """
    def register(make: Make) -> Make:
        name, file = make.__name__, make.__module__.rsplit(".", 1)[-1]
        if name in SAMPLERS:
            raise ValueError(f"there is a sampler {name!r} already; name this one otherwise")
        hears = frozenset(inspect.signature(make).parameters) & {"eta", "generator"}
        equation = Equation(formula, figures, note, f"core/samplers/{file}.py · {line}")

        @wraps(make)
        def known(*args, **options) -> Rule:
            return replace(make(*args, **options), equation=equation)

        SAMPLERS[name] = Sampler(known, title, equation, hears, fails)
        return cast(Make, known)

    return register
