"""Noisescope's science: diffusion with every timestep in the open. See the README for ten lines of it.

The names most people need can be had from here; each is loaded when it is asked for, since torch takes its time.
"""

from importlib import import_module

_HOMES = {
    "core.datasets": ("load", "names"),
    "core.schedules": ("make_schedule",),
    "core.denoisers.exact": ("Exact",),
    "core.checkpoints": ("load_pretrained", "load_checkpoint", "save_checkpoint", "pretrained"),
    "core.recipes": ("recipe",),
    "core.training": ("Trainer",),
    "core.samplers": ("ddim", "ddpm", "heun", "make_sampler"),
    "core.walk": ("start_noise",),  # `core.walk` is the module, so its `walk` is had from there
    "core.edits": ("Hooks", "drop_noise", "nudge", "during"),
    "core.inside": ("capture", "layers_of"),
    "core.memory": ("copies",),
    "core.debug": ("watch",),
    "core.notebook": ("Trace",),  # where a trace learns to show itself
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"core has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)
