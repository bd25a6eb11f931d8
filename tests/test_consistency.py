"""A consistency model jumps to where its teacher's path ends."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from core.checkpoints.models import load_pretrained, load_training, save_training
from core.data.datasets import load
from core.denoisers.base import Denoiser
from core.denoisers.exact import Exact
from core.metrics.distances import nearest, sliced_wasserstein
from core.reverse import start_noise, walk
from core.samplers import ddim, heun, multistep_consistency
from core.schedules import make_schedule
from core.training.consistency import BOUND, Distillation, distillation_config, jump
from core.training.presets import TrainingConfig, make_denoiser
from core.training.trainer import Trainer, noise_levels


def config(**changes):
    return TrainingConfig(**{"network": "mlp", "width": 16, "steps": 20, "batch": 16, "time_sampling": "levels",
                             "levels": 6, "weighting": "x0"} | changes)


def untrained(**changes):
    return make_denoiser(config(**changes), load("moons")).eval().requires_grad_(False)


def scalar(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


# The boundary, and what is learned


@pytest.mark.parametrize("target", BOUND)
def test_at_t_0_a_point_stays_where_it_is_whatever_the_network_says(target, schedule, small_denoiser):
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_close(small_denoiser(schedule, target)(x, scalar(0.0)).x0, x)


@pytest.mark.parametrize("target, schedule", [("edm", "cosine"), ("v", "linear"), ("velocity", "flow")])
def test_the_loss_is_that_of_algorithm_2_written_by_hand(target, schedule):
    made = {"prediction_type": target, "schedule": schedule, "ema": 0.5}
    teacher, data = untrained(seed=3, **made), load("moons")
    distillation = Distillation(teacher, data, config(**made))
    s = make_schedule(schedule)
    levels = [*noise_levels(s, 6).tolist(), 0.0]
    for _ in distillation.run(until=3):
        pass
    f, average = (make_denoiser(config(**made), data) for _ in range(2))
    f.load_state_dict(distillation.denoiser.state_dict())
    average.load_state_dict(distillation.ema.state_dict())
    step = next(distillation.run())
    errors, met = [], set()
    for x_t, t in zip(step.noised.x_t, step.noised.t.tolist()):
        k = min(range(6), key=lambda k: abs(levels[k] - t))
        met.add(k)
        t, below = scalar(levels[k]), scalar(levels[k + 1])
        x_t = x_t[None]
        with torch.no_grad():  # the walk's own Heun, one sample at a time
            x_s, _ = heun(s)(teacher, x_t, teacher(x_t, t), t, below)
            wanted = average(x_s, below).x0 if k < 5 else x_s
            errors.append((f(x_t, t).x0 - wanted).square().mean())
    assert_close(step.loss, float(torch.stack(errors).mean()), rtol=1e-3, atol=1e-6)
    assert 5 in met and len(met) > 3


def test_no_gradient_reaches_the_teacher_or_the_average():
    distillation = Distillation(untrained(), load("moons"), config())
    teacher = {name: w.clone() for name, w in distillation.teacher.state_dict().items()}
    for _ in distillation.run(until=3):
        pass
    assert not any(w.requires_grad for d in (distillation.ema, distillation.teacher) for w in d.parameters())
    assert all(torch.equal(w, teacher[name]) for name, w in distillation.teacher.state_dict().items())


def test_the_teacher_given_is_left_alone():
    teacher = untrained()
    for _ in Distillation(teacher, load("moons"), config(lr=0.1)).run(until=3):
        pass
    assert torch.equal(teacher.network.enter.weight, untrained().network.enter.weight)


@pytest.mark.parametrize("teacher, changes, says", [
    ({"prediction_type": "eps"}, {"prediction_type": "eps"}, "'eps'.*v, velocity, edm"),
    ({"prediction_type": "x0"}, {"prediction_type": "x0"}, "'x0'.*v, velocity, edm"),
    ({}, {"time_sampling": "uniform"}, "'uniform'.*'levels'"),
    ({}, {"schedule": "flow"}, "'cosine'.*'flow'"),
    ({}, {"prediction_type": "v"}, "'edm'.*'v'"),
    ({"width": 32}, {}, "'width': 32.*'width': 16"),
])  # fmt: skip
def test_what_cannot_be_distilled_is_named(teacher, changes, says):
    with pytest.raises(ValueError, match=says):
        Distillation(untrained(**teacher), load("moons"), config(**changes))


def test_a_paused_distillation_goes_on_to_the_last_bit_and_only_with_its_teacher(tmp_path):
    teacher, data = untrained(), load("moons")
    unbroken, first, second = (Distillation(teacher, data, config()) for _ in range(3))
    losses = [step.loss for step in unbroken.run()]
    begun = [step.loss for step in first.run(until=7)]
    second.load_state_dict(first.state_dict())
    assert begun + [step.loss for step in second.run()] == losses
    with pytest.raises(ValueError, match="not a distillation of this teacher"):
        Distillation(untrained(seed=9), data, config()).load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="not a distillation"):
        second.load_state_dict(Trainer(data, config()).state_dict())
    with pytest.raises(ValueError, match="teacher"):
        load_training(save_training(tmp_path / "paused.safetensors", first), data)


# Sampling


def test_re_noising_is_the_forward_process_from_the_jump(schedule, gaussian, generator):
    # Data that are one point: every jump lands on it, so x_s is the forward process's own draw.
    denoise, t, s = gaussian(schedule, 0.0), scalar(0.8), scalar(0.3)
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    mean, std = multistep_consistency(schedule)(denoise, x, denoise(x, t), t, s)
    assert_close(mean, torch.zeros_like(mean), atol=1e-9, rtol=0)
    assert float(std) == pytest.approx(schedule.at(0.3)[1])
    alpha, sigma = schedule.at(0.3)
    assert multistep_consistency(schedule).coefficients(0.8, 0.3) == {"x0": alpha, "std": sigma}


def test_one_step_is_the_jump(small_denoiser):
    denoiser = small_denoiser(make_schedule("cosine"), "edm").float()
    times, generator = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.Generator().manual_seed(2)
    x = start_noise(denoiser.schedule, (6, 2), times[0], generator)
    (step,) = walk(denoiser, multistep_consistency(denoiser.schedule), x, times, generator)
    assert_close(step.x_s, jump(denoiser, (2,), 6, seed=2), rtol=0, atol=1e-4)


# What it is for


@pytest.fixture(scope="module")
def taught():
    """(teacher, what 250 steps of distillation make of it)."""
    teacher, card = load_pretrained("moons")
    distillation = Distillation(teacher, load("moons"), distillation_config(card["training"], steps=250, batch=256))
    for _ in distillation.run():
        pass
    return teacher, distillation.ema


def unseen(n=2000):
    return load("moons").draw(n, torch.Generator().manual_seed(77))[0]


def test_one_step_is_far_nearer_to_the_data_than_one_step_of_the_teacher(taught):
    teacher, student = taught
    noise = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    (by_teacher,) = walk(teacher, ddim(teacher.schedule), noise, torch.tensor([1.0, 0.0]), torch.Generator())
    assert 8 * sliced_wasserstein(jump(student, (2,), 2000), unseen()) < sliced_wasserstein(by_teacher.x_s, unseen())


def test_it_jumps_to_where_the_teachers_path_ends(taught):
    teacher, student = taught
    times = teacher.schedule.times(40, "log_snr")
    x = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    *_, last = walk(teacher, heun(teacher.schedule), x, times, torch.Generator())
    with torch.no_grad():
        jumped, guessed = student(x, times[0]).x0, teacher(x, times[0]).x0
    # A few paths end on the other moon: the map from noise to data is torn there, and a network's is not.
    assert (jumped - last.x_s).norm(dim=1).median() < 0.1 * (guessed - last.x_s).norm(dim=1).median()


def test_a_few_re_noised_steps_land_sharper_than_one(taught):
    _, student = taught
    times, generator = scalar(0).new_tensor([1.0, 0.6, 0.35, 0.15, 0.0]), torch.Generator().manual_seed(1)
    x = start_noise(student.schedule, (2000, 2), times[0], generator)
    *_, last = walk(student, multistep_consistency(student.schedule), x, times, generator)
    assert nearest(last.x_s, load("moons").x0) < 0.9 * nearest(jump(student, (2,), 2000), load("moons").x0)


def test_re_noising_with_a_usual_denoiser_is_no_sampler(taught):
    # The guess of the perfect denoiser at t = 1 is the mean of all data.
    data = load("moons")
    exact = Exact(data.x0, make_schedule("cosine"), data.bandwidth)
    assert jump(exact, (2,), 50).std(0).max() < 0.01
    assert isinstance(taught[1], Denoiser)
