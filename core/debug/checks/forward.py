"""The line x_t = alpha·x0 + sigma·eps."""

from __future__ import annotations

import numpy as np

from ..closed_forms import tables
from ..exam import Exam, number
from ..landings import landings
from ..places import Place


def check_forward(exam: Exam) -> None:
    L = exam.levels
    crooked = [c for c in exam.learning if c.facts.get("crooked")]
    if len(crooked) > 0.5 * len(exam.learning):
        exam.found(
            Place.FORWARD,
            "x_t is no sum of multiples of data and noise: something is divided by one of them",
            weight=3,
            expected="alpha·x0 + sigma·eps",
            evidence=f"the arithmetic of {len(crooked)} batches",
        )
        return
    if L is None or exam.has(Place.NOISE):
        if L is None:
            exam.not_seen(
                "alpha and sigma of training",
                "noise the data with torch arithmetic inside the block, or run.train(x_t=…, x0=…, noise=…)",
            )
        return
    exam.fine(Place.FORWARD)
    if L.flipped and not _flip_is_meant(exam):
        exam.found(
            Place.FORWARD,
            "x_t is made with minus sigma times eps, and neither the target nor the sampler knows of it",
            weight=2,
            measured=f"sigma = {number(-float(L.sigma[len(L.t) // 2]))} at t = {number(L.t[len(L.t) // 2])}",
            expected="alpha·x0 + sigma·eps",
            refute="a target and a sampler that have the minus too",
        )
        return
    name = L.closed_name or {
        "VP": "variance preserving",
        "VE": "variance exploding",
        "flow": "straight path",
        "EDM": "preconditioned input",
    }.get(L.family or "", "no family that is known here")
    exam.identified["levels"] = {
        "t": L.t.tolist()[:4000],
        "alpha": L.alpha.tolist()[:4000],
        "sigma": L.sigma.tolist()[:4000],
        "family": L.family,
        "closed_form": L.closed_name,
    }
    exam.tell(
        f"x_t = alpha·x0 + sigma·eps at {len(L.t):,} values of t: {name}; alpha from {number(L.alpha.max())} to "
        f"{number(L.alpha.min())}, sigma from {number(L.sigma.min())} to {number(L.sigma.max())}"
    )
    k = int(len(L.t) // 2)
    size = max(1e-6, float(np.ptp(L.sigma)))
    if L.spread > 1e-3 * max(1.0, float(np.abs(L.sigma).max())) and (L.rows > 1).any():
        exam.found(
            Place.FORWARD,
            "at one t, rows get different noise levels",
            measured=f"they differ by {number(L.spread)}",
            expected="one alpha and one sigma for each t",
            weight=3,
            evidence=f"{int(L.rows.sum()):,} rows of {len(L.t):,} values of t",
        )
        return
    if L.family is None:
        off = L.alpha**2 + L.sigma**2 - 1
        worst = int(np.abs(off).argmax())
        exam.found(
            Place.FORWARD,
            f"at t = {number(L.t[worst])} x_t = {number(L.alpha[worst])}·x0 + "
            f"{number(L.sigma[worst])}·eps: {_root_hint(L, worst)}",
            measured=f"alpha² + sigma² = {number(1 + off[worst])}, alpha + sigma = "
            f"{number(L.alpha[worst] + L.sigma[worst])}",
            expected="alpha² + sigma² = 1 (DDPM), alpha + sigma = 1 (flow) or alpha = 1 (exploding variance)",
            evidence=f"{int(L.rows.sum()):,} rows of {len(exam.run.trains)} batches",
            weight=2,
            refute="a forward process of your own whose sampler uses the same alpha and sigma",
        )
        return
    if len(L.t) > 8 and L.family != "VE":
        ratio = L.sigma / np.maximum(np.abs(L.alpha), 1e-9)
        steps = np.diff(ratio)
        rising = (steps > 0).mean()
        if 0.1 < rising < 0.9 and np.abs(steps).max() > 1e-6:
            exam.found(
                Place.FORWARD,
                "the noise level does not run one way with t",
                measured=f"it rises in {rising:.0%} of the gaps",
                expected="more noise at every later t (or less)",
                weight=1,
            )
            return
        jump = int(np.abs(np.diff(L.alpha)).argmax())
        if L.discrete and np.abs(np.diff(L.alpha)).max() > 0.5 and len(L.t) > 20 and min(jump, len(L.t) - 2 - jump) < 2:
            exam.found(
                Place.FORWARD,
                f"between t = {number(L.t[jump])} and {number(L.t[jump + 1])} alpha leaps from "
                f"{number(L.alpha[jump])} to {number(L.alpha[jump + 1])}: an index that wraps around",
                expected="small steps",
                weight=1,
            )
            return
    if L.family == "flow" and L.discrete and not L.closed and _is_alpha_bar(L):
        exam.found(
            Place.FORWARD,
            f"at t = {number(L.t[k])} x_t = {number(L.alpha[k])}·x0 + {number(L.sigma[k])}·eps: "
            "that is alpha_bar and 1 − alpha_bar, without their roots",
            measured=f"alpha² + sigma² = {number(L.alpha[k] ** 2 + L.sigma[k] ** 2)}",
            expected="sqrt(alpha_bar) and sqrt(1 − alpha_bar)",
            weight=2,
            evidence=f"alpha is the product of 1 − beta of a known schedule to {size * 1e-4:.0e}",
        )


def _flip_is_meant(exam: Exam) -> bool:
    """Whether the steps land where they should with the sign as it is: then −eps is only another name."""
    if exam.walk is None or exam.levels.kind in (None, "none"):
        return exam.walk is None
    known = [x for x in landings(exam.walk, exam.levels) if x.seen and np.isfinite(x.A) and np.isfinite(x.want[0])]
    return bool(known) and np.mean([x.good for x in known]) > 0.9


def _is_alpha_bar(L) -> bool:
    """Whether alpha itself runs like the cumulative product of a schedule, and not its root."""
    top = int(L.t[-1]) + 1
    for T in {top, 1000, int(L.t[-1])}:
        if T < 2:
            continue
        for _, betas in tables(T):
            bar = np.cumprod(1 - betas)
            index = np.clip(L.t.astype(int), 0, T - 1)
            if np.abs(bar[index] - L.alpha).max() < 2e-3:
                return True
    steps = L.alpha[1:] / np.maximum(L.alpha[:-1], 1e-12)
    gaps = np.diff(L.t)
    betas = 1 - steps ** (1 / np.maximum(gaps, 1))
    inner = (L.alpha[1:] > 0.05) & (betas > 0)
    if inner.sum() < 8 or L.alpha[0] < 0.98:
        return False
    line = np.polyfit(L.t[1:][inner], betas[inner], 1)
    return bool(np.abs(np.polyval(line, L.t[1:][inner]) - betas[inner]).max() < 0.02 * betas[inner].max())


def _root_hint(L, k: int) -> str:
    a, s = abs(float(L.alpha[k])), abs(float(L.sigma[k]))
    for value, words in (
        (a**2 + s, "sigma lacks its root: it is 1 − alpha²"),
        (a + s**2, "alpha lacks its root"),
        (a**4 + s**2, "alpha has one root too many"),
    ):
        if abs(value - 1) < 2e-3:
            return words
    return "no forward process that is known here"
