"""The room that forgets: heat that spreads in a square room, the picture that diffusion models grew out of.

    room = Room.of(load("trex"))
    room.grid(0.01, 64)                   # the heat u at t = 0.01
    room.slope(x, 0.01)                   # ∇ log u where walkers stand
    room.flow(x, 2.0, 0.0)                # the way back

Heat u(x, t) ≥ 0 on [−wall, wall]² with walls that let none out:

    u_t = Δu,    ∂u/∂n = 0 at the walls,    u(·, 0) = the data, each point blurred by h

The same law moves walkers: in dx = √2 dW, reflected by the walls, a crowd that stands as u(·, 0) stands as u(·, t)
later. And because u_t = −∇·(u·(−∇ log u)), so does one that moves by dx/dt = −∇ log u (the probability flow, Song et
al. 2021, eq. 13, with f = 0 and g² = 2). That can be walked backwards: a walker needs to know nothing but the slope of
log u where it stands, and the crowd finds back to the data. The room is the forward process, its slope the score.

With S = 2·wall and cosines c_k(x) = cos(πk(x + wall)/S), the solution is exact at every t, without steps of time:

    u(x, y, t) = (1/S²) Σ_kl a_k a_l m_kl exp(−π²(k² + l²)/S² · (t + h²/2)) c_k(x) c_l(y)

with a_0 = 1, else 2, and m_kl the mean of c_k(x_i) c_l(y_i) over the data: blurring is a head start of h²/2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..data.datasets import Dataset
from ..numerics import centres, runge_kutta

WALL = 1.2  #: the data lie within [−1, 1]²
BLUR = 0.03  #: least standard deviation of what the heat starts from
SMALL = 32.0  #: cosines that have decayed by exp(−SMALL) are left out
COLDEST = 1e-9  #: of the even room's heat; below, rounding of the sum decides, and there is no slope to tell


class Heat:
    """Heat in [−wall, wall]², that stands at t = 0 as points blurred by a Gaussian of standard deviation `blur`.

    points (N, 2). Total heat is 1. Everything is float64, times are numbers. ValueError for points beyond the walls,
    and for a blur that is not above 0.
    """

    def __init__(self, points: Tensor, blur: float, wall: float = WALL):
        if not blur > 0:
            raise ValueError(f"blur is {blur}; heat starts from points blurred by more than 0")
        if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not points.abs().max() <= wall:
            raise ValueError(f"points of shape {tuple(points.shape)}, up to {float(points.abs().amax()):.3g} from the "
                             f"middle; a room holds points (N, 2) within ±{wall}")
        self.points, self.blur, self.wall, self.side = points.double(), blur, wall, 2 * wall
        self.start = blur**2 / 2  #: the time that heat from single points needs to be blurred so
        cx, cy = (self._cosines(axis, self._terms(0.0)) for axis in self.points.T)
        weight = torch.full((cx.shape[1],), 2.0, dtype=torch.float64)
        weight[0] = 1.0
        self._means = weight[:, None] * weight * (cx.T @ cy) / len(points) / self.side**2

    @classmethod
    def of(cls, dataset: Dataset) -> Heat:
        """The room of a data set of points, blurred by its bandwidth and no less than BLUR. ValueError for images."""
        if dataset.kind != "points":
            raise ValueError(f"{dataset.name} holds {dataset.kind}; a room is heated by points")
        return cls(dataset.x0, max(BLUR, dataset.bandwidth))

    def time_left(self, memory: float) -> float:
        """The time at which the slowest cosine has decayed to this share: t = (S/π)²·log(1/memory)."""
        return (self.side / math.pi) ** 2 * math.log(1 / memory)

    @property
    def even(self) -> float:
        """The heat of the room that has forgotten: 1/S²."""
        return self.side**-2

    def heat(self, x: Tensor, t: float) -> Tensor:
        """u at points x (n, 2): (n,)."""
        return self._sum(*self._waves(x, t))

    def grid(self, t: float, cells: int) -> Tensor:
        """u at the centres of cells² cells, (cells, cells), row 0 at the top: a discrete cosine series (DCT-II)."""
        terms = self._terms(t)
        waves = self._cosines(centres(self.wall, cells, torch.float64), terms) * self._decay(t, terms)
        return (waves @ self._means[:terms, :terms] @ waves.T).T.flip(0)

    def slope(self, x: Tensor, t: float) -> Tensor:
        """∇ log u at points x (n, 2): (n, 2); NaN where there is less than COLDEST of the even heat."""
        cx, cy = self._waves(x, t)
        u = self._sum(cx, cy)
        u = torch.where(u > COLDEST * self.even, u, math.nan)
        fall = -self._frequencies(cx.shape[1]) * self._decay(t, cx.shape[1])  # c_k' = −(πk/S)·sin
        sx, sy = (fall * self._phases(axis, cx.shape[1]).sin() for axis in x.double().T)
        return torch.stack([self._sum(sx, cy) / u, self._sum(cx, sy) / u], 1)

    def entropy(self, t: float, cells: int = 160) -> float:
        """−∫ u log u in nats, by the midpoint rule; it grows with t to log S², at the rate E|∇ log u|² (de Bruijn)."""
        u = self.grid(t, cells).clamp(min=0)
        return -float(torch.special.xlogy(u, u).sum()) * (self.side / cells) ** 2

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n walkers (n, 2) that stand as u(·, 0)."""
        rows = torch.randint(len(self.points), (n,), generator=generator)
        return self.fold(self.points[rows] + self.blur * torch.randn(n, 2, generator=generator, dtype=torch.float64))

    def brownian(self, x: Tensor, dt: float, generator: torch.Generator) -> Tensor:
        """Walkers x (n, 2) after a time dt of stumbling, exact for any dt: free motion, mirrored by the walls."""
        return self.fold(x + math.sqrt(2 * dt) * torch.randn(x.shape, generator=generator, dtype=torch.float64))

    def flow(self, x: Tensor, t: float, s: float) -> Tensor:
        """Walkers x (n, 2) after dx/dt = −∇ log u from time t to s, either way: one step of Runge-Kutta's fourth order.

        In log(t + h²/2), in which the widths of things change at a steady pace. Where there is no heat nobody moves.
        """
        a, b = math.log(t + self.start), math.log(s + self.start)
        step, middle = b - a, math.exp((a + b) / 2)

        def pace(x: Tensor, time: float) -> tuple[Tensor]:
            return (-time * self.slope(x, time - self.start).nan_to_num(0.0),)

        moved, = runge_kutta(pace, x, (t + self.start, middle, s + self.start), step)
        return self.fold(x + moved)

    def fold(self, x: Tensor) -> Tensor:
        """Points anywhere, mirrored by the walls until they are inside."""
        around = (x.double() + self.wall) % (2 * self.side)
        return self.side - (around - self.side).abs() - self.wall

    def _terms(self, t: float) -> int:
        """How many cosines an axis has at t."""
        return 1 + math.ceil(self.side / math.pi * math.sqrt(SMALL / (t + self.start)))

    def _frequencies(self, terms: int) -> Tensor:
        return torch.arange(terms, dtype=torch.float64) * (math.pi / self.side)

    def _decay(self, t: float, terms: int) -> Tensor:
        return torch.exp(-(self._frequencies(terms) ** 2) * (t + self.start))

    def _phases(self, axis: Tensor, terms: int) -> Tensor:
        return (axis[:, None] + self.wall) * self._frequencies(terms)

    def _cosines(self, axis: Tensor, terms: int) -> Tensor:
        return self._phases(axis, terms).cos()

    def _waves(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Decayed cosines of both axes at points x (n, 2): (n, terms) each."""
        terms = self._terms(t)
        return tuple(self._cosines(axis, terms) * self._decay(t, terms) for axis in x.double().T)

    def _sum(self, along_x: Tensor, along_y: Tensor) -> Tensor:
        terms = along_x.shape[1]
        return ((along_x @ self._means[:terms, :terms]) * along_y).sum(1)
