"""The equation on screen, with the numbers in it, makes the step it stands under; and every target walks alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from core.data.datasets import Dataset
from core.denoisers.base import Denoiser
from core.denoisers.exact import Exact
from core.edits import drop_noise
from core.forward import expand
from core.prediction import PREDICTION_TYPES, Prediction, target_of
from core.reverse import start_noise, walk
from core.recipe.recipe import WORDS
from core.samplers import FAILING, SAMPLERS, derived_generator, make_sampler
from core.schedules import make_schedule
from core.trace import Trace
from core.views import TraceView
from tests.sweep import few

ROOT = Path(__file__).parents[1]


def filmed(sampler: str, schedule: str, start: float = 1.0, eta: float = 0.6, steps: int = 9, edit=None,
           every: int = 1) -> TraceView:
    """A film of a walk from seed 3, with every figure of its trace in double precision."""
    generator = torch.Generator().manual_seed(1)
    data = Dataset("toy", "Toy", "points", 0.4 * torch.randn(30, 2, generator=generator) + 0.2, bandwidth=0.05)
    schedule, generator = make_schedule(schedule), torch.Generator().manual_seed(3)
    exact, times = Exact(data.x0.double(), schedule, data.bandwidth), schedule.times(steps, start=start)
    x = start_noise(schedule, (7, 2), times[0], generator, like=torch.zeros((), dtype=torch.float64))
    rule = make_sampler(sampler, schedule, eta, generator)
    trace = Trace.record(walk(exact, rule, x, times, generator, edit), every=every)
    film = TraceView(trace, times, data, schedule, exact, rule)
    film.finish()
    return film


def shown(text: str) -> list[float]:
    """The numbers of a formula, in order."""
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d+|\d+(?= times)", text)]


def remake(sampler: str, numbers: list[float], film: TraceView, k: int, within: torch.Generator,
           memory: dict) -> torch.Tensor:
    """x_s from the numbers shown, the trace's own quantities, and the network where the formula asks it again."""
    trace, s = film.trace, film.trace.s[k]
    x, x0, eps, z = (trace[name][k] for name in ("x_t", "x0", "eps", "noise"))

    def draw():
        return torch.randn(x.shape, generator=within, dtype=x.dtype)

    if sampler in ("ddim", "ddpm", "ddpm_beta"):
        alpha, direction, std = numbers
        return alpha * x0 + direction * eps + std * z
    if sampler == "heun":
        out, into, dr = numbers
        u = eps - x0
        if s > 0:
            u = (u + film.denoise(out * (into * x + dr * u), s).velocity) / 2
        return out * (into * x + dr * u)
    if sampler == "heun_edm":
        alpha, sigma, half = numbers
        y = alpha * x0 + sigma * eps
        return y + half * (film.denoise(y, s).eps - eps) if half else y
    if sampler == "dpmpp_2m":
        from_x, data, now, then = numbers
        before = trace["x0"][k - 1] if k else x0
        return from_x * x + data * (now * x0 - then * before)
    if sampler == "multistep_consistency":
        alpha, std = numbers
        return alpha * x0 + std * z
    if sampler == "euler_maruyama":
        keep, pull, std = numbers
        return keep * x - pull * eps + std * z
    if sampler == "predictor_corrector":
        alpha, direction, inner, pull, std = numbers
        y = alpha * x0 + direction * eps
        if s == 0:
            return y
        y = y + inner * draw()
        return y - pull * film.denoise(y, s).eps + std * z
    if s == 0:
        return x0  # as the words beside the figures say
    if sampler == "langevin":
        pull, inner, times, std = numbers
        for k in range(int(times)):
            x = x - pull * film.denoise(x, s).eps + (inner * draw() if k < times - 1 else std * z)
        return x
    step, times = numbers
    for _ in range(int(times)):
        eps = film.denoise(x, s).eps
        if sampler == "ascent_adam":
            g = eps / film.schedule.at(s)[1]
            n = memory["n"] = memory.get("n", 0) + 1
            m = memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
            v = memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g**2
            eps = m / (1 - 0.9**n) / (v / (1 - 0.999**n)).sqrt()
        x = x - step * eps
    return x


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name, start", [("cosine", 0.95), ("flow", 1.0)])
def test_the_numbers_shown_make_the_step(sampler, name, start):
    film = filmed(sampler, name, start)
    scene, trace = film.scene(()), film.trace
    after = torch.cat([trace["x_t"][1:], trace.final[None]])
    within, memory = derived_generator(torch.Generator().manual_seed(3)), {}
    for k in range(len(trace)):
        made = remake(sampler, shown(scene.text(scene.figures[0], k)), film, k, within, memory)
        # Three digits after the point, times quantities of at most 4 or so; each inner step rounds again.
        torch.testing.assert_close(made, after[k], rtol=0, atol=0.02 if sampler in ("langevin", *FAILING) else 0.01)
        t, s = shown(scene.text(scene.figures[1], k))[:2]
        assert abs(t - trace.t[k]) <= 0.0005 and abs(s - trace.s[k]) <= 0.0005


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_line_that_is_named_is_in_the_core_and_the_menu_has_a_short_word_for_it(sampler):
    equation = SAMPLERS[sampler].equation
    file, _, line = equation.source.partition(" · ")
    assert line in (ROOT / file).read_text("utf-8").replace(f'line="{line}"', "")  # besides where it is named
    assert len(WORDS["sampler"][sampler]) <= 16  # what fits the menu
    fails = [text for text in (equation.note, WORDS["sampler"][sampler]) if "fails" in text]
    assert len(fails) == (2 if sampler in FAILING else 0)  # what fails on purpose says so, in both places


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_thinned_trace_shows_the_numbers_of_the_steps_it_kept(sampler):
    whole, thin = (filmed(sampler, "cosine", every=every).scene(()) for every in (1, 4))
    for k, frame in enumerate((0, 4, 8)):
        assert thin.text(thin.figures[0], k) == whole.text(whole.figures[0], frame)


