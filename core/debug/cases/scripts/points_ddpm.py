"""DDPM on points in a plane: eight spots on a ring."""

import math

import torch
from torch import nn

SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 300, 128, 128
torch.manual_seed(SEED)

T = 200
betas = torch.linspace(1e-4 * 1000 / T, 0.02 * 1000 / T, T)
alphas = 1 - betas
alpha_bar = torch.cumprod(alphas, 0)
alpha_bar_prev = torch.cat([torch.ones(1), alpha_bar[:-1]])
posterior_variance = betas * (1 - alpha_bar_prev) / (1 - alpha_bar)

angles = torch.arange(8) * math.pi / 4
spots = torch.stack([angles.cos(), angles.sin()], 1)
points = spots[torch.randint(0, 8, (4000,))] + 0.05 * torch.randn(4000, 2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers, size = [], 2 + 16
        for _ in range(DEPTH):
            layers += [nn.Linear(size, WIDTH), nn.SiLU()]
            size = WIDTH
        self.layers = nn.Sequential(*layers, nn.Linear(size, 2))

    def forward(self, x, t):
        angle = t[:, None].float() / T * 2.0 ** torch.arange(8)
        embedding = torch.cat([angle.sin(), angle.cos()], 1)
        return self.layers(torch.cat([x, embedding], 1))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)


def train():
    net.train()
    for _ in range(STEPS):
        x0 = points[torch.randint(0, len(points), (BATCH,))]
        t = torch.randint(0, T, (BATCH,))
        noise = torch.randn_like(x0)
        a = alpha_bar[t][:, None]
        x_t = a.sqrt() * x0 + (1 - a).sqrt() * noise
        predicted = net(x_t, t)
        loss = ((predicted - noise) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def sample():
    net.eval()
    x = torch.randn(SAMPLES, 2)
    for i in reversed(range(T)):
        t = torch.full((SAMPLES,), i)
        predicted = net(x, t)
        mean = (x - betas[i] / (1 - alpha_bar[i]).sqrt() * predicted) / alphas[i].sqrt()
        z = torch.randn_like(x) if i > 0 else torch.zeros_like(x)
        x = mean + posterior_variance[i].sqrt() * z
    return x


networks = [net]
