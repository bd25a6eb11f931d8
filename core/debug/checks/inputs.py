"""What a training is fed with: the data, the t that are drawn, the noise, and the digits they are kept in."""

from __future__ import annotations

import numpy as np

from ..exam import Exam, number
from ..places import Place
from ..record import Train


def facts_of(calls: list[Train], name: str) -> list:
    return [c.facts[name] for c in calls if c.facts.get(name) is not None]


def check_finite(exam: Exam) -> bool:
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


def check_data(exam: Exam) -> None:
    seen = facts_of(exam.run.trains, "x0")
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


def check_noise(exam: Exam) -> None:
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


def check_time_sampling(exam: Exam) -> None:
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


def check_precision(exam: Exam) -> None:
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