@pytest.mark.parametrize("sampler", ["ddpm_beta", "euler_maruyama", "langevin", "predictor_corrector"])
def test_noise_that_an_edit_drops_is_gone_from_the_equation_and_what_is_drawn_within_the_step_is_not(sampler):
    scene = filmed(sampler, "cosine", edit=drop_noise).scene(())
    assert "0.000 · z" in scene.text(scene.figures[0], 3).rpartition("ε̂")[2]
    if "inner_std" in scene.numbers:
        assert scene.numbers["inner_std"][3] > 0.01


class Translated(nn.Module):
    """A network that puts out `target` and means what the v network inside it means."""

    def __init__(self, network: nn.Module, target: str, schedule, sigma_data: float):
        super().__init__()
        self.network, self.prediction_type, self.schedule, self.sigma_data = network, target, schedule, sigma_data

    def forward(self, x, t, noise_level, cond):
        alpha, sigma = (expand(a, x) for a in self.schedule(t))
        x_t = x * (alpha**2 * self.sigma_data**2 + sigma**2).sqrt()
        p = Prediction.of("v", self.network(x, t, noise_level, cond), x_t, alpha, sigma)
        return target_of(self.prediction_type, p.x0, p.eps, alpha, sigma, self.sigma_data)


@pytest.mark.parametrize("road", few(
    [f"{sampler} {name}" for sampler in SAMPLERS for name in ("linear", "flow", "ve")],
    *(f"{sampler} linear" for sampler in SAMPLERS),
    *(f"{sampler} {name}" for sampler in ("ddim", "heun", "dpmpp_2m", "predictor_corrector")
      for name in ("flow", "ve"))))
def test_networks_of_all_targets_that_say_the_same_walk_the_same(road, small_denoiser):
    sampler, name = road.split()
    schedule = make_schedule(name)
    network, times = small_denoiser(schedule, "v").network, schedule.times(3, start=schedule.start_for("eps"))

    def run(target):
        g = torch.Generator().manual_seed(2)
        x = start_noise(schedule, (4, 2), times[0], g, like=torch.zeros((), dtype=torch.float64))
        denoiser = Denoiser(Translated(network, target, schedule, 0.6), schedule, target, 0.6)
        steps = list(walk(denoiser, make_sampler(sampler, schedule, 0.5, g), x, times, g))
        return torch.stack([*(step.x_t for step in steps), steps[-1].x_s])

    reference = run("v")
    assert reference.diff(dim=0).flatten(1).abs().sum(1).min() > 1e-3  # it does move
    for target in PREDICTION_TYPES:
        torch.testing.assert_close(run(target), reference, rtol=1e-6, atol=1e-6)
