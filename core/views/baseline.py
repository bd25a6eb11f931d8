"""A diffusion model and a GAN learn the same data side by side: what each draws, and what it leaves out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..baselines.gan import GAN
from ..metrics.coverage import NEAR, Coverage, Modes
from ..numerics import grid
from ..scene import Chart, Scene, Series
from .base import DATA_VIEW, DENSITY_CELLS, View
from .training import CURVE_POINTS, Preview, Progress, TrainingView, smooth, thin

#: Data that are drawn to say how many real samples count as good.
REAL = 20_000


@dataclass(frozen=True)
class BaselinePreview(Preview):
    """A preview of diffusion, and what the GAN makes of its fixed latent noise after as many steps."""

    drawn: Tensor  #: (N, 2), by the generator
    opinion: Tensor  #: D over the cells of the view, (H, W), row 0 at the top
    seconds: tuple[float, float]  #: processor time that diffusion and the GAN trained for

    @classmethod
    def of(cls, preview: Preview, seconds: float, gan: GAN, z: Tensor) -> BaselinePreview:
        """seconds: those of diffusion; z: the latent noise (N, latent)."""
        opinion = gan.opinion(grid(DATA_VIEW, DENSITY_CELLS)).reshape(DENSITY_CELLS, DENSITY_CELLS)
        return cls(preview.step, preview.samples, preview.guess, preview.field, gan.generate(z), opinion,
                   (seconds, gan.seconds))


class BaselineView(View):
    """The film of a training, taken over before its first preview, whose previews then are `BaselinePreview`s.

    The samples of both are counted by `core.metrics.coverage`. ValueError for data without modes to count, and from
    `add` for fewer samples than a count takes.
    """

    legend = ("ink", "data"), ("accent", "diffusion"), ("noise", "its guess of the noise, ε̂"), ("fourth", "the GAN")

    def __init__(self, training: TrainingView):
        self.training, dataset = training, training.dataset
        self.modes = Modes.of(dataset)
        real = dataset.draw(REAL, torch.Generator().manual_seed(0))[0]
        self.real = self.modes.look(real).good
        self.coverage: list[tuple[Coverage, Coverage]] = []  #: of diffusion and of the GAN, one pair a preview
        self.gan_losses = np.empty((0, 2))  #: (steps so far, 2): the discriminator's and the generator's
        self.offers = {}
        view = dict(kind="points", range=(-DATA_VIEW, DATA_VIEW), backdrop=real[:1000].numpy())
        self.offer("samples", "diffusion", training.offers["samples"].note, self._samples, palette="accent", **view)
        self.offer("gan", "GAN", "the same latent noise, drawn by the generator at this training step",
                   lambda a, b: torch.stack([p.drawn for p in self.previews[a:b]]), palette="fourth", **view)
        self.offer("opinion", "D(x) − ½", "how sure the discriminator is that a point there is data (red) or drawn by "
                   "the generator (blue); where it vanishes it cannot tell", self._opinion,
                   kind="heat", range=(-0.5, 0.5), palette="signed")
        self.offers |= {key: offer for key, offer in training.offers.items() if key not in self.offers}
        self.default = ("samples", "gan", "field", "opinion")

    def add(self, preview: BaselinePreview) -> None:
        """Take the next preview in."""
        self.coverage.append((self.modes.look(preview.samples), self.modes.look(preview.drawn)))
        self.training.add(preview)

    def turn(self, *settings) -> None:
        """As of the training's own film."""
        self.training.turn(*settings)

    @property
    def about(self) -> dict:
        return self.training.about

    @property
    def previews(self) -> list[BaselinePreview]:
        return self.training.previews

    @property
    def progress(self) -> Progress | None:
        """Where the training of diffusion stands."""
        return self.training.progress

    @progress.setter
    def progress(self, progress: Progress) -> None:
        self.training.progress = progress

    @property
    def frames(self) -> int:
        return self.training.frames

    @property
    def total(self) -> int:
        return self.training.total

    @property
    def nbytes(self) -> int:
        return self.training.nbytes + sum(p.drawn.nbytes + p.opinion.nbytes for p in self.previews)

    def _samples(self, first: int, end: int) -> Tensor:
        return torch.stack([p.samples for p in self.previews[first:end]])

    def _opinion(self, first: int, end: int) -> Tensor:
        return torch.stack([p.opinion for p in self.previews[first:end]]) - 0.5

    def shell(self, first: int, end: int) -> Scene:
        shell = self.training.shell(first, end)
        pairs, previews = self.coverage[first:end], self.previews[first:end]
        numbers = {"count": np.full(len(pairs), float(self.modes.count))}
        for i, who in enumerate(("diffusion", "gan")):
            numbers |= {f"{who}_modes": np.array([p[i].covered for p in pairs], float),
                        f"{who}_good": np.array([100 * p[i].good for p in pairs]),
                        f"{who}_seconds": np.array([p.seconds[i] for p in previews])}
        word = self.modes.word
        return Scene(
            (), shell.numbers | numbers, shell.clock,
            sentence="After {step:.0f} steps each: diffusion covers {diffusion_modes:.0f} of {count:.0f} " + word +
                     " ({diffusion_seconds:.1f} s), the GAN {gan_modes:.0f} of {count:.0f} ({gan_seconds:.1f} s).",
            formula="L_{D} = −E log D(x) − E log(1 − D(G(z))) · L_{G} = −E log D(G(z))",
            figures=(f"within {NEAR:g} bandwidths of the data: diffusion {{diffusion_good:.0f}} %, "
                     f"GAN {{gan_good:.0f}} %, the data themselves {100 * self.real:.0f} %", *shell.figures),
            source="core/baselines/gan.py · softplus(-real_logit).mean() + softplus(fake_logit).mean()",
            charts=self._coverage_charts() + self._gan_charts() + shell.charts[:1], about=shell.about,
        )

    def _coverage_charts(self) -> tuple[Chart, ...]:
        known, moments = self.frames, self.training.moments
        if not known:
            return ()
        cursor, pairs = np.array(moments, float), self.coverage[:known]
        x, last = cursor[:known], moments[known - 1] or self.training.config.steps  # untrained: as far as it is to go
        span, ends = np.array([0.0, last]), ("step 0", f"{last:,}")
        covered, good = (np.array([[getattr(c, name) for c in pair] for pair in pairs], float)
                         for name in ("covered", "good"))
        both = lambda y: (Series("diffusion", x, y[:, 0]), Series("GAN", x, y[:, 1], palette="fourth"))  # noqa: E731
        level = lambda name, y: Series(name, span, np.full(2, y), style="dashed", palette="ink")  # noqa: E731
        return (Chart(f"{self.modes.word} covered, of {self.modes.count}",
                      (level("all", float(self.modes.count)), *both(covered)), cursor, ends=ends),
                Chart(f"good samples: within {NEAR:g} bandwidths",
                      (level("data", self.real), *both(good)), cursor, ends=ends))

    def _gan_charts(self) -> tuple[Chart, ...]:
        losses = self.gan_losses
        if not len(losses):
            return ()
        x = thin(losses[:, 0], CURVE_POINTS)[0]
        level = [Series(name, x[[0, -1]], np.full(2, value), style="dashed", palette="ink")
                 for name, value in (("2 log 2", 2 * math.log(2)), ("log 2", math.log(2)))]
        curves = [thin(smooth(losses[:, i], 0.02), CURVE_POINTS)[1] for i in (0, 1)]
        return (Chart("the GAN's losses; dashed: at equilibrium",
                      (*level, Series("discriminator", x, curves[0], palette="ink"),
                       Series("generator", x, curves[1], palette="fourth")),
                      np.array(self.training.moments, float), ends=("step 0", f"{len(losses):,}")),)
