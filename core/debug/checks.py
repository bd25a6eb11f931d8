"""Algorithm 1, line by line: data, time, noise, x_t, target, loss, learning."""

from __future__ import annotations

import numpy as np

from .exam import Exam, number
from .identify import KINDS, landings, tables
from .places import Place
from .record import Train


def training_checks(exam: Exam) -> None:
    """Everything that the training calls and the networks themselves tell."""
    if exam.run.trains:
        if _finite(exam):
            _data(exam)
            _noise(exam)
            _forward(exam)
            _target(exam)
            _time_sampling(exam)
            _precision(exam)
            _loss(exam)
            _learning(exam)
    else:
        exam.not_seen("no training call was seen", "call the network on noised data, with gradients, inside the block")
    _network(exam)


def _facts(calls: list[Train], name: str) -> list:
    return [c.facts[name] for c in calls if c.facts.get(name) is not None]


def _finite(exam: Exam) -> bool:
    """NaN and infinity come first, and end the search among what they make."""
    for call in exam.run.trains:
        f = call.facts
        x0, eps = f.get("x0"), f.get("noise")
        if x0 and not x0["finite"]:
            exam.found(
                Place.DATA,
                f"the data hold numbers that are not finite, first in training call {f['index']}",
                measured="NaN or infinity in x0",
                expected="finite numbers",
                refute="x0.isfinite().all()",
            )
            return False
        if eps and not eps["finite"]:
            exam.found(Place.NOISE, "the noise is not finite", measured="NaN or infinity in eps", expected="N(0, 1)")
            return False
        if f.get("input_finite") is False:
            if call.alpha is not None and not (np.isfinite(call.alpha).all() and np.isfinite(call.sigma).all()):
                bad = call.t[~(np.isfinite(call.alpha) & np.isfinite(call.sigma))]
                exam.found(
                    Place.FORWARD,
                    f"alpha or sigma is not a number at t = {number(bad[0])}",
                    measured="NaN",
                    expected="alpha² + sigma² = 1: no beta of 1 or more, no 0 divided by 0",
                )
            else:
                exam.found(Place.DATA, f"the input of training call {f.get('index', 0)} is not finite")
            return False
        if not f["finite"]:
            exam.found(
                Place.LEARNING,
                f"the network's output is not finite from training call {f.get('index', 0)} on, with a finite input",
                measured="NaN or infinity",
                expected="finite numbers",
                evidence="its weights have left the range of numbers",
                refute="a smaller learning rate, or clipped gradients, and the same",
            )
            return False
    return True


def _data(exam: Exam) -> None:
    seen = _facts(exam.run.trains, "x0")
    if not seen:
        exam.not_seen("x0 of the training calls", "noise it with torch inside the block, or run.train(x0=…, noise=…)")
        return
    exam.fine(Place.DATA)
    low, high = min(m["low"] for m in seen), max(m["high"] for m in seen)
    rms = float(np.sqrt(np.mean([m["std"] ** 2 + m["mean"] ** 2 for m in seen])))
    mean = float(np.mean([m["mean"] for m in seen]))
    exam.identified["data"] = {"low": low, "high": high, "rms": rms, "mean": mean}
    picture = any(len(m["shape"]) > 2 for m in seen)
    if exam.levels is not None and exam.levels.family in ("VE", "EDM"):
        if exam.levels.family == "VE" and rms > 0 and exam.levels.sigma.max() < 2 * rms:
            exam.found(
                Place.DATA,
                f"the data's size is {number(rms)} and the most noise only {number(float(exam.levels.sigma.max()))}",
                unusual=True,
            )
        return
    common = dict(
        measured=f"from {number(low)} to {number(high)}, root mean square {number(rms)}",
        expected="about −1 to 1, root mean square 0.3 to 1.5",
        evidence=f"{len(seen)} batches",
        refute="let x0 range over about [−1, 1]: the symptom stays",
    )
    if rms > 3.0 or picture and high > 8:
        exam.found(Place.DATA, f"the data's size is {number(rms)}, where noise of size 1 is to drown it", **common)
    elif rms < 0.03 and rms > 0:
        exam.found(Place.DATA, f"the data's size is {number(rms)}: noise drowns it at nearly every t", **common)
    elif rms > 1.8 or 0 < rms < 0.12:
        exam.found(Place.DATA, f"the data's size is {number(rms)}", unusual=True, **common)
    elif picture and low >= 0 and high <= 1.01 and mean > 0.02:
        exam.found(Place.DATA, "the pictures range over [0, 1], not [−1, 1]", unusual=True, **common)


