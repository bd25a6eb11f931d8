"""What all films share: panels made on demand, views that do not move, pictures and points in one shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..buffers import scratch
from ..numerics import centres, grid
from ..scene import Chart, Palette, Panel, Scene

#: Half-width of the views of 2-D points: of states, noise of unit size, and of what stands beside them at the same
#: scale; of data alone, in [-1, 1]; of noise.
STATE_VIEW, DATA_VIEW, NOISE_VIEW = 1.9, 1.2, 3.2
#: Arrows a side of a vector field; cells a side of a density.
FIELD_CELLS, DENSITY_CELLS = 18, 64
#: How many points draw their way in a panel of paths.
PATHS = 60
#: The ends of a chart that stands empty as long as a walk is under way: one that came later would move the others.
WAITING = ("known when the walk has ended", "")


#: What is drawn in which colour, wherever it stands.
QUANTITIES: tuple[tuple[Palette, str], ...] = (
    ("ink", "what is there: noisy x_{t}, data, true noise, the best possible"),
    ("accent", "the model's guess of the data, x̂_{0}, and its samples"), ("noise", "its guess of the noise, ε̂"))


@dataclass(frozen=True)
class PanelSpec:
    """A panel that a film can make: make(first, end) builds it for the frames first … end−1, or once if it is still.

    holds   what its numbers are where the data are latents: "samples", a row each, which the decoder draws too; or
            "places" of their space, under which only the decoder's map of it is drawn; "" what has no place there
    """

    key: str
    title: str
    note: str
    make: Callable[[int, int], Panel]
    still: bool = False  #: one frame for the whole film
    holds: Literal["samples", "places", ""] = ""


class View:
    """A film over a data set. Subclasses fill `offers`, `default` and `shell`."""

    offers: dict[str, PanelSpec]
    default: tuple[str, ...]  #: what is shown at first
    legend = QUANTITIES
    findings: dict | None = None  #: what is said beside the film, as plain JSON; see `core.debug.showing`
    finding_charts: tuple[Chart, ...] = ()  #: the charts that it refers to by their number

    @property
    def frames(self) -> int:
        """How many frames there are by now."""
        raise NotImplementedError

    @property
    def total(self) -> int:
        """How many there will be."""
        return self.frames

    @property
    def nbytes(self) -> int:
        """Bytes of what the panels are made from."""
        raise NotImplementedError

    def shell(self, first: int, end: int) -> Scene:
        """The scene of these frames without its panels; charts and their cursors always span the film."""
        raise NotImplementedError

    def scene(self, keys: tuple[str, ...] | None = None, first: int = 0, end: int | None = None) -> Scene:
        """These panels of the frames first … end−1. ValueError naming the panels there are, for an unknown key."""
        end = self.frames if end is None else end
        panels = []
        for key in self.default if keys is None else keys:
            if key not in self.offers:
                raise ValueError(f"no panel {key!r} here; there are {', '.join(self.offers)}")
            panels.append(self.offers[key].make(first, end))
        shell = self.shell(first, end)
        charts = tuple(c if c.cursor is None else replace(c, cursor=c.cursor[first:end]) for c in shell.charts)
        return replace(shell, panels=tuple(panels), charts=charts, legend=self.legend,
                       findings=self.findings, finding_charts=self.finding_charts)

    def offer(self, key: str, title: str, note: str, make: Callable[[int, int], np.ndarray | Tensor],
              still: bool = False, holds: Literal["samples", "places", ""] = "", **look) -> None:
        """Offer a panel whose data `make(first, end)` gives; holds: as of `PanelSpec`; look: the rest of `Panel`."""
        def panel(first: int, end: int) -> Panel:
            data = make(first, end)
            array = data.detach().cpu().float().numpy() if isinstance(data, Tensor) else np.asarray(data, np.float32)
            return Panel(key, title, note, data=array, **look)

        self.offers[key] = PanelSpec(key, title, note, panel, still, holds)


def pictures(x: Tensor) -> Tensor:
    """(F, N, C, H, W) → (F, N, H, W, C), as panels want it."""
    return rearrange(x, "f n c h w -> f n h w c")


def signed_pictures(x: Tensor) -> Tensor:
    """(F, N, C, H, W) → (F, N, H, W, 1): a signed quantity of colour pictures is shown as the mean of its channels."""
    return rearrange(x.mean(2, keepdim=True), "f n c h w -> f n h w c")


def field_points(view: float) -> Tensor:
    """The centres of the field's cells over [−view, view]², (G·G, 2), row 0 at the bottom."""
    return grid(view, FIELD_CELLS, top=False)


