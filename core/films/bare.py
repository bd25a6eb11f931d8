"""A trace as a scene when nothing but the trace is known: for notebooks."""

from __future__ import annotations

import numpy as np
import torch

from core.films.base import DATA_VIEW, STATE_VIEW, pictures
from core.scene import Panel, Scene
from core.trace import Trace


def bare_scene(trace: Trace, samples: int = 1000) -> Scene:
    """x_t and x̂0 over the steps of a trace of points (B, 2) or images (B, C, H, W).

    ValueError if the samples are of another shape, or if x_t was not kept.
    """
    if trace.final is None or "x_t" not in trace.keep:
        raise ValueError("a trace shows itself if it has kept x_t of at least one step")
    points = trace.final.shape[1:] == (2,)
    if not points and trace.final.ndim != 4:
        shape = tuple(trace.final.shape[1:])
        raise ValueError(f"samples of shape {shape} are neither points (2,) nor images (C, H, W)")

    def panel(name: str, title: str, note: str, last: torch.Tensor) -> Panel:
        rows = torch.cat([trace[name], last])[:, :samples].float()
        if points:
            view, palette = (STATE_VIEW, "ink") if name == "x_t" else (DATA_VIEW, "accent")
            return Panel(name, title, note, "points", rows.numpy(), (-view, view), palette)
        return Panel(name, title, note, "images", pictures(rows[:, :64]).numpy(), (-1.0, 1.0))

    panels = [panel("x_t", "x_{t}", "the state", trace.final[None])]
    if "x0" in trace.keep:
        panels.append(panel("x0", "x̂_{0}", "the guess of the data", trace["x0"][-1:]))
    t = np.append(trace.t.numpy(), trace.end)
    return Scene(tuple(panels), {"t": t, "step": np.arange(len(t), dtype=float)}, about=trace.about)