def _noise(exam: Exam) -> None:
    calls = [c for c in exam.learning if c.facts.get("noise")]
    if not calls:
        return
    exam.fine(Place.NOISE)
    drawn = [c.facts["noise"] for c in calls]
    law = max((m.get("law", "") for m in drawn), key=[m.get("law", "") for m in drawn].count)
    many = [m for m in drawn if m["shape"][0] > 1]
    if many and np.mean([m["alike"] for m in many]) > 0.5:
        exam.found(
            Place.NOISE,
            "all rows of a batch get the same noise",
            measured="one draw, repeated",
            expected="independent noise for every row",
            evidence=f"{len(many)} batches",
            weight=3,
        )
        return
    keys = [m["key"] for m in drawn if "key" in m]
    if len(keys) > 8 and 1 - len(set(keys)) / len(keys) > 0.3:
        exam.found(
            Place.NOISE,
            f"the same noise is used again and again: {len(set(keys))} draws in {len(keys)} batches",
            expected="drawn anew for every batch",
            weight=2,
        )
        return
    off = exam.normal(drawn)
    if off:
        exam.found(
            Place.NOISE,
            f"the noise is not N(0, 1): its {off[0]} is off"
            + (f"; it is drawn from a {law} law" if law not in ("normal", "") else ""),
            measured=off[1],
            expected="mean 0, std 1, excess kurtosis 0",
            evidence=f"{len(drawn)} batches",
            chance=off[2],
            refute="torch.randn_like(x0) in its place: the symptom stays",
            weight=1,
        )
        return
    linked = [c.facts["correlation"] for c in calls if "correlation" in c.facts]
    if linked:
        n = float(np.mean([m["count"] for m in drawn])) * len(linked)
        exam.tests += 1
        r = float(np.mean(linked))
        if abs(r) > 0.1 and abs(r) * n**0.5 > 8:
            exam.found(Place.NOISE, f"noise and data are not independent: their correlation is {number(r)}")


def _forward(exam: Exam) -> None:
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


def _target(exam: Exam) -> None:
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
        elif _same_at_same_t(L) and (exam.levels.family in ("VE", "EDM") or np.abs(det / size).min() > 0.05):
            exam.tell(f"{words}: a combination of its own (a preconditioned network has one)")
            if not exam.levels.family == "EDM" and not exam.levels.family == "VE":
                exam.found(
                    Place.TARGET,
                    f"{words}: none of eps, x0, v, velocity",
                    weight=1,
                    measured=words,
                    expected=f"v would be {number(-L.sigma[k])}·x0 + {number(L.alpha[k])}·eps",
                    refute="a sampler that takes the output for this very combination",
                )
        else:
            exam.found(
                Place.TARGET,
                f"{words}: none of eps, x0, v, velocity",
                weight=1,
                measured=words,
                expected=f"v would be {number(-L.sigma[k])}·x0 + {number(L.alpha[k])}·eps",
            )


def _same_at_same_t(L) -> bool:
    return bool(np.isfinite(L.u).any())


