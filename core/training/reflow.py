"""Reflow: a flow taught to go straight by its own journeys (Liu et al. 2022, "Flow Straight and Fast", section 2.2).

    pairs = couple(flow, 65_536, (2,))                      # noise, and where the flow carries it
    trainer = Reflow(flow, pairs, data, reflow_config(card["training"]))
    for step in trainer.run(): ...

A flow is trained on lines between data and noise that have nothing to do with each other. Lines cross, paths of an ODE
cannot, so what is learned is the mean of those that cross, and paths bend. Draw the lines between each noise and the
point that its path arrives at, train again, and hardly any cross: paths are nearly straight, and one step of Euler's
method nearly walks them. Each round keeps the ends of the paths; whatever was wrong with them stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..denoisers.base import Denoiser
from ..guidance.classifier_free import condition
from ..reverse import start_noise, walk
from ..samplers import ddim, heun
from .presets import TrainingConfig
from .trainer import Trainer

CHUNK = 4096  #: noises walked at once
#: What a round of reflow changes about its flow's training. More noise, since a single step is taken from t = 1.
ROUND = {"time_sampling": "log_normal", "level_mean": 0.5, "level_std": 2.5, "steps": 12_000, "batch": 512, "lr": 4e-3,
         "labels": False}


@dataclass(frozen=True)
class Pairs:
    """Noise and the data that it is tied to, row by row: a coupling."""

    eps: Tensor  #: (N, ...), standard normal
    x0: Tensor  #: (N, ...)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n rows with replacement: x0 and eps, (n, ...) each."""
        rows = torch.randint(len(self.x0), (n,), generator=generator)
        return self.x0[rows], self.eps[rows]


def couple(flow: Denoiser, n: int, shape: tuple[int, ...], steps: int = 40, seed: int = 0,
           progress: Callable[[int], None] | None = None) -> Pairs:
    """n noises and where Heun's method carries each, over a grid even in log-SNR; progress(pairs done).

    ValueError if the model is none of the flow schedule, or n is below 1.
    """
    if flow.schedule.name != "flow":
        raise ValueError(f"the model's schedule is {flow.schedule.name!r}; reflow straightens models of 'flow'")
    if n < 1:
        raise ValueError(f"cannot couple {n} pairs; ask for 1 or more")
    generator = torch.Generator().manual_seed(seed)
    times = flow.schedule.times(steps, "log_snr")
    eps, x0 = torch.randn((n, *shape), generator=generator), []
    for part in eps.split(CHUNK):
        x = flow.schedule.at(times[0])[1] * part
        x0.append(deque(walk(flow, heun(flow.schedule), x, times, generator), maxlen=1)[0].x_s)
        if progress is not None:
            progress(sum(map(len, x0)))
    return Pairs(eps, torch.cat(x0))


def reflow_config(training: dict[str, Any], **changes: Any) -> TrainingConfig:
    """How to train a round on a flow's pairs: as the flow itself was (its card's "training"), but for `ROUND`."""
    return TrainingConfig.from_dict(training | ROUND | changes)


class Reflow(Trainer):
    """Trains a flow on pairs instead of independent data and noise, beginning from the weights of the flow they are of.

    The loss is the same: |output − target|² at x_t = (1 − t)·x0 + t·eps (Liu et al. 2022, eq. 1, for the new coupling).
    ValueError if the config makes another network than the flow's, or asks for labels, which pairs do not have.
    """

    def __init__(self, flow: Denoiser, pairs: Pairs, dataset: Dataset, config: TrainingConfig,
                 device: str | torch.device | None = None):
        if config.labels:
            raise ValueError("pairs have no labels to learn; set labels to false")
        super().__init__(dataset, config, device)
        self._coupling = pairs
        self.begin_from(flow)

    def pairs(self, n, generator):
        return *self._coupling.draw(n, generator), None

    def state_dict(self) -> dict[str, Tensor]:
        return super().state_dict() | {"pairs.eps": self._coupling.eps.clone(), "pairs.x0": self._coupling.x0.clone()}

    def load_state_dict(self, state):
        rest = {name: value for name, value in state.items() if not name.startswith("pairs.")}
        if not {"pairs.eps", "pairs.x0"} <= state.keys():
            raise ValueError("this state is of another training: it holds no pairs")
        super().load_state_dict(rest)
        self._coupling = Pairs(state["pairs.eps"].clone(), state["pairs.x0"].clone())


def few_steps(flow: Denoiser, shape: tuple[int, ...], n: int, steps: int = 1, seed: int = 0,
              cond: Tensor | None = None) -> Tensor:
    """n samples (n, *shape) by this many even steps of Euler's method: what a straight flow is for.

    cond (n, …) is what each shall be.
    """
    generator, times = torch.Generator().manual_seed(seed), flow.schedule.times(steps)
    x = start_noise(flow.schedule, (n, *shape), times[0], generator)
    denoise = flow if cond is None else condition(flow, cond)
    return deque(walk(denoise, ddim(flow.schedule), x, times, generator), maxlen=1)[0].x_s


@torch.no_grad()
def straightness(flow: Denoiser, shape: tuple[int, ...], n: int = 1000, steps: int = 100, seed: int = 0) -> float:
    """S = ∫₀¹ E|(x_1 − x_0) − dx_t/dt|² dt along the flow's own paths, in squared units of the data (Liu et al. 2022,
    section 2.2); 0 if and only if every path is straight and walked at constant speed.

    By n walks of Euler's method with this many even steps, x_0 their ends.
    """
    generator = torch.Generator().manual_seed(seed)
    times = flow.schedule.times(steps)
    x = start_noise(flow.schedule, (n, *shape), times[0], generator)
    taken = list(walk(flow, ddim(flow.schedule), x, times, generator))
    way = x - taken[-1].x_s
    return float(torch.stack([(way - step.prediction.velocity).square().flatten(1).sum(1) for step in taken]).mean())
