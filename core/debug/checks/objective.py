"""What the output is held against, and how."""

from __future__ import annotations

import numpy as np

from ..exam import Exam, number
from ..levels import KINDS
from ..places import Place
from .inputs import facts_of


def check_target(exam: Exam) -> None:
    L = exam.levels
    calls = [c for c in exam.learning if c.u is not None]
    if not calls or L is None:
        if exam.learning and not exam.has(Place.NOISE):
            exam.not_seen(
                "what the output is compared with",
                "subtract it from the output, or hand both to a loss, inside the block; or run.train(target=…)",
            )
        return
    if exam.has(Place.NOISE) and any(c.facts["noise"]["alike"] for c in calls):
        return
    exam.fine(Place.TARGET)
    left = np.concatenate([c.left for c in calls if c.left is not None])
    left = left[np.isfinite(left)]
    share = float(np.median(left)) if len(left) else 0.0
    draws = np.mean([bool(c.facts.get("target_draw")) for c in calls])
    kind = L.kind
    pooled = [c.facts["target_pooled"] for c in calls if "target_pooled" in c.facts]
    if pooled:
        share = float(np.median([p[2] for p in pooled]))
        u, v = (float(np.median([p[k] for p in pooled])) for k in (0, 1))
        kind = "none" if max(abs(u), abs(v)) < 0.15 and share > 0.5 else kind if share < 1e-3 else "other"
        L.kind = kind
    exam.identified["target"] = kind
    if kind == "none" or draws > 0.5 and share > 0.3:
        exam.found(
            Place.TARGET,
            "the output is compared with noise that is not in x_t: there is nothing to learn",
            measured=f"{share:.0%} of the target is neither x0 nor eps of x_t",
            expected="the very eps, x0, v or velocity of x_t",
            weight=3,
            evidence=f"{len(calls)} batches",
            refute="compare with the tensor that x_t was made of",
        )
        return
    if share > 1e-3:
        exam.found(
            Place.TARGET,
            f"{share:.1%} of the target is neither the x0 nor the eps of x_t",
            weight=2,
            measured=f"share {share:.3g}",
            expected="0",
            evidence=f"{len(calls)} batches",
        )
        return
    if kind in KINDS:
        backwards = kind == "−x0" or kind == "−v" and not L.told  # EDM's F is −v where the data's scale is 1
        exam.tell(f"the network is taught {kind}" + (", the opposite of what papers have" if backwards else ""))
        if backwards:
            exam.found(Place.TARGET, f"the network is taught {kind}", unusual=True)
        return
    if kind == "other":
        with np.errstate(all="ignore"):
            known = np.isfinite(L.u) & np.isfinite(L.v)
            det = (L.alpha * L.v - L.sigma * L.u)[known] / np.hypot(L.alpha, L.sigma)[known]
            size = np.hypot(L.u, L.v)[known]
        k = int(np.flatnonzero(known)[len(det) // 2])
        words = f"at t = {number(L.t[k])} the target is {number(L.u[k])}·x0 + {number(L.v[k])}·eps"
        if np.median(np.abs(det) / size) < 1e-2:
            exam.found(
                Place.TARGET,
                f"{words}: that is a multiple of x_t itself, which needs no learning",
                weight=2,
                measured=words,
                expected="eps, x0, v or velocity",
            )
            return
        preconditioned = L.family in ("VE", "EDM")
        own = preconditioned or np.abs(det / size).min() > 0.05
        if own:
            exam.tell(f"{words}: a combination of its own (a preconditioned network has one)")
        if not preconditioned:
            exam.found(
                Place.TARGET,
                f"{words}: none of eps, x0, v, velocity",
                weight=1,
                measured=words,
                expected=f"v would be {number(-L.sigma[k])}·x0 + {number(L.alpha[k])}·eps",
                refute="a sampler that takes the output for this very combination" if own else "",
            )


def check_loss(exam: Exam) -> None:
    calls = [c for c in exam.learning if c.facts.get("compared") or c.facts.get("loss")]
    if not calls:
        return
    exam.fine(Place.LOSS)
    n = len(calls)
    shapes = [c.facts["compared"] for c in calls if c.facts.get("compared")]
    unequal = [s for s in shapes if s[0] != s[1]]
    if len(unequal) > 0.5 * n:
        a, b = unequal[0]
        exam.found(
            Place.LOSS,
            f"the output has shape {tuple(a)} and what it is compared with {tuple(b)}: every row is "
            "held against others",
            measured=f"{tuple(a)} against {tuple(b)}",
            expected="equal shapes",
            weight=3,
            evidence=f"{len(unequal)} of {n} batches",
            refute="equal shapes after all",
        )
        return
    signs = [c.facts["slope"] for c in calls if "slope" in c.facts]
    alike = [c.facts["alike"] for c in calls if "alike" in c.facts]
    kinds = [c.facts.get("loss") for c in calls]
    if signs and np.median(signs) < 0 and np.median(alike) < -0.1:
        exam.found(
            Place.LOSS,
            "the gradient drives the output away from its target: the loss has the wrong sign",
            measured=f"slope {number(float(np.median(signs)))}",
            expected="positive",
            weight=2,
            evidence=f"{len(signs)} gradients at the output",
        )
    elif kinds.count("mean") > 0.5 * n:
        exam.found(
            Place.LOSS,
            "the differences are averaged as they are: they are not squared, and cancel",
            measured="mean of (output − target)",
            expected="mean of its square",
            weight=2,
        )
    elif any(str(k).startswith("power") for k in kinds):
        kind = next(k for k in kinds if str(k).startswith("power"))
        exam.found(
            Place.LOSS,
            f"the differences are taken to the {kind}",
            unusual="4" in str(kind) or "6" in str(kind),
            expected="their square",
            weight=1,
        )
    elif len(facts_of(calls, "ignored")) and np.median(facts_of(calls, "ignored")) > 0.2:
        exam.found(
            Place.LOSS,
            f"{np.median(facts_of(calls, 'ignored')):.0%} of the output's elements get no gradient",
            expected="every element counts",
            weight=1,
        )
    elif kinds and kinds.count("squared") < 0.5 * n and set(kinds) & {"absolute", "huber", "norm"}:
        exam.found(
            Place.LOSS,
            f"the loss is not a mean of squares but {max(set(kinds), key=kinds.count)}",
            unusual=True,
            expected="mean of squares: its best answer is the mean that the theory asks for",
        )
