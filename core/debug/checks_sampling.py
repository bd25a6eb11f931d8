"""Algorithm 2, line by line: mode, weights, start, ladder, what the output is taken for, mean, noise, clip, end."""

from __future__ import annotations

import math

import numpy as np

from .exam import Exam, number
from .identify import KINDS, OPPOSITE, Landing, Levels, endings, landings, other_tables
from .places import Place

#: A fault of the rule shows in this share of the steps and more.
SHARE = 0.2


def sampling_checks(exam: Exam) -> None:
    """Everything that the walks tell."""
    if exam.walk is None or not exam.walk.calls:
        exam.not_seen("no sampling was seen", "sample inside the block, with the network that is watched")
        return
    _mode(exam)
    _weights(exam)
    if not _finite(exam):
        return
    if len(exam.walk.calls) < 2:
        exam.not_seen("only one call of sampling was seen", "walk inside the block, with every step")
        return
    if _one_time(exam):
        return
    if exam.levels is None:
        _without_training(exam)
    else:
        _terminal(exam)
        _rule(exam)
        _clip(exam)
        _last(exam)
    _start(exam)
    _ladder_alone(exam)
    _step_noise_law(exam)
    _guidance(exam)
    _output(exam)


def _one_time(exam: Exam) -> bool:
    """Whether the network is told the same t all along, though it was trained on many."""
    asked = [c.t for c in exam.walk.calls]
    many = exam.levels is not None and len(exam.levels.t) > 3
    if len(asked) < 4 or len(set(asked)) > 1 or not many or not math.isfinite(asked[0]):
        return False
    exam.found(
        Place.TIME,
        f"the network is told t = {number(asked[0])} at every step",
        weight=3,
        measured="one t",
        expected="the t of the step",
        evidence=f"{len(asked)} calls",
        refute="one step that is repeated on purpose",
    )
    return True


def _mode(exam: Exam) -> None:
    calls = exam.walk.calls
    if any(c.facts.get("by_hand") for c in calls):
        return
    net = exam.run.networks[calls[0].facts["network"]] if exam.run.networks else {}
    exam.fine(Place.MODE)
    what = [f"dropout of {net['dropout']:g}"] * bool(net.get("dropout")) + list(net.get("batch_norm") or [])
    if not what:
        return
    if np.mean([c.facts["training"] for c in calls]) > 0.5:
        exam.found(
            Place.MODE,
            f"the network is sampled in training mode, with {' and '.join(what)} at work",
            weight=2,
            measured=f"training = True in {len(calls)} calls",
            expected="net.eval() before sampling",
            refute="no layer of it behaves otherwise in training",
        )
    elif exam.learning and not any(c.facts["training"] for c in exam.learning):
        exam.found(Place.MODE, f"the network is trained in eval mode: {' and '.join(what)} do nothing", unusual=True)


def _weights(exam: Exam) -> None:
    facts, calls = exam.run.facts.get("weights", {}), exam.walk.calls
    if not facts or not exam.learning or any(c.facts.get("by_hand") for c in (*calls, *exam.learning)):
        return
    sampled, trained = calls[0].facts["network"], exam.learning[-1].facts["network"]
    at = exam.walk.facts.get("weights") or facts.get("end")
    if not at or max(sampled, trained) >= len(at["moved"]):
        return
    if not at["finite"][sampled]:
        exam.found(Place.WEIGHTS, "the sampled network's weights are not finite")
        return
    exam.fine(Place.WEIGHTS)
    if sampled == trained:
        return
    gap, moved = at["gaps"][sampled][trained], at["moved"][trained]
    if gap is None or not moved:
        return
    name = exam.run.networks[sampled]["name"]
    own = 0.0 if exam.run.networks[sampled].get("copy") else at["moved"][sampled]
    lag = gap / moved
    common = dict(
        measured=f"distance to the trained weights {number(gap)}, which moved by {number(moved)}",
        expected="a small part of that",
        evidence="64 numbers of every parameter",
    )
    if own < 1e-3 * moved and lag > 0.9:
        exam.found(
            Place.WEIGHTS,
            f"the sampled network ({name}) has not learnt: its weights are those of the start",
            weight=2,
            refute="its weights are updated after every step, and not only at the start",
            **common,
        )
    elif lag > 3 and own > 2 * moved:
        exam.found(
            Place.WEIGHTS,
            f"the sampled network's weights are far from the trained ones: {number(lag)} times as "
            "far as training ever went",
            weight=2,
            **common,
        )
    elif lag > 0.5:
        exam.found(
            Place.WEIGHTS,
            f"the sampled weights lag far behind: {lag:.0%} of the way is missing",
            unusual=True,
            **common,
        )


def _finite(exam: Exam) -> bool:
    for k, call in enumerate(exam.walk.calls):
        if not call.facts["state"]["finite"]:
            before = exam.walk.calls[k - 1] if k else None
            factors = [t.factor for t in call.arrival.terms] if call.arrival else []
            if k == 0:
                exam.found(Place.START, "sampling starts from numbers that are not finite", weight=3)
            elif not np.isfinite(factors).all():
                exam.found(
                    Place.STEP,
                    f"the step from t = {number(before.t)} has a coefficient that is not a number",
                    weight=3,
                    measured=str(factors),
                    expected="finite numbers: no root of a negative one",
                )
            else:
                _explode(exam, k)
            return False
        if not call.facts["output"]["finite"]:
            if k == 0 or call.facts["state"].get("std", 0) < 1e4:
                exam.found(Place.LEARNING, f"the network's output is not finite at t = {number(call.t)}", weight=1)
            else:
                _explode(exam, k)
            return False
    return True