@torch.no_grad()
def vector_field(denoise, t: Tensor, view: float, of: Callable, scale: Tensor | None = None) -> Tensor:
    """of(prediction) at every cell centre at each of the times t (K,): (K, G, G, 2).

    scale (K,): what the centres are multiplied by at each time; 1 if None.
    """
    points, scale = field_points(view), torch.ones(len(t)) if scale is None else scale
    rows = [of(denoise(size * points, time)) for size, time in zip(scale, t)]
    return rearrange(torch.stack(rows), "k (gy gx) d -> k gy gx d", gy=FIELD_CELLS)


def state_scale(schedule, t: Tensor) -> Tensor:
    """By what states at the times t (K,) are divided to be shown: max(1, √(alpha² + sigma²)), (K,) float32.

    A state of an exploding schedule is up to 80 times as large as the data. A view that held it all would show a dot
    for most of the walk; divided by its own size it fills the same view at every time. Other schedules' states are
    shown as they are.
    """
    alpha, sigma = schedule(t)
    return (alpha**2 + sigma**2).sqrt().float().clamp(min=1)


def over(x: Tensor, scale: Tensor) -> Tensor:
    """x (K, N, ...) divided frame by frame by scale (K,)."""
    return x / scale.reshape(-1, *[1] * (x.ndim - 1)).to(x)


def scaled(scale: Tensor, caption: str = "", view: float = 1.0, by: str = "√(α²+σ²)") -> str:
    """The caption of a panel whose frames are divided by `scale`, saying so where it is not 1.

    caption: what it says beside; "" leaves it to the range. view: what is shown runs from −view to view; said where a
    caption must be made, since it stands in for the range. by: what the scale is.
    """
    return f"{caption or f'±{view:.2g}'} · ÷{by}" if (scale > 1).any() else caption


def density(points: Tensor, bandwidth: float, alpha: Tensor, sigma: Tensor, view: float) -> Tensor:
    """p_t on the cells of the view over its own maximum, (K, H, W), row 0 at the top; alpha and sigma (K,).

    p_t = (1/N) Σ_i N(x; alpha·y_i, alpha²h² + sigma²) is a sum of products of an x and a y part, hence one matrix
    product. Values are those at the cells' centres, blurred by half a cell (one standard deviation), so that a point
    smaller than a cell is seen.
    """
    axis = centres(view, DENSITY_CELLS)
    out = []
    for a, s in zip(alpha.float(), sigma.float()):
        width = torch.sqrt(a**2 * bandwidth**2 + s**2 + (view / DENSITY_CELLS) ** 2)
        with scratch(2, DENSITY_CELLS, len(points), dtype=points.dtype) as g:
            torch.sub(axis[None, :, None], a * points.T[:, None], out=g)
            gx, gy = g.square_().mul_(-1 / (2 * width**2)).exp_()
            p = gy @ gx.T
        out.append(p.flip(0) / p.max())
    return torch.stack(out)


def spread(dataset) -> tuple[Tensor, float, float, int]:
    """(mean, E|x0−mean|², Var|x0−mean|², D) of a data set with its jitter: what the band is made of."""
    flat = dataset.x0.flatten(1).double()
    mean, d, h2 = flat.mean(0), flat.shape[1], dataset.bandwidth**2
    square = (flat - mean).square().sum(1)
    # |a + h·ε|²: mean |a|² + D·h², variance Var|a|² + 4h²·E|a|² + 2D·h⁴
    variance = square.var(correction=0) + 4 * h2 * square.mean() + 2 * d * h2**2
    return mean, float(square.mean()) + d * h2, float(variance), d
