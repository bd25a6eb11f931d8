"""The T-Rex: how soon is it as good as the peer's is in the end, and what does a step of equal work cost?

Both learn from the same 8,000 rows and are measured in the same units against the same 2,000 rows held out. Ours stops
at the first look, every 25 steps, at which both figures are at least as good as the peer's best; looking is not timed.
The peer's whole training is its measured cost of a step times its 50,000 steps.
"""

from __future__ import annotations

from functools import cache
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

import core.training.trainer
from benchmarks.measure import Paired, Row, cpu, paired
from benchmarks.tiny_diffusion import BATCH, STEPS, TIMESTEPS, Network, TinyDiffusion
from core.data.datasets import FOLDER, Dataset, unit
from core.denoisers.base import Denoiser
from core.metrics.distances import draw_samples, nearest_distances, sliced_wasserstein
from core.schedules import make_schedule
from core.training.presets import TrainingConfig, preset
from core.training.trainer import Trainer

WASSERSTEIN, NEAREST = 0.45, 0.0226  #: the best that the peer ended at, over several seeds
LOOK = 25  #: steps between two looks


@cache
def rows() -> tuple[Tensor, Tensor]:
    """8,000 rows to learn from and 2,000 held out, (N, 2): the dinosaur's points with normal noise of 0.15."""
    points = np.load(FOLDER / "datasaurus.npz")["dino"].astype(np.float64)
    rng = np.random.default_rng(42)
    drawn = points[rng.integers(0, len(points), 10_000)] + 0.15 * rng.normal(size=(10_000, 2))
    scaled = torch.from_numpy((4 * (drawn / (54, 48) - 1)).astype(np.float32))
    return scaled[:8000], scaled[8000:]


@cache
def in_our_units() -> tuple[Dataset, float, Tensor]:
    """The rows to learn from in [-1, 1], and the scale and offset that lead back."""
    learn = rows()[0].numpy().astype(np.float64)
    inside, half = unit(learn)
    data = Dataset("trex8000", "T-Rex", "points", torch.from_numpy(inside.astype(np.float32)))
    return data, half, torch.from_numpy((learn - half * inside).mean(0).astype(np.float32))


def quality(samples: Tensor) -> tuple[float, float]:
    """Sliced Wasserstein distance and median distance to the nearest row, both to those held out."""
    held_out = rows()[1]
    return sliced_wasserstein(samples, held_out), float(nearest_distances(samples, held_out).median())


def our_samples(denoiser: Denoiser) -> Tensor:
    """2,000 samples with 49 evaluations of the network, in the peer's units."""
    _, half, offset = in_our_units()
    return draw_samples(denoiser, (2,), 2000, steps=25) * half + offset


def good(wasserstein: float, nearest: float) -> bool:
    return wasserstein <= WASSERSTEIN and nearest <= NEAREST


def to_quality(seed: int, peer: TinyDiffusion) -> dict:
    """Train with the fast recipe to the end; when the goal was met, what it cost, and the peer's step beside it."""
    data = in_our_units()[0]
    trainer = Trainer(data, preset("fast", data, seed=seed))
    spent, peers, reached = 0.0, [], None
    while trainer.step < trainer.config.steps:
        spent += cpu(lambda: [None for _ in trainer.run(trainer.step + LOOK)])
        peers.append(cpu(lambda: peer.train(LOOK)) / LOOK)
        if reached is None and good(*(figures := quality(our_samples(trainer.ema)))):
            reached = {"seconds": spent, "steps": trainer.step, "figures": figures, "peer": median(peers) * STEPS}
    return {"reached": reached, "end": quality(our_samples(trainer.ema)), "total": spent, "peer": median(peers) * STEPS}


class PeersNetwork(nn.Module):
    """The peer's network behind our signature."""

    def __init__(self):
        super().__init__()
        self.inner = Network()

    def forward(self, x: Tensor, t: Tensor, noise_level: Tensor, cond: Tensor | None) -> Tensor:
        return self.inner(x, t * TIMESTEPS)


def equal_work(rounds: int, steps: int = 40) -> Paired:
    """A step of the same network on the same batch size: our trainer, EMA and losses by timestep included."""
    data = in_our_units()[0]
    config = TrainingConfig("mlp", prediction_type="eps", schedule="linear", T=TIMESTEPS, time_sampling="uniform",
                            batch=BATCH, lr=1e-3, decay="constant", grad_clip=1.0, steps=steps * (rounds + 1))
    schedule = make_schedule("linear", TIMESTEPS)
    with patch.object(core.training.trainer, "make_denoiser",
                      lambda config, dataset: Denoiser(PeersNetwork(), schedule, "eps", dataset.std)):
        trainer = Trainer(data, config)
    peer = TinyDiffusion(rows()[0])
    got = paired(lambda: [None for _ in trainer.run(trainer.step + steps)], lambda: peer.train(steps), rounds)
    return Paired([s / steps for s in got.ours], [s / steps for s in got.peer])


def run(quick: bool = False, full: bool = False) -> list[Row]:
    peer, table = TinyDiffusion(rows()[0]), []
    peer.train(20)
    runs = [to_quality(seed, peer) for seed in range(1 if quick else 3)]
    met = [run["reached"] for run in runs if run["reached"]]
    theirs = "its author's code, measured earlier, ends at 0.45 to 0.48 and 0.0226 to 0.0251"
    if full:
        peer = TinyDiffusion(rows()[0])
        seconds = cpu(lambda: peer.train(STEPS))
        end = "{:.3f} and {:.4f}".format(*quality(peer.sample(2000)))
        theirs += f"; written anew and trained here, one seed, in {seconds:.0f} s, at {end}"
    what = f"T-Rex to sliced Wasserstein ≤ {WASSERSTEIN} and nearest ≤ {NEAREST}, {len(met)} of {len(runs)} seeds"
    if met:
        ours, seconds = [m["seconds"] for m in met], median(m["peer"] for m in met)
        pair = Paired(ours, [m["peer"] for m in met])
        spent, steps = ", ".join(f"{s:.2f}" for s in ours), ", ".join(str(m["steps"]) for m in met)
        table.append(Row(what, f"{spent} s; {steps} steps",
                         f"{seconds:.0f} s for 50,000 steps; {theirs}", str(pair), "≤ 1.5 s, ≥ 75×",
                         len(met) == len(runs) and max(ours) <= 1.5 and min(pair.ratios) >= 75))
    else:
        table.append(Row(what, "not reached", theirs, "", "≤ 1.5 s, ≥ 75×", False))
    ends = "; ".join("{:.3f} and {:.4f}".format(*run["end"]) for run in runs)
    total = Paired([run["total"] for run in runs], [run["peer"] for run in runs])
    table.append(Row("T-Rex, the whole fast recipe", f"{median(total.ours):.2f} s, ends at {ends}",
                     f"{median(total.peer):.0f} s", str(total)))
    step = equal_work(7 if quick else 25)
    table.append(Row("one training step of equal work, batch 32", f"{median(step.ours) * 1e6:.0f} µs",
                     f"{median(step.peer) * 1e6:.0f} µs", str(step), "≥ 1.8×", step.ratio >= 1.8))
    return table
