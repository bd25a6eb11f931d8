"""Classifiers of noised data, p(c | x_t), and guidance by their gradients (Dhariwal & Nichol 2021, section 4).

    classifier = ExactClassifier(Exact.of(data, schedule))      # in closed form; or a `Classifier`: a network
    denoise = classifier_guidance(denoiser, classifier, torch.tensor([7]), scale=3)

Classifier-free guidance needs a denoiser that was trained with labels. This needs one that was not, and beside it a
classifier that was shown noised data at every t: one of clean data has nothing to say about noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import log_softmax, pad, silu

from ..denoisers.base import Denoiser
from ..denoisers.embeddings import null_labels, sinusoidal
from ..denoisers.exact import Exact
from ..denoisers.mlp import MLP
from ..denoisers.unet import Block
from ..denoisers.wrappers import twin
from ..forward import expand
from ..prediction import TINY, Denoise, Prediction
from ..schedules import Schedule
from .classifier_free import scale_at

#: (x_t (B, ...), t () or (B,)) → log p(c | x_t) for each class c, (B, classes); differentiable in x_t
LogPosterior = Callable[[Tensor, Tensor], Tensor]


def classifier_guidance(denoise: Denoise, classifier: LogPosterior, label: Tensor, scale: float = 1.0,
                        between: tuple[float, float] = (1.0, 0.0)) -> Denoise:
    """Classifier guidance: eps = eps_u − scale·sigma·∇log p(c | x_t) (Dhariwal & Nichol 2021, eq. 14); x0 follows.

    The score becomes ∇log [p(x_t)·p(c | x_t)^scale], as `guidance.classifier_free` makes it: with the exact classifier
    and the exact denoiser of unlabelled data the two are the same.

    denoise     says eps_u, given no label
    label       c, int64 (B,), or (1,) for all samples
    between     the times from which and down to which to guide, ends included; outside of them scale is 0

    ValueError for a scale that is no finite number, or times that do not go down within [0, 1].
    """
    scales = scale_at(scale, between, outside=0.0)

    def guided(x_t, t):
        p, w = denoise(x_t, t), scales(t)
        if (w == 0).all():
            return p
        pull = expand(w, x_t).to(x_t) * p.sigma * slope(classifier, x_t, t, label)
        # In closed form ∇log p(c | x_t) vanishes with alpha, so the quotient is finite also where all is noise.
        return Prediction(p.x0 + p.sigma / p.alpha.clamp(min=TINY) * pull, p.eps - pull, p.alpha, p.sigma)

    return guided


def slope(classifier: LogPosterior, x_t: Tensor, t: Tensor, label: Tensor) -> Tensor:
    """∇log p(c = label | x_t) with respect to x_t, of its shape. label (B,), or (1,) for all."""
    if isinstance(classifier, ExactClassifier):
        return classifier.slope(x_t, t, label)
    told = label.expand(len(x_t))[:, None]
    # (torch.func.grad says it in a line, and loads torch's compiler.)
    x = x_t if x_t.requires_grad else x_t.detach().requires_grad_()
    further = torch.is_grad_enabled() and x_t.requires_grad  # likelihoods differentiate once more
    with torch.enable_grad():
        log_p = classifier(x, t).gather(1, told).sum()
    return torch.autograd.grad(log_p, x, create_graph=further)[0]


class ExactClassifier:
    """p(c | x_t) of a finite data set in closed form: each class's share of the weights of `Exact`. Nothing is trained.

    condition   which of the data's conditions it tells, counted from 0; ValueError if there is none such
    """

    def __init__(self, exact: Exact, condition: int = 0):
        self.exact, self.condition = exact, condition
        self(exact.points[:1], torch.tensor(0.5))  # tells at once whether it can

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.exact.log_posterior(x_t, t, self.condition)

    def slope(self, x_t: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """As the function `slope`, in closed form. ValueError for a label that no point has."""
        cond = null_labels(self.exact.labels, len(x_t)).clone()
        cond.reshape(len(x_t), -1)[:, self.condition] = label
        return self.exact.posterior_slope(x_t, t, cond.to(x_t.device))


def reschedule_classifier(classifier: LogPosterior, trained: Schedule, schedule: Schedule) -> LogPosterior:
    """A classifier trained on one schedule, asked about the states of another, as `guidance.reschedule` does.

    The label is as likely given a state as given the same state scaled, so only what is asked for changes.
    """
    if trained.name == schedule.name and trained.T == schedule.T:
        return classifier
    return lambda x_t, t: classifier(*twin(trained, schedule, x_t, t))


class PointClassifier(MLP):
    """The network of a classifier of points: the denoiser's own, with a number for each class instead of each axis."""

    def __init__(self, dims: int = 2, width: int = 128, depth: int = 2, classes: int = 2):
        super().__init__(dims, width, depth)
        self.architecture = {"network": "point classifier", "dims": dims, "width": width, "depth": depth,
                             "classes": classes}
        self.leave = nn.Linear(width, classes)


