"""DDPM with a cosine schedule and v prediction on small pictures: discs and bars, 8×8 in [-1, 1]."""

import math

import torch
import torch.nn.functional as F
from torch import nn

SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 24, 1, 120, 32, 16
torch.manual_seed(SEED)


def cosine_betas(T, s=0.008):
    x = torch.linspace(0, T, T + 1, dtype=torch.float64)
    bar = torch.cos((x / T + s) / (1 + s) * math.pi / 2) ** 2
    return (1 - bar[1:] / bar[:-1]).clamp(max=0.999).float()


T = 100
beta = cosine_betas(T)
abar = torch.cumprod(1 - beta, 0)
abar_prev = F.pad(abar[:-1], (1, 0), value=1.0)
sqrt_abar, sqrt_one_minus_abar = abar.sqrt(), (1 - abar).sqrt()
coef_x0 = beta * abar_prev.sqrt() / (1 - abar)
coef_xt = (1 - abar_prev) * (1 - beta).sqrt() / (1 - abar)
log_variance = (beta * (1 - abar_prev) / (1 - abar)).clamp(min=1e-20).log()


def extract(table, t, x):
    return table.gather(0, t).reshape(len(t), *([1] * (x.ndim - 1)))


def pictures(n):
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    cx, cy, r = (torch.rand(3, n, 1, 1) * torch.tensor([3.0, 3.0, 1.0])[:, None, None, None]) + torch.tensor(
        [2.0, 2.0, 1.5])[:, None, None, None]
    disc = ((x - cx) ** 2 + (y - cy) ** 2 < r**2).float()
    bar = ((x - cx).abs() < 1).float().expand(n, 8, 8)
    kind = torch.rand(n, 1, 1) < 0.5
    return (2 * torch.where(kind, disc, bar) - 1)[:, None]


class ConvNet(nn.Module):
    def __init__(self, ch=WIDTH):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, ch), nn.SiLU(), nn.Linear(ch, ch))
        self.first = nn.Conv2d(1, ch, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(ch, ch, 3, padding=1) for _ in range(2 * DEPTH))
        self.drop = nn.Dropout(0.05)
        self.last = nn.Conv2d(ch, 1, 3, padding=1)

    def forward(self, x, time):
        a = time[:, None] / T * math.pi * torch.arange(1, 9)
        e = self.time(torch.cat([a.sin(), a.cos()], 1))[:, :, None, None]
        h = self.first(x)
        for block in self.blocks:
            h = h + F.silu(block(h + e))
        return self.last(self.drop(h))


net = ConvNet()


def q_sample(x_start, t, noise):
    return extract(sqrt_abar, t, x_start) * x_start + extract(sqrt_one_minus_abar, t, x_start) * noise


def p_losses(x_start, t):
    noise = torch.randn_like(x_start)
    x_noisy = q_sample(x_start, t, noise)
    v = extract(sqrt_abar, t, x_start) * noise - extract(sqrt_one_minus_abar, t, x_start) * x_start
    return F.mse_loss(net(x_noisy, t), v)


def train():
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    net.train()
    for _ in range(STEPS):
        t = torch.randint(0, T, (BATCH,)).long()
        loss = p_losses(pictures(BATCH), t)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()


@torch.no_grad()
def p_sample(x, i):
    t = torch.full((len(x),), i, dtype=torch.long)
    v = net(x, t)
    x_start = extract(sqrt_abar, t, x) * x - extract(sqrt_one_minus_abar, t, x) * v
    x_start = x_start.clamp(-1, 1)
    mean = extract(coef_x0, t, x) * x_start + extract(coef_xt, t, x) * x
    noise = torch.randn_like(x)
    mask = (t != 0).float().reshape(-1, 1, 1, 1)
    return mean + mask * (0.5 * extract(log_variance, t, x)).exp() * noise


def sample():
    net.eval()
    img = torch.randn(SAMPLES, 1, 8, 8)
    for i in range(T - 1, -1, -1):
        img = p_sample(img, i)
    return (img + 1) / 2


networks = [net]
