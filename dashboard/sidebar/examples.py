"""Comparisons worth a look, one click away: what each changes about the recipe that stands in the sidebar."""

from __future__ import annotations

from typing import Any

#: What people read → the fields that it sets.
EXAMPLES: dict[str, dict[str, Any]] = {
    "with noise or without": {"sampler": "ddim", "eta": 0.0, "variants": ("sampler:ddpm",)},
    "fewer and fewer steps": {"sampler": "ddim", "steps": 100, "variants": ("steps:20", "steps:10", "steps:5")},
    "few steps, better rules": {"sampler": "ddim", "steps": 10, "variants": ("sampler:heun", "sampler:dpmpp_2m")},
    "ODE, flow, one step": {
        "data": "trex", "model": "pretrained", "schedule": "cosine", "sampler": "ddim", "steps": 50,
        "variants": ("model:flow+schedule:flow", "model:reflow+schedule:flow+steps:1",
                     "model:consistency+sampler:multistep_consistency+steps:1")},
    "roads that fail": {"sampler": "ddpm", "steps": 100, "variants": ("sampler:ascent", "sampler:ascent_adam")},
    "guidance, more and more": {
        "data": "digits8", "model": "pretrained", "label": "each", "samples": 20, "guidance_scale": 1.0,
        "sampler": "ddim", "steps": 50,
        "variants": ("guidance_scale:0", "guidance_scale:3", "guidance_scale:8")},
    "linear, learned, exact": {
        "data": "digits8", "model": "linear", "label": "each", "samples": 20, "guidance_scale": 1.0,
        "sampler": "ddim", "steps": 50,
        "variants": ("model:pretrained", "model:exact")},
}
