"""DDIM, 50 steps of 1,000, on points in a plane: a spiral. With an average of the weights."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 300, 256, 128
torch.manual_seed(SEED)


class Diffusion:
    def __init__(self, steps=1000):
        self.steps = steps
        self.beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64)
        self.alpha_bar = (1 - self.beta).cumprod(0).float()

    def add_noise(self, x, t):
        eps = torch.randn_like(x)
        a = self.alpha_bar[t].view(-1, 1)
        return torch.sqrt(a) * x + torch.sqrt(1 - a) * eps, eps


class TimeMLP(nn.Module):
    def __init__(self, hidden=WIDTH, depth=DEPTH):
        super().__init__()
        self.inp = nn.Linear(2, hidden)
        self.time = nn.Sequential(nn.Linear(32, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.mid = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth))
        self.out = nn.Linear(hidden, 2)

    def forward(self, x, t):
        freqs = torch.exp(-math.log(10_000) * torch.arange(16) / 16)
        emb = t.float()[:, None] * freqs
        emb = self.time(torch.cat([emb.sin(), emb.cos()], -1))
        h = self.inp(x)
        for layer in self.mid:
            h = h + F.gelu(layer(h + emb))
        return self.out(h)


def batch_of_data(n):
    r = torch.rand(n) ** 0.5
    spiral = torch.stack([r * (3 * math.pi * r).cos(), r * (3 * math.pi * r).sin()], 1)
    return 1.2 * spiral + 0.02 * torch.randn(n, 2)


diffusion = Diffusion()
model = TimeMLP()
ema = copy.deepcopy(model)
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)


def train(decay=0.98):
    model.train()
    for _ in range(STEPS):
        x = batch_of_data(BATCH)
        t = torch.randint(0, diffusion.steps, (BATCH,))
        x_t, eps = diffusion.add_noise(x, t)
        loss = F.mse_loss(model(x_t, t), eps)
        loss.backward()
        opt.step()
        opt.zero_grad()
        with torch.no_grad():
            for p, q in zip(ema.parameters(), model.parameters()):
                p.lerp_(q, 1 - decay)


@torch.no_grad()
def sample(n_steps=50, eta=0.0):
    ema.eval()
    x = torch.randn(SAMPLES, 2)
    times = torch.linspace(diffusion.steps - 1, 0, n_steps + 1).round().long().tolist()
    for t, s in zip(times[:-1], times[1:]):
        a_t, a_s = diffusion.alpha_bar[t], diffusion.alpha_bar[s]
        eps = ema(x, torch.full((SAMPLES,), t))
        x0 = (x - (1 - a_t).sqrt() * eps) / a_t.sqrt()
        sigma = eta * ((1 - a_s) / (1 - a_t) * (1 - a_t / a_s)).sqrt()
        direction = (1 - a_s - sigma**2).sqrt() * eps
        x = a_s.sqrt() * x0 + direction + sigma * torch.randn_like(x)
    return x0


networks = [model, ema]
