"""EDM on points in a plane: a preconditioned denoiser, log-normal noise levels, Heun's method."""

import torch
from torch import nn

SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 300, 256, 128
torch.manual_seed(SEED)

SIGMA_DATA, SIGMA_MIN, SIGMA_MAX, RHO = 0.5, 0.002, 20.0, 7.0


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [2 + 4, *[WIDTH] * DEPTH]
        self.model = nn.Sequential(*[m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.SiLU())],
                                   nn.Linear(WIDTH, 2))

    def forward(self, x, sigma):
        sigma = sigma.reshape(-1, 1)
        c_skip = SIGMA_DATA**2 / (sigma**2 + SIGMA_DATA**2)
        c_out = sigma * SIGMA_DATA / (sigma**2 + SIGMA_DATA**2).sqrt()
        c_in = 1 / (SIGMA_DATA**2 + sigma**2).sqrt()
        c_noise = sigma.log() / 4
        features = torch.cat([c_noise, c_noise**2, c_noise.sin(), c_noise.cos()], 1)
        return c_skip * x + c_out * self.model(torch.cat([c_in * x, features], 1))


def draw_data(n):
    corner = torch.randint(0, 2, (n, 2)).float() - 0.5
    return corner + 0.05 * torch.randn(n, 2)


D = Denoiser()


def train():
    opt = torch.optim.Adam(D.parameters(), lr=3e-3)
    for _ in range(STEPS):
        y = draw_data(BATCH)
        sigma = (torch.randn(BATCH, 1) * 1.2 - 1.0).exp()
        weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2
        n = torch.randn_like(y) * sigma
        loss = (weight * (D(y + n, sigma) - y) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()


@torch.no_grad()
def sample(num_steps=18):
    i = torch.arange(num_steps)
    t_steps = (SIGMA_MAX ** (1 / RHO) + i / (num_steps - 1) * (SIGMA_MIN ** (1 / RHO) - SIGMA_MAX ** (1 / RHO))) ** RHO
    t_steps = torch.cat([t_steps, torch.zeros(1)])
    x_next = torch.randn(SAMPLES, 2) * t_steps[0]
    for t_cur, t_next in zip(t_steps[:-1], t_steps[1:]):
        x_cur = x_next
        d_cur = (x_cur - D(x_cur, t_cur.expand(SAMPLES))) / t_cur
        x_next = x_cur + (t_next - t_cur) * d_cur
        if t_next > 0:
            d_prime = (x_next - D(x_next, t_next.expand(SAMPLES))) / t_next
            x_next = x_cur + (t_next - t_cur) * (0.5 * d_cur + 0.5 * d_prime)
    return x_next


networks = [D]
