"""The room that forgets: heat spreads, walkers stumble, then climb the slope where they stand: the shape is back."""

from __future__ import annotations

import math

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..baselines.heat import WALL, Heat
from ..scene import Chart, Scene, Series
from .base import DENSITY_CELLS, FIELD_CELLS, PATHS, View, field_points

MEMORY = 0.02  #: what is left of the slowest cosine when the room turns back
WARMEST = 4.0  #: times the even room's heat, where the palette ends


class HeatView(View):
    """Frames over t from 0 to T and back: `half` + 1 of forgetting and `half` of remembering.

    Times are even in log(t + h²/2): the width of what was a point grows by the same factor in every frame. On the way
    out walkers are reflected Brownian motion, on the way back the probability flow; they are the same walkers, and
    nothing that they did on the way out is used on the way back. ValueError if the data are no points.
    """

    def __init__(self, dataset, walkers: int = 1000, seed: int = 0, half: int = 50, about: dict | None = None):
        self.dataset, self.half, self.about = dataset, half, about or {}
        self.room = room = Heat.of(dataset)
        last = room.time_left(MEMORY)
        widths = np.geomspace(room.start, last + room.start, half + 1)
        self.out = np.maximum(widths - room.start, 0.0)  #: (half + 1,) times on the way out
        self.t = np.concatenate([self.out, self.out[-2::-1]])
        self.walkers = self._walk(walkers, torch.Generator().manual_seed(seed))
        self.entropy = np.array([room.entropy(t) for t in self.out])
        self.crowd = np.array([-float(room.heat(x, t).clamp(min=1e-300).log().mean())
                               for x, t in zip(self.walkers, self.t)])  #: mean of −log u where walkers stand
        self.offers = {}
        self._offer()

    legend = ("ink", "walkers"), ("accent", "their ways back, and the slope that they are told")

    def _walk(self, count: int, generator: torch.Generator) -> Tensor:
        x, room = self.room.draw(count, generator), self.room
        steps = [x]
        for now, later in zip(self.out, self.out[1:]):
            steps.append(x := room.brownian(x, float(later - now), generator))
        for later, now in zip(self.out[::-1], self.out[-2::-1]):
            steps.append(x := room.flow(x, float(later), float(now)))
        return torch.stack(steps).float()

    def _offer(self) -> None:
        view = dict(range=(-WALL, WALL))
        self.default = ("heat", "walkers", "slope", "back")
        self.offer("heat", "heat u", "the heat in the room over that of the even room: its sum stays, its shape goes",
                   lambda a, b: self._heat(a, b) / self.room.even, kind="heat", range=(0.0, WARMEST),
                   palette="magnitude", caption=f"0 to {WARMEST:g} × even")
        self.offer("walkers", "walkers", "until the middle they stumble at random; from there on each climbs the "
                   "slope where it stands", lambda a, b: self.walkers[a:b], kind="points", palette="ink", **view)
        self.offer("slope", "√(2t+h²) · ∇ log u", "all that a walker is told: which way it gets warmer and how "
                   "steeply, times the width of the blur; no arrow where no heat has come", self._slope, kind="field",
                   palette="accent", scale=2.0, caption="cell = 2", backdrop=self.dataset.x0.numpy(), **view)
        self.offer("back", "ways back", "from the middle on, the ways of some walkers up the slope: nobody finds "
                   "home, and yet the crowd finds the shape", self._back, kind="paths", palette="accent",
                   caption=f"{PATHS} of {self.walkers.shape[1]:,}", backdrop=self.dataset.x0.numpy(), **view)
        self.offer("log", "log u", "warmer (red) or colder (blue) than the even room; the arrows are the slope of this",
                   lambda a, b: (self._heat(a, b) / self.room.even).clamp(min=1e-9).log(), kind="heat",
                   range=(-3.0, 3.0), palette="signed", caption="log(u / even), ±3")

    def _heat(self, first: int, end: int) -> Tensor:
        return torch.stack([self.room.grid(float(t), DENSITY_CELLS) for t in self.t[first:end]])

    def _slope(self, first: int, end: int) -> Tensor:
        points = field_points(WALL)
        rows = [math.sqrt(2 * t + self.room.blur**2) * self.room.slope(points, float(t)) for t in self.t[first:end]]
        return rearrange(torch.stack(rows), "k (gy gx) d -> k gy gx d", gy=FIELD_CELLS)

    def _back(self, first: int, end: int) -> Tensor:
        ways = self.walkers[:, :PATHS].clone()
        ways[: self.half] = ways[self.half]  # on the way out each stands where its way back is to begin
        return ways[first:end]

    @property
    def most(self) -> float:
        """The entropy of the even room, in nats."""
        return math.log(self.room.side**2)

    @property
    def frames(self) -> int:
        return len(self.t)

    @property
    def nbytes(self) -> int:
        return self.walkers.nbytes

    def shell(self, first: int, end: int) -> Scene:
        position = np.concatenate([np.arange(self.half + 1.0), np.arange(self.half - 1.0, -1.0, -1.0)])
        entropy, most = self.entropy[position.astype(int)], self.most
        forgotten = 100 * (entropy - self.entropy[0]) / (most - self.entropy[0])
        numbers = dict(t=self.t, entropy=entropy, most=np.full(len(self.t), most), forgotten=forgotten,
                       crowd=self.crowd)
        x = position[: self.half + 1]
        out, back = self.crowd[: self.half + 1], self.crowd[self.half :][::-1]
        chart = Chart("entropy −∫ u log u, and −log u where the walkers stand",
                      (Series("even room", x, np.full(len(x), most), style="dashed", palette="ink"),
                       Series("heat", x, self.entropy), Series("walkers, out", x, out, style="faint", palette="ink"),
                       Series("walkers, back", x[::3], back[::3], style="dots", palette="ink")),
                      position, ends=("t=0 the data", f"t={self.out[-1]:.2f} forgotten"))
        return Scene(
            (), {name: values[first:end] for name, values in numbers.items()}, clock="t = {t:.3f}",
            sentence="At t = {t:.3f} the room has forgotten {forgotten:.0f} %. At first walkers stumble at random; "
                     "from the middle on each climbs the slope where it stands, and the crowd finds the shape again.",
            formula="∂u/∂t = Δu · out: dx = √2 dW · back: dx/dt = −∇ log u",
            figures=("−∫ u log u = {entropy:.3f} of at most {most:.3f} nats",
                     "mean of −log u where the walkers stand = {crowd:.3f}",
                     "in diffusion: u is pₜ, ∇ log u the score, and there are no walls"),
            source="core/baselines/heat.py · (along_x @ self._means[:terms, :terms]) * along_y", charts=(chart,),
            about=self.about,
        )
