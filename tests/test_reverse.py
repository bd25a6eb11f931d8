"""The one loop: what it draws, what it leaves alone, and what it hands on."""

from __future__ import annotations

import threading
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from core.prediction import Prediction
from core.reverse import Step, normal, start_noise, walk
from core.samplers import ddim, heun
from core.schedules import make_schedule


@pytest.fixture
def cosine():
    return make_schedule("cosine")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def start(shape=(4, 2)) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(1), dtype=torch.float64)


def test_each_step_goes_on_where_the_last_arrived(cosine, small_denoiser, generator):
    times = cosine.times(6)
    steps = list(walk(small_denoiser(cosine, "v"), ddim(cosine, 1.0), start(), times, generator))
    assert [step.index for step in steps] == list(range(6))
    assert [float(step.t) for step in steps] == times[:-1].tolist()
    assert [float(step.s) for step in steps] == times[1:].tolist()
    assert torch.equal(steps[0].x_t, start())
    for before, after in zip(steps, steps[1:]):
        assert torch.equal(after.x_t, before.x_s)
        assert torch.equal(before.x_s, before.mean + before.std * before.noise)


def test_the_model_and_the_rule_are_asked_at_the_steps_own_times(cosine, generator):
    # The best-known bug of the field is a rule that works out the next time by itself, or a loop off by one.
    told, ruled = [], []

    def denoise(x_t, t):
        told.append(float(t))
        return Prediction(x_t, x_t, *cosine(t))

    def update(denoise, x_t, prediction, t, s):
        ruled.append((float(t), float(s)))
        return x_t, x_t.new_tensor(0.0)

    times = torch.tensor([1.0, 0.7, 0.65, 0.1, 0.0])
    list(walk(denoise, update, start(), times, generator))
    t = times.tolist()
    assert told == t[:-1]
    assert ruled == list(zip(t[:-1], t[1:]))


def test_noise_is_drawn_even_where_it_is_not_used(cosine, small_denoiser):
    states, noises = [], []
    for update in (ddim(cosine, 0.0), ddim(cosine, 1.0), heun(cosine)):
        g = seeded(3)
        steps = list(walk(small_denoiser(cosine, "v"), update, start(), cosine.times(5), g))
        states.append(g.get_state())
        noises.append(torch.stack([step.noise for step in steps]))
    assert torch.equal(states[0], states[1]) and torch.equal(states[0], states[2])
    assert torch.equal(noises[0], noises[1]) and torch.equal(noises[0], noises[2])
    assert len({float(noise[0, 0]) for noise in noises[0]}) == 5


def test_the_same_seed_is_the_same_walk_and_another_is_another(cosine, small_denoiser):
    ends = []
    for seed in (3, 3, 4):
        *_, last = walk(small_denoiser(cosine, "v"), ddim(cosine, 1.0), start(), cosine.times(5), seeded(seed))
        ends.append(last.x_s)
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_the_global_generator_is_left_alone(cosine, small_denoiser, generator):
    before = torch.get_rng_state()
    list(walk(small_denoiser(cosine, "v"), ddim(cosine, 1.0), start(), cosine.times(5), generator))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_edit_that_changes_nothing_changes_no_bit(cosine, small_denoiser):
    def run(edit):
        return list(walk(small_denoiser(cosine, "v"), ddim(cosine, 1.0), start(), cosine.times(7), seeded(2), edit))

    for plain, edited in zip(run(None), run(lambda step: step)):
        for name in ("x_t", "mean", "std", "noise", "x_s"):
            assert torch.equal(getattr(plain, name), getattr(edited, name))
        assert torch.equal(plain.prediction.x0, edited.prediction.x0)


def test_an_edited_step_is_the_one_that_is_yielded_and_walked_on_from(cosine, small_denoiser, generator):
    def edit(step: Step) -> Step:
        return replace(step, mean=torch.full_like(step.mean, 9.0), std=step.std * 0) if step.index == 2 else step

    steps = list(walk(small_denoiser(cosine, "v"), ddim(cosine, 1.0), start(), cosine.times(5), generator, edit))
    assert (steps[2].x_s == 9).all() and (steps[3].x_t == 9).all()


def test_a_step_cannot_be_changed_in_place(cosine, small_denoiser, generator):
    step = next(walk(small_denoiser(cosine, "v"), ddim(cosine), start(), cosine.times(5), generator))
    with pytest.raises(FrozenInstanceError):
        step.mean = start()


def test_gradients_stay_off_on_alternating_threads_and_the_callers_mode_is_its_own(cosine, small_denoiser, generator):
    denoiser, on = small_denoiser(cosine, "v"), []

    def watching(x_t, t):
        on.append(torch.is_grad_enabled())
        return denoiser(x_t, t)

    steps, after = walk(watching, ddim(cosine), start().requires_grad_(), cosine.times(60), generator), []

    def take():
        torch.set_grad_enabled(True)
        next(steps)
        after.append(torch.is_grad_enabled())

    for _ in range(30):
        take()
        other = threading.Thread(target=take)
        other.start()
        other.join()
    assert on == [False] * 60
    assert after == [True] * 60


def test_a_caller_without_gradients_is_left_without(cosine, small_denoiser, generator):
    steps = walk(small_denoiser(cosine, "v"), ddim(cosine), start(), cosine.times(5), generator)
    with torch.no_grad():
        next(steps)
        assert not torch.is_grad_enabled()
    next(steps)
    assert torch.is_grad_enabled()
    steps.close()
    assert torch.is_grad_enabled()


def test_to_stop_asking_is_to_stop(cosine, small_denoiser, generator):
    asked, denoiser = [], small_denoiser(cosine, "v")

    def counting(x_t, t):
        asked.append(float(t))
        return denoiser(x_t, t)

    steps = walk(counting, ddim(cosine), start(), cosine.times(100), generator)
    next(steps), next(steps)
    steps.close()
    assert len(asked) == 2


@pytest.mark.parametrize("shape", [(5, 2), (3, 1, 8, 8), (2, 3, 4, 4)])
def test_points_and_images_walk_alike(schedule, small_denoiser, shape, generator):
    for update in (ddim(schedule, 1.0), ddim(schedule), heun(schedule)):
        for step in walk(small_denoiser(schedule, "v", shape[1:]), update, start(shape), schedule.times(4), generator):
            assert step.x_s.shape == step.noise.shape == step.prediction.x0.shape == shape
            assert step.x_s.isfinite().all()


@pytest.mark.parametrize("times", [[0.0, 0.5, 1.0], [1.0, 0.5, 0.5, 0.0], [1.0], [1.2, 0.5], [0.5, -0.1], [[1.0, 0.0]]])
def test_a_grid_that_does_not_descend_within_0_and_1_is_refused(cosine, small_denoiser, times, generator):
    with pytest.raises(ValueError, match="descend strictly within"):
        next(walk(small_denoiser(cosine), ddim(cosine), start(), torch.tensor(times), generator))


def test_pure_noise_has_the_size_of_the_forward_process(schedule):
    t = torch.tensor(0.7, dtype=torch.float64)
    like = torch.zeros((), dtype=torch.float64)
    noise = start_noise(schedule, (3, 2), t, seeded(), like)
    torch.testing.assert_close(noise, schedule.at(0.7)[1] * normal((3, 2), seeded(), like))
    assert start_noise(schedule, (3, 2), t, seeded()).dtype == torch.float32
