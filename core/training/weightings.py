"""What an error counts at each noise level: the weight of |output − target|² in the training loss.

An error of the output is an error of x0, of eps and of EDM's F at once, each times a number that depends on the noise
level alone. So a weighting is one rule for all targets: it says what an error of x0 counts, and the weight of the
output's error is that times (∂x0/∂output)². With SNR = alpha²/sigma² and s = sigma_data:

| weighting | |x0_hat − x0|² counts            | which is                                                      |
|-----------|----------------------------------|---------------------------------------------------------------|
| target    | 1/(∂x0/∂output)²                 | the output's own error as it is; the target is the weighting  |
| eps       | SNR                              | |eps_hat − eps|²: DDPM's simple loss (Ho et al. 2020, eq. 14) |
| x0        | 1                                | |x0_hat − x0|²                                                |
| min_snr   | min(SNR, 5)                      | Hang et al. 2023, gamma = 5                                   |
| edm       | (alpha²s² + sigma²)/(sigma²s²)   | |F_hat − F|² (Karras et al. 2022, table 1 and eq. 8)          |

Min-SNR is min(SNR, 5)/SNR for eps and, where alpha² + sigma² = 1, min(SNR, 5)/(SNR + 1) for v. Of the others, "eps"
on a network that puts out x0, and "x0" on one that puts out eps, weigh one end of time a millionfold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..prediction import PREDICTION_TYPES, TINY

#: name → how people read it
WEIGHTINGS = {"target": "weighted by target", "eps": "ε-weighted", "x0": "x₀-weighted", "min_snr": "min-SNR",
              "edm": "EDM weights"}
GAMMA = 5.0  #: of min-SNR


def x0_error_per_target_error(prediction_type: str, alpha: Tensor, sigma: Tensor, sigma_data: float = 1.0) -> Tensor:
    """|∂x0/∂output|: by how much an error of the network's output shows in x0."""
    if prediction_type == "eps":
        return sigma / alpha.clamp(min=TINY)
    if prediction_type == "x0":
        return torch.ones_like(alpha)
    if prediction_type == "v":
        return sigma / (alpha**2 + sigma**2)
    if prediction_type == "velocity":
        return sigma / (alpha + sigma)
    if prediction_type == "edm":
        return sigma * sigma_data / (alpha**2 * sigma_data**2 + sigma**2).sqrt()
    raise ValueError(f"prediction type {prediction_type!r}; a network can put out {', '.join(PREDICTION_TYPES)}")


def weight_of(weighting: str, prediction_type: str, alpha: Tensor, sigma: Tensor, sigma_data: float = 1.0) -> Tensor:
    """What |output − target|² counts, (B,), for noise levels alpha and sigma (B,). ValueError for an unknown name."""
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting {weighting!r}; it can be {', '.join(WEIGHTINGS)}")
    if weighting == "target":
        return torch.ones_like(alpha)
    snr = (alpha / sigma.clamp(min=TINY)) ** 2
    counts = {
        "eps": lambda: snr,
        "x0": lambda: torch.ones_like(alpha),
        "min_snr": lambda: snr.clamp(max=GAMMA),
        "edm": lambda: (alpha**2 * sigma_data**2 + sigma**2) / (sigma.clamp(min=TINY) * sigma_data) ** 2,
    }[weighting]()
    return counts * x0_error_per_target_error(prediction_type, alpha, sigma, sigma_data) ** 2
