"""Samplers are update rules: (denoise, x_t, prediction, t, s) → (mean, std) of x_s, for a step from t down to s < t.

They hear (t, s) and nothing else of the grid; the walk adds std·noise. DDPM, DDIM and everything between are one rule
with one number, and on the flow schedule that rule at eta = 0 is Euler's method.

| rule                | what it is                                     | order | evaluations a step |
|---------------------|------------------------------------------------|-------|--------------------|
| ddim                | Euler's method for the probability-flow ODE    | 1     | 1                  |
| heun, heun_edm      | Heun's, in two coordinates                     | 2     | 2                  |
| dpmpp_2m            | a multistep method, remembers one prediction   | 2     | 1                  |
| ddpm, ddpm_beta     | ancestral sampling with either variance        | 1     | 1                  |
| euler_maruyama      | the reverse SDE                                | 1     | 1                  |
| langevin            | annealed Langevin dynamics                     |       | 6                  |
| predictor_corrector | ancestral sampling, each step corrected        |       | 2                  |
| renoise             | for consistency models: jump, noise afresh     |       | 1                  |
| ascent, ascent_adam | fail: the score alone, no noise                |       | 6                  |

Order: of the error in the steps' size, of a sample or, where there is noise, of the samples' moments; a Langevin step
has an error of its own, which only a smaller step of it takes away. The last step, to the data, costs one evaluation
with every rule.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..prediction import Denoise
from ..schedules import Schedule
from .ancestral import ddim, ddpm, ddpm_beta, posterior_std, step_std
from .failing import ascent, ascent_adam
from .jumping import renoise
from .multistep import dpmpp_2m
from .ode import euler, heun, heun_edm
from .rule import Rule, Update
from .sde import euler_maruyama, langevin, predictor_corrector

__all__ = ["FAILING", "SAMPLERS", "Denoise", "Rule", "Update", "aside", "ascent", "ascent_adam", "ddim", "ddpm",
           "ddpm_beta", "dpmpp_2m", "euler", "euler_maruyama", "heun", "heun_edm", "langevin", "make_sampler",
           "posterior_std", "predictor_corrector", "renoise", "step_std"]

def derived_generator(generator: torch.Generator | None) -> torch.Generator:
    """A source of noise beside a walk's: seeded from the walk's seed, and unrelated to it. None counts as seed 0.

    Were both seeded alike, the noise within a step would be the walk's of the step before, and samples would be wrong.
    """
    seed = generator.initial_seed() if generator else 0
    return torch.Generator().manual_seed((6364136223846793005 * seed + 1442695040888963407) % 2**63)  # Knuth's numbers


#: name → schedule, eta, generator → rule. What `eta` means is in `ddim`'s docstring; the others have none.
SAMPLERS: dict[str, Callable[[Schedule, float, torch.Generator], Rule]] = {
    "ddim": lambda schedule, eta, generator: ddim(schedule, eta),
    "ddpm": lambda schedule, eta, generator: ddpm(schedule),
    "ddpm_beta": lambda schedule, eta, generator: ddpm_beta(schedule),
    "heun": lambda schedule, eta, generator: heun(schedule),
    "heun_edm": lambda schedule, eta, generator: heun_edm(schedule),
    "dpmpp_2m": lambda schedule, eta, generator: dpmpp_2m(schedule),
    "euler_maruyama": lambda schedule, eta, generator: euler_maruyama(schedule),
    "langevin": lambda schedule, eta, generator: langevin(schedule, generator),
    "predictor_corrector": lambda schedule, eta, generator: predictor_corrector(schedule, generator),
    "renoise": lambda schedule, eta, generator: renoise(schedule),
    "ascent": lambda schedule, eta, generator: ascent(schedule),
    "ascent_adam": lambda schedule, eta, generator: ascent_adam(schedule),
}
#: Those that make no samples of the data, on purpose.
FAILING = ("ascent", "ascent_adam")


def make_sampler(name: str, schedule: Schedule, eta: float = 0.0, generator: torch.Generator | None = None) -> Rule:
    """The update rule of that name, a fresh one: some remember the walk they are on.

    eta         heard by "ddim" alone
    generator   the walk's: "langevin" and "predictor_corrector" draw noise within a step too, from a generator seeded
                with this one's seed, so that a seed says all, and nothing is drawn from this one

    ValueError for an unknown name or eta.
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return SAMPLERS[name](schedule, eta, derived_generator(generator))
