"""Runs of our own: a recorded `Trace`, or a walk as it is taken, as something the Doctor can examine.

A step's prediction holds x0 and eps with x_t = alpha·x0 + sigma·eps, so the noise levels are in it, and its mean is a
sum of x_t and eps. What changed a walk (an edit, a time told wrongly) then shows as it does in anybody's program.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import torch

from ..prediction import Denoise, Prediction
from ..reverse import Step
from ..schedules import Schedule
from ..trace import Trace
from ..training.trainer import TrainStep
from .record import Call, Run, Term, Train, Walk, array, least_squares, moments, rows, two_factors


def run_of_trace(path: str | os.PathLike | Trace) -> Run:
    """A recorded walk as a run. ValueError if it did not keep x_t, x0, eps, mean and noise at every step."""
    trace = path if isinstance(path, Trace) else Trace.load(path)
    missing = [name for name in ("x_t", "x0", "eps", "mean", "noise") if name not in trace.keep]
    if missing or trace.every != 1:
        raise ValueError(
            f"the trace kept every {trace.every}. step without {', '.join(missing) or 'gaps'}; to be "
            "examined it needs x_t, x0, eps, mean and noise of every step"
        )
    run, walk = Run(), Walk(facts={"network": 0})
    parts = {name: trace[name] for name in trace.keep}
    for k in range(len(trace)):
        x, x0, eps, mean, noise = (array(parts[n][k]) for n in ("x_t", "x0", "eps", "mean", "noise"))
        t = float(trace.t[k])
        _level(run, t, x, x0, eps)
        _step(walk, t, x, eps, mean, float(trace.std[k]), noise)
    walk.final = rows(array(trace.final))
    walk.facts["final"] = moments(array(trace.final))
    _finish(run, walk)
    return run


def run_of_steps(
    steps: Iterable[Step], schedule: Schedule, told: list[tuple[torch.Tensor, Prediction]] | None = None
) -> Run:
    """A walk of ours as it is taken. `told` is what `listen` hears: (t told, what was said) of every call.

    What was said is taken as the velocity eps − x0, as a rule takes the answer for another time: see `shift_time`.
    It is well conditioned at both ends of every schedule, which eps is not where alpha is 0.

    The first of a step is that at x_t; the list is emptied after each.
    """
    run, walk = Run(), Walk(facts={"network": 0})
    grid = torch.linspace(1 / schedule.T, 1, min(schedule.T, 1000), dtype=torch.float64)
    alpha, sigma = (array(a.double()) for a in schedule(grid))
    run.trains.append(
        Train(
            array(grid),
            alpha,
            sigma,
            0 * alpha - 1,
            0 * alpha + 1,
            0 * alpha,
            facts={"by_hand": True, "finite": True, "output_shape": []},
        )
    )
    step = None
    for step in steps:
        t, said = told[0] if told else (step.t, step.prediction)
        x, velocity, mean, noise = map(array, (step.x_t, said.velocity, step.mean, step.noise))
        _step(walk, float(t), x, velocity, mean, float(step.std), noise)
        if told:
            told.clear()
    if step is not None:
        walk.final, walk.facts["final"] = rows(array(step.x_s)), moments(array(step.x_s))
    _finish(run, walk)
    return run


def listen(denoise: Denoise) -> tuple[Denoise, list[tuple[torch.Tensor, Prediction]]]:
    """(denoise, told): the same denoiser, and what its calls were told and said; a rule may ask often in a step."""
    told: list = []

    def heard(x_t, t):
        prediction = denoise(x_t, t)
        told.append((t, prediction))
        return prediction

    return heard, told


def see_training(run: Run, step: TrainStep) -> None:
    """Add one step of a training of ours: its network's answer as eps − x0, whatever it is taught."""
    noised = step.noised
    with torch.no_grad():
        run.train(x_t=noised.x_t, t=noised.t, output=step.prediction.velocity, target=noised.eps - noised.x0,
                  x0=noised.x0, noise=noised.eps)
    run.trains[-1].facts["index"] = step.index


def _level(run: Run, t: float, x: np.ndarray, x0: np.ndarray, eps: np.ndarray) -> None:
    alpha, sigma, _ = two_factors(x.reshape(1, -1), x0.reshape(1, -1), eps.reshape(1, -1))
    if np.isfinite(alpha).all():
        run.trains.append(
            Train(
                np.array([t]),
                alpha,
                sigma,
                np.zeros(1),
                np.ones(1),
                np.zeros(1),
                facts={"by_hand": True, "finite": True, "output_shape": []},
            )
        )


def _step(
    walk: Walk, t: float, x: np.ndarray, out: np.ndarray, mean: np.ndarray, std: float, noise: np.ndarray
) -> None:
    k = len(walk.calls)
    call = Call(
        t,
        rows(x),
        rows(out),
        {
            "state": moments(x),
            "output": moments(out),
            "by_hand": True,
            "rows": len(x),
            "network": 0,
            "others": {},
            "doubled": 1,
        },
    )
    if k:
        call.arrival = walk.ends.pop()
    else:
        walk.facts["start"] = moments(x) | {"law": "", "op": ""}
    walk.calls.append(call)
    arrival = least_squares(mean, x, [("x", k, x), ("out", k, out)])
    arrival.source = "unseen" if arrival.left > 2e-3 else "least squares"
    if std > 0 and arrival.terms:
        arrival.terms.append(Term("z", 0, 0, std))
        arrival.draws = [moments(noise)]
    walk.ends = [arrival]


def _finish(run: Run, walk: Walk) -> None:
    run.walks.append(walk)
    run.facts["sampling_calls"] = len(walk.calls)
