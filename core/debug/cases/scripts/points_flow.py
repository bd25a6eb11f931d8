"""Rectified flow on points in a plane: two moons. Noise at t = 0, data at t = 1."""

import math

import torch
from torch import nn

SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 300, 256, 256
torch.manual_seed(SEED)


def moons(n):
    angle = torch.rand(n) * math.pi
    upper = torch.rand(n) < 0.5
    x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
    y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
    return torch.stack([x, y], 1) + 0.03 * torch.randn(n, 2)


class Velocity(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [2 + 1, *[WIDTH] * (DEPTH + 1)]
        self.body = nn.Sequential(*[m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.ELU())])
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, t, x):
        return self.head(self.body(torch.cat([x, t], -1)))


flow = Velocity()


def train():
    optimizer = torch.optim.Adam(flow.parameters(), 3e-3)
    for _ in range(STEPS):
        x1 = moons(BATCH)
        x0 = torch.randn_like(x1)
        t = torch.rand(BATCH, 1)
        xt = (1 - t) * x0 + t * x1
        target = x1 - x0
        loss = (flow(t, xt) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def sample(steps=40):
    x = torch.randn(SAMPLES, 2)
    dt = 1 / steps
    for k in range(steps):
        t = torch.full((SAMPLES, 1), k * dt)
        v = flow(t, x)
        x = x + v * dt
    return x


networks = [flow]
