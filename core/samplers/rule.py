"""What a sampler is: an update rule, the numbers that it takes a step with, and the equation that they stand in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from ..prediction import Denoise, Prediction

Update = Callable[[Denoise, Tensor, Prediction, Tensor, Tensor], tuple[Tensor, Tensor]]

#: (t, s, before) → name: number. `before` is the time at which the step before this one began, None at the first.
Numbers = Callable[[float, float, float | None], dict[str, float]]


@dataclass(frozen=True)
class Rule:
    """An `Update` that tells its numbers, so that an equation on screen shows those that the step was made of.

    update      (denoise, x_t, prediction, t, s) → (mean (B, ...), std ()) of x_s, for a step from t down to s < t
    numbers     the step's coefficients, from times alone; always among them: "std", of the noise that the walk adds
    """

    update: Update
    numbers: Numbers

    def __call__(self, denoise: Denoise, x_t: Tensor, prediction: Prediction, t: Tensor,
                 s: Tensor) -> tuple[Tensor, Tensor]:
        return self.update(denoise, x_t, prediction, t, s)


@dataclass(frozen=True)
class Equation:
    """What stands under a walk. `figures` is filled with the rule's own numbers, and with the std really added."""

    formula: str
    figures: str
    note: str
    source: str  #: the file and the line in it that says the formula


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
    figures   the same with the numbers of the rule in it, as {std:.3f}
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
        SAMPLERS[name] = Sampler(make, title, equation, hears, fails)
        return make

    return register
