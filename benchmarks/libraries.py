"""Short trainings and walks of libraries that anyone can install, watched from outside, as their READMEs have them."""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from functools import cache, partial

import torch
from torch import nn

from core.debug import watch
from core.debug.cases import load_script


class MLP(nn.Module):
    """A small network of points, for libraries that bring none."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 + 16, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                    nn.Linear(width, 2))

    def forward(self, x, t):
        angle = (t.reshape(-1, 1).float() * 2.0 ** torch.arange(-4, 4)).expand(len(x), -1)
        return self.layers(torch.cat([x, angle.sin(), angle.cos()], 1))


def corners(n: int) -> torch.Tensor:
    return torch.randint(0, 2, (n, 2)).float() * 1.6 - 0.8 + 0.05 * torch.randn(n, 2)


def smalldiffusion(gam: float = 1.0, mu: float = 0.0):
    import smalldiffusion as sd

    torch.manual_seed(0)
    model = sd.TimeInputMLP(dim=2, hidden_dims=(64, 64))
    schedule = sd.ScheduleLogLinear(N=200, sigma_min=0.01, sigma_max=10)
    loader = torch.utils.data.DataLoader([*corners(2000)], batch_size=256)
    with watch(model) as run:
        for _ in sd.training_loop(loader, model, schedule, epochs=20, lr=1e-3):
            pass
        run.samples = [*sd.samples(model, schedule.sample_sigmas(20), gam=gam, mu=mu, batchsize=64)][-1]
    return run


def denoising_diffusion_pytorch(objective: str, ddim: bool, schedule: str):
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    torch.manual_seed(0)
    net = Unet(dim=16, dim_mults=(1, 2), channels=1, flash_attn=False)
    diffusion = GaussianDiffusion(net, image_size=8, timesteps=100, sampling_timesteps=20 if ddim else None,
                                  objective=objective, beta_schedule=schedule)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with watch(net) as run:
        for _ in range(40):
            loss = diffusion(torch.rand(8, 1, 8, 8).round())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        run.samples = diffusion.sample(batch_size=8)
    return run


def azula(sampler: str):
    import azula.denoise
    import azula.noise
    import azula.sample

    torch.manual_seed(0)
    net = MLP()
    denoiser = azula.denoise.KarrasDenoiser(net, azula.noise.VPSchedule())
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with watch(net) as run:
        for _ in range(200):
            loss = denoiser.loss(corners(128), torch.rand(128)).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        walk = getattr(azula.sample, sampler)(denoiser, steps=32)
        with torch.no_grad():
            run.samples = walk(walk.init((64, 2)))
    return run


@cache
def _parts_of_k_diffusion():
    """Its samplers and its denoiser. The package itself imports what evaluates and augments pictures as well, and that
    asks for an older NumPy than ours."""
    found = importlib.util.find_spec("k_diffusion")
    if found is None:
        raise ImportError("k_diffusion is not installed", name="k_diffusion")
    package = sys.modules["k_diffusion"] = types.ModuleType("k_diffusion")
    package.__path__ = found.submodule_search_locations
    return importlib.import_module("k_diffusion.layers"), importlib.import_module("k_diffusion.sampling")


def k_diffusion(sampler: str):
    layers, sampling = _parts_of_k_diffusion()
    torch.manual_seed(0)
    net = MLP()
    model = layers.Denoiser(net, sigma_data=0.8)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with watch(net) as run:
        for _ in range(200):
            x = corners(128)
            model.loss(x, torch.randn_like(x), (torch.randn(128) * 1.2 - 1.2).exp()).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            sigmas = sampling.get_sigmas_karras(20, 0.01, 80.0)
            run.samples = getattr(sampling, sampler)(model, torch.randn(64, 2) * sigmas[0], sigmas, disable=True)
    return run


SCHEDULERS = ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
              "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler",
              "DPMSolverSinglestepScheduler", "KDPM2DiscreteScheduler", "UniPCMultistepScheduler",
              "DEISMultistepScheduler", "FlowMatchEulerDiscreteScheduler")


def diffusers_scheduler(name: str):
    """The museum's script of small pictures, sampled by another scheduler of diffusers."""
    import diffusers

    kind = getattr(diffusers, name)
    flow = name.startswith("FlowMatch")
    source = load_script("pictures_scheduler")
    old = 'DDIMScheduler(num_train_timesteps=1000, beta_schedule="linear", clip_sample=True)'
    made = f'__import__("diffusers").{kind.__name__}.from_config(train_scheduler.config)'
    new = "None" if flow else made
    source = source.replace(f"sample_scheduler = {old}", f"sample_scheduler = {new}")
    if flow:
        source = source.replace("sample_scheduler = None", "from diffusers import FlowMatchEulerDiscreteScheduler\n"
                                "sample_scheduler = FlowMatchEulerDiscreteScheduler()")
        source = re.sub(r"noisy = .*\n", "sigma = ((timesteps + 1) / 1000).view(-1, 1, 1, 1)\n"
                        "        noisy = (1 - sigma) * clean + sigma * noise\n", source)
        source = source.replace("unet(noisy, timesteps), noise)", "unet(noisy, sigma.flatten() * 1000), noise - clean)")
        source = source.replace("* sample_scheduler.init_noise_sigma", "")
        source = source.replace("model_input = sample_scheduler.scale_model_input(latents, t)", "model_input = latents")
    names: dict = {"__name__": name}
    exec(compile(source, f"<{name}>", "exec"), names)  # noqa: S102 - our own text
    with watch(*names["networks"]) as run:
        names["train"]()
        names["sample"]()
    return run


JOBS = {f"diffusers {name}": partial(diffusers_scheduler, name) for name in SCHEDULERS} | {
    "smalldiffusion, DDIM": smalldiffusion,
    "smalldiffusion, DDPM": lambda: smalldiffusion(gam=1, mu=0.5),
    "smalldiffusion, gradient estimation": lambda: smalldiffusion(gam=2),
    "denoising-diffusion-pytorch, eps": lambda: denoising_diffusion_pytorch("pred_noise", False, "linear"),
    "denoising-diffusion-pytorch, v, DDIM": lambda: denoising_diffusion_pytorch("pred_v", True, "sigmoid"),
    "denoising-diffusion-pytorch, x0": lambda: denoising_diffusion_pytorch("pred_x0", False, "cosine"),
    "azula DDIM": lambda: azula("DDIMSampler"),
    "azula DDPM": lambda: azula("DDPMSampler"),
    "azula Heun": lambda: azula("HeunSampler"),
    "k-diffusion Euler": lambda: k_diffusion("sample_euler"),
    "k-diffusion Heun": lambda: k_diffusion("sample_heun"),
    "k-diffusion Euler ancestral": lambda: k_diffusion("sample_euler_ancestral"),
    "k-diffusion DPM++ 2M": lambda: k_diffusion("sample_dpmpp_2m"),
}
