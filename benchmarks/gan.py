"""Eight Gaussians: how many modes do a diffusion model and GANs cover, with as many steps, rows and parameters?

Looked at every LOOK steps with COUNT samples each (`core.modes`); looking is not timed. The GANs: the plain one, the
same with two latent values, and the one that was tuned on these data.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import torch

from benchmarks.measure import Row
from core.baselines.gan import GAN, gan_config
from core.data.datasets import load
from core.metrics.coverage import Coverage, Modes
from core.metrics.distances import draw_samples
from core.training.presets import preset
from core.training.trainer import Trainer

STEPS, LOOK, COUNT = 1600, 50, 1000
GANS = {"plain GAN, 16 latent values": ("plain", {}), "plain GAN, 2 latent values": ("plain", {"latent": 2}),
        "tuned GAN, tanh": ("tuned", {})}


@dataclass(frozen=True)
class Run:
    """One training: what it covered at each look, and the processor time it took."""

    looks: list[Coverage]
    seconds: float

    @property
    def first(self) -> int | None:
        """The step of the first look at which all modes were covered."""
        return next((LOOK * (k + 1) for k, look in enumerate(self.looks) if look.covered == look.count), None)

    @property
    def lost(self) -> int:
        """Looks after that at which a mode was missing."""
        return sum(look.covered < look.count for look in self.looks[self.first // LOOK :]) if self.first else 0


def learn(trainer: Trainer | GAN, draw) -> Run:
    modes, looks = Modes.of(load("gaussians8")), []
    for end in range(LOOK, STEPS + 1, LOOK):
        for _ in trainer.run(end):
            pass
        looks.append(modes.look(draw()))
    return Run(looks, trainer.seconds)


def diffusion(seed: int) -> Run:
    data = load("gaussians8")
    trainer = Trainer(data, preset("fast", data, steps=STEPS, seed=seed))
    return learn(trainer, lambda: draw_samples(trainer.ema, data.shape, COUNT, steps=12))


def gan(seed: int, name: str, changes: dict) -> Run:
    gan = GAN(load("gaussians8"), gan_config(name, steps=STEPS, seed=seed, **changes))
    return learn(gan, lambda: gan.draw(COUNT, torch.Generator().manual_seed(0)))


def told(runs: list[Run]) -> str:
    """A cell of the table: at the end, on the way, and what it took; a value for each seed."""
    def each(values) -> str:
        return ", ".join(map(str, values))

    ends = [run.looks[-1] for run in runs]
    return (f"{each(end.covered for end in ends)} of 8; good {each(f'{end.good:.0%}' for end in ends)}; "
            f"all 8 from step {each(run.first or '—' for run in runs)}; one lost again at "
            f"{each(run.lost for run in runs)} looks; {median(run.seconds for run in runs):.1f} s")


def run(quick: bool = False) -> list[Row]:
    seeds = range(1 if quick else 5)
    ours = told([diffusion(seed) for seed in seeds])
    return [Row(f"eight Gaussians, {STEPS:,} steps, {len(seeds)} seeds: modes covered; beside it a {what}",
                ours if not k else "as above", told([gan(seed, *settings) for seed in seeds]), "")
            for k, (what, settings) in enumerate(GANS.items())]
