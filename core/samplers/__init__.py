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
| multistep_consistency | for consistency models: jump, noise afresh   |       | 1                  |
| ascent, ascent_adam | fail: the score alone, no noise                |       | 6                  |

Order: of the error in the steps' size, of a sample or, where there is noise, of the samples' moments; a Langevin step
has an error of its own, which only a smaller step of it takes away. The last step, to the data, costs one evaluation
with every rule.
"""

from __future__ import annotations

import torch

from ..prediction import Denoise
from ..registry import discover
from ..schedules import Schedule
from .rule import SAMPLERS, Coefficients, Equation, Rule, Sampler, Update, sampler

# In the order of a menu.
from .ancestral import ddim, ddpm, ddpm_beta, posterior_std, step_std
from .ode import heun, heun_edm
from .multistep import dpmpp_2m
from .sde import euler_maruyama, langevin, predictor_corrector
from .jumping import multistep_consistency
from .failing import ascent, ascent_adam

__all__ = ["FAILING", "SAMPLERS", "Coefficients", "Denoise", "Equation", "Rule", "Sampler", "Update", "ascent",
           "ascent_adam", "ddim", "ddpm", "ddpm_beta", "derived_generator", "dpmpp_2m", "euler_maruyama", "heun",
           "heun_edm", "langevin", "make_sampler", "multistep_consistency", "posterior_std", "predictor_corrector",
           "sampler", "step_std"]

discover(__name__)
#: Those that make no samples of the data, on purpose.
FAILING = tuple(name for name, known in SAMPLERS.items() if known.fails)


def derived_generator(generator: torch.Generator | None) -> torch.Generator:
    """A source of noise beside a walk's: seeded from the walk's seed, and unrelated to it. None counts as seed 0.

    Were both seeded alike, the noise within a step would be the walk's of the step before, and samples would be wrong.
    """
    seed = generator.initial_seed() if generator else 0
    return torch.Generator().manual_seed((6364136223846793005 * seed + 1442695040888963407) % 2**63)  # Knuth's numbers


def make_sampler(name: str, schedule: Schedule, eta: float = 0.0, generator: torch.Generator | None = None) -> Rule:
    """The update rule of that name, a fresh one: some remember the walk they are on.

    eta         heard by "ddim" alone
    generator   the walk's: "langevin" and "predictor_corrector" draw noise within a step too, from a generator seeded
                with this one's seed, so that a seed says all, and nothing is drawn from this one

    ValueError for an unknown name or eta.
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler {name!r}; there are {', '.join(SAMPLERS)}")
    given = {"eta": eta, "generator": derived_generator(generator)}
    chosen = SAMPLERS[name]
    return chosen.make(schedule, **{word: given[word] for word in chosen.hears})
