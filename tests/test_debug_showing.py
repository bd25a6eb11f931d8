"""What is shown of a watched run: its walk as a film, its lines beside the closed form, and either half's oracle."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.data.datasets import load
from core.debug import Run, watch
from core.debug.cases import museum
from core.debug.cases.live import turns
from core.debug.identify import levels_of
from core.debug.oracle import energy_distance, halves, posterior_mean, with_exact_denoiser
from core.debug.seen import EXACT, OTHER
from core.debug.showing import show
from core.recipe.recipe import Recipe
from core.runs.brought import Brought
from core.runs.examine import SURPRISE, TRACE, case_of, examine, run_of_walk
from core.runs.resolve import CannotShow
from core.runs.trainings import Training
from core.samplers import SAMPLERS
from core.training.presets import PRESETS, preset as training_recipe
from tests.sweep import few

T = 50
BETAS = np.linspace(0.002, 0.4, T)
ALPHA_BAR = np.cumprod(1 - BETAS)


def guess(x, i):
    """E[x0 | x_t] of data of two points, ±1 in every coordinate by itself; i is an index or one a row."""
    b = ALPHA_BAR[i][..., None]
    return np.tanh(x * np.sqrt(b) / (1 - b))


def told(std=np.sqrt) -> Run:
    """A DDPM in NumPy with the best network there is, fed in by hand; `std` makes a step's std of beta."""
    rng, run = np.random.default_rng(0), Run()

    def net(x, i):
        b = ALPHA_BAR[i][..., None]
        return (x - np.sqrt(b) * guess(x, i)) / np.sqrt(1 - b)

    for t in rng.permutation(np.tile(np.arange(T), 12)).reshape(-1, 40):
        x0, eps = rng.choice([-1.0, 1.0], (40, 2)), rng.normal(size=(40, 2))
        a = ALPHA_BAR[t][:, None]
        x_t = np.sqrt(a) * x0 + np.sqrt(1 - a) * eps
        run.train(x_t=x_t, t=t, output=net(x_t, t), target=eps, x0=x0, noise=eps)
    x = rng.normal(size=(64, 2))
    for i in reversed(range(T)):
        e, z = net(x, i), rng.normal(size=x.shape)
        s = (x - BETAS[i] / np.sqrt(1 - ALPHA_BAR[i]) * e) / np.sqrt(1 - BETAS[i]) + (std(BETAS[i]) * z if i else 0)
        run.step(x_t=x, t=i, output=e, x_s=s, noise=z)
        x = s
    return run


@pytest.fixture(scope="module")
def view():
    return show(told())


def test_a_watched_walk_is_a_film_of_what_the_program_had(view):
    run, scene = told(), view.scene(("x_t", "x0", "eps"))
    assert scene.frames == T + 1 and scene.panel("x_t").data.shape == (T + 1, 64, 2)
    assert np.array_equal(scene.panel("x_t").data[0], run.walks[0].calls[0].x)
    assert np.array_equal(scene.panel("x_t").data[-1], run.walks[0].final)
    x = scene.panel("x_t").data[7].astype(np.float64)
    # of float32 states over a small alpha
    assert np.allclose(scene.panel("x0").data[7], guess(x, T - 1 - 7), atol=1e-4)


def test_the_numbers_of_a_step_are_those_of_the_paper(view):
    numbers, i = view.scene(()).numbers, T - 1 - 7
    assert numbers["t"][7] == i
    assert numbers["a"][7] == pytest.approx(1 / np.sqrt(1 - BETAS[i]), rel=1e-5)
    assert numbers["b"][7] == pytest.approx(-BETAS[i] / np.sqrt((1 - ALPHA_BAR[i]) * (1 - BETAS[i])), rel=1e-4)
    assert numbers["c"][7] == pytest.approx(np.sqrt(BETAS[i]), rel=1e-4)


