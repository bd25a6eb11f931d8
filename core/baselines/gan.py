"""A generative adversarial network for points: the other way to learn to draw from data, to stand beside diffusion.

    gan = GAN(load("gaussians8"), GANConfig(steps=1600))
    for step in gan.run(): ...
    gan.draw(1000, torch.Generator().manual_seed(0))       # samples, one evaluation of the generator each

Two networks play against each other (Goodfellow et al. 2014, algorithm 1 with k = 1). A step is one update of each,
on a fresh batch each, with x from the data and z ~ N(0, I):

    discriminator   minimise  E_x[softplus(−d(x))] + E_z[softplus(d(G(z)))]     d is the logit of D: D = sigmoid(d)
    generator       minimise  E_z[softplus(−d(G(z)))] = −E_z[log D(G(z))]       the non-saturating loss, their section 3

At the equilibrium of the game D is 1/2 everywhere, and the losses are 2·log 2 and log 2. On the way there neither loss
says how good the samples are, and nothing in the generator's loss asks for data that it leaves out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils import skip_init

from ..data.datasets import Dataset
from ..numerics import check_ranges
from ..training.adamw import AdamW
from ..training.trainer import TrainingDiverged

ACTIVATIONS = {"relu": (nn.ReLU, lambda: nn.LeakyReLU(0.2)), "tanh": (nn.Tanh, nn.Tanh)}
BULK = 32  #: steps whose batches are drawn at once


@dataclass(frozen=True)
class GANConfig:
    """Everything that decides a GAN besides the data. ValueError names the field that cannot be.

    As it stands it is the plain GAN, as tutorials have it: ReLU in the generator, leaky ReLU in the discriminator and
    Adam with beta1 = 0.5 (Radford et al. 2016, sections 3 and 4), and more latent values than the data have. With 152
    hidden units both networks together have as many parameters as the fast recipe's denoiser of points. Unlike that,
    both see plain coordinates: a discriminator with Fourier features was tried, and the GAN lost more modes of the
    eight Gaussians (the tuned one kept 4 to 6, the plain one 1 or 2).
    """

    latent: int = 16  #: values of z
    width: int = 152  #: of both networks' hidden layers
    depth: int = 2  #: hidden layers in each
    activation: str = "relu"  #: "relu": ReLU, and leaky ReLU (0.2) in the discriminator; "tanh" in both
    lr: float = 1e-3
    beta1: float = 0.5  #: Adam's memory of gradients; its beta2 is 0.999
    steps: int = 1600
    batch: int = 256
    seed: int = 0

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation is {self.activation!r}; it can be {', '.join(ACTIVATIONS)}")
        check_ranges(self, {
            "latent": (1, 256), "width": (8, 1024), "depth": (1, 8), "lr": (1e-8, 10.0), "beta1": (0.0, 0.999),
            "steps": (1, 10_000_000), "batch": (1, 65_536), "seed": (0, 2**63 - 1)})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self)


#: name → what it changes about the plain GAN. "tuned" was found by trying on the eight Gaussians.
GANS: dict[str, dict[str, Any]] = {"plain": {}, "tuned": {"activation": "tanh"}}


def gan_config(name: str, **changes: Any) -> GANConfig:
    """The GAN of that name, with some settings changed. ValueError for an unknown name or setting."""
    if name not in GANS:
        raise ValueError(f"GAN {name!r}; there are {', '.join(GANS)}")
    known = GANConfig.__dataclass_fields__
    for setting in changes:
        if setting not in known:
            raise ValueError(f"a GAN has no setting {setting!r}; there are {', '.join(known)}")
    return GANConfig(**GANS[name] | changes)


@dataclass(frozen=True)
class GANStep:
    """What one step found, before each network learned from it."""

    index: int  #: 0 for the first
    discriminator: float  #: its loss
    generator: float  #: its loss
    seconds: float  #: processor time that training took so far


class GAN:
    """Trains a generator and a discriminator on points; deterministic by the config's seed.

    losses   (steps so far, 2) float64: the discriminator's and the generator's
    step     steps taken;  seconds: processor time they took, of the thread that asked for them

    ValueError if the data are no points; TrainingDiverged from `run`.
    """

    def __init__(self, dataset: Dataset, config: GANConfig):
        if dataset.kind != "points":
            raise ValueError(f"{dataset.name} holds {dataset.kind}; this GAN is made of MLPs and learns points")
        self.dataset, self.config = dataset, config
        self._random = torch.Generator().manual_seed(config.seed)
        own, other = ACTIVATIONS[config.activation]
        hidden = [config.width] * config.depth
        self.generator = _mlp([config.latent, *hidden, dataset.channels], own, self._random)
        self.discriminator = _mlp([dataset.channels, *hidden, 1], other, self._random)
        self._optimizers = [AdamW(network.parameters(), (config.beta1, 0.999), weight_decay=0.0)
                            for network in (self.discriminator, self.generator)]
        self._losses = np.full((config.steps, 2), np.nan)
        self._bulk: tuple[Tensor, Tensor, Tensor] | None = None
        self._begin = 0  # the step that the first bulk of this many rows began with
        self.step, self.seconds = 0, 0.0

    @property
    def losses(self) -> np.ndarray:
        return self._losses[: self.step]

    @property
    def parameters(self) -> int:
        """Numbers that both networks learn."""
        return sum(w.numel() for network in (self.generator, self.discriminator) for w in network.parameters())

    @torch.enable_grad()  # on the function, not around a yield: the mode belongs to the thread that resumes it
    def run(self, until: int | None = None) -> Iterator[GANStep]:
        """Take steps up to number `until`, or to the last one of the config, yielding each."""
        while self.step < (self.config.steps if until is None else min(until, self.config.steps)):
            yield self._take_step()

    def turn(self, steps: int, batch: int) -> None:
        """From the next step on so many rows a step, and so many steps in all. ValueError for what cannot be."""
        config = replace(self.config, steps=steps, batch=batch)
        losses = np.full((max(steps, self.step), 2), np.nan)
        losses[: self.step] = self.losses
        if batch != self.config.batch:
            self._begin = self.step
        self.config, self._losses = config, losses

    @torch.no_grad()
    def generate(self, z: Tensor) -> Tensor:
        """G(z): latent noise z (n, latent) → points (n, 2)."""
        return self.generator(z)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n samples (n, 2) from fresh latent noise."""
        return self.generate(torch.randn(n, self.config.latent, generator=generator))

    @torch.no_grad()
    def opinion(self, x: Tensor) -> Tensor:
        """D(x) in (0, 1), (n,): how sure the discriminator is that points x (n, 2) are data; 1/2 is no idea."""
        return torch.sigmoid(self.discriminator(x)[:, 0])

    def _take_step(self) -> GANStep:
        begun = time.thread_time()
        x, z, w = self._batch()
        with torch.no_grad():
            fake = self.generator(z)
        real_logit, fake_logit = self.discriminator(torch.cat([x, fake]))[:, 0].split(len(x))
        losses = [self._learn(0, softplus(-real_logit).mean() + softplus(fake_logit).mean())]
        losses.append(self._learn(1, softplus(-self.discriminator(self.generator(w))).mean()))
        self._losses[self.step] = losses
        self.seconds += time.thread_time() - begun
        index, self.step = self.step, self.step + 1
        return GANStep(index, *losses, self.seconds)

    def _learn(self, which: int, loss: Tensor) -> float:
        """One step of that optimizer on the loss; the loss."""
        value = loss.item()
        if not math.isfinite(value):
            who = ("discriminator", "generator")[which]
            raise TrainingDiverged(f"the GAN diverged at step {self.step}: the loss of its {who} is {value:.4g}. "
                                   "Start again with a smaller learning rate")
        # Of the generator's loss the discriminator gets gradients too; they go before its own turn.
        self._optimizers[which].forget()
        loss.backward()
        self._optimizers[which].step(self.config.lr)
        return value

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Data, latent noise for the discriminator's turn and latent noise for the generator's, (batch, ...) each."""
        at = (self.step - self._begin) % BULK
        if not at:
            rows, c = (BULK, self.config.batch), self.config
            x0 = self.dataset.draw(BULK * c.batch, self._random)[0].unflatten(0, rows)
            self._bulk = x0, *(torch.randn(*rows, c.latent, generator=self._random) for _ in range(2))
        return tuple(part[at] for part in self._bulk)


def _mlp(sizes: list[int], activation: type[nn.Module], generator: torch.Generator) -> nn.Sequential:
    """Linear layers of these sizes with an activation between them, weights drawn from the generator.

    torch's own first weights, uniform within ±1/√inputs; but not from its global generator, which all threads share.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layer = skip_init(nn.Linear, inputs, outputs)
        for w in layer.parameters():
            nn.init.uniform_(w, -(inputs**-0.5), inputs**-0.5, generator=generator)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])