def _explode(exam: Exam, k: int) -> None:
    """The states ran away before they were no numbers: the rule, if it can be read, says why."""
    walk = exam.walk
    if exam.levels is not None and k > 1:
        cut = type(walk)(walk.calls[:k], [], None, walk.facts)
        exam.walk = cut
        _terminal(exam)
        _rule(exam)
        _start(exam)
        exam.walk = walk
    if not exam.wrong:
        exam.found(Place.STEP, f"the states grow beyond all numbers: at call {k} they are not finite", weight=2)


# --- the rule -----------------------------------------------------------------------------------------------
def _bad(found: list[Landing]) -> list[Landing]:
    return [x for x in found if not x.good]


def _fits(found: list[Landing]) -> bool:
    known = [x for x in found if x.seen and math.isfinite(x.A) and math.isfinite(x.want[0]) and x.move > 1e-9]
    return bool(known) and len(_bad(known)) <= max(0.05 * len(known), 0 if len(known) < 20 else 1)


def _rule(exam: Exam) -> None:
    L, walk = exam.levels, exam.walk
    if L.kind in (None, "none"):
        exam.not_seen("what the output means", "compare it with its target inside the block")
        return
    if _crooked(exam):
        return
    found = landings(walk, L)
    exam.landings = found
    known = [x for x in found if x.seen and math.isfinite(x.A)]
    exam.identified["steps"] = [
        {
            "t": x.t,
            "s": x.s,
            "a": x.a,
            "b": x.b,
            "c": x.c,
            "A": x.A,
            "E": x.E,
            "alpha_s": x.want[0],
            "sigma_s": x.want[1],
            "good": x.good,
        }
        for x in known[:2000]
    ]
    if not known:
        exam.not_seen(
            "the coefficients of the steps",
            "walk with a batch of 8 or more, with torch arithmetic inside the "
            "block, or run.step(x_t=…, output=…, x_s=…, noise=…)",
        )
        return
    judged = [x for x in known if math.isfinite(x.want[0])]
    judged = [x for x in judged if not x.bare] or judged  # a state that is only asked for again is no step
    if not judged:
        return
    exam.fine(Place.STEP, Place.STEP_NOISE, Place.SCHEDULE, Place.LADDER, Place.PARAMETERIZATION, Place.TIME)
    moving = [x for x in judged if x.move > 1e-9] or judged
    if _shifted(exam, judged):
        return
    if len(_bad(moving)) <= SHARE * len(moving) and not _few(moving):
        _tell_rule(exam, judged)
        return
    if exam.has(Place.FORWARD, Place.TARGET, Place.TIME, Place.TIME_SAMPLING, Place.NOISE):
        exam.found(Place.STEP, "the steps do not land on training's noise levels", weight=1)
        return
    _explain(exam, moving)


def _crooked(exam: Exam) -> bool:
    """Whether states are divided by what they should be sums of."""
    calls = [c for c in exam.walk.calls[1:] if c.arrival is not None]
    sources = [c.arrival.source for c in calls if c.arrival.source.startswith("divided")]
    if len(sources) <= SHARE * len(calls):
        return False
    below = max(set(sources), key=sources.count).split()[-1]
    place, what = {
        "z": (Place.STEP_NOISE, "the fresh noise"),
        "outputs": (Place.GUIDANCE, "a difference of outputs"),
        "x": (Place.STEP, "a state or an output"),
    }[below]
    exam.found(
        place,
        f"the steps divide by {what}: they are no sum of x_t, output and noise",
        weight=3,
        expected="a·x_t + b·output + c·z",
        evidence=f"the arithmetic of {len(sources)} steps",
    )
    return True


