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


_POSTERIOR = dict(formula="x_{s} = α_{s} x̂_{0} + √(σ_{s}² − std²) ε̂ + std\u00a0·\u00a0z",
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
    "dpmpp_2m": Equation(
        formula="x_{s} = σ_{s}/σ_{t} x_{t} + (α_{s} − σ_{s} α_{t}/σ_{t}) [ (1 + c) x̂_{0} − c x̂_{0}′ ]",
        figures="xₛ = {keep:.3f} · xₜ + {gain:.3f} · [ {now:.3f} · x̂₀ − {then:.3f} · x̂₀′ ]",
        note="x̂₀′ is the guess of the step before, c = h / 2h′ with h the stride of log α/σ",
        source="core/samplers/multistep.py · x_s = keep·x_t + gain·[ (1 + c)·x0 − c·x0_before ]"),
    "euler_maruyama": Equation(
        formula="x_{s} = (2 − a) x_{t} − b²/σ_{t} ε̂ + b z",
        figures="xₛ = {keep:.3f} · xₜ − {pull:.3f} · ε̂ + {std:.3f} · z",
        note="the forward step is xₜ = a xₛ + b z",
        source="core/samplers/sde.py · x_s = (2 − a)·x_t − (b²/sigma_t)·eps + b·z"),
    "langevin": Equation(
        formula="x ← x − ½ δ σ_{s} ε̂(x, s) + √δ σ_{s} z",
        figures="x ← x − {pull:.3f} · ε̂(x, s) + {inner_std:.3f} · z, {inner:.0f} times, the last with {std:.3f} · z",
        note="from xₜ to xₛ; the last step, to 0, takes x̂₀",
        source="core/samplers/sde.py · x ← x − ½·size·sigma_s·eps(x, s) + √size·sigma_s·z"),
    "predictor_corrector": Equation(
        formula="y = α_{s} x̂_{0} + √(σ_{s}² − std²) ε̂ + std · z′,  x_{s} = y − ½ δ σ_{s} ε̂(y, s) + √δ σ_{s} z",
        figures="y = {alpha_s:.3f} · x̂₀ + {direction:.3f} · ε̂ + {inner_std:.3f} · z′,  "
                "xₛ = y − {pull:.3f} · ε̂(y, s) + {std:.3f} · z",
        note="z′ and z are fresh noise, std the posterior's",
        source="core/samplers/sde.py · x_s = y − ½·size·sigma_s·eps(y, s) + √size·sigma_s·z"),
    "renoise": Equation(
        formula="x_{s} = α_{s} x̂_{0} + σ_{s} z", figures="xₛ = {alpha_s:.3f} · x̂₀ + {std:.3f} · z",
        note="for one-step models, whose x̂₀ is a jump to the data; any other model's x̂₀ is a mean, "
             "and this is no sampler",
        source="core/samplers/jumping.py · x_s = alpha_s·x0 + sigma_s·noise"),
    "ascent": Equation(
        formula="x ← x − ½ δ σ_{s} ε̂(x, s)", figures="x ← x − {pull:.3f} · ε̂(x, s), {inner:.0f} times",
        note="fails on purpose: no noise, so all climb to the modes; the last step takes x̂₀",
        source="core/samplers/failing.py · x ← x − ½·size·sigma_s·eps(x, s)"),
    "ascent_adam": Equation(
        formula="x ← x − rate · m̂ / √v̂,  m and v the running means of ε̂/σ_{s} and its square",
        figures="x ← x − {rate:.4f} · m̂ / √v̂, {inner:.0f} times",
        note="fails on purpose: no noise, so all climb to the modes; the last step takes x̂₀",
        source="core/samplers/failing.py · x ← x − rate·m̂/(√v̂ + 1e−8)"),
}
