"""Samplers are update rules: (denoise, x_t, prediction, t, s) → (mean, std) of x_s, for a step from t down to s < t.

They hear (t, s) and nothing else of the grid; the walk adds std·noise. DDPM, DDIM and everything between are one rule
with one number, and on the flow schedule that rule at eta = 0 is Euler's method.
"""

from __future__ import annotations

from collections.abc import Callable

from core.samplers.ancestral import ddim, ddpm, ddpm_beta, posterior_std, step_std
from core.samplers.ode import euler, heun, heun_edm
from core.samplers.rule import Denoise, Rule, Update
from core.schedules import Schedule

__all__ = ["SAMPLERS", "Denoise", "Rule", "Update", "ddim", "ddpm", "ddpm_beta", "euler", "heun", "heun_edm",
           "make_sampler", "posterior_std", "step_std"]

#: name → schedule, eta → rule. What `eta` means is in `ddim`'s docstring; the others have none.
SAMPLERS: dict[str, Callable[[Schedule, float], Rule]] = {
    "ddim": ddim,
    "ddpm": lambda schedule, eta: ddpm(schedule),
    "ddpm_beta": lambda schedule, eta: ddpm_beta(schedule),
    "heun": lambda schedule, eta: heun(schedule),
    "heun_edm": lambda schedule, eta: heun_edm(schedule),
}


def make_sampler(name: str, schedule: Schedule, eta: float = 0.0) -> Rule:
    """The update rule of that name. eta is heard by "ddim" alone. ValueError for an unknown name or eta."""
    if name not in SAMPLERS:
        raise ValueError(f"sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return SAMPLERS[name](schedule, eta)
