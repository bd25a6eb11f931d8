"""Small pictures with a scheduler of diffusers: trained by add_noise, sampled by step."""

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler
from torch import nn

SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 24, 1, 120, 32, 16
torch.manual_seed(SEED)


def images(n):
    """Blobs of one colour on a dark ground, 3×8×8 in [-1, 1]."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    centre = 2 + 4 * torch.rand(n, 2, 1, 1)
    blob = torch.exp(-((x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2) / 4)[:, None]
    return 2 * blob * torch.rand(n, 3, 1, 1).sqrt() - 1


class SmallUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.mid = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(DEPTH + 1))
        self.up = nn.Conv2d(WIDTH, 3, 3, padding=1)
        self.emb = nn.Sequential(nn.Linear(8, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, sample, timestep):
        timestep = torch.as_tensor(timestep).expand(len(sample))
        f = timestep[:, None] * torch.tensor([0.001, 0.004, 0.016, 0.064])
        h = self.down(sample) + self.emb(torch.cat([f.sin(), f.cos()], 1))[:, :, None, None]
        for conv in self.mid:
            h = h + F.silu(conv(h))
        return self.up(h)


unet = SmallUNet()
train_scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
sample_scheduler = DDIMScheduler(num_train_timesteps=1000, beta_schedule="linear", clip_sample=True)


def train():
    optimizer = torch.optim.AdamW(unet.parameters(), lr=2e-3)
    for _ in range(STEPS):
        clean = images(BATCH)
        noise = torch.randn(clean.shape)
        timesteps = torch.randint(0, train_scheduler.config.num_train_timesteps, (BATCH,))
        noisy = train_scheduler.add_noise(clean, noise, timesteps)
        loss = F.mse_loss(unet(noisy, timesteps), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def sample(steps=40):
    sample_scheduler.set_timesteps(steps)
    latents = torch.randn(SAMPLES, 3, 8, 8) * sample_scheduler.init_noise_sigma
    for t in sample_scheduler.timesteps:
        model_input = sample_scheduler.scale_model_input(latents, t)
        noise_pred = unet(model_input, t)
        latents = sample_scheduler.step(noise_pred, t, latents).prev_sample
    return (latents / 2 + 0.5).clamp(0, 1)


networks = [unet]
