"""Consistency distillation: a network that jumps from anywhere on the probability flow to where its path ends.

    distillation = Distillation(teacher, data, distillation_config(card["training"]))
    for step in distillation.run(): ...
    jump(distillation.ema, (2,), 1000)        # samples, by one evaluation each

A consistency function f(x_t, t) is the same all along a path of the teacher's ODE, and f(x, 0) = x (Song et al. 2023,
definition 1). The two together say where the path ends. The second is built in: with the targets v, velocity and edm,
x0 = c_skip·x_t + c_out·output with c_skip = 1 and c_out = 0 at t = 0 (their eq. 5, for EDM's numbers at epsilon = 0).
So the distilled model is a `Denoiser` like any other, whose x0 is no mean of all data that may have led here, but the
one that the teacher's path leads to.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..denoisers.base import Denoiser
from ..forward import expand
from ..prediction import target_of
from ..reverse import start_noise
from .presets import TrainingConfig
from .trainer import Batch, Trainer, noise_levels

#: Targets whose x0 is x_t itself at t = 0, whatever the network says, and that divide by nothing that vanishes.
BOUND = ("v", "velocity", "edm")
#: What a distillation changes about its teacher's training. Errors of x0 count alike everywhere, as in the paper.
CHANGES = {"time_sampling": "levels", "levels": 16, "weighting": "x0", "steps": 12_000, "lr": 6e-3, "ema": 0.99}


def distillation_config(training: dict[str, Any], **changes: Any) -> TrainingConfig:
    """How to distil a model: as it was trained itself (its card's "training"), but for `CHANGES`."""
    return TrainingConfig.from_dict(training | CHANGES | changes)


class Distillation(Trainer):
    """Algorithm 2 of Song et al. 2023: f(x_t, t) shall be what its average says of x_s, one step of the teacher below.

    x_t     data noised to one of the config's levels t; s is the next level below, and 0 below the last
    x_s     where Heun's method arrives with the teacher (Euler's at the last level)
    loss    |f(x_t, t) − f_ema(x_s, s)|², which the config's weighting "x0" means; no gradient flows through f_ema

    The target network is `ema`, the averaged weights, and they are what is kept. Begins from the teacher's weights.
    ValueError for a prediction type without the boundary condition, other time samplings than "levels", or a config
    makes another network or schedule than the teacher's.
    """

    def __init__(self, teacher: Denoiser, dataset: Dataset, config: TrainingConfig,
                 device: str | torch.device | None = None):
        if config.prediction_type not in BOUND:
            raise ValueError(f"prediction type {config.prediction_type!r} leaves f(x, 0) = x to the network; a "
                             f"consistency model puts out {', '.join(BOUND)}")
        if config.time_sampling != "levels":
            raise ValueError(f"time_sampling is {config.time_sampling!r}; a distillation goes by neighbouring 'levels'")
        given = teacher.prediction_type, teacher.schedule.name, teacher.schedule.T
        if given != (config.prediction_type, config.schedule, config.T):
            raise ValueError(f"the teacher's prediction type, schedule and T are {given}; the settings say "
                             f"{(config.prediction_type, config.schedule, config.T)}")
        super().__init__(dataset, config, device)
        self.begin_from(teacher)
        self.teacher = copy.deepcopy(teacher).to(self.device).eval().requires_grad_(False)
        self._levels = torch.cat([noise_levels(teacher.schedule, config.levels), torch.zeros(1, dtype=torch.float64)])

    @torch.no_grad()
    def wanted(self, batch: Batch) -> Tensor:
        n, levels = batch.noised, self._levels.to(batch.noised.t.device)
        s = levels[(levels[:, None] - n.t).abs().argmin(0) + 1]
        x0 = self.ema(self.teachers_step(batch, s), s, batch.cond).x0
        alpha, sigma = expand(batch.alpha, n.x_t), expand(batch.sigma, n.x_t)
        eps = (n.x_t - alpha * x0) / sigma
        return target_of(self.config.prediction_type, x0, eps, alpha, sigma, self.denoiser.sigma_data)

    def teachers_step(self, batch: Batch, s: Tensor) -> Tensor:
        """x_s by Heun's method in the coordinates of `samplers.heun`, each sample with a t and an s (B,) of its own."""
        x_t, (alpha_s, sigma_s) = batch.noised.x_t, (a.to(batch.alpha) for a in self.teacher.schedule(s))
        scale_t, scale_s = batch.alpha + batch.sigma, alpha_s + sigma_s
        dr = expand(sigma_s / scale_s - batch.sigma / scale_t, x_t)
        z, scale_s = x_t / expand(scale_t, x_t), expand(scale_s, x_t)
        slope = self.teacher(x_t, batch.noised.t, batch.cond).velocity
        ahead = self.teacher(scale_s * (z + dr * slope), s, batch.cond).velocity
        # Nobody asks a denoiser at t = 0: the last step is Euler's, to the guess x0.
        slope = torch.where(expand(s, x_t) > 0, (slope + ahead) / 2, slope)
        return scale_s * (z + dr * slope)

    def state_dict(self) -> dict[str, Tensor]:
        return super().state_dict() | {name: w.clone() for name, w in self._taught_by().items()}

    def load_state_dict(self, state):
        own = self._taught_by()
        if not all(name in state and torch.equal(state[name], w) for name, w in own.items()):
            raise ValueError("this state is of another training: not a distillation of this teacher")
        super().load_state_dict({name: value for name, value in state.items() if name not in own})

    def _taught_by(self) -> dict[str, Tensor]:
        return {f"teacher.{name}": w for name, w in self.teacher.state_dict().items()}


@torch.no_grad()
def jump(denoiser: Denoiser, shape: tuple[int, ...], n: int, seed: int = 0, cond: Tensor | None = None) -> Tensor:
    """n samples (n, *shape) by one evaluation: x0 at t = 1. cond (n, …) is what each shall be."""
    t = torch.ones((), dtype=torch.float64)
    x = start_noise(denoiser.schedule, (n, *shape), t, torch.Generator().manual_seed(seed))
    return denoiser(x, t, cond).x0
