"""What watching costs: python -m benchmarks.watching

Processor time of the same training with and without, in turns, and what the record holds.
"""

from __future__ import annotations

import contextlib

import torch
import torch.nn.functional as F

from benchmarks.libraries import MLP, corners
from benchmarks.measure import paired
from core.debug import watch
from core.denoisers.unet import UNet


def training(net, ask, batch, steps: int, watched: bool):
    """A plain training loop of a network, watched or not."""
    alpha_bar = torch.linspace(0.999, 0.001, 1000)

    def work():
        optimizer = torch.optim.Adam(net.parameters(), 1e-4)
        with watch(net) if watched else contextlib.nullcontext() as run:
            for _ in range(steps):
                x0 = batch()
                t = torch.randint(0, 1000, (len(x0),))
                eps = torch.randn_like(x0)
                a = alpha_bar[t].reshape(-1, *[1] * (x0.ndim - 1))
                loss = F.mse_loss(ask(net, a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        work.run = run

    return work


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| training | steps | times as long when watched (of rounds) | held by the record |\n|---|---|---|---|")
    unet = UNet(channels=1, width=32)
    jobs = {"MLP, 64 wide, batch 128": (MLP(), lambda net, x, t: net(x, t), lambda: corners(128), 1000),
            "U-Net of 28×28 pictures, batch 16": (
                unet, lambda net, x, t: net(x, t / 1000, t / 1000), lambda: torch.rand(16, 1, 28, 28) * 2 - 1, 40)}
    for name, (net, ask, batch, steps) in jobs.items():
        watched = training(net, ask, batch, steps, True)
        result = paired(training(net, ask, batch, steps, False), watched, rounds=3)
        held = sum(a.nbytes for call in watched.run.trains for a in vars(call).values() if hasattr(a, "nbytes"))
        print(f"| {name} | {steps} | {result} | {held / 1e6:.1f} MB |", flush=True)


if __name__ == "__main__":
    main()
