"""The peer for points: tiny-diffusion (github.com/tanelp/tiny-diffusion) as its author runs it on the dinosaur.

It is no package, so its published architecture and recipe are written anew here: sinusoidal embeddings of both
coordinates (times 25) and of the timestep, 3 residual GELU layers of width 128, 50 timesteps with betas from 1e-4 to
0.02, eps as the target, AdamW at 1e-3, gradients clipped at 1, batches of 32 out of a shuffling DataLoader. The
progress bar is left out, which favours the peer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

STEPS = 50_000  #: 200 epochs of 250 batches
TIMESTEPS, BATCH, WIDTH = 50, 32, 128


class Embedding(nn.Module):
    """sin and cos of scale·x at 64 frequencies from 1 down to 1/10000: (B,) → (B, 128)."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale
        self.register_buffer("frequencies", torch.logspace(0, -4, WIDTH // 2))

    def forward(self, x: Tensor) -> Tensor:
        phases = (self.scale * x)[:, None] * self.frequencies
        return torch.cat([phases.sin(), phases.cos()], -1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, h: Tensor) -> Tensor:
        return h + nn.functional.gelu(self.linear(h))


class Network(nn.Module):
    """(x (B, 2), timestep (B,)) → eps_hat (B, 2); 99,074 parameters."""

    def __init__(self):
        super().__init__()
        self.time, self.first, self.second = Embedding(1.0), Embedding(25.0), Embedding(25.0)
        self.layers = nn.Sequential(nn.Linear(3 * WIDTH, WIDTH), nn.GELU(), Residual(), Residual(), Residual(),
                                    nn.Linear(WIDTH, 2))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.layers(torch.cat([self.first(x[:, 0]), self.second(x[:, 1]), self.time(t)], -1))


class TinyDiffusion:
    """The peer's training, a step at a time, and its sampling."""

    def __init__(self, rows: Tensor, seed: int = 0):
        torch.manual_seed(seed)
        self.network = Network()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3)
        self.betas = torch.linspace(1e-4, 0.02, TIMESTEPS)
        self.alpha_bar = torch.cumprod(1 - self.betas, 0)
        self._loader = DataLoader(TensorDataset(rows), BATCH, shuffle=True, drop_last=True)
        self._batches = self._endless()

    def _endless(self) -> Iterator[Tensor]:
        while True:
            for (batch,) in self._loader:
                yield batch

    def train(self, steps: int) -> None:
        for _ in range(steps):
            x0 = next(self._batches)
            eps = torch.randn(x0.shape)
            t = torch.randint(0, TIMESTEPS, (len(x0),))
            alpha, sigma = self.alpha_bar[t].sqrt()[:, None], (1 - self.alpha_bar[t]).sqrt()[:, None]
            loss = mse_loss(self.network(alpha * x0 + sigma * eps, t), eps)
            loss.backward(loss)  # the gradient times the loss: so it stands there, and so its figures come about
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            loss.item()

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """(n, 2), ancestral sampling over all timesteps from N(0, I)."""
        x = torch.randn(n, 2)
        for t in reversed(range(TIMESTEPS)):
            eps = self.network(x, torch.full((n,), t))
            alpha_bar, beta = float(self.alpha_bar[t]), float(self.betas[t])
            before = float(self.alpha_bar[t - 1]) if t else 1.0
            x0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
            x = (beta * math.sqrt(before) * x0 + (1 - before) * math.sqrt(1 - beta) * x) / (1 - alpha_bar)
            if t:
                x += math.sqrt(beta * (1 - before) / (1 - alpha_bar)) * torch.randn(n, 2)
        return x
