"""Noisescope's science: diffusion with every timestep in the open. See the README for ten lines of it.

The names most people need can be had from here. Each is loaded when it is asked for, since torch takes its time;
editors and type checkers see them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoints.models import load_checkpoint, load_pretrained, pretrained, save_checkpoint
    from .data.datasets import Dataset, load, names
    from .denoisers.base import Denoiser
    from .denoisers.exact import Exact
    from .edits import Hooks, drop_noise, during, nudge
    from .metrics.memorization import memorization_rate
    from .prediction import Denoise, Prediction
    from .probes.activations import capture, layers_of
    from .reverse import Step, start_noise, walk
    from .samplers import Rule, ddim, ddpm, heun, make_sampler
    from .schedules import Schedule, make_schedule
    from .trace import Trace
    from .training.presets import TrainingConfig, preset
    from .training.trainer import Trainer

_HOMES = {
    ".checkpoints.models": ("load_checkpoint", "load_pretrained", "pretrained", "save_checkpoint"),
    ".data.datasets": ("Dataset", "load", "names"),
    ".denoisers.base": ("Denoiser",),
    ".denoisers.exact": ("Exact",),
    ".edits": ("Hooks", "drop_noise", "during", "nudge"),
    ".metrics.memorization": ("memorization_rate",),
    ".prediction": ("Denoise", "Prediction"),
    ".probes.activations": ("capture", "layers_of"),
    ".reverse": ("Step", "start_noise", "walk"),
    ".samplers": ("Rule", "ddim", "ddpm", "heun", "make_sampler"),
    ".schedules": ("Schedule", "make_schedule"),
    ".trace": ("Trace",),
    ".training.presets": ("TrainingConfig", "preset"),
    ".training.trainer": ("Trainer",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Dataset", "Denoise", "Denoiser", "Exact", "Hooks", "Prediction", "Rule", "Schedule", "Step", "Trace", "Trainer",
    "TrainingConfig", "capture", "ddim", "ddpm", "drop_noise", "during", "heun", "layers_of", "load",
    "load_checkpoint", "load_pretrained", "make_sampler", "make_schedule", "memorization_rate", "names", "nudge",
    "preset", "pretrained", "save_checkpoint", "start_noise", "walk",
]  # fmt: skip


if not TYPE_CHECKING:  # or every name that there is not would be one to a type checker

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"{__name__} has no {name!r}; it has {', '.join(__all__)}")
        return getattr(import_module(_HOME[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
