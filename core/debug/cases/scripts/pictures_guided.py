"""Classifier-free guidance on small pictures of four kinds: DDIM, 25 steps."""

import torch
import torch.nn.functional as F
from torch import nn

SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 48, 1, 200, 64, 16
torch.manual_seed(SEED)

KINDS, NULL, T = 4, 4, 250
noise_schedule = torch.linspace(4e-4, 0.08, T)
alphas_cumprod = torch.cumprod(1.0 - noise_schedule, dim=0)


def get_batch(n):
    label = torch.randint(0, KINDS, (n,))
    img = torch.zeros(n, 1, 6, 6)
    for k in range(n):
        row, col = divmod(int(label[k]), 2)
        img[k, 0, 3 * row:3 * row + 3, 3 * col:3 * col + 3] = 0.6 + 0.4 * torch.rand(1)
    return img * 2 - 1, label


class CondNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.label = nn.Embedding(KINDS + 1, WIDTH)
        self.time = nn.Linear(2, WIDTH)
        self.into = nn.Linear(36, WIDTH)
        self.body = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU()) for _ in range(DEPTH + 1))
        self.norm = nn.LayerNorm(WIDTH)
        self.onto = nn.Linear(WIDTH, 36)

    def forward(self, x, timesteps, y):
        s = timesteps.float()[:, None] / T
        h = self.into(x.flatten(1)) + self.time(torch.cat([s, s**2], 1)) + self.label(y)
        for layer in self.body:
            h = h + layer(self.norm(h))
        return self.onto(h).view_as(x)


net = CondNet()
optim = torch.optim.Adam(net.parameters(), lr=2e-3)


def train():
    for _ in range(STEPS):
        images, labels = get_batch(BATCH)
        labels = torch.where(torch.rand(BATCH) < 0.15, NULL, labels)
        timesteps = torch.randint(T, (BATCH,))
        noise = torch.randn(images.shape)
        ac = alphas_cumprod[timesteps][:, None, None, None]
        noisy = ac**0.5 * images + (1 - ac) ** 0.5 * noise
        loss = F.mse_loss(net(noisy, timesteps=timesteps, y=labels), noise)
        optim.zero_grad(set_to_none=True)
        loss.backward()
        optim.step()


@torch.inference_mode()
def sample(w=2.0, steps=25):
    y = torch.arange(SAMPLES) % KINDS
    null = torch.full_like(y, NULL)
    xs = torch.randn(SAMPLES, 1, 6, 6)
    ladder = list(range(T - 1, -1, -(T // steps)))
    for i, now in enumerate(ladder):
        ts = torch.full((SAMPLES,), now)
        cond = net(xs, timesteps=ts, y=y)
        uncond = net(xs, timesteps=ts, y=null)
        e = uncond + w * (cond - uncond)
        ac = alphas_cumprod[now]
        ac_next = alphas_cumprod[ladder[i + 1]] if i + 1 < len(ladder) else torch.tensor(1.0)
        pred = (xs - (1 - ac) ** 0.5 * e) / ac**0.5
        xs = ac_next**0.5 * pred + (1 - ac_next) ** 0.5 * e
    return xs.clamp(-1, 1)


networks = [net]