def test_the_last_step_has_its_numbers_and_lands_on_the_data(view):
    end = {name: values[-1] for name, values in view.scene(()).numbers.items()}
    assert end["a"] == pytest.approx(1 / np.sqrt(1 - BETAS[0]), rel=1e-5)
    assert [end[name] for name in ("A", "S", "c")] == pytest.approx([1, 0, 0], abs=1e-4)
    assert [end[name] for name in ("alpha_s", "sigma_s")] == [1, 0]
    said = view.scene(()).figures[1].format(**end)
    assert said == "lands on 1.0000·x₀ + 0.0000·ε; the forward process has 1.0000 and 0.0000 there"


def test_every_line_says_what_was_measured_and_all_of_it_is_plain_json(view):
    found = json.loads(json.dumps(view.findings, allow_nan=False))
    assert found["verdict"] == "healthy" and [len(part["lines"]) for part in found["algorithm"]] == [8, 9]
    assert {"forward", "target", "step", "step_noise", "time"} <= found["charts"].keys()
    assert all(0 <= at < len(view.finding_charts) for places in found["charts"].values() for at in places)


def test_the_dots_of_a_sound_step_lie_on_the_curve_of_the_closed_form(view):
    a, b, _ = (view.finding_charts[at] for at in view.findings["charts"]["step"])
    for chart in (a, b):
        curve, dots = chart.series
        assert np.allclose(curve.y, dots.y, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("away, said", [(0.0, (False, False)), (0.6, (True, False)), (4.0, (True, True))])
def test_samples_are_there_off_or_far_as_they_are_moved(away, said):
    """Of a normal cloud in the plane, 400 rows: moved by 0.6 it is no longer the same beyond chance, by 4 far away."""
    g = np.random.default_rng(0)
    data, ends = g.normal(size=(900, 2)), g.normal(size=(400, 2)) + [away, 0]
    found = halves(SimpleNamespace(data=data), {"your walk": ends})
    assert [(row["off"], row["far"]) for row in found["rows"]] == [said]


def test_a_wrong_line_is_red_and_its_dots_are_off_the_curve():
    view = show(told(std=lambda beta: beta))
    assert view.findings["verdict"] == "wrong" and view.findings["places"]["step_noise"] == "wrong"
    chart = view.finding_charts[view.findings["charts"]["step_noise"][0]]
    sound, dots = (series for series in chart.series if series.label in ("√β", "step"))
    assert np.abs(sound.y - dots.y).max() > 0.1
    assert any(series.palette == "wrong" for chart in view.scene(()).charts for series in chart.series)


def test_the_exact_denoiser_of_two_points_is_a_hyperbolic_tangent():
    data, x = np.array([[-1.0], [1.0]]), np.linspace(-2, 2, 9)[:, None]
    assert np.allclose(posterior_mean(data, x, 0.6, 0.8), np.tanh(0.6 * x / 0.64))


def test_energy_distance_is_that_of_the_textbook_for_two_points():
    # E|a − b| = 1, and no two of a, or of b, are apart: √2.
    assert energy_distance(np.zeros((50, 1)), np.ones((50, 1))) == pytest.approx(np.sqrt(2))
    same = np.random.default_rng(0).normal(size=(300, 2))
    assert energy_distance(same[:150], same[150:]) < 0.2


def test_a_sound_sampler_with_the_exact_denoiser_arrives_at_the_data(view):
    end = view.scene((EXACT,)).panel(EXACT).data[-1]
    assert np.allclose(np.abs(end), 1, atol=0.1) and abs(end.mean()) < 0.5


class Guess(torch.nn.Module):
    """The best network there is for two points, as one that is watched: eps."""

    def forward(self, x, t):
        b = torch.as_tensor(ALPHA_BAR, dtype=x.dtype)[t][:, None]
        return (x - b.sqrt() * torch.tanh(x * b.sqrt() / (1 - b))) / (1 - b).sqrt()


def test_an_oracle_clamps_what_the_program_clamps():
    """DDIM whose x̂0 is clamped to 0.4 ends at just that, with the exact denoiser of ±1 too."""
    torch.manual_seed(0)
    net, bar = Guess(), torch.as_tensor(ALPHA_BAR, dtype=torch.float32)
    with watch(net) as run:
        for _ in range(12):
            x0, t, eps = torch.randint(0, 2, (64, 2)) * 2.0 - 1, torch.randint(0, T, (64,)), torch.randn(64, 2)
            a = bar[t][:, None]
            noised = a.sqrt() * x0 + (1 - a).sqrt() * eps
            (net(noised.requires_grad_(), t) - eps).square().mean()
        with torch.no_grad():
            x = torch.randn(16, 2)
            for i in reversed(range(T)):
                eps = net(x, torch.full((16,), i))
                x0 = ((x - (1 - bar[i]).sqrt() * eps) / bar[i].sqrt()).clamp(-0.4, 0.4)
                x = bar[i - 1].sqrt() * x0 + (1 - bar[i - 1]).sqrt() * eps if i else x0
    replay = with_exact_denoiser(run, run.walks[-1], levels_of(run))
    assert not replay.without and np.allclose(np.abs(replay.states[-1]), 0.4, atol=1e-6)
    for arrival in [*(call.arrival for call in run.walks[-1].calls[1:]), *run.walks[-1].ends]:
        for clip in arrival.clips:
            clip["whole"] = False
    replay = with_exact_denoiser(run, run.walks[-1], levels_of(run))
    assert replay.without == "without its clamps" and np.abs(replay.states[-1]).max() > 0.8


def test_before_and_after_the_fix_stand_side_by_side():
    view = show(told(std=lambda beta: beta), other=told(), other_title="mended")
    assert view.findings["other"]["places"]["step_noise"] == "healthy"
    assert view.scene((OTHER,)).panel(OTHER).title == "mended"


def test_a_run_without_a_walk_says_what_would_make_one_seen():
    run = told()
    run.walks.clear()
    with pytest.raises(ValueError, match="call the sampler inside the block"):
        show(run)


def test_the_film_of_a_saved_run_is_that_of_the_run(tmp_path):
    run = told()
    again = Run.load(run.save(tmp_path / "run.trace"))
    assert np.array_equal(again.data, run.data) and again.nbytes == pytest.approx(run.nbytes, rel=0.2)
    for mine, theirs in zip(show(run).scene().panels, show(again).scene().panels):
        assert np.array_equal(mine.data, theirs.data)


# --- the museum, live -------------------------------------------------------------------------------------------------
def test_a_script_in_turns_does_what_it_does_at_once_and_leaves_everybodys_numbers_alone():
    case = museum()["flow-backwards"]
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    *turned, last = turns(case, seed=1, steps=3, samples=16)
    assert torch.equal(torch.rand(3), expected)
    assert [at.doing for at in turned[:4]] == ["trains"] * 3 + ["samples"] and last.doing == "is over"
    whole = case.run(seed=1, steps=3, samples=16)
    assert np.array_equal(last.run.walks[-1].final, whole.walks[-1].final)


def test_a_script_that_nobody_wants_any_more_ends_where_it_stands():
    running = turns(museum()["flow-backwards"], seed=1, steps=3, samples=16)
    next(running)
    running.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "case"]


