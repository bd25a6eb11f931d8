"""Runs of our own: a recorded `Trace`, or a walk as it is taken, as something the Doctor can examine.

A step's prediction holds x0 and eps with x_t = alpha·x0 + sigma·eps, so the noise levels are in it, and its mean is a
sum of x_t and eps. What changed a walk (an edit, a time told wrongly) then shows as it does in anybody's program.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from ..prediction import Denoise, Prediction
from ..reverse import Step
from ..schedules import Schedule
from ..trace import Trace
from ..training.trainer import TrainStep
from .record import Call, Run, Term, Train, Walk, array, least_squares, moments, rows, two_factors
from .watching import watch


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
    run.walks.append(walk)
    run.facts["sampling_calls"] = len(walk.calls)
    return run


class Asked(nn.Module):
    """A denoiser as a network that is asked for the velocity eps − x0.

    It is what `shift_time` keeps of an answer, and well conditioned at both ends of every schedule.
    """

    def __init__(self, denoise: Denoise):
        super().__init__()
        self.denoise, self.levels = denoise, (torch.ones(()), torch.zeros(()))

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        prediction = self.denoise(x_t, t)
        self.levels = prediction.alpha, prediction.sigma
        return prediction.velocity


def listen(denoise: Denoise) -> tuple[Denoise, Asked]:
    """(denoise, asked): the same denoiser, as something whose calls can be watched."""
    asked = Asked(denoise)

    def heard(x_t, t):
        velocity = asked(x_t, t)
        return Prediction.of("velocity", velocity, x_t, *asked.levels)

    return heard, asked


def run_of_steps(steps: Iterable[Step], schedule: Schedule, asked: Asked) -> Run:
    """A walk of ours, watched as anybody's program is, with the levels of its schedule in the place of a training."""
    with watch(asked) as run:
        (last,) = deque(steps, maxlen=1)
    # What is asked here is a function about the network: of its weights and its mode nothing is seen.
    run._ask, run.networks = None, []
    for call in (call for seen in run.walks for call in seen.calls):
        call.facts["by_hand"] = True
    grid = torch.linspace(1 / schedule.T, 1, min(schedule.T, 1000), dtype=torch.float64)
    alpha, sigma = (array(a.double()) for a in schedule(grid))
    facts = {"by_hand": True, "finite": True, "output_shape": []}
    run.trains.append(Train(array(grid), alpha, sigma, 0 * alpha - 1, 0 * alpha + 1, 0 * alpha, facts=facts))
    walk = run.walks[-1]
    walk.final, walk.facts["final"] = rows(array(last.x_s)), moments(array(last.x_s))
    return run


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
