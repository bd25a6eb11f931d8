"""Digits of 8×8: how legible are samples after 6 CPU-seconds of training?

The preset is the fast one, but for its length.

A small classifier, trained on the real digits, is asked. A sample counts where it is at least 95 % sure; what it says
of unseen real digits is what can be hoped for, and what it says of noise shows that it is not sure of everything.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.measure import Row, cpu
from core.data.datasets import Dataset, load
from core.metrics.distances import draw_samples
from core.training.presets import preset
from core.training.trainer import Trainer

SECONDS, SURE, SHARE, COUNT = 6.0, 0.95, 0.7, 512


def classifier(data: Dataset) -> nn.Module:
    """An MLP that tells the digits, trained on noisy copies, and on as much noise to which no answer is right."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU(),
                            nn.Linear(256, data.classes))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.1)
    nobody = torch.full((64, data.classes), 1 / data.classes)
    for _ in range(1500):
        rows = torch.randint(len(data), (64,))
        digits = data.x0[rows] + 0.1 * torch.randn(64, 1, 8, 8)
        noise = data.x0.std() * torch.randn(64, 1, 8, 8) + data.mean
        loss = cross_entropy(network(digits), data.labels[rows]) + cross_entropy(network(noise), nobody)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def sure(network: nn.Module, images: Tensor) -> float:
    """The share of images of which the classifier is sure."""
    return float((network(images).softmax(1).max(1)[0] >= SURE).float().mean())


def run(quick: bool = False) -> list[Row]:
    data = load("digits8")
    judge = classifier(data)
    trial = Trainer(data, preset("fast", data, steps=30))
    list(trial.run(10))
    step = cpu(lambda: list(trial.run())) / 20
    trainer = Trainer(data, preset("fast", data, steps=round(0.9 * SECONDS / step)))
    seconds = cpu(lambda: [None for _ in trainer.run()])
    samples, real = draw_samples(trainer.ema, data.shape, COUNT), data.held_out
    noise = data.std * torch.randn(COUNT, *data.shape) + data.mean
    got, ideal = sure(judge, samples), sure(judge, real)
    settings = f"{trainer.config.network}, {trainer.config.steps} steps"
    what = f"legible digits of 8 × 8 after {seconds:.1f} s of training, {settings}"
    return [Row(what, f"{got:.0%} recognised with {SURE:.0%} confidence",
                f"unseen real digits {ideal:.0%}, noise {sure(judge, noise):.0%}", f"{got / ideal:.2f} of real",
                f"≥ {SHARE} in ≤ 6 s", got / ideal >= SHARE and seconds <= SECONDS)]
