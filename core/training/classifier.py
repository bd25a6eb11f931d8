"""Training a small classifier of noised data, and keeping it: what `core.guidance` guides with.

    trainer = ClassifierTrainer(data, classifier_config(data))
    for step in trainer.run(): ...
    save_classifier("runs/digits8-classifier.safetensors", trainer)
    classifier, card = load_classifier("runs/digits8-classifier.safetensors")
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from ..data.datasets import Dataset
from ..forward import noised
from ..guidance.classifier import Classifier, ImageClassifier, LogPosterior, PointClassifier
from ..numerics import check_ranges
from ..schedules import make_schedule
from .adamw import AdamW
from .presets import make_network
from .trainer import in_parts

NETWORKS = {"point classifier": PointClassifier, "image classifier": ImageClassifier}
#: Times at which a classifier is measured.
MEASURED = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that decides a classifier's training besides the data."""

    width: int = 128  #: hidden units, or channels of the finest level
    depth: int = 2  #: hidden layers, or levels of resolution
    patch: int = 1  #: images: pixels a side folded into channels, 1 or 2
    condition: int = 0  #: which of the data's conditions it tells, counted from 0
    schedule: str = "cosine"
    T: int = 1000
    steps: int = 1000
    batch: int = 256
    lr: float = 2e-3  #: at first; down to 0 at the last step, along a cosine
    ema: float = 0.99  #: decay of the averaged weights, at most, as in `training.Trainer`
    seed: int = 0

    def __post_init__(self):
        check_ranges(self, {
            "width": (8, 1024), "depth": (1, 8), "patch": (1, 2), "condition": (0, 100), "steps": (1, 10_000_000),
            "batch": (1, 65_536), "lr": (1e-8, 10.0), "ema": (0.0, 0.999999), "seed": (0, 2**63 - 1)})
        make_schedule(self.schedule, self.T)


def classifier_config(dataset: Dataset, **changes: Any) -> ClassifierConfig:
    """What suits the data, with some settings changed. ValueError for a setting that there is not."""
    config = ClassifierConfig()
    if dataset.kind == "images":
        config = replace(config, width=32, patch=2 if dataset.side >= 16 else 1, batch=128, steps=2000)
    for name in changes:
        if name not in asdict(config):
            raise ValueError(f"a classifier has no setting {name!r}; there are {', '.join(asdict(config))}")
    return replace(config, **changes)


def make_classifier(config: ClassifierConfig, dataset: Dataset) -> Classifier:
    """An untrained classifier for these data, its first weights decided by the seed. ValueError without such labels."""
    if config.condition >= len(dataset.conditions):
        raise ValueError(f"condition {config.condition}; {dataset.name} has {len(dataset.conditions)}, counted from 0")
    classes = len(dataset.conditions[config.condition][1])
    architecture = {"width": config.width, "classes": classes}
    if dataset.kind == "points":
        architecture |= {"network": "point classifier", "dims": dataset.channels, "depth": config.depth}
    else:
        architecture |= {"network": "image classifier", "channels": dataset.channels, "levels": config.depth,
                         "patch": config.patch}
    network = make_network(architecture, config.seed, NETWORKS)
    prior = column(dataset.cond, config.condition).bincount(minlength=classes) / len(dataset)
    return Classifier(network, make_schedule(config.schedule, config.T), dataset.std, prior)


def column(cond: Tensor, condition: int) -> Tensor:
    """The labels of one condition, (n,), of cond (n,) or (n, K)."""
    return cond.reshape(len(cond), -1)[:, condition]


@dataclass(frozen=True)
class ClassifierStep:
    """What one step saw, and how well the network did before it learned from it."""

    index: int  #: 0 for the first
    loss: float  #: mean −log p(c | x_t), nats
    accuracy: float  #: share of the batch whose label was found the likeliest, over all noise levels


class ClassifierTrainer:
    """Trains a classifier on noised data, t uniform: minimises E[−log p(c | x_t)] (Dhariwal & Nichol 2021, section 4).

    `classifier` is the network that learns, `ema` the one with averaged weights. ValueError if data and config do not
    fit.
    """

    def __init__(self, dataset: Dataset, config: ClassifierConfig):
        self.dataset, self.config = dataset, config
        self.classifier = make_classifier(config, dataset)
        self.ema = make_classifier(config, dataset).eval().requires_grad_(False)
        self._weights, self._averages = (list(c.parameters()) for c in (self.classifier, self.ema))
        self._optimizer = AdamW(self._weights)
        self._generator = torch.Generator().manual_seed(config.seed)
        self.step, self.seconds = 0, 0.0  #: steps taken, and the processor time they took

    @torch.enable_grad()
    def run(self) -> Iterator[ClassifierStep]:
        """Take the steps that are left, yielding each."""
        while self.step < self.config.steps:
            yield self._take_step()

    def _take_step(self) -> ClassifierStep:
        begun, c = time.thread_time(), self.config
        x_t, t, label = noised_labels(self.dataset, self.classifier, c.batch, c.condition, self._generator)
        loss = right = 0.0
        for rows in in_parts(x_t):  # gradients add up; what is kept for the way back grows with the rows
            log_p = self.classifier(x_t[rows], t[rows])
            share = len(log_p) / len(label) * nll_loss(log_p, label[rows])
            share.backward()
            loss += share.item()
            right += float((log_p.argmax(1) == label[rows]).sum()) / len(label)
        self._optimizer.step(c.lr * 0.5 * (1 + math.cos(math.pi * self.step / c.steps)))
        self._optimizer.forget()
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, 1 - min(c.ema, (1 + self.step) / (10 + self.step)))
        self.seconds += time.thread_time() - begun
        index, self.step = self.step, self.step + 1
        return ClassifierStep(index, loss, right)


def noised_labels(dataset: Dataset, classifier: Classifier, n: int, condition: int,
                  generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """n rows of data noised to times uniform in (0, 1], their times, and their labels: x_t (n, ...), t (n,), c (n,)."""
    x0, cond = dataset.draw(n, generator)
    t = torch.rand(n, generator=generator, dtype=torch.float64).clamp(min=1 / classifier.schedule.T)
    event = noised(classifier.schedule, x0, t, torch.randn(x0.shape, generator=generator))
    return event.x_t, t, column(cond, condition)


@torch.no_grad()
def accuracies(classifier: LogPosterior, dataset: Dataset, times: tuple[float, ...], schedule, condition: int = 0,
               seed: int = 0) -> list[float]:
    """The share of noised data never seen whose label is found the likeliest, at each of the times.

    Of points 2,000 fresh draws; of images all that were held out, of which the first condition alone is known.
    ValueError for another condition of images.
    """
    generator = torch.Generator().manual_seed(seed)
    if dataset.kind == "images" and condition:
        raise ValueError(f"condition {condition} of images held out is not known; condition 0 is")
    unseen = dataset.held_out, dataset.held_out_labels
    x0, cond = unseen if dataset.kind == "images" else dataset.draw(2000, generator)
    label, eps = column(cond, condition), torch.randn(x0.shape, generator=generator)
    found = []
    for t in torch.tensor(times, dtype=torch.float64):
        said = classifier(noised(schedule, x0, t, eps).x_t, t).argmax(1)
        found.append(round(float((said == label).float().mean()), 4))
    return found
