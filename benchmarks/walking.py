"""A walk of which everything is kept, over a network that costs nothing: what is left is the loop itself.

The peer's loop is the one in its documentation, `scheduler.step` for every timestep, and keeps x_t, eps_hat and x0_hat
of every step. Both draw from a generator. That both come to the same is checked before they are measured.

The stub is the kindest that is fair: one eps for all steps, and x0 from it in two operations with plain numbers. A
model is walked through a `Denoiser`, which does more for its network: the rows that say so are what a visitor pays.
"""

from __future__ import annotations

from functools import partial
from statistics import median

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor, nn

from benchmarks.measure import Row, paired
from core.data.datasets import load
from core.denoisers.base import Denoiser
from core.prediction import Prediction
from core.reverse import walk
from core.samplers import Update, ddim, ddpm
from core.schedules import Schedule, make_schedule
from core.trace import QUANTITIES, Trace
from core.training.presets import make_denoiser, preset

STEPS = 100
SAME = ("x_t", "x0", "eps")  #: what the peer's loop can keep
SHAPES = {"1000 × 2 points": (1000, 2), "64 × 8 × 8": (64, 1, 8, 8), "64 × 28 × 28": (64, 1, 28, 28)}


class Stub(nn.Module):
    """A network that costs nothing: eps_hat is the same every time."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.eps = torch.randn(shape, generator=torch.Generator().manual_seed(2))

    def forward(self, x: Tensor, *_) -> Tensor:
        return self.eps


def record(denoise, update: Update, x: Tensor, times: Tensor, keep: tuple[str, ...] = QUANTITIES) -> Trace:
    return Trace.record(walk(denoise, update, x, times, torch.Generator().manual_seed(1)), keep)


def stub(schedule: Schedule, network: nn.Module):
    """The least that a denoiser has to do: ask a network for eps and see x0 in it, as the peer's scheduler does."""

    def denoise(x_t: Tensor, t: Tensor) -> Prediction:
        alpha, sigma = schedule.at(t)
        eps = network(x_t)
        return Prediction(torch.sub(x_t, eps, alpha=sigma) / alpha, eps, alpha, sigma)

    return denoise


def peers_walk(make, network: nn.Module, x: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """[(x_t, eps_hat, x0_hat), …] by a scheduler of diffusers."""
    scheduler = make(num_train_timesteps=1000, clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(STEPS)
    generator, kept = torch.Generator().manual_seed(1), []
    for t in scheduler.timesteps:
        eps = network(x)
        out = scheduler.step(eps, t, x, generator=generator)
        kept.append((x, eps, out.pred_original_sample))
        x = out.prev_sample
    return kept


def same(trace: Trace, kept: list[tuple[Tensor, ...]]) -> None:
    """Both sides walked the same way, or comparing them means nothing."""
    for k, name in enumerate(("x_t", "eps", "x0")):
        torch.testing.assert_close(trace[name], torch.stack([step[k] for step in kept]), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def run(quick: bool = False) -> list[Row]:
    schedule, rounds, rows = make_schedule("linear"), 7 if quick else 31, []
    times = schedule.times(STEPS)
    for name, shape in SHAPES.items():
        x, network = torch.randn(shape, generator=torch.Generator().manual_seed(0)), Stub(shape)
        denoise, scaled = stub(schedule, network), Denoiser(network, schedule, "eps")
        small = shape[-1] != 28
        same(record(denoise, ddpm(schedule), x, times), peers_walk(DDPMScheduler, network, x))
        same(record(scaled, ddim(schedule), x, times), peers_walk(DDIMScheduler, network, x))
        for what, ours, theirs in (
                ("", partial(record, denoise, ddpm(schedule), x, times, SAME), DDPMScheduler),
                (", mean and noise kept too", partial(record, denoise, ddpm(schedule), x, times), DDPMScheduler),
                (", DDIM (ours draws noise all the same)",
                 partial(record, denoise, ddim(schedule), x, times, SAME), DDIMScheduler),
                (", by a `Denoiser`: input and noise level scaled for a network",
                 partial(record, scaled, ddpm(schedule), x, times, SAME), DDPMScheduler)):
            got = paired(ours, partial(peers_walk, theirs, network, x), rounds)
            ms, judged = _step(got.ours), small and not what
            rows.append(Row(f"walk, {name}{what or ', lean stub'}", f"{ms:.3f} ms a step",
                            f"{_step(got.peer):.3f} ms ({theirs.__name__})", str(got),
                            "≤ 0.06 ms, ≥ 4×" if judged else "", ms <= 0.06 and got.ratio >= 4 if judged else None))
    return [*rows, _over_a_network(3 if quick else 7)]


def _step(seconds: list[float]) -> float:
    """Milliseconds a step, of the median round."""
    return median(seconds) / STEPS * 1e3


def _over_a_network(rounds: int) -> Row:
    """What walk and trace add to the bare network, 64 images of 28×28."""
    data, shape = load("mnist28"), (64, 1, 28, 28)
    denoiser, x, levels = make_denoiser(preset("fast", data), data).eval(), torch.randn(shape), torch.zeros(64)
    schedule = denoiser.schedule
    times, update = schedule.times(2), ddpm(schedule)
    empty = Denoiser(Stub(shape), schedule, denoiser.prediction_type)

    def bare():
        for _ in times[1:]:
            denoiser.network(x, levels, levels, None)

    # The difference of two long times would drown in their noise; so the rest is measured without the network.
    got = paired(partial(record, empty, update, x, times), bare, 3 * rounds)
    share = median(1 / ratio for ratio in got.ratios)
    return Row("walk and trace over the U-Net, 64 × 28 × 28", f"{median(got.ours) / 2 * 1e3:.2f} ms a step",
               f"{median(got.peer) / 2 * 1e3:.0f} ms, the bare network", f"{share:.2%} on top", "≤ 2 %", share <= 0.02)