def _time_sampling(exam: Exam) -> None:
    L = exam.levels
    calls = [c for c in exam.learning if np.isfinite(c.t).all()]
    if not calls:
        return
    exam.fine(Place.TIME_SAMPLING)
    t = np.sort(np.concatenate([c.t for c in calls]))
    if len(t) < 30:
        return
    exam.identified["trained_t"] = {"low": float(t[0]), "high": float(t[-1]), "rows": len(t)}
    if t[0] == t[-1]:
        exam.found(
            Place.TIME_SAMPLING,
            f"every training call is told t = {number(t[0])}",
            weight=3,
            measured="one value of t",
            expected="t over its whole range",
            evidence=f"{len(t):,} rows",
        )
        return
    wide = [c for c in calls if len(c.t) > 3]
    if wide and np.mean([len(set(c.t.tolist())) == 1 for c in wide]) > 0.9 and len({float(c.t[0]) for c in wide}) > 1:
        exam.found(
            Place.TIME_SAMPLING,
            "all rows of a batch share one t",
            unusual=True,
            expected="a t for every row: the same cost, less noise in the gradient",
        )
    walk = exam.walk
    if walk is None:
        return
    asked = np.array([c.t for c in walk.calls])
    asked = asked[np.isfinite(asked)]
    if not len(asked):
        return
    span = t[-1] - t[0]
    # The highest of n uniform t misses the end by span/n on average, and by 17 times that with probability 4e-8.
    margin = max(17 * span / len(t), 1e-9)
    tail = _is_tail(t)
    whole = L is not None and L.closed is not None
    high, low = float(asked.max() - t[-1]), float(t[0] - asked.min())
    if tail or (max(high, low) <= margin):
        gaps = np.diff(np.concatenate([[t[0]], t, [t[-1]]]))
        k = int(gaps.argmax())
        if (
            not tail
            and gaps[k] > max(0.1 * span, margin)
            and ((asked > t[k - 1]) & (asked < t[min(k, len(t) - 1)])).any()
        ):
            exam.found(
                Place.TIME_SAMPLING,
                f"no t between {number(t[k - 1])} and {number(t[k])} was trained, and sampling asks for them",
                weight=2,
            )
        return
    far = max(high, low) > 0.02 * span
    ratio = asked.max() / max(t[-1], 1e-12)
    if not far and not (L is not None and L.discrete and max(high, low) >= 1):
        return
    pure = L is not None and float(np.abs(L.alpha[-1 if L.rising else 0])) < 0.12
    scale = (t[-1] <= 1.001 and asked.max() > 1.5) or (asked.max() <= 1.001 and t[-1] > 4)
    wrong = dict(
        measured=f"training told t from {number(t[0])} to {number(t[-1])}, sampling asks for "
        f"{number(asked.min())} to {number(asked.max())}",
        expected="the same range",
        evidence=f"{len(t):,} rows of training, {len(asked)} calls of sampling",
    )
    if scale or asked.max() <= 1.001 < t[-1] or (pure and far):
        exam.found(Place.TIME, "sampling tells the network times that training never did", weight=3, **wrong)
    elif not far:
        if not whole or max(high, low) > 1.5:
            exam.found(
                Place.TIME, "sampling tells the network a time just beyond those of training", weight=0.5, **wrong
            )
        else:
            exam.found(
                Place.TIME_SAMPLING,
                f"t = {number(asked.max() if high > low else asked.min())} is asked for in sampling and never trained",
                unusual=True,
                **wrong,
            )
    else:
        exam.found(Place.TIME_SAMPLING, "training leaves out times that sampling asks for", weight=2, **wrong)
    exam.identified["told_ratio"] = float(ratio)


def _is_tail(t: np.ndarray) -> bool:
    """Whether t thins out towards an end, as a log-normal does: then its range is no edge."""
    span = t[-1] - t[0]
    q = np.quantile(t, [0.02, 0.98])
    return bool((t[-1] - q[1]) > 0.06 * span or (q[0] - t[0]) > 0.06 * span)


def _precision(exam: Exam) -> None:
    low = {"float16": 2048, "bfloat16": 256}
    for call in [*exam.run.trains, *([] if exam.walk is None else exam.walk.calls)]:
        kind = call.facts.get("t_dtype", "")
        if kind in low and np.nanmax(np.abs(np.atleast_1d(call.t))) > low[kind]:
            exam.found(
                Place.PRECISION,
                f"t is told in {kind}, which cannot tell whole numbers above {low[kind]} apart",
                measured=f"t up to {number(float(np.nanmax(np.atleast_1d(call.t))))}",
                expected="integers or float32",
            )
            return
    if exam.walk is not None:
        exam.fine(Place.PRECISION)
        kinds = {c.facts.get("dtype") for c in exam.walk.calls}
        if kinds & {"float16", "bfloat16"}:
            exam.found(
                Place.PRECISION,
                f"the state of the walk is kept in {', '.join(sorted(filter(None, kinds)))}",
                unusual=True,
                expected="float32: small steps are lost in rounding",
            )
    L = exam.levels
    if L is not None and L.family is None:
        off = L.alpha**2 + L.sigma**2 - 1
        if np.abs(off).max() < 0.03 and abs(off.mean()) < 0.3 * off.std() + 1e-9:
            exam.wrong = [c for c in exam.wrong if c.place != Place.FORWARD]
            exam.found(
                Place.PRECISION,
                "alpha² + sigma² jitters about 1: the tables are kept in too few digits",
                measured=f"off by up to {number(float(np.abs(off).max()))}",
                expected="1 to seven digits",
                weight=2,
            )
            L.family = "VP"


