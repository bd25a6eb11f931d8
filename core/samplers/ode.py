"""The probability-flow ODE, by Euler's and by Heun's method, in the two coordinates in which it has no linear part.

Every schedule is one path in other clothes. In the straight coordinate r = sigma/(alpha + sigma), z = x/(alpha + sigma)
obeys dz/dr = eps − x0; in EDM's, r = sigma/alpha, z = x/alpha obeys dz/dr = eps (Song et al. 2020, eq. 14; Karras et
al. 2022, section 2). An Euler step is the same in both, and it is DDIM. Methods of higher order differ.
"""

from __future__ import annotations

from ..schedules import Schedule
from .rule import Rule, sampler


@sampler(
    "Heun", formula="x_{s} = (α_{s}+σ_{s}) [ x_{t}/(α_{t}+σ_{t}) + Δr · ½(u_{t} + u_{s}) ]",
    figures="xₛ = {scale_s:.3f} [ {scale_t:.3f} · xₜ + ({dr:+.4f}) · ½(uₜ + uₛ) ]",
    note="u = ε̂ − x̂₀; the last step, to 0, takes uₜ alone",
    line="scale_s * (z + dr * slope)")
def heun(schedule: Schedule) -> Rule:
    """Heun's second-order method for the probability-flow ODE; two network evaluations a step, one at the last.

    Every schedule is the straight path in other clothes: with r = sigma/(alpha + sigma), z = x/(alpha + sigma) obeys
    dz/dr = eps − x0. An Euler step in (z, r) is DDIM; this averages the slope at both of its ends:
    x_s = scale_s * (z + dr * slope). r is finite at both ends of time. The last step, to sigma = 0, is Euler's: there
    is no eps to ask for at the data. Its error goes with the square of the sigma it starts from, so choose times that
    are dense there ("log_snr"): 20 uniform steps of the linear schedule leave sigma = 0.18 to it, and it then outweighs
    all the others.
    """

    def coefficients(t, s, before=None):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
        scale_t, scale_s = alpha_t + sigma_t, alpha_s + sigma_s
        return {"scale_t": 1 / scale_t, "scale_s": scale_s, "dr": sigma_s / scale_s - sigma_t / scale_t, "std": 0.0}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        scale_s, dr = n["scale_s"], n["dr"]
        z, slope = x_t * n["scale_t"], prediction.velocity
        if schedule.at(s)[1] > 0:
            euler = scale_s * (z + dr * slope)
            slope = (slope + denoise(euler, s).velocity) / 2
        return scale_s * (z + dr * slope), n

    return Rule(take, coefficients)


@sampler(
    "Heun in σ/α", formula="x_{s} = α_{s} x̂_{0} + σ_{s} ε̂ + ½ α_{s} (σ_{s}/α_{s} − σ_{t}/α_{t}) (ε̂_{s} − ε̂)",
    figures="xₛ = {x0:.3f} · x̂₀ + {eps:.3f} · ε̂ + ({eps_s:+.4f}) · (ε̂ₛ − ε̂)",
    note="ε̂ₛ is asked for where the first two terms arrive",
    line="x_s = alpha_s·x0 + sigma_s·eps + half·(eps_s − eps)")
def heun_edm(schedule: Schedule) -> Rule:
    """Heun's method in sigma/alpha, as EDM's sampler has it (Karras et al. 2022, algorithm 1).

    x_s = alpha_s·x0 + sigma_s·eps + half·(eps_s − eps), half = ½·alpha_s·(sigma_s/alpha_s − sigma_t/alpha_t), eps_s
    asked for where Euler's step, the first two terms, arrives. Two network evaluations a step. At the last step and
    where alpha_t = 0 (sigma/alpha is infinite there) it is Euler's, with one. A step over a wide range of sigma/alpha
    serves it badly: "trailing" times of the cosine schedule, whose first step goes from 20,000 to 60, do not suit it.
    """

    def coefficients(t, s, before=None):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule.at(t), schedule.at(s)
        half = (sigma_s - alpha_s * sigma_t / alpha_t) / 2 if alpha_t * sigma_s > 0 else 0.0
        return {"x0": alpha_s, "eps": sigma_s, "eps_s": half, "std": 0.0}

    def take(denoise, x_t, prediction, t, s):
        n = coefficients(t, s)
        mean = n["x0"] * prediction.x0 + n["eps"] * prediction.eps
        if n["eps_s"]:
            mean = mean + n["eps_s"] * (denoise(mean, s).eps - prediction.eps)
        return mean, n

    return Rule(take, coefficients)
