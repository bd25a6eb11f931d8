"""Why not a GAN? A training of one's own with a GAN learning beside it, step by step on the same data."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..baselines.gan import GAN, gan_config
from ..recipe.recipe import Recipe
from ..training.presets import TrainingConfig
from ..views.baseline import BaselinePreview, BaselineView
from ..views.training import Progress
from .brought import Brought
from .trainings import Training


STEPS = 1600  #: unless the recipe says how many; a GAN needs more of them than diffusion


class BaselineTraining(Training):
    """A `Training` and a GAN, a step each in turns: the same number of steps, of rows a step, and of parameters.

    The film shows both; in the end the diffusion model is the caller's own. A GAN's step is an update of two networks
    and takes more processor time than one of diffusion: the budget favours the GAN, and the film says by how much.

    What the GAN has learned cannot be saved on the way, so neither is the whole.

    gan: a name of `core.baselines.gan.GANS`. ValueError for another, and for data other than points with a bandwidth.
    """

    can_be_saved = False

    def __init__(self, recipe: Recipe, brought: Brought | None = None, gan: str = "plain"):
        super().__init__(recipe, brought)
        c = self.config
        self.gan_config = gan_config(gan, steps=c.steps, batch=c.batch, seed=c.seed)
        self.gan: GAN | None = None
        self.film = BaselineView(self.film)
        generator = torch.Generator().manual_seed(recipe.seed)
        self._latent = torch.randn(len(self._noise), self.gan_config.latent, generator=generator)

    def _config_of(self, recipe: Recipe) -> TrainingConfig:
        return super()._config_of(recipe.with_(train_steps=recipe.train_steps or STEPS))

    def _look(self, step: int) -> None:
        """The GAN's turn, until it too has taken so many steps; then the look at both."""
        if self.gan is None:
            self.gan = GAN(self.dataset, self.gan_config)
        for _ in self.gan.run(until=step):
            pass
        super()._look(step)

    def turn(self, **fields) -> None:
        """As of any training; the GAN takes as many steps, of as many rows, as before. Its rates are its own."""
        super().turn(**fields)
        self.gan_config = replace(self.gan_config, steps=self.config.steps, batch=self.config.batch)
        self.gan.turn(self.config.steps, self.config.batch)

    def _preview(self, step: int) -> BaselinePreview:
        return BaselinePreview.of(super()._preview(step), self.trainer.seconds, self.gan, self._latent)

    def progress(self, seconds: float) -> Progress:
        if self.gan is not None:
            self.film.gan_losses = self.gan.losses.copy()
        return super().progress(seconds)

    @property
    def nbytes(self) -> int:
        networks = [self.gan.generator, self.gan.discriminator] if self.gan else []
        weights = sum(w.nbytes for network in networks for w in network.parameters())
        return super().nbytes + 4 * weights  # with their gradients and two moments