def _loss(exam: Exam) -> None:
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
    elif len(_facts(calls, "ignored")) and np.median(_facts(calls, "ignored")) > 0.2:
        exam.found(
            Place.LOSS,
            f"{np.median(_facts(calls, 'ignored')):.0%} of the output's elements get no gradient",
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


def _learning(exam: Exam) -> None:
    calls, run = exam.learning, exam.run
    if len(calls) < 8 or any(c.facts.get("by_hand") for c in calls[:1]):
        return
    exam.fine(Place.LEARNING)
    end = run.facts.get("weights", {}).get("end")
    trained = calls[-1].facts["network"]
    n = run.facts["training_calls"]
    stepped = calls[-1].facts["stepped"]
    moved = end["moved"][trained] if end and trained < len(end["moved"]) else None
    graded = [c.facts["grad_rms"] for c in calls if "grad_rms" in c.facts]
    if moved == 0.0:
        exam.found(
            Place.LEARNING,
            f"after {n} training calls the weights are what they were",
            weight=3,
            measured=f"{stepped} steps of an optimizer, no weight changed"
            + ("" if graded else "; no gradient ever reached the output"),
            expected="loss.backward() reaches the network, and the optimizer holds its parameters",
        )
        return
    if not graded and n >= 8:
        exam.found(
            Place.LEARNING,
            "no gradient ever reached the network's output",
            weight=2,
            expected="loss.backward() on a loss that was not detached",
        )
        return
    held = [c.facts.get("left_gradient") for c in calls if c.facts.get("left_gradient") is not None]
    if len(held) > 5 and np.mean([h > 0 for h in held]) > 0.8:
        exam.found(
            Place.LEARNING,
            "gradients of earlier steps are still there when the next are added",
            weight=2,
            measured=f"{np.mean([h > 0 for h in held]):.0%} of {len(held)} backward passes begin with some",
            expected="optimizer.zero_grad() once a step",
        )
        return
    scored = [_score(c) for c in calls if c.error is not None]
    if len(scored) < 30 or exam.has(Place.TARGET, Place.LOSS, Place.NOISE):
        return
    errors, powers = np.array(scored).T
    third = max(8, len(scored) // 4)
    # Of sums: with a batch of one, a call's own quotient has no mean to speak of.
    first, last = (float(errors[part].sum() / powers[part].sum()) for part in (slice(8), slice(-third, None)))
    rows = sum(len(c.error) for c in [c for c in calls if c.error is not None][-third:])
    beyond_chance = 1 + 4 * (2 / rows) ** 0.5  # of the quotient of two mean squares over pairs, 4 deviations up
    exam.identified["loss"] = {"first": first, "last": last}
    exam.tell(f"the loss falls from {number(first)} to {number(last)} of what always saying 0 would have")
    if last > max(1.5, beyond_chance) and last > 1.2 * first:
        exam.found(
            Place.LEARNING,
            "the loss rises: it ends above that of always saying 0",
            weight=1,
            measured=f"{number(last)} of it",
            expected="below 1",
            refute="a smaller learning rate, and the same",
        )
    elif n >= 300 and last > 0.985 and last > 0.9 * first:
        exam.found(
            Place.LEARNING,
            f"after {n} calls the network does no better than always saying 0",
            weight=1,
            measured=f"loss {number(last)} of that",
            expected="well below 1 at high noise",
            refute="more steps, and it falls",
        )
    elif len(calls) > 60 and n < 300 and last > 0.985:
        exam.found(Place.LEARNING, "not learnt yet", unusual=True, measured=f"{n} calls")


def _score(call: Train) -> tuple[float, float]:
    """(mean error, mean square of the target), each row counted by what its target has on average at its t."""
    weight = np.ones(len(call.error))
    if call.u is not None and np.isfinite(call.u).all():
        weight = 1 / np.maximum(call.u**2 + call.v**2, 1e-12)
    return float((weight * call.error).mean()), max(float((weight * call.power).mean()), 1e-12)


def _network(exam: Exam) -> None:
    for found in exam.run.facts.get("probes", ()):
        if "failed" in found:
            continue
        name = exam.run.networks[found["network"]]["name"] if found["network"] < len(exam.run.networks) else "network"
        exam.fine(Place.NETWORK)
        if found.get("x", 1) < 1e-6:
            exam.found(
                Place.NETWORK,
                f"{name} says the same whatever x_t is",
                weight=2,
                measured="output unchanged",
                expected="an output that depends on x_t",
            )
        if found.get("rows", 0) > 1e-3:
            exam.found(
                Place.NETWORK,
                f"{name}'s answer for a row depends on the other rows of the batch, in eval mode",
                measured=f"it changes by {found['rows']:.1%}",
                expected="each row by itself",
                weight=1,
            )
        if "t" in found:
            exam.fine(Place.TIME)
            if found["t"] < 1e-6:
                exam.found(
                    Place.TIME,
                    f"{name} says the same whatever t is",
                    weight=2,
                    measured="output unchanged",
                    expected="an output that depends on t",
                    refute="a network that is blind to noise on purpose",
                )
