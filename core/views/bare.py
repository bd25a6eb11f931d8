"""A trace as a scene when nothing but the trace is known: for notebooks."""

from __future__ import annotations

import numpy as np
import torch

from ..scene import Panel, Scene
from ..trace import Trace
from .base import STATE_VIEW, over, pictures, scaled


def bare_scene(trace: Trace, samples: int = 1000) -> Scene:
    """x_t and x̂0 over the steps of a trace of points (B, 2) or images (B, C, H, W).

    States too large for the view, as an exploding schedule has them, are divided frame by frame by their root mean
    square where it is above 1, and the caption says so: by what they were noised a trace does not know.
    ValueError if the samples are of another shape, or if x_t was not kept.
    """
    if trace.final is None or "x_t" not in trace.keep:
        raise ValueError("a trace shows itself if it has kept x_t of at least one step")
    points = trace.final.shape[1:] == (2,)
    if not points and trace.final.ndim != 4:
        shape = tuple(trace.final.shape[1:])
        raise ValueError(f"samples of shape {shape} are neither points (2,) nor images (C, H, W)")

    def panel(name: str, title: str, note: str, rows: torch.Tensor, view: float, palette: str, caption: str) -> Panel:
        if points:
            return Panel(name, title, note, "points", rows.numpy(), (-view, view), palette, caption)
        return Panel(name, title, note, "images", pictures(rows[:, :64]).numpy(), (-1.0, 1.0), caption=caption)

    states = torch.cat([trace["x_t"], trace.final[None]])[:, :samples].float()
    size = shown_size(states)
    caption = scaled(size, view=STATE_VIEW if points else 1.0, by="max(1, rms)")
    panels = [panel("x_t", "noisy x_{t}", "the state", over(states, size), STATE_VIEW, "ink", caption)]
    if "x0" in trace.keep:
        guesses = torch.cat([trace["x0"], trace["x0"][-1:]])[:, :samples].float()
        panels.append(panel("x0", "clean guess x̂_{0}", "the guess of the data", guesses, STATE_VIEW, "accent", ""))
    t = np.append(trace.t.numpy(), trace.end)
    return Scene(tuple(panels), {"t": t, "step": np.arange(len(t), dtype=float)}, about=trace.about)


def shown_size(states: torch.Tensor) -> torch.Tensor:
    """By what states (K, B, ...) are divided to be shown, (K,): 1 if all fit the view, else max(1, rms) of each frame.

    Values that are no finite numbers do not count; they stay what they are.
    """
    rms = states.nan_to_num(0, 0, 0).flatten(1).square().mean(1).sqrt()
    return rms.clamp(min=1) if (rms > STATE_VIEW).any() else torch.ones_like(rms)