def test_either_half_of_a_script_is_held_against_its_oracle():
    *_, last = turns(museum()["flow-backwards"], seed=1, steps=60, samples=64)
    halves = show(last.run).findings["halves"]
    assert [row["far"] for row in halves["rows"]] == [True, True, False] and "in the sampler" in halves["says"]


# --- our own ----------------------------------------------------------------------------------------------------------
def examined(**fields) -> dict:
    *_, view = examine(Recipe(steps=20, samples=64, **fields))
    return view.findings


@pytest.mark.parametrize("road", few([f"{name} {schedule}" for name in SAMPLERS for schedule in ("cosine", "flow")],
                                     *(f"{name} cosine" for name in SAMPLERS), "ddim flow", "ddpm flow", "heun flow"))
def test_every_step_of_our_own_walks_is_read_and_all_but_those_that_fail_on_purpose_are_healthy(road):
    name, schedule = road.split()
    run = run_of_walk(Recipe(steps=6, samples=16, sampler=name, schedule=schedule), None)
    report = run.diagnose()
    assert report.healthy != SAMPLERS[name].fails, report
    assert SAMPLERS[name].fails or len(report.identified["steps"]) == len(run.walks[0].calls) - 1


def test_an_examined_walk_is_healthy():
    found = examined()
    assert found["verdict"] == "healthy" and not found["causes"] and found["checked"] == "10 of 22 lines checked"


