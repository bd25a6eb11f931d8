"""Training on 28×28 digits, batches of 64: img/s beside the U-Net of denoising-diffusion-pytorch with dim = 16.

Both sides are given the data as one tensor and Adam's kind of optimizer; ours also averages its weights and keeps its
losses by timestep. bf16 counts only where the processor has instructions for it.
"""

from __future__ import annotations

import sys
from statistics import median
from unittest.mock import MagicMock

import torch

from benchmarks.measure import Row, paired
from core.data.datasets import load
from core.training.presets import preset
from core.training.trainer import Trainer, fast_bf16

BATCH = 64


def peers_classes():
    """Unet and GaussianDiffusion of the peer. Its package wants torchvision for reading folders of images, which is
    not needed here, and which does not load beside a torch that was built for another machine."""
    absent = "torchvision" not in sys.modules
    if absent:
        sys.modules["torchvision"] = MagicMock()
    try:
        from denoising_diffusion_pytorch import GaussianDiffusion, Unet
    finally:
        if absent:
            del sys.modules["torchvision"]
    return GaussianDiffusion, Unet


class Peer:
    def __init__(self, images: torch.Tensor):
        gaussian_diffusion, unet = peers_classes()
        self.network = unet(dim=16, dim_mults=(1, 2, 4), channels=1)
        self.diffusion = gaussian_diffusion(self.network, image_size=28, timesteps=1000)
        self.optimizer = torch.optim.Adam(self.diffusion.parameters(), lr=8e-5, betas=(0.9, 0.99))
        self.images = (images + 1) / 2  # it scales [0, 1] itself

    def step(self) -> None:
        loss = self.diffusion(self.images[torch.randint(len(self.images), (BATCH,))])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.diffusion.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss.item()


def run(quick: bool = False) -> list[Row]:
    data, rounds = load("mnist28"), 2 if quick else 6
    bf16 = fast_bf16(torch.device("cpu"))
    trainers = [Trainer(data, preset("fast", data, batch=BATCH, steps=10 * rounds + 20, bf16=b)) for b in (False, True)]
    single, half = (lambda trainer=trainer: next(trainer.run()) for trainer in trainers)
    peer = Peer(data.x0)
    sizes = [sum(p.numel() for p in net.parameters()) / 1e6 for net in (trainers[0].denoiser, peer.network)]
    got, halved = paired(single, peer.step, rounds), paired(half, single, 2 * rounds)
    speed = [BATCH / median(side) for side in (got.ours, got.peer, halved.ours, halved.peer)]
    what = "training on 28 × 28, batch 64"
    return [Row(f"{what}, fp32", f"{speed[0]:.0f} img/s, {sizes[0]:.2f} M parameters",
                f"{speed[1]:.0f} img/s, denoising-diffusion-pytorch, {sizes[1]:.2f} M", str(got), "≥ 4.5×",
                got.ratio >= 4.5),
            Row(f"{what}, bf16", f"{speed[2]:.0f} img/s", f"{speed[3]:.0f} img/s, ours in fp32", str(halved),
                "≥ 1.6×" if bf16 else "no instructions for it here", halved.ratio >= 1.6 if bf16 else None)]