def _shifted(exam: Exam, steps: list[Landing]) -> bool:
    """Whether steps add a constant to every number, which is no part of any rule."""
    found = [x for x in steps if x.is_shifted]
    if len(found) <= SHARE * len(steps):
        return False
    mid = found[len(found) // 2]
    exam.found(
        Place.STEP,
        f"{len(found)} of {len(steps)} steps add a constant to every number of the state, such as {number(mid.offset)}"
        f" at t = {number(mid.t)}",
        weight=3,
        measured=f"{number(mid.offset)}",
        expected="a·x_t + b·output + c·z and nothing else",
        evidence=f"coefficients read from the {mid.source} of the sampler",
        refute="data whose mean moves with t",
    )
    return True


def _few(moving: list[Landing]) -> bool:
    """Whether some steps, though few, miss by more than any rounding: an index at an edge, a wrong branch."""
    bad = [
        x
        for x in _bad(moving)
        if x.exact
        and max(x.off_mean, x.off_noise) > 0.5
        and max(abs(x.A - x.want[0]), abs(math.hypot(x.E, x.c) - x.want[1])) > 0.02
    ]
    return len(bad) > 0


def _tell_rule(exam: Exam, judged: list[Landing]) -> None:
    c = [x.c / max(x.posterior[1], 1e-9) for x in judged if x.posterior[1] > 1e-6]
    noise = float(np.median(c)) if c else 0.0
    name = (
        "without noise (DDIM, an ODE)"
        if noise < 1e-3
        else "DDPM's posterior"
        if abs(noise - 1) < 0.02
        else (f"with {number(noise)} of the posterior's noise")
    )
    mid = judged[len(judged) // 2]
    exam.tell(
        f"{len(judged)} steps, {name}: from t = {number(mid.t)} to {number(mid.s)}, x_s = {mid.a:.5f}·x_t + "
        f"{mid.b:.5f}·output + {mid.c:.5f}·z"
    )


def _explain(exam: Exam, found: list[Landing]) -> None:
    """Which other reading of the program would make its steps land? The first that does names the line."""
    L, walk = exam.levels, exam.walk
    bad = _bad(found)
    worst = max(bad, key=lambda x: x.off_mean + x.off_noise)
    mid = sorted(bad, key=lambda x: x.call)[len(bad) // 2]
    evidence = f"{len(bad)} of {len(found)} steps, coefficients read from the {mid.source} of the sampler"
    read = dict(
        measured=f"at t = {number(mid.t)}: x_s = {number(mid.a)}·x_t + {number(mid.b)}·output + {number(mid.c)}·z"
        f", which leads to {number(mid.A)}·x0 + {number(mid.E)}·eps",
        expected=f"{number(mid.want[0])}·x0 and {number(mid.want[1])} of noise in all at t = {number(mid.s)}",
        evidence=evidence,
    )
    few = len(bad) < SHARE * len(found)
    if few:  # the rule as such is right
        _odd_steps(exam, found, bad, worst, mid, read, evidence)
        return
    # taken for another kind of output
    for kind in ("eps", "x0", "v", "velocity", "data − noise", "score"):
        if kind in (L.kind, OPPOSITE.get(L.kind)) or L.family == "VE" and kind in ("v",):
            continue
        if _fits(landings(walk, L, kind=kind)):
            exam.found(
                Place.PARAMETERIZATION,
                f"the network is taught {L.kind}, and the sampler takes its output for {kind}",
                weight=3,
                refute="a target that is what the sampler takes the output for",
                **read,
            )
            return
    flipped = OPPOSITE.get(L.kind)
    if flipped in KINDS and L.kind.startswith("−") and _fits(landings(walk, L, kind=flipped)):
        exam.found(
            Place.TARGET,
            f"the network is taught {L.kind}, and the sampler takes its output for {flipped}",
            weight=3,
            refute="a sampler that turns the sign",
            **read,
        )
        return
    if flipped in KINDS and _fits(landings(walk, L, kind=flipped)):
        exam.found(
            Place.STEP,
            "the steps go the wrong way: the output enters with its sign flipped",
            weight=3,
            refute="an output that is the opposite of what training compares it with",
            **read,
        )
        return
    # the wrong neighbour on the ladder
    if _ladder(exam, L, walk, mid, read):
        return
    if _guided_wrong(exam, found, read):
        return
    if _clock(exam, L, walk, found, read):
        return
    _odd_steps(exam, found, bad, worst, mid, read, evidence)


def _odd_steps(
    exam: Exam, found: list[Landing], bad: list[Landing], worst: Landing, mid: Landing, read: dict, evidence: str
) -> None:
    """No other reading fits: the noise alone is off, or the mean is."""
    if _noise_alone(exam, found, evidence):
        return
    extra = ""
    if abs(mid.A - mid.want[0]) / max(mid.move, 1e-6) <= mid.tolerance:
        extra = ": the part of eps is off"
    elif mid.off_noise <= mid.tolerance:
        extra = ": the part of x0 is off"
    few = len(bad) < SHARE * len(found)
    x = worst if few else mid
    where = f"at t = {number(x.t)}" if few else f"at {len(bad)} of {len(found)} steps, such as t = {number(x.t)},"
    exam.found(
        Place.STEP,
        f"{where} the step leads to {number(x.A)}·x0 + {number(x.E)}·eps + {number(x.c)}·z where the schedule has "
        f"{number(x.want[0])} and {number(x.want[1])}{extra}",
        weight=1,
        refute="a rule whose mean and noise do add up to the schedule's",
        **read,
    )


def _ladder(exam: Exam, L: Levels, walk, mid: Landing, read: dict) -> bool:
    times = np.array([c.t for c in walk.calls])
    gaps = np.abs(np.diff(times))
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return False
    down = -1.0 if L.rising else 1.0
    unit = 1.0 if L.discrete else None
    if unit and np.median(gaps) > 1.5:
        for step in (1, 2):
            if _fits(landings(walk, L, goal=lambda t, s, step=step: t + down * step)):
                exam.found(
                    Place.LADDER,
                    f"t goes down by {number(float(np.median(gaps)))} at a time, and the coefficients "
                    f"are those of t → t − {step}",
                    weight=3,
                    refute="a ladder of all T steps",
                    **read,
                )
                return True
    if unit and len(times) > 2 and np.mean(np.diff(times) * down < 0) > 0.9:
        turned = landings(walk, L, told=lambda t: L.t[0] + L.t[-1] - t)
        if _fits(turned):
            exam.found(
                Place.TIME,
                f"the network is told t where the state has the noise level of {number(L.t[0] + L.t[-1])} − t",
                weight=3,
                refute="training tells the same t at the same noise level",
                **read,
            )
            return True
        exam.found(
            Place.LADDER,
            "the loop runs from data to noise: t goes the wrong way",
            weight=3,
            refute="a schedule in which a higher t is less noise",
            **read,
        )
        return True
    if unit:
        for off in (1, -1, 2, -2):
            shifted = landings(walk, L, goal=lambda t, s, off=off: s + down * off)
            inside = [x for x in shifted if math.isfinite(x.want[0])]
            if len(inside) > 0.5 * len(shifted) and _fits(inside):
                exam.found(
                    Place.STEP,
                    f"the steps land on the level of t = s {'−' if down * off < 0 else '+'} {abs(off)}"
                    ": an index is off",
                    weight=2,
                    **read,
                )
                return True
    return False


def _clock(exam: Exam, L: Levels, walk, found: list[Landing], read: dict) -> bool:
    """The sampler's own noise level at each t, from the coefficients alone; does it follow a ladder of its own?"""
    times = np.array([c.t for c in walk.calls])
    top, low = float(L.t[-1]), float(L.t[0])
    asked = times[np.isfinite(times)]
    # told another t than that of the state: some fixed relation makes everything fit
    unit = 1.0 if L.discrete else 10 ** math.floor(math.log10(max(top, 1e-9)) + 1e-9) / 100
    relations = [
        (f"t {'+' if k > 0 else '−'} {number(abs(k) * unit)}", lambda t, k=k: t + k * unit)
        for size in range(1, 21)
        for k in (size, -size)
    ]
    relations.insert(0, (f"{number(top + low)} − t", lambda t: top + low - t))
    edges = [t for t in (low, top) if (times == t).sum() > 1]  # what is told may be clamped there
    for words, relation in relations:
        shifted = landings(walk, L, told=relation)
        inside = [x for x in shifted if math.isfinite(x.want[0]) and math.isfinite(x.A) and x.t not in edges]
        sure = bool(inside) and np.mean([x.exact for x in inside]) > 0.5  # between known levels nearly anything fits
        if sure and len(inside) > 0.6 * len(shifted) and _fits(inside):
            covers = abs(asked.max() - top) <= 1e-9 and abs(asked.min() - low) <= 1e-9
            if covers and "− t" not in words[1:]:
                exam.found(
                    Place.SCHEDULE,
                    f"the sampler's alpha and sigma at t are those that training has at {words}",
                    weight=2,
                    refute="training and sampler share one table and one index",
                    **read,
                )
            else:
                exam.found(
                    Place.TIME,
                    f"the network is told t where the state has the noise level of {words}",
                    weight=2,
                    refute="training tells the same t at the same noise level",
                    **read,
                )
            return True
    if np.median([x.E for x in found if x.seen]) < 0:  # noise that is turned round is no level
        return False
    for name, other in other_tables(L):
        if _fits(landings(walk, other)):
            k = len(found) // 2
            sigma = other.at(found[k].t)[1]
            exam.found(
                Place.SCHEDULE,
                f"the sampler walks another schedule than training's: {name}; at t = {number(found[k].t)} its sigma is "
                f"{number(sigma)}, and training's {number(L.at(found[k].t)[1])}",
                weight=2,
                refute="both read one table",
                **read,
            )
            return True
    implied = _implied(L, found)
    if implied is None:
        return False
    at, after, steps = implied
    inner = [k for k in range(len(steps) - 1) if steps[k + 1].call == steps[k].call + 1]
    if len(inner) < 3:
        return False
    chain = np.abs(after[inner] - at[[k + 1 for k in inner]])
    move = np.abs(after[inner] - at[inner])
    if np.median(chain / np.maximum(move, 1e-9)) > 0.02 or not ((at > 0) & (at < 1.0001)).mean() > 0.9:
        return False
    want = np.array([L.at(s.t)[1] for s in steps])
    # a consistent schedule of its own. Does it visit training's levels in order, at other names?
    if L.discrete:
        place = np.interp(at, *((L.sigma, L.t) if L.rising else (L.sigma[::-1], L.t[::-1])))
        on_grid = np.abs(place - np.round(place))
        table = np.interp(np.round(place), L.t, L.sigma)
        told = np.array([s.t for s in steps])
        if (
            np.median(np.abs(place - told)) > 0.5
            and np.median(on_grid) < 0.02
            and np.median(np.abs(table - at)) < 1e-4
            and len(set(np.round(place))) > 3
        ):
            exam.found(
                Place.TIME,
                f"told t = {number(steps[0].t)}, {number(steps[1].t)}, … the state has the noise levels "
                f"of t = {place[0]:.0f}, {place[1]:.0f}, …",
                weight=2,
                **read,
            )
            return True
    k = int(np.abs(at - want).argmax())
    exam.found(
        Place.SCHEDULE,
        f"the sampler walks a schedule of its own: at t = {number(steps[k].t)} its sigma is "
        f"{number(at[k])}, and training's {number(want[k])}",
        weight=2,
        measured=f"sigma {number(at[k])}",
        expected=f"sigma {number(want[k])}",
        evidence=read["evidence"],
        refute="both read one table",
    )
    return True


def _implied(L: Levels, found: list[Landing]):
    """sigma of each step's beginning and end as its coefficients alone imply, for variance-preserving eps and x0."""
    steps = [x for x in found if x.seen and x.a and x.b]
    if L.family != "VP" or L.kind not in ("eps", "x0") or len(steps) < 4:
        return None
    a, b, c = (np.array([getattr(x, n) for x in steps]) for n in "abc")
    with np.errstate(all="ignore"):
        part = (1 - a**2 - b**2 - c**2) / (2 * a * b)
        if L.kind == "eps":
            at = part
            after = np.hypot(a * at + b, c)
        else:
            at = np.sqrt(1 - part**2)
            after = np.hypot(a * at, c)
    if not np.isfinite(at).mean() > 0.8:
        return None
    good = np.isfinite(at) & np.isfinite(after)
    return at[good], after[good], [s for s, g in zip(steps, good) if g]


def _noise_alone(exam: Exam, found: list[Landing], evidence: str) -> bool:
    """The mean is a rule's own, and only the size of the fresh noise is not."""
    bad = _bad(found)
    mean_right = np.mean([x.off_mean <= x.tolerance for x in bad])
    if mean_right < 0.9:
        return False
    posterior = np.mean([x.mean_is_posterior for x in bad])
    ratio = np.array([x.c / max(x.posterior[1], 1e-12) for x in bad if x.posterior[1] > 1e-6])
    mid = sorted(bad, key=lambda x: x.call)[len(bad) // 2]
    E, least, most = mid.posterior
    if posterior > 0.8:
        what = (
            "no fresh noise is added"
            if mid.c < 1e-9
            else (f"the fresh noise has std {number(mid.c)}, and this mean goes with {number(least)} to {number(most)}")
        )
        hint = (
            ": that is the variance, not its root"
            if abs(mid.c - least**2) < 0.03 * least**2 or (abs(mid.c - most**2) < 0.03 * most**2)
            else ""
        )
        exam.found(
            Place.STEP_NOISE,
            f"at t = {number(mid.t)} {what}{hint}",
            measured=f"std {number(mid.c)}",
            weight=2,
            expected=f"sqrt of the posterior's variance, {number(least)}, or of beta, {number(most)}",
            evidence=evidence,
            refute="a mean that goes with this noise: E² + c² = sigma²",
        )
        return True
    ddim = np.mean([abs(x.E - x.want[1]) <= x.tolerance * max(x.move, 1e-6) for x in bad])
    if ddim > 0.8 and mid.c > 0:
        steady = len(ratio) > 2 and np.std(ratio) < 0.02 * np.mean(ratio)
        if steady:
            exam.found(
                Place.STEP,
                f"at t = {number(mid.t)} noise of std {number(mid.c)} is added and the eps in the mean "
                f"stays {number(mid.E)}: together they are more than sigma",
                weight=2,
                measured=f"E² + c² = {number(mid.E**2 + mid.c**2)}",
                expected=f"{number(mid.want[1] ** 2)}",
                evidence=evidence,
                refute="a direction of sqrt(sigma_s² − std²)·eps",
            )
        else:
            exam.found(
                Place.STEP_NOISE,
                f"at t = {number(mid.t)} noise of std {number(mid.c)} is added to a mean that needs none",
                weight=2,
                measured=f"std {number(mid.c)}",
                expected="0",
                evidence=evidence,
            )
        return True
    return False


# --- guidance -----------------------------------------------------------------------------------------------
def _pairs(exam: Exam):
    """(step, [(call, part, factor)]) of arrivals that use more than one output of one state."""
    calls = exam.walk.calls
    found = []
    for call in calls[1:]:
        if call.arrival is None:
            continue
        outs = [t for t in call.arrival.terms if t.kind == "out"]
        base = {}
        for t in outs:
            x = calls[t.call]
            base.setdefault(x.t, []).append(t)
        for same in base.values():
            if len(same) == 2:
                found.append((call, same))
    return found


def _twins(exam: Exam) -> bool:
    """Whether two outputs of a step belong to one state: two calls of the same x, or halves of one."""
    calls = exam.walk.calls
    for _, (p, q) in _pairs(exam)[:1]:
        if p.call == q.call:
            return True
        later = calls[max(p.call, q.call)]
        terms = later.arrival.terms if later.arrival else []
        return len(terms) == 1 and terms[0].kind == "x" and abs(terms[0].factor - 1) < 1e-6
    return False


def _guided_wrong(exam: Exam, found: list[Landing], read: dict) -> bool:
    """Whether guidance's two weights fail to add up to one: the steps would land with weights that did."""
    if not _twins(exam):
        return False
    L = exam.levels
    need = []
    for x in found:
        if not x.seen or not x.b or x.want[0] != x.want[0]:
            continue
        alpha, sigma, u, v, _ = L.at(x.t)
        if abs(v) > 1e-6:
            for E in (math.copysign(math.sqrt(max(x.want[1] ** 2 - x.c**2, 0)), 1), x.posterior[0]):
                b = (E - x.a * sigma) / v
                if abs(x.a * alpha + b * u - x.want[0]) <= 0.05 * max(x.move, 1e-6) and b:
                    need.append(x.b / b)
                    break
    if len(need) < 3:
        return False
    ratio = float(np.median(need))
    if abs(ratio - 1) > 0.02 and np.std(need) < 0.02 * abs(ratio):
        exam.found(
            Place.GUIDANCE,
            f"the weights of the two outputs add up to {number(ratio)}, not 1",
            weight=3,
            measured=f"sum of weights {number(ratio)}",
            expected="(1 − w) + w = 1",
            evidence=read["evidence"],
        )
        return True
    return False


def _guidance(exam: Exam) -> None:
    if not _twins(exam):
        return
    exam.fine(Place.GUIDANCE)
    calls, pairs = exam.walk.calls, _pairs(exam)
    weights = []
    for _, (p, q) in pairs:
        p, q = sorted((p, q), key=lambda t: (t.call, t.part))
        total = p.factor + q.factor
        if total:
            weights.append((p.factor / total, q.factor / total))
    first, second = (pairs[0][1][0], pairs[0][1][1])
    a, b = calls[min(first.call, second.call)], calls[max(first.call, second.call)]
    if not weights:
        return
    w = np.median(np.array(weights), axis=0)
    null, known = _null_of(exam, a, b)
    exam.identified["guidance"] = {"weights": w.tolist(), "null": null}
    same = (
        a is not b
        and a.out is not None
        and b.out is not None
        and a.out.shape == b.out.shape
        and np.array_equal(a.out, b.out)
    )
    if a is b and a.out is not None and len(a.out) >= 2 and a.facts["doubled"] == 2:
        half = len(a.out) // 2
        same = len(a.out) == 2 * len(a.x) and np.array_equal(a.out[:half], a.out[half:])
    if same:
        exam.found(
            Place.GUIDANCE,
            "the output with the label and that without it are the same: guidance does nothing",
            weight=2,
            measured="equal outputs",
            expected="outputs that differ by label",
        )
        return
    if null is not None:
        conditional = float(w[1 - null])
        exam.tell(
            f"guidance: {number(float(w[null]))} of the output without label, {number(conditional)} of that with it"
        )
        if conditional < 0:
            exam.found(
                Place.GUIDANCE,
                f"the output with the label enters with weight {number(conditional)}: guidance drives away from it",
                weight=2,
                measured=f"w = {number(conditional)}",
                expected="w > 0",
                refute="the first of the two calls is the one with the label",
            )
    if known is not None and known[1] and not known[0]:
        exam.found(
            Place.GUIDANCE,
            f"the null label {known[2]} is asked for in sampling and was never trained",
            weight=2,
            measured=f"0 of {known[1]:,} training rows",
            expected="about a tenth of them",
            refute="a network that was trained without a label elsewhere",
        )


def _null_of(exam: Exam, a, b):
    """(which of the two calls has no label, (rows trained with it, rows, label)); None where that cannot be told."""
    trained: dict[str, dict[int, int]] = {}
    nothing: dict[str, int] = {}
    for c in exam.learning:
        for name, value in (c.facts.get("others") or {}).items():
            if isinstance(value, dict) and "labels" in value:
                counts = trained.setdefault(name, {})
                for label, n in zip(value["labels"], value["counts"]):
                    counts[label] = counts.get(label, 0) + n
            elif value is None:
                nothing[name] = nothing.get(name, 0) + 1
    if a is b:
        return None, None
    for name in {*a.facts["others"], *b.facts["others"]}:
        one, two = a.facts["others"].get(name), b.facts["others"].get(name)
        if (one is None) != (two is None):
            null = 0 if one is None else 1
            rows = sum(trained.get(name, {}).values())
            return null, (nothing.get(name, 0), rows, "None") if rows > 500 else None
        if isinstance(one, dict) and isinstance(two, dict) and one.get("labels") != two.get("labels"):
            singles = [x["labels"][0] if len(x["labels"]) == 1 else None for x in (one, two)]
            counts, rows = trained.get(name, {}), sum(trained.get(name, {}).values())
            top = max([*counts, *one["labels"], *two["labels"]])
            for k in (1, 0):
                if singles[k] is not None and (singles[k] == top or singles[k] == -1 or singles[1 - k] is None):
                    told = (counts.get(singles[k], 0), rows, singles[k]) if rows > 500 else None
                    return k, told
    return None, None


# --- the rest -----------------------------------------------------------------------------------------------
def _terminal(exam: Exam) -> None:
    L, walk = exam.levels, exam.walk
    first = walk.calls[0]
    data = exam.identified.get("data")
    alpha, sigma, *_ = L.at(first.t)
    if not math.isfinite(alpha) or data is None or walk.facts["start"].get("op") == "sum":
        return
    exam.fine(Place.TERMINAL)
    share = abs(alpha) * data["rms"] / max(abs(sigma), 1e-9)
    end = 0 if not L.rising else -1
    best = abs(float(L.alpha[end])) * data["rms"] / max(abs(float(L.sigma[end])), 1e-9)
    if L.family == "VE" or exam.has(Place.DATA):
        return
    words = dict(
        measured=f"alpha = {number(alpha)} at t = {number(first.t)}: data of size {number(data['rms'])} leave "
        f"{number(share)} in the noise there",
        expected="alpha below 0.03 where sampling starts from pure noise",
        evidence=f"start has std {number(walk.facts['start'].get('std', math.nan))}",
        refute="start sampling from alpha·x0 + sigma·eps: the symptom stays",
    )
    if share > 0.12 and best > 0.12:
        exam.found(
            Place.TERMINAL,
            f"at its end the schedule still holds {number(abs(alpha))} of the data, and sampling "
            "starts from pure noise",
            weight=1,
            **words,
        )
    elif share > 0.12:
        exam.found(
            Place.LADDER,
            f"the walk starts at t = {number(first.t)}, where {number(abs(alpha))} of the data is left, "
            "with pure noise",
            weight=1,
            **words,
        )
    elif share > 0.035:
        exam.found(
            Place.TERMINAL, f"where sampling starts, {number(abs(alpha))} of the data is left", unusual=True, **words
        )


def _start(exam: Exam) -> None:
    walk = exam.walk
    m = walk.facts.get("start") or walk.calls[0].facts["state"]
    if not m.get("count"):
        return
    exam.fine(Place.START)
    L = exam.levels
    sigma = 1.0
    if L is not None:
        alpha, sigma, *_ = L.at(walk.calls[0].t)
        if not math.isfinite(sigma):
            sigma = float(L.sigma[-1 if L.rising else 0]) if L.family != "VE" else math.nan
    if m["shape"][0] > 1 and m.get("alike"):
        exam.found(
            Place.START,
            "all samples start from the same noise",
            weight=2,
            measured="rows alike",
            expected="independent noise for each",
        )
        return
    if not math.isfinite(sigma) or m.get("op") in ("sum", "state"):
        return
    if m["std"] == 0:
        exam.found(
            Place.START,
            f"sampling starts from the constant {number(m['mean'])}",
            weight=2,
            measured="std 0",
            expected=f"N(0, {number(sigma**2)})",
        )
        return
    if L is None and abs(m["std"] - 1) > 0.3 and m["law"] in ("normal", ""):
        return
    off = exam.normal([m], max(sigma, 1e-6))
    if off:
        exam.found(
            Place.START,
            f"sampling does not start from N(0, {number(sigma**2)}): its {off[0]} is off"
            + (f"; it is drawn from a {m['law']} law" if m["law"] not in ("normal", "") else ""),
            measured=f"mean {number(m['mean'])}, std {number(m['std'])} of {m['count']:,} numbers",
            expected=f"mean 0, std {number(sigma)}",
            chance=off[2],
            weight=1,
            refute="another noise level at the start that training knows",
        )


def _ladder_alone(exam: Exam) -> None:
    """The order of the times, and whether the walk comes to its end."""
    times = np.array([c.t for c in exam.walk.calls])
    L = exam.levels
    if L is None or not np.isfinite(times).all() or exam.has(Place.TIME, Place.TIME_SAMPLING, Place.LADDER):
        return
    exam.fine(Place.LADDER)
    span = float(L.t[-1] - L.t[0])
    if span <= 0 or exam.has(Place.STEP, Place.SCHEDULE):
        return
    data_end = float(L.t[0] if L.rising else L.t[-1])
    rest = abs(times[-1] - data_end) / span
    steps = np.abs(np.diff(times))
    steps = steps[steps > 0]
    ends = [x for x in endings(exam.walk, L) if x.seen and math.isfinite(x.A)]
    arrives = any(abs(x.E) < 0.08 * max(1, abs(x.A)) and x.c < 0.08 for x in ends)
    if len(steps) and rest > 0.02 and ends and not arrives:
        usual = float(np.median(steps))
        alpha, sigma, *_ = L.at(float(times[-1]))
        if abs(times[-1] - data_end) > 2.5 * usual and sigma > 0.1:
            exam.found(
                Place.LADDER,
                f"the walk stops at t = {number(times[-1])}, where sigma is {number(sigma)}: noise is "
                "left in the samples",
                weight=1,
                measured=f"last t {number(times[-1])}",
                expected=f"on to {number(data_end)}",
            )


def _last(exam: Exam) -> None:
    """What is made of the last output: does it end at the data, and without fresh noise?"""
    L = exam.levels
    if L.kind in (None, "none") or exam.has(
        Place.FORWARD, Place.TARGET, Place.STEP, Place.PARAMETERIZATION, Place.SCHEDULE, Place.TIME, Place.LADDER
    ):
        return
    found = [x for x in endings(exam.walk, L) if x.seen and math.isfinite(x.A) and abs(x.A) > 1e-5]
    held = max((x.alive for x in found), default=0)
    found = [x for x in found if x.alive == held]
    if not found:
        return
    sizable = [x for x in found if abs(x.A) > 0.2]
    start = found[0].start
    last = sizable[-1] if sizable else None
    # Where both the mean and what was drawn about it are still held, or neither, it cannot be known which one is meant:
    # programs of the SDE draw once more and hand back the mean.
    of_sde = L.kind == "score" or any(x.is_euler and not x.lands for x in exam.landings)
    meant = of_sde and any(x.c == 0 and abs(x.A - 1) < 0.3 for x in sizable)
    noisy = last is not None and last.c > 1e-4 * max(1.0, start[1]) and abs(last.A - 1) < 0.3
    if noisy and not (meant or _stays_on_the_path(L, last)):
        x = last
        exam.found(
            Place.STEP_NOISE,
            f"the last step adds noise of std {number(x.c)} to the finished samples",
            weight=1,
            measured=f"std {number(x.c)}",
            expected="0 at the last step",
            evidence="the step after the last call",
            refute="a walk that goes on after it",
        )
        return
    found = [x for x in found if x.a and x.b]
    if not found:
        return
    x = found[-1]
    level = abs(x.E) / max(abs(x.A), 1e-9)
    before = start[1] / max(abs(start[0]), 1e-9)
    good = any(abs(y.A - 1) < 0.15 and abs(y.E) <= 1.02 * start[1] + 1e-6 for y in sizable)
    if level > 1.2 * before + 0.05 and math.hypot(x.A, x.E) > 0.3 and (not good or abs(x.E) > 0.5):
        exam.found(
            Place.STEP,
            f"the last step, from t = {number(x.t)}, leads back to noise: {number(x.A)}·x0 + {number(x.E)}·eps",
            weight=1,
            measured=f"{number(x.E)} of eps",
            expected="0",
            refute="an index before the first that does not wrap around",
        )


def _stays_on_the_path(L: Levels, x: Landing) -> bool:
    """Whether a last step lands on a level that training has and that is below the one it came from."""
    ratio = np.sort(L.sigma / np.maximum(np.abs(L.alpha), 1e-9))
    lowest = ratio[0] * 0.98
    if not L.discrete and len(ratio) > 17:
        lowest -= ratio[17] - ratio[0]  # drawn levels miss the least there is by more than that once in 10⁷
    before = x.start[1] / max(abs(x.start[0]), 1e-9)
    level = math.hypot(x.E, x.c) / max(abs(x.A), 1e-9)
    return lowest <= level < 0.9 * before


def _clip(exam: Exam) -> None:
    L, data = exam.levels, exam.identified.get("data")
    if data is None:
        return
    calls = exam.walk.calls
    times = np.array([c.t for c in calls])
    table = L.many(times)
    found = []
    for call in calls[1:]:
        for clip in call.arrival.clips if call.arrival else []:
            A = E = 0.0
            for kind, k, _, factor in clip["terms"]:
                alpha, sigma, u, v, _ = table[k]
                A, E = A + factor * (alpha if kind == "x" else u), E + factor * (sigma if kind == "x" else v)
            found.append((call, clip, A, E))
    if not found:
        return
    exam.fine(Place.CLIP)
    known = [f for f in found if math.isfinite(f[2])]
    of_x0 = [f for f in known if abs(f[2] - 1) < 0.1 and abs(f[3]) < 0.15 and not f[1]["noise"]]
    others = [f for f in known if not (abs(f[2] - 1) < 0.1 and abs(f[3]) < 0.15 and not f[1]["noise"])]
    share = float(np.mean([f[1]["share"] for f in others])) if others else 0.0
    if others and share > 0.01:
        call, clip, A, E = others[len(others) // 2]
        what = "the state" if clip["noise"] or abs(A) > 0.02 else "the noise"
        exam.found(
            Place.CLIP,
            f"{what} is clamped to [{clip['low']}, {clip['high']}] on its way: {share:.1%} of its numbers are changed",
            weight=1,
            measured=f"{share:.2%} changed, {number(A)}·x0 + {number(E)}·eps",
            expected="only x0 has a range",
            evidence=f"{len(others)} steps",
        )
        return
    if of_x0:
        low, high = of_x0[0][1]["low"], of_x0[0][1]["high"]
        beyond = max((low - data["low"]) if low is not None else 0, (data["high"] - high) if high is not None else 0)
        late = [f[1]["share"] for f in of_x0[-max(1, len(of_x0) // 4) :]]
        if beyond > 0.08 * max(data["high"] - data["low"], 1e-9) and beyond == beyond:
            exam.found(
                Place.CLIP,
                f"x0 is clamped to [{number(low)}, {number(high)}], inside the data's range of "
                f"[{number(data['low'])}, {number(data['high'])}]",
                weight=1,
                measured=f"{np.mean(late):.1%} of its numbers are changed near the end",
                expected="the data's range",
                evidence=f"{len(of_x0)} steps",
                refute="data that never leave these bounds",
            )


def _step_noise_law(exam: Exam) -> None:
    calls = [c for c in exam.walk.calls[1:] if c.arrival is not None and c.arrival.draws]
    draws = [d for c in calls for d in c.arrival.draws if d.get("count")]
    if len(draws) < 2:
        return
    exam.fine(Place.STEP_NOISE)
    rows = exam.walk.calls[0].facts.get("rows", 1)
    used = [
        d
        for c in calls
        for t in c.arrival.terms
        if t.kind == "z" and abs(t.factor) > 1e-9
        for d in c.arrival.draws[t.call : t.call + 1]
    ]
    if not used:
        return
    small = [
        d
        for d in used
        if d["alike"]
        or (d["shape"] and d["shape"][0] == 1 and rows > 1)
        or (len(d["shape"]) < len(exam.walk.calls[0].facts["state"]["shape"]) and rows > 1)
    ]
    if len(small) > 0.5 * len(used):
        exam.found(
            Place.STEP_NOISE,
            "all rows get the same fresh noise",
            weight=2,
            measured=f"a draw of shape {tuple(small[0]['shape'])}",
            expected="noise of the state's own shape",
            evidence=f"{len(used)} steps",
        )
        return
    keys = [d["key"] for d in used if "key" in d]
    if len(keys) > 4 and len(set(keys)) < 0.7 * len(keys):
        exam.found(
            Place.STEP_NOISE,
            f"the same noise is added again and again: {len(set(keys))} draws in {len(keys)} steps",
            weight=2,
            measured="repeated draws",
            expected="drawn anew at every step",
        )
        return
    off = exam.normal(used)
    if off:
        law = used[0].get("law", "")
        exam.found(
            Place.STEP_NOISE,
            f"the fresh noise is not N(0, 1): its {off[0]} is off"
            + (f"; it is drawn from a {law} law" if law not in ("normal", "") else ""),
            measured=off[1],
            expected="mean 0, std 1",
            chance=off[2],
            weight=1,
            evidence=f"{len(used)} steps",
        )


def _output(exam: Exam) -> None:
    final = exam.walk.facts.get("final")
    if not final:
        return
    exam.fine(Place.OUTPUT)
    if not final["finite"]:
        exam.found(Place.OUTPUT, "the samples are not finite", measured="NaN or infinity", expected="finite numbers")
        return
    data = exam.identified.get("data")
    if data and final["std"] > 20 * max(data["rms"], 1e-6):
        exam.found(
            Place.OUTPUT,
            f"the samples spread over {number(final['std'])}, the data over {number(data['rms'])}",
            unusual=True,
        )


def _without_training(exam: Exam) -> None:
    exam.not_seen(
        "training was not seen, so the noise levels the network knows are not known",
        "train a few steps inside the block too, or hand them over with run.train(…)",
    )
