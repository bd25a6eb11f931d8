"""What a layer of the network puts out at the playhead, as a panel and a chart of a walk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from ..numerics import grid
from ..prediction import Denoise
from ..probes.activations import capture, layers_of
from ..scene import Chart, Panel, Series
from .base import STATE_VIEW, PanelSpec
from .trace import TraceView

CHANNELS = 64  #: so many pictures of a layer's channels are shown at most
UNITS, CELLS = 16, 32  #: of a layer for points: so many units over the plane, each so many cells a side
VIEW = 3.0  #: the end of the palette, in units of the layer's own size at that time


def offer_inside(film: TraceView, network: nn.Module, layer: str, sample: int = 0) -> None:
    """Offer the panel "inside": what this layer of the network puts out at each timestep of the film.

    Pictures: its channels for one sample, CHANNELS at most, as small signed pictures; a layer without pixels shows each
    of its numbers as one. Points: its first UNITS units at every place of the plane, each as a signed picture.

    A layer can be fifty times as large at one end of time as at the other. So each frame is divided by its own root
    mean square, over all channels or units, and those sizes stand in a chart, for the frames that were looked at.

    The walk keeps nothing for this: film.denoise is asked again at the states of the walk, for the frames that are
    looked at. network: the one that film.denoise asks, whatever is wrapped around it; layer: one of
    `core.probes.activations.layers_of`, or any other of its modules. ValueError naming those near, for a layer that is
    not there.
    """
    with capture(network, [layer]):
        pass  # an unknown layer is told now, and not when somebody looks
    points = film.dataset.kind == "points"
    look, most = (_units, UNITS) if points else (_channels, CHANNELS)
    what = "The first units at every place of the plane" if points else f"The channels for sample {sample + 1}"
    title, sizes = f"inside: {layer}", {}
    note = f"{layers_of(network).get(layer, layer)}. {what}, at this t, over their root mean square"

    def panel(first: int, end: int) -> Panel:
        frames = []
        for k in range(first, end):
            shown = look(film, network, layer, min(k, len(film.kept) - 1), sample)
            sizes[k] = shown.size
            frames.append(shown.pictures[:most] / max(shown.size, 1e-12))
        count = len(shown.pictures)
        caption = f"{most} of {count} · ±{VIEW:g} rms" if count > most else f"±{VIEW:g} rms"
        return Panel("inside", title, note, "images", torch.stack(frames).numpy(), (-VIEW, VIEW), "signed", caption)

    def chart() -> tuple[Chart, ...]:
        if not sizes:
            return ()
        cursor = torch.cat([film.kept, film.times[-1:]]).numpy()
        seen = sorted(sizes)
        curve = Series(layer, cursor[seen], np.array([sizes[k] for k in seen]))
        return (Chart(f"inside {layer}: root mean square of what it puts out", (curve,), cursor, log=True,
                      ends=("t=1 noise", "t=0 data"), flip=True),)

    film.offers["inside"] = PanelSpec("inside", title, note, panel)
    film.more_charts.append(chart)


class Shown(NamedTuple):
    """A layer at one time."""

    pictures: Tensor  #: (N, H, W, 1): one a channel or unit, all that there are
    size: float  #: their root mean square


def _channels(film: TraceView, network: nn.Module, layer: str, k: int, sample: int) -> Shown:
    """The channels of a layer for one sample of the walk at its step k."""
    x_t = film.trace.part("x_t", k, k + 1)[0]
    if not 0 <= sample < len(x_t):
        raise ValueError(f"sample {sample} was asked for; the walk has {len(x_t)}, numbered from 0")
    one = outputs(film.denoise, network, layer, x_t, film.kept[k])[sample]
    return Shown(one.reshape(len(one), *(one.shape[1:] or (1, 1)), 1), float(one.square().mean().sqrt()))


def _units(film: TraceView, network: nn.Module, layer: str, k: int, _sample: int) -> Shown:
    """The units of a layer at every place of the plane in which points walk, at step k; row 0 at the top."""
    places = film.scale[k] * grid(STATE_VIEW, CELLS)
    found = outputs(film.denoise, network, layer, places, film.kept[k])
    return Shown(rearrange(found, "(y x) units -> units y x 1", y=CELLS), float(found.square().mean().sqrt()))


@torch.no_grad()
def outputs(denoise: Denoise, network: nn.Module, layer: str, x_t: Tensor, t: Tensor) -> Tensor:
    """What the layer puts out when denoise(x_t, t) first asks the network, (B, ...), on the CPU.

    Guidance asks with the label and without it in one call, those with it first: they are what is given back.
    ValueError if the network was not asked at all.
    """
    with capture(network, [layer]) as seen:
        denoise(x_t, t)
    if not seen[layer]:
        raise ValueError(f"layer {layer!r} did not run; give the network that is inside the denoiser of this walk")
    return seen[layer][0][: len(x_t)].float().cpu()
