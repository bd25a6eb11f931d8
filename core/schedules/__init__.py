"""Schedules: functions t → (alpha, sigma). DDPM's betas, exploding variance and rectified flow are such functions.

| name     | what it is                                                                           |
|----------|--------------------------------------------------------------------------------------|
| cosine   | Nichol & Dhariwal 2021                                                               |
| linear   | DDPM's betas                                                                         |
| sigmoid  | Jabri et al. 2022                                                                    |
| flow     | rectified flow, the straight path                                                    |
| ve       | EDM's exploding variance: alpha = 1, sigma up to 80                                  |
| zero_snr | linear, rescaled so that no signal is left at t = 1                                  |
| unscaled | linear as written for T = 1000: with fewer timesteps much of the data is left        |
| reversed | linear with its steps swapped, the largest beta first                                |
| drawn:…  | log-SNR along lines through knots of one's own, "drawn:0,8;0.5,0;1,-9"               |
"""

from __future__ import annotations

from ..registry import discover
from .base import NAMED, RHO, SPACINGS, Named, Schedule, named
from .tables import Discrete, ZeroTerminalSNR, betas_from_alpha_bar, cosine_betas, linear_betas, sigmoid_betas
from .curves import Drawn, Flow, VarianceExploding  # after the tables, as in a menu

__all__ = ["NAMED", "RHO", "SCHEDULES", "SPACINGS", "Discrete", "Drawn", "Flow", "Named", "Schedule",
           "VarianceExploding", "ZeroTerminalSNR", "betas_from_alpha_bar", "cosine_betas", "linear_betas",
           "make_schedule", "named", "sigmoid_betas"]

discover(__name__)
#: The names that a menu can offer; a drawn schedule has a name of its own.
SCHEDULES = tuple(NAMED)


def make_schedule(name: str, T: int = 1000) -> Schedule:
    """The schedule of that name with T training timesteps. ValueError for an unknown name or a T that cannot be."""
    drawn = name.startswith(Drawn.PREFIX)
    if name not in NAMED and not drawn:
        raise ValueError(f"schedule {name!r}; there are {', '.join(SCHEDULES)}, and drawn:0,8;0.5,0;1,-9 through knots "
                         "of your own")
    least = 2 if drawn else NAMED[name].least
    if not least <= T <= 10_000:
        raise ValueError(f"T = {T} for the {name} schedule; allowed are {least} to 10000 timesteps")
    return Drawn.read(name, T) if drawn else NAMED[name].make(T)