class ImageClassifier(nn.Module):
    """The network of a classifier of images: the way down of the U-Net, then a mean over what is left of the picture
    (Dhariwal & Nichol 2021, section 4, pool by attention). Arguments as those of `UNet`.
    """

    def __init__(self, channels: int = 1, width: int = 32, levels: int = 2, patch: int = 1, classes: int = 2):
        super().__init__()
        self.architecture = {"network": "image classifier", "channels": channels, "width": width, "levels": levels,
                             "patch": patch, "classes": classes}
        self.width, self.patch, self.cell = width, patch, patch * 2 ** (levels - 1)
        widths, embedding = [width] + [2 * width] * (levels - 1), 4 * width
        self.time = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.enter = nn.Conv2d(channels * patch**2, width, 3, padding=1)
        self.down = nn.ModuleList(Block(w, w, embedding) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(w, v, 3, stride=2, padding=1) for w, v in zip(widths, widths[1:]))
        self.norm = nn.GroupNorm(8, widths[-1])
        self.leave = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor, t: Tensor, noise_level: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = pad(x, (0, -width % self.cell, 0, -height % self.cell))
        h = self.enter(rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=self.patch, q=self.patch))
        embedding = silu(self.time(sinusoidal(t, self.width)))
        for level, block in enumerate(self.down):
            h = block(h, embedding)
            if level < len(self.shrink):
                h = self.shrink[level](h)
        return self.leave(silu(self.norm(h)).mean((2, 3)))


class Classifier(nn.Module):
    """log p(c | x_t) by a network: log_softmax(log prior + (alpha·s/n)·network(x_t/n, t, noise level)).

    n = √(alpha²s² + sigma²) with s = sigma_data, so the network sees unit variance at every t, as in `Denoiser`; and
    where nothing of the data is left, alpha = 0, what remains is the prior: known before any training, and flat.

    prior   how frequent each class is, (classes,), adding up to 1
    """

    log_prior: Tensor

    def __init__(self, network: nn.Module, schedule: Schedule, sigma_data: float, prior: Tensor):
        super().__init__()
        self.network, self.schedule, self.sigma_data = network, schedule, sigma_data
        self.register_buffer("log_prior", prior.log().float())

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (B, ...), t () or (B,) → (B, classes)."""
        alpha, sigma = (a.to(x_t).expand(len(x_t)) for a in self.schedule(t))
        n = (alpha**2 * self.sigma_data**2 + sigma**2).sqrt()
        limit = Denoiser.NOISE_LEVEL_LIMIT
        level = (torch.log(sigma / alpha) / 4).clamp(-limit, limit)
        out = self.network(x_t / expand(n, x_t), t.to(x_t).expand(len(x_t)), level)
        return log_softmax(self.log_prior + (alpha * self.sigma_data / n)[:, None] * out, 1)
