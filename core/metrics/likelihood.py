"""The log-density of a model: what the probability flow makes of the noise's density, exactly, without samples.

The ODE that carries data to noise is a change of variables. In the straight coordinates of `samplers.heun`,
r = sigma/(alpha + sigma) and z = x/(alpha + sigma), it reads dz/dr = eps − x0, and along its paths

    log p(z(r)) = log p(z(1)) + ∫_r^1 ∇·(eps − x0) dr

(Chen et al. 2018, theorem 1; Song et al. 2021, eq. 39). Both ends of time are finite there on every schedule. The
divergence is exact: one way back through the network for each dimension, which two dimensions can afford, in the place
of the estimator that FFJORD needs (Grathwohl et al. 2019).

It is the density of what an ODE sampler makes of pure noise. Hence it starts, as a walk does, from x_1 ~
N(0, sigma_1²·I) and leaves out the data's trace at t = 1: the data's own log p_1 differs by about
alpha_1·|x0|·|x_1|/sigma_1², up to 0.04 nats on "ve", 0.02 on "linear" and below 1e-3 on the other schedules.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..numerics import grid, runge_kutta
from ..prediction import Denoise
from ..schedules import Schedule

#: Steps are even in u = r^(1/RHO), so small where the density is sharp. 3 evens out their errors (Karras et al. 2022,
#: eq. 5 and appendix D.1); more would serve the exact denoiser better and networks, rough at much noise too, worse.
RHO = 3


def log_density(denoise: Denoise, schedule: Schedule, x_t: Tensor, t: float | None = None, steps: int = 24) -> Tensor:
    """log p_t(x_t) of the model in nats, (B,), by the classical Runge–Kutta method: its error goes with steps⁻⁴.

    x_t     (B, D), points; small D, since each of the 4·steps evaluations costs about 2·D + 1 of the network's
    t       from 1/T, which is also what None means, to below 1. There is none at t = 0: the last bit is left out, as
            the last step of a sampler only takes the guess x0, which has no density where data are points. So this is
            the density of data blurred by the noise at 1/T, of size 0.001 (flow) to 0.01 (linear)

    ValueError if x_t are no points, or for another t or fewer than 1 steps.
    """
    t = 1 / schedule.T if t is None else float(t)
    if x_t.ndim != 2:
        raise ValueError(f"x_t has shape {tuple(x_t.shape)}; the density is worked out for points (B, D)")
    if not 1 / schedule.T <= t < 1:
        raise ValueError(f"t is {t}; the density exists from t = 1/T = {1 / schedule.T:g} to below 1")
    if steps < 1:
        raise ValueError(f"{steps} steps; it takes 1 or more")
    begin, end = (sigma / (alpha + sigma) for alpha, sigma in (schedule.at(t), schedule.at(1.0)))
    u = torch.linspace(begin ** (1 / RHO), end ** (1 / RHO), 2 * steps + 1, dtype=torch.float64)
    r = u**RHO
    times = schedule.t_at(2 * torch.log((1 - r) / r))
    times[0], times[-1] = t, 1.0

    def slope(z, i):
        """dz/du and its divergence at node i."""
        velocity, divergence = _velocity(denoise, schedule, z, times[i])
        stretch = RHO * float(u[i]) ** (RHO - 1)  # dr/du
        return stretch * velocity, stretch * divergence

    z, h = x_t / sum(schedule.at(t)), float(u[2] - u[0])
    gained = x_t.new_zeros(len(x_t), dtype=torch.float64)
    for i in range(0, 2 * steps, 2):
        moved, more = runge_kutta(slope, z, (i, i + 1, i + 2), h)
        z, gained = z + moved, gained + more
    # At t = 1, z is x/(alpha + sigma), of std `end`; and x_t is z_t times (alpha + sigma), its density thinner by that.
    dims = x_t.shape[1]
    base = -(z.double() ** 2).sum(1) / (2 * end**2) - dims * math.log(end * math.sqrt(2 * math.pi))
    return (base + gained - dims * math.log(sum(schedule.at(t)))).to(x_t)


def _velocity(denoise: Denoise, schedule: Schedule, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """dz/dr = eps − x0 at (z, t), and its divergence Σ_i ∂(dz/dr)_i/∂z_i, (B,)."""
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        velocity = denoise(sum(schedule.at(t)) * z, t).velocity
    divergence = z.new_zeros(len(z), dtype=torch.float64)
    for i in range(z.shape[1]):  # rows do not know each other: the gradient of their sum is that of each
        divergence += torch.autograd.grad(velocity[:, i].sum(), z, retain_graph=True)[0][:, i]
    return velocity.detach(), divergence


def density_grid(denoise: Denoise, schedule: Schedule, view: float, cells: int = 64, steps: int = 8) -> Tensor:
    """The model's density of data over [−view, view]², (cells, cells), per unit of area, row 0 at the top.

    Values are those at the cells' centres of p_t, in the units of the data, at the time t when the noise is half a cell
    wide (one standard deviation), or at 1/T if that is later. Of the exact denoiser's density nothing is then lost
    between the cells, and their sum times a cell's area is the probability that lies in the view. A network's density
    can be finer than its noise: the sum is then a few per cent off.
    ValueError for a view that is not above 0, or fewer than 2 cells.
    """
    if not view > 0 or cells < 2:
        raise ValueError(f"a view of half-width {view} in {cells} cells a side; it takes more than 0, and 2 or more")
    half_a_cell = torch.tensor(-2 * math.log(view / cells), dtype=torch.float64)  # as log-SNR: sigma/alpha = view/cells
    t = min(max(float(schedule.t_at(half_a_cell)), 1 / schedule.T), 1 - 1 / schedule.T)
    alpha, _ = schedule.at(t)
    log_p = log_density(denoise, schedule, alpha * grid(view, cells), t, steps)
    return log_p.exp().reshape(cells, cells) * alpha**2  # dx_t = alpha·dx, along both axes
