"""Reflow straightens paths, and straight paths need few steps."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from core.checkpoints.models import load_pretrained, load_training, save_training
from core.data.datasets import load
from core.denoisers.exact import Exact
from core.forward import expand
from core.metrics.distances import sliced_wasserstein
from core.prediction import Prediction
from core.reverse import walk
from core.samplers import ddim
from core.schedules import make_schedule
from core.training.presets import TrainingConfig, make_denoiser, preset
from core.training.reflow import Pairs, Reflow, couple, reflow_config, straightness
from core.training.trainer import Trainer


def config(**changes):
    return TrainingConfig(**{"network": "mlp", "width": 16, "prediction_type": "velocity", "schedule": "flow",
                            "steps": 20,
                             "batch": 16} | changes)


def untrained(**changes):
    return make_denoiser(config(**changes), load("moons")).eval().requires_grad_(False)


def some_pairs(n=50):
    eps, x0 = (torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    return Pairs(eps, x0)


class Straight:
    """The flow of a map eps → x0 = centre + scale·eps along lines: x_t = t·eps + (1 − t)·x0."""

    schedule, target, labels = make_schedule("flow"), "velocity", 0

    def __call__(self, x_t, t, cond=None):
        alpha, sigma = (expand(a.to(x_t), x_t) for a in self.schedule(t))
        eps = (x_t - alpha * 0.5) / (sigma + alpha * 0.1)
        return Prediction(0.5 + 0.1 * eps, eps, alpha, sigma)


# Straightness


def test_straight_paths_have_straightness_zero():
    assert straightness(Straight(), (2,)) == pytest.approx(0, abs=1e-9)


def test_the_exact_flow_to_two_points_is_not_straight():
    bent = straightness(Exact(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), make_schedule("flow"), 0.05), (2,))
    assert 0.05 < bent < 2


def test_straightness_is_the_mean_square_of_what_a_path_strays_from_its_chord():
    flow, generator = Exact(load("moons").x0[:40], make_schedule("flow"), 0.1), torch.Generator().manual_seed(0)
    times = flow.schedule.times(50)
    x = torch.randn(30, 2, generator=generator)
    steps = list(walk(flow, ddim(flow.schedule), x, times, generator))
    # dx/dt over a step of Euler's method is the difference quotient of its ends.
    strays = [((x - steps[-1].x_s) - (step.x_t - step.x_s) * 50).square().sum(1).mean() for step in steps]
    assert_close(straightness(flow, (2,), 30, 50), float(torch.stack(strays).mean()), rtol=1e-3, atol=1e-5)


# Pairs


def test_pairs_are_noise_and_where_the_flow_carries_it():
    pairs = couple(Straight(), 5000, (2,), steps=4, seed=3)
    # The grid begins a hair below t = 1, where alpha = 0.
    assert_close(pairs.x0, 0.5 + 0.1 * pairs.eps, atol=1e-3, rtol=0)
    assert abs(pairs.eps.mean()) < 0.03 and abs(pairs.eps.std() - 1) < 0.03


def test_the_same_seed_couples_the_same_pairs_and_progress_is_told():
    told = []
    a, b, c = (couple(untrained(), 5000, (2,), 2, seed, told.append) for seed in (0, 0, 1))
    assert torch.equal(a.x0, b.x0) and torch.equal(a.eps, b.eps) and not torch.equal(a.eps, c.eps)
    assert told == [4096, 5000] * 3


def test_models_of_another_schedule_and_no_pairs_are_refused():
    with pytest.raises(ValueError, match="'cosine'.*'flow'"):
        couple(untrained(schedule="cosine"), 8, (2,))
    with pytest.raises(ValueError, match="0 pairs"):
        couple(untrained(), 0, (2,))


def test_rows_stay_together_when_pairs_are_drawn():
    pairs = some_pairs()
    x0, eps = pairs.draw(200, torch.Generator().manual_seed(0))
    rows = (eps[:, None] == pairs.eps).all(2).float().argmax(1)
    assert torch.equal(x0, pairs.x0[rows]) and len(rows.unique()) > 40


# Training


def test_it_trains_on_the_lines_of_its_pairs_from_the_weights_of_its_flow():
    flow, pairs = untrained(seed=4), some_pairs()
    trainer = Reflow(flow, pairs, load("moons"), config(time_sampling="uniform"))
    assert torch.equal(trainer.denoiser.network.enter.weight, flow.network.enter.weight)
    assert torch.equal(trainer.ema.network.enter.weight, flow.network.enter.weight)
    n = next(trainer.run()).noised
    rows = (n.eps[:, None] == pairs.eps).all(2).float().argmax(1)
    assert torch.equal(n.x0, pairs.x0[rows])
    assert_close(n.x_t, (1 - n.t[:, None]) * n.x0 + n.t[:, None] * n.eps)


def test_a_flow_of_another_network_and_labels_are_refused():
    with pytest.raises(ValueError, match="'width': 32"):
        Reflow(untrained(width=32), some_pairs(), load("moons"), config())
    with pytest.raises(ValueError, match="no labels"):
        Reflow(untrained(), some_pairs(), load("moons"), config(labels=True))


def test_a_round_is_trained_as_its_flow_was_but_for_what_is_said():
    flow = preset("flow", load("trex"))
    made = reflow_config(flow.to_dict(), steps=7)
    assert (made.steps, made.time_sampling, made.width) == (7, "log_normal", flow.width)
    assert made.prediction_type == "velocity"


def test_a_paused_round_goes_on_to_the_last_bit_and_only_as_one(tmp_path):
    flow, data = untrained(), load("moons")
    unbroken, first = (Reflow(flow, some_pairs(), data, config()) for _ in range(2))
    losses = [step.loss for step in unbroken.run()]
    begun = [step.loss for step in first.run(until=7)]
    second = Reflow(flow, some_pairs(8), data, config())
    second.load_state_dict(first.state_dict())
    assert begun + [step.loss for step in second.run()] == losses
    with pytest.raises(ValueError, match="pairs.eps"):
        Trainer(data, config()).load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="no pairs"):
        second.load_state_dict(Trainer(data, config()).state_dict())
    with pytest.raises(ValueError, match="pairs.eps"):
        load_training(save_training(tmp_path / "paused.safetensors", first), data)


# What it is for


@pytest.fixture(scope="module")
def before_and_after():
    """The flow to the moons that is shipped, and the same after one round, trained for seconds."""
    data, (flow, card) = load("moons"), load_pretrained("moons-flow")
    config = reflow_config(card["training"], steps=250, batch=192)
    again = Reflow(flow, couple(flow, 2048, (2,), steps=12), data, config)
    for _ in again.run():
        pass
    return data, flow, again.ema


def test_one_round_straightens_the_paths(before_and_after):
    _, before, after = before_and_after
    assert straightness(after, (2,), 300) < 0.05 * straightness(before, (2,), 300)


@pytest.mark.parametrize("steps, times_nearer", [(1, 2.5), (2, 5), (4, 2.5)])
def test_after_one_round_few_steps_of_euler_land_far_nearer_to_the_data(before_and_after, steps, times_nearer):
    data, before, after = before_and_after
    generator = torch.Generator().manual_seed(5)
    unseen, x = data.draw(2000, generator)[0], torch.randn(2000, 2, generator=generator)

    def distance(flow):
        *_, last = walk(flow, ddim(flow.schedule), x, flow.schedule.times(steps), generator)
        return sliced_wasserstein(last.x_s, unseen)

    assert times_nearer * distance(after) < distance(before)