@pytest.mark.parametrize(("fields", "place", "says"), [
    ({"sampler": "ddpm", "drop_noise": (1.0, 0.0)}, "step_noise", "no fresh noise is added"),
    ({"scale_eps": 0.9}, "step", "the part of eps is off"),
    ({"nudge": 0.2}, "step", "add a constant to every number of the state, such as 0.01 at"),
    ({"nudge": 0.2, "sampler": "heun_edm"}, "step", "add a constant to every number of the state, such as 0.01 at"),
    ({"time_shift": 0.05}, "time", "of t − 0.05"),
    ({"time_shift": -0.03}, "time", "of t + 0.03"),
    ({"time_shift": 0.05, "sampler": "dpmpp_2m"}, "time", "of t − 0.05"),
])
def test_an_intervention_is_named(fields, place, says):
    (cause,) = run_of_walk(Recipe(steps=20, samples=16, **fields), None).diagnose().causes
    assert cause.place == place and says in cause.says


class Trained(Brought):
    """Somebody who trains, and keeps what was seen of it."""

    training = None


@pytest.mark.parametrize("preset", few(PRESETS, "textbook"))
def test_our_own_trainings_are_healthy(preset, short_previews):
    schedule = training_recipe(preset, load("gaussians8")).schedule
    brought = Trained()
    recipe = Recipe(data="gaussians8", train_steps=60, steps=10, samples=32, preset=preset, schedule=schedule)
    brought.training = Training(recipe, brought)
    for _ in brought.training.run():
        pass
    *_, view = examine(recipe.with_(bug="training"), brought)
    found = view.findings
    assert found["verdict"] == "healthy" and {"target", "loss", "forward"} <= found["charts"].keys()
    assert {found["places"][place] for place in ("target", "loss", "noise", "time_sampling")} <= {"healthy", "unusual"}


@pytest.mark.parametrize(("bug", "against"), [("walk", "before"), ("flow-backwards", "before"), ("trace", "fixed"),
                                              ("training", "fixed")])
def test_what_cannot_stand_beside_a_run_is_refused(bug, against):
    with pytest.raises(CannotShow, match="beside it"):
        next(examine(Recipe(bug=bug, against=against)))


def test_a_walk_with_an_intervention_stands_beside_the_same_without():
    found = examined(scale_eps=0.9, against="fixed")
    assert found["places"]["step"] == "wrong" and found["other"]["places"]["step"] == "healthy"
    assert found["other"]["title"] == "without interventions"


def test_without_a_training_it_is_said_what_to_press():
    with pytest.raises(CannotShow, match="press Train first"):
        next(examine(Recipe(bug="training"), Trained()))


def test_a_surprise_is_what_its_seed_says():
    cases = [case_of(Recipe(bug=SURPRISE, seed=seed)).name for seed in range(40)]
    assert cases == [case_of(Recipe(bug=SURPRISE, seed=seed)).name for seed in range(40)] and len({*cases}) > 15


def test_without_a_trace_it_is_said_how_to_open_one():
    with pytest.raises(CannotShow, match="press Open a trace"):
        next(examine(Recipe(bug=TRACE)))
