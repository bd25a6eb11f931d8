"""What is sound though it looks odd: the same scripts as other people have them."""

from __future__ import annotations

from .case import Case

SOUND = (
    Case(
        "ddpm-beta",
        "points_ddpm",
        "the larger variance, beta",
        (("posterior_variance[i].sqrt() * z", "betas[i].sqrt() * z"),),
    ),
    Case("ddpm", "points_ddpm", "as it is"),
    Case(
        "ddpm-x0",
        "points_ddpm",
        "an x0 target",
        (
            ("loss = ((predicted - noise) ** 2).mean()", "loss = ((predicted - x0) ** 2).mean()"),
            (
                "mean = (x - betas[i] / (1 - alpha_bar[i]).sqrt() * predicted) / alphas[i].sqrt()",
                "mean = (betas[i] * alpha_bar_prev[i].sqrt() * predicted + (1 - alpha_bar_prev[i])"
                " * alphas[i].sqrt() * x) / (1 - alpha_bar[i])",
            ),
        ),
    ),
    Case(
        "ddpm-one",
        "points_ddpm",
        "a batch of one sample",
        (
            (
                "SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 300, 128, 128",
                "SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 300, 128, 1",
            ),
        ),
    ),
    Case(
        "ddpm-batch-1",
        "points_ddpm",
        "training with a batch of 1",
        (
            (
                "SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 300, 128, 128",
                "SEED, WIDTH, DEPTH, STEPS, BATCH, SAMPLES = 0, 64, 2, 800, 1, 128",
            ),
        ),
    ),
    Case(
        "ddpm-huber",
        "points_ddpm",
        "a Huber loss",
        (("loss = ((predicted - noise) ** 2).mean()", "loss = nn.functional.smooth_l1_loss(predicted, noise)"),),
    ),
    Case(
        "ddpm-min-snr",
        "points_ddpm",
        "min-SNR weighting",
        (
            (
                "loss = ((predicted - noise) ** 2).mean()",
                "loss = (((5 * (1 - a) / a).clamp(max=1)) * (predicted - noise) ** 2).mean()",
            ),
        ),
    ),
    Case("ddim", "points_ddim", "returns x̂0 at the last step"),
    Case(
        "ddim-eta",
        "points_ddim",
        "eta = 0.5",
        (("def sample(n_steps=50, eta=0.0)", "def sample(n_steps=50, eta=0.5)"),),
    ),
    Case(
        "ddim-eta-1",
        "points_ddim",
        "eta = 1",
        (("def sample(n_steps=50, eta=0.0)", "def sample(n_steps=50, eta=1.0)"),),
    ),
    Case(
        "ddim-few", "points_ddim", "10 steps", (("def sample(n_steps=50, eta=0.0)", "def sample(n_steps=10, eta=0.0)"),)
    ),
    Case(
        "ddim-quadratic",
        "points_ddim",
        "a quadratic ladder",
        (
            (
                "times = torch.linspace(diffusion.steps - 1, 0, n_steps + 1).round().long().tolist()",
                "times = (torch.linspace((diffusion.steps - 1) ** 0.5, 0, n_steps + 1) ** 2).round().long().tolist()",
            ),
        ),
    ),
    Case("ema-young", "points_ddim", "a slow average", (("def train(decay=0.98)", "def train(decay=0.9999)"),)),
    Case("ema-fast", "points_ddim", "a fast average", (("def train(decay=0.98)", "def train(decay=0.9)"),)),
    Case("flow", "points_flow", "as it is"),
    Case(
        "flow-logit-normal",
        "points_flow",
        "logit-normal t",
        (("t = torch.rand(BATCH, 1)", "t = torch.randn(BATCH, 1).sigmoid()"),),
    ),
    Case(
        "flow-sigma-min",
        "points_flow",
        "a least sigma",
        (
            ("xt = (1 - t) * x0 + t * x1", "xt = (1 - (1 - 1e-2) * t) * x0 + t * x1"),
            ("target = x1 - x0", "target = x1 - (1 - 1e-2) * x0"),
        ),
    ),
    Case(
        "flow-midpoint",
        "points_flow",
        "the midpoint method",
        (("        v = flow(t, x)\n", "        v = flow(t + dt / 2, x + flow(t, x) * dt / 2)\n"),),
    ),
    Case("pictures", "pictures_ddpm", "x̂0 clamped"),
    Case(
        "pictures-one",
        "pictures_ddpm",
        "one picture",
        (
            (
                "    return (2 * torch.where(kind, disc, bar) - 1)[:, None]",
                "    return (2 * ((x - 3) ** 2 + (y - 4) ** 2 < 6) - 1.0)"
                ".expand(n, 1, 8, 8)",
            ),
        ),
    ),
    Case(
        "pictures-flat",
        "pictures_ddpm",
        "a huge flat background",
        (("cx) ** 2 + (y - cy) ** 2 < r**2).float()", "cx) ** 2 + (y - cy) ** 2 < 1).float()"),),
    ),
    Case(
        "pictures-01",
        "pictures_ddpm",
        "pictures in [0, 1]",
        (("return (2 * torch.where(kind, disc, bar) - 1)[:, None]", "return torch.where(kind, disc, bar)[:, None]"),),
    ),
    Case("guided", "pictures_guided", "two calls a step"),
    Case(
        "guided-doubled",
        "pictures_guided",
        "one doubled batch a step",
        (
            (
                "        ts = torch.full((SAMPLES,), now)\n        cond = net(xs, timesteps=ts, y=y)\n"
                "        uncond = net(xs, timesteps=ts, y=null)\n",
                "        ts = torch.full((2 * SAMPLES,), now)\n"
                "        cond, uncond = net(torch.cat([xs, xs]), timesteps=ts, y=torch.cat([y, null])).chunk(2)\n",
            ),
        ),
    ),
    Case("edm", "points_edm", "Heun"),
    Case("edm-euler", "points_edm", "Euler", (("        if t_next > 0:\n", "        if t_next < 0:\n"),)),
    Case("scheduler", "pictures_scheduler", "diffusers' DDIM"),
    Case(
        "scheduler-ddpm",
        "pictures_scheduler",
        "diffusers' DDPM, all steps",
        (
            ("sample_scheduler = DDIMScheduler(", "sample_scheduler = DDPMScheduler("),
            ("def sample(steps=40)", "def sample(steps=1000)"),
            ("SAMPLES = 0, 24, 1, 120, 32, 16", "SAMPLES = 0, 24, 1, 120, 32, 4"),
        ),
    ),
    Case(
        "scheduler-trailing",
        "pictures_scheduler",
        "trailing spacing",
        (("clip_sample=True)", 'clip_sample=True, timestep_spacing="trailing")'),),
    ),
    Case(
        "scheduler-dpm",
        "pictures_scheduler",
        "DPM-Solver++, which remembers",
        (
            (
                "from diffusers import DDIMScheduler, DDPMScheduler",
                "from diffusers import DDPMScheduler, DPMSolverMultistepScheduler",
            ),
            (
                'DDIMScheduler(num_train_timesteps=1000, beta_schedule="linear", clip_sample=True)',
                'DPMSolverMultistepScheduler(num_train_timesteps=1000, beta_schedule="linear")',
            ),
        ),
    ),
)
