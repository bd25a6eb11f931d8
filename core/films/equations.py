"""The equation of each sampler, with places for the numbers of its rule, and the line of the core that says it."""

from __future__ import annotations

from dataclasses import dataclass

SPAN = "from t = {t:.3f} to s = {s:.3f}"


@dataclass(frozen=True)
class Equation:
    """What stands under a walk. `figures` is filled with the rule's own numbers, and with the std really added."""

    formula: str
    figures: str
    note: str
    source: str


_POSTERIOR = dict(formula="x_{s} = α_{s} x̂_{0} + √(σ_{s}² − std²) ε̂ + std · z",
                  figures="xₛ = {alpha_s:.3f} · x̂₀ + {direction:.3f} · ε̂ + {std:.3f} · z")
_ANCESTRAL = "core/samplers/ancestral.py · "

EQUATIONS = {
    "ddim": Equation(**_POSTERIOR, note="std = η · posterior std unless dropped",
                     source=_ANCESTRAL + "mean = alpha_s·x0 + √(sigma_s² − std²)·eps"),
    "ddpm": Equation(**_POSTERIOR, note="std = posterior std unless dropped",
                     source=_ANCESTRAL + "mean = alpha_s·x0 + √(sigma_s² − std²)·eps"),
    "ddpm_beta": Equation(
        formula="x_{s} = α_{s} x̂_{0} + √(σ_{s}² − posterior std²) ε̂ + √β · z", figures=_POSTERIOR["figures"],
        note="√β of the step is the std unless dropped", source=_ANCESTRAL + "the mean of `ddpm`, std = step_std"),
    "heun": Equation(
        formula="x_{s} = (α_{s}+σ_{s}) [ x_{t}/(α_{t}+σ_{t}) + Δr · ½(u_{t} + u_{s}) ]",
        figures="xₛ = {scale_s:.3f} [ {scale_t:.3f} · xₜ + ({dr:+.4f}) · ½(uₜ + uₛ) ]",
        note="u = ε̂ − x̂₀; the last step, to 0, takes uₜ alone",
        source="core/samplers/ode.py · scale_s * (z + dr * slope)"),
    "heun_edm": Equation(
        formula="x_{s} = α_{s} x̂_{0} + σ_{s} ε̂ + ½ α_{s} (σ_{s}/α_{s} − σ_{t}/α_{t}) (ε̂_{s} − ε̂)",
        figures="xₛ = {alpha_s:.3f} · x̂₀ + {sigma_s:.3f} · ε̂ + ({half:+.4f}) · (ε̂ₛ − ε̂)",
        note="ε̂ₛ is asked for where the first two terms arrive",
        source="core/samplers/ode.py · x_s = alpha_s·x0 + sigma_s·eps + half·(eps_s − eps)"),
}
