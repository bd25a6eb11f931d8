"""Schedules: functions t → (alpha, sigma). DDPM's betas, exploding variance and rectified flow are such functions.

| name     | what it is                                                                           |
|----------|--------------------------------------------------------------------------------------|
| cosine   | Nichol & Dhariwal 2021                                                               |
| linear   | DDPM's betas                                                                         |
| sigmoid  | Jabri et al. 2022                                                                    |
| flow     | rectified flow, the straight path                                                    |
| ve       | EDM's exploding variance: alpha = 1, sigma up to 80                                  |
| zero_snr | linear, rescaled so that no signal is left at t = 1                                  |
| drawn:…  | log-SNR along lines through knots of one's own, "drawn:0,8;0.5,0;1,-9"               |
"""

from __future__ import annotations

from .base import RHO, SPACINGS, Schedule
from .curves import Drawn, Flow, VarianceExploding
from .tables import Discrete, ZeroTerminalSNR, betas_from_alpha_bar, cosine_betas, linear_betas, sigmoid_betas

__all__ = ["RHO", "SCHEDULES", "SPACINGS", "Discrete", "Drawn", "Flow", "Schedule", "VarianceExploding",
           "ZeroTerminalSNR", "betas_from_alpha_bar", "cosine_betas", "linear_betas", "make_schedule", "sigmoid_betas"]

_MAKERS = {
    "cosine": lambda T: Discrete("cosine", cosine_betas(T)),
    "linear": lambda T: Discrete("linear", linear_betas(T)),
    "sigmoid": lambda T: Discrete("sigmoid", sigmoid_betas(T)),
    "flow": Flow,
    "ve": VarianceExploding,
    "zero_snr": lambda T: ZeroTerminalSNR("zero_snr", Discrete("linear", linear_betas(T))),
}
#: The names that a menu can offer; a drawn schedule has a name of its own.
SCHEDULES = tuple(_MAKERS)


def make_schedule(name: str, T: int = 1000) -> Schedule:
    """The schedule of that name with T training timesteps. ValueError for an unknown name or a T that cannot be."""
    drawn = name.startswith(Drawn.PREFIX)
    if name not in _MAKERS and not drawn:
        raise ValueError(f"schedule {name!r}; there are {', '.join(SCHEDULES)}, and drawn:0,8;0.5,0;1,-9 through knots "
                         "of your own")
    # Linear betas scaled by 1000/T reach 1 at T = 20.
    least = 21 if name in ("linear", "zero_snr") else 2
    if not least <= T <= 10_000:
        raise ValueError(f"T = {T} for the {name} schedule; allowed are {least} to 10000 timesteps")
    return Drawn.read(name, T) if drawn else _MAKERS[name](T)
