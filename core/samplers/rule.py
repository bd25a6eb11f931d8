"""What a sampler is: an update rule, and the numbers that it takes a step with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
