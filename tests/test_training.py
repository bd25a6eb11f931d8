import json
import math
import threading

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from core.data.datasets import Dataset, load
from core.denoisers.exact import Exact
from core.prediction import PREDICTION_TYPES, Prediction, target_of
from core.schedules import SCHEDULES, make_schedule
from core.training import trainer as trainer_module
from core.training.adamw import AdamW
from core.training.presets import PRESETS, TrainingConfig, make_denoiser, make_network, preset
from core.training.trainer import BUCKETS, Trainer, TrainingDiverged, draw_times
from core.training.turns import Turn, from_json, to_json
from core.training.weightings import WEIGHTINGS, weight_of
from tests.sweep import few


def small(**changes):
    base = {"network": "mlp", "width": 16, "steps": 40, "batch": 32, "warmup": 5, "lr": 1e-2}
    return TrainingConfig(**base | changes)


def points(**changes):
    x0 = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return Dataset(**{"name": "three", "title": "", "kind": "points", "x0": x0, "bandwidth": 0.1, **changes})


def labelled():
    return points(labels=torch.tensor([0, 1, 2]), label_names=("a", "b", "c"))


def pictures(side=8, channels=1):
    g = torch.Generator().manual_seed(0)
    return Dataset("pictures", "", "images", torch.rand(6, channels, side, side, generator=g) * 2 - 1)


# The description of a run


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("data", ["trex", "moons", "digits8", "mnist28", "faces16"])
def test_every_recipe_fits_every_data_set_and_survives_a_round_trip(name, data):
    config = preset(name, load(data))
    assert TrainingConfig.from_dict(config.to_dict()) == config
    make_denoiser(config, load(data))


@pytest.mark.parametrize("field, value", [
    ("network", "cnn"), ("prediction_type", "noise"), ("schedule", "cosin"), ("time_sampling", "log"),
    ("decay", "linear"),
    ("schedule", 7), ("schedule", "drawn:0,8;x"),
    ("steps", 0), ("steps", 2.5), ("batch", 0), ("lr", 0.0), ("lr", math.nan), ("ema", 1.0), ("ema", -0.1),
    ("weighting", "snr"), ("levels", 1),
    ("width", 4), ("depth", 0), ("warmup", -1), ("grad_clip", -1.0), ("level_std", -0.1), ("seed", -1), ("bf16", 1),
    ("patch", 3), ("labels", None), ("without", "hat"),
])  # fmt: skip
def test_a_setting_that_cannot_be_is_named_with_its_value(field, value):
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        small(**{field: value})


def test_unknown_settings_and_recipes_are_named_with_what_there_is():
    with pytest.raises(ValueError, match="'learning_rate'.*there are.*lr"):
        preset("fast", points(), learning_rate=1.0)
    with pytest.raises(ValueError, match="'quick'; there are fast, textbook"):
        preset("quick", points())
    with pytest.raises(ValueError, match="T = 1 "):
        small(T=1)


@pytest.mark.parametrize("changes, line", [
    ({}, "edm · cosine · log-normal t · weighted by target"),
    ({"prediction_type": "v", "weighting": "min_snr"}, "v · cosine · log-normal t · min-SNR"),
    ({"time_sampling": "levels", "levels": 9}, "edm · cosine · 9 levels of t · weighted by target"),
    ({"prediction_type": "eps", "schedule": "linear", "time_sampling": "uniform", "weighting": "x0"},
     "ε · linear · uniform t · x₀-weighted"),
])  # fmt: skip
def test_one_line_says_what_is_learned(changes, line):
    assert small(**changes).line == line


def test_networks_data_and_labels_that_do_not_fit_say_so():
    with pytest.raises(ValueError, match="points need 'mlp'"):
        Trainer(points(), small(network="unet"))
    with pytest.raises(ValueError, match="no labels"):
        Trainer(points(), small(labels=True))


def test_a_network_can_be_made_again_from_what_it_says_of_itself():
    network = make_network({"network": "unet", "channels": 3, "width": 8, "patch": 2, "labels": 4})
    assert make_network(network.architecture).architecture == network.architecture
    with pytest.raises(ValueError, match="'transformer'"):
        make_network({"network": "transformer"})
    with pytest.raises(ValueError, match="heads"):
        make_network({"network": "mlp", "heads": 4})


def test_first_weights_depend_on_the_seed_alone_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = (make_denoiser(small(seed=seed), points()) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(a.network.enter.weight, b.network.enter.weight)
    assert not torch.equal(a.network.enter.weight, c.network.enter.weight)


# What is drawn


def test_uniform_times_of_a_discrete_schedule_are_its_timesteps_all_alike():
    t = draw_times(50_000, small(time_sampling="uniform", T=10, schedule="cosine"), make_schedule("cosine", 10), 1.0,
                   torch.Generator().manual_seed(0))
    k, counts = (t * 10).unique(return_counts=True)
    assert_close(k, torch.arange(1, 11, dtype=torch.float64))
    assert abs(counts / 5000 - 1).max() < 0.06


# The first of "reversed"'s steps is noisier than many of these levels.
@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "reversed"])
def test_log_normal_times_have_noise_levels_of_that_mean_and_spread(schedule):
    config, s = small(level_mean=-0.5, level_std=0.7), make_schedule(schedule)
    t = draw_times(20_000, config, s, 0.4, torch.Generator().manual_seed(0))
    alpha, sigma = s(t)
    level = torch.log(sigma / alpha / 0.4)
    assert_close(level.mean().item(), -0.5, atol=0.02, rtol=0)
    assert_close(level.std().item(), 0.7, atol=0.02, rtol=0)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_levels_are_so_many_noise_levels_all_alike_from_pure_noise_to_the_first_timestep(schedule):
    s = make_schedule(schedule)
    t = draw_times(20_000, small(time_sampling="levels", levels=5), s, 1.0, torch.Generator().manual_seed(0))
    levels, counts = t.unique(return_counts=True)
    assert (levels[0], levels[-1], len(levels)) == (1 / 1000, 1, 5) and abs(counts / 4000 - 1).max() < 0.06
    alpha, sigma = s(levels)
    strides = ((sigma / (alpha + sigma)) ** (1 / 3)).diff()
    assert_close(strides, strides.mean().expand(4), rtol=2e-3, atol=0)


def test_on_the_flow_log_normal_noise_levels_are_a_logit_normal_t():
    config = small(schedule="flow", level_mean=-0.5, level_std=0.7)
    t = draw_times(20_000, config, make_schedule("flow"), 1.0, torch.Generator().manual_seed(0))
    assert_close([torch.logit(t).mean().item(), torch.logit(t).std().item()], [-0.5, 0.7], atol=0.02, rtol=0)


def test_no_time_is_below_the_first_timestep():
    for config in (small(level_mean=-9.0), small(time_sampling="uniform", schedule="flow")):
        t = draw_times(10_000, config, make_schedule(config.schedule), 1.0, torch.Generator().manual_seed(0))
        assert t.min() >= 1 / 1000 and t.max() <= 1


def test_the_null_label_stands_in_for_a_tenth_of_the_labels():
    trainer = Trainer(labelled(), small(labels=True, batch=1000))
    cond = torch.cat([trainer._batches.at(step).cond for step in range(30)])
    assert cond.min() == 0 and cond.max() == 3
    assert abs((cond == 3).float().mean() - 0.1) < 0.01


def paired():
    """Four points, one for each pair of two conditions."""
    pairs = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    return points(x0=torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]), labels=pairs[0],
                  label_names=("left", "right"), label_title="side", extra={"height": (pairs[1], ("low", "high"))})


def test_of_two_conditions_each_is_dropped_alone_and_both_together():
    trainer = Trainer(paired(), small(labels=True, batch=1000))
    cond = torch.cat([trainer._batches.at(step).cond for step in range(60)])
    null = cond == 2
    shares = [float(rows.float().mean()) for rows in (null.all(1), null[:, 0] & ~null[:, 1], null[:, 1] & ~null[:, 0])]
    assert_close(shares, [0.1 + 0.9 * 0.01, 0.9 * 0.09, 0.9 * 0.09], atol=0.005, rtol=0)


def test_a_pair_that_is_held_out_is_never_shown_and_its_network_can_still_be_asked_for_it():
    trainer = Trainer(paired(), small(labels=True, batch=500, without=["right", "high"]))
    batch = trainer._batches.at(0)
    assert not ((batch.noised.x0 > 0.3).all(1)).any() and not (batch.cond == 1).all(1).any()
    assert trainer.ema.labels == (2, 2) and TrainingConfig.from_dict(trainer.config.to_dict()) == trainer.config
    trainer.ema(torch.zeros(1, 2), torch.tensor(0.5), torch.tensor([[1, 1]]))
    for without, message in ((("right",), "has 2: side, height"),
                             (("right", "top"), "height top is none of low, high")):
        with pytest.raises(ValueError, match=message):
            Trainer(paired(), small(without=without))


def test_two_conditions_are_learned_and_tell_the_four_points_apart():
    trainer = Trainer(paired(), small(labels=True, width=32, steps=200, batch=128, time_sampling="uniform"))
    for _ in trainer.run():
        pass
    asked = paired().cond
    x0 = trainer.ema(torch.zeros(4, 2), torch.tensor(0.9), asked).x0
    assert_close(x0, paired().x0, atol=0.3, rtol=0)
    one_side = trainer.ema(torch.zeros(2, 2), torch.tensor(0.9), torch.tensor([[0, 2], [1, 2]])).x0
    assert_close(one_side, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), atol=0.4, rtol=0)


def test_every_bulk_is_drawn_afresh():
    trainer = Trainer(points(), small(batch=512))
    length = trainer._batches.length
    first = trainer._batches.at(0).noised.eps
    assert length > 1 and not torch.equal(first, trainer._batches.at(length).noised.eps)


# What is learned


@pytest.mark.parametrize("target", PREDICTION_TYPES)
@pytest.mark.parametrize("schedule", ["linear", "flow"])
def test_buckets_and_prediction_are_those_of_a_brute_force_computation(target, schedule):
    config = small(prediction_type=target, schedule=schedule, steps=6, time_sampling="uniform")
    trainer = Trainer(points(), config)
    errors, samples = np.zeros(BUCKETS), np.zeros(BUCKETS)
    for step in trainer.run():
        n = step.noised
        # The prediction's own eps against the true one, sample by sample: no shared formula but Prediction.of.
        squared = (step.prediction.eps.double() - n.eps.double()).square().mean(1).numpy()
        errors, samples = errors * trainer.losses.fade, samples * trainer.losses.fade
        for t, e in zip(n.t.numpy(), squared):
            k = min(BUCKETS - 1, int(t * BUCKETS))
            errors[k], samples[k] = errors[k] + e, samples[k] + 1
    expected = np.where(samples > 0, errors / np.maximum(samples, 1e-9), np.nan)
    # x0 = (x_t - …)/alpha and back loses digits where sigma is small.
    np.testing.assert_allclose(trainer.losses.eps_mse, expected, rtol=2e-3)


def test_training_is_a_hand_written_loop_with_plain_adamw_and_the_ema_formula():
    config = small(steps=25, ema=0.8, grad_clip=0.5)
    data, trainer = points(), Trainer(points(), config)
    denoiser = make_denoiser(config, data)
    weights = list(denoiser.parameters())
    average = [w.detach().clone() for w in weights]
    optimizer = torch.optim.AdamW(weights, lr=1.0, fused=False, foreach=False)
    for n, step in enumerate(trainer.run()):
        x_t, t = step.noised.x_t, step.noised.t
        alpha, sigma = (a[:, None] for a in denoiser.schedule(t.double()))
        scale = (alpha**2 * data.std**2 + sigma**2).sqrt()
        wanted = (sigma * step.noised.x0 - alpha * data.std**2 * step.noised.eps) / (scale * data.std)
        output = denoiser.output(x_t, t, alpha[:, 0].float(), sigma[:, 0].float())
        loss = ((output - wanted.float()) ** 2).mean()
        assert_close(loss.item(), step.loss, rtol=1e-4, atol=1e-6)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 0.5)
        lr = 1e-2 * (n + 1) / 5 if n < 5 else 1e-2 * 0.5 * (1 + math.cos(math.pi * (n - 5) / 20))
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        d = min(0.8, (1 + n) / (10 + n))
        average = [d * a + (1 - d) * w.detach() for a, w in zip(average, weights)]
    for raw, ema, w, a in zip(trainer.denoiser.parameters(), trainer.ema.parameters(), weights, average):
        assert_close(raw.detach(), w.detach(), rtol=1e-3, atol=1e-5)
        assert_close(ema, a, rtol=1e-3, atol=1e-5)


def test_without_decay_the_optimizer_is_adam_as_torch_has_it(generator):
    target, start = torch.randn(5, 3, generator=generator), torch.randn(5, 3, generator=generator)
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    optimizer, adam = AdamW([ours], (0.5, 0.999), weight_decay=0.0), torch.optim.Adam([theirs], 0.1, (0.5, 0.999))
    for lr in (0.1, 0.1, 0.03, 0.03):
        for weight in (ours, theirs):
            weight.grad = None
            (weight - target).pow(4).sum().backward()
        optimizer.step(lr)
        adam.param_groups[0]["lr"] = lr
        adam.step()
        assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(ours, start, atol=0.1)


#: Min-SNR as its paper writes it for each target (Hang et al. 2023), for alpha² + sigma² = 1.
MIN_SNR = {"x0": lambda snr: snr.clamp(max=5), "eps": lambda snr: snr.clamp(max=5) / snr,
           "v": lambda snr: snr.clamp(max=5) / (snr + 1)}


@pytest.mark.parametrize("target", MIN_SNR)
def test_min_snr_is_its_papers_formula_for_each_target(target):
    alpha, sigma = make_schedule("cosine")(torch.linspace(0.001, 0.999, 99))
    assert_close(weight_of("min_snr", target, alpha, sigma), MIN_SNR[target](alpha**2 / sigma**2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("target", PREDICTION_TYPES)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_weighting_counts_the_same_errors_whatever_the_target(weighting, target):
    # The error of the output, read as an error of what the weighting names: no shared formula but Prediction.of.
    g, s = torch.Generator().manual_seed(0), 0.5
    x0, eps, output = (torch.randn(50, 2, generator=g, dtype=torch.float64) for _ in range(3))
    t = torch.rand(50, generator=g, dtype=torch.float64) * 0.98 + 0.01
    alpha, sigma = (a[:, None] for a in make_schedule("flow")(t))
    found = Prediction.of(target, output, alpha * x0 + sigma * eps, alpha, sigma, s)
    f, f_hat = (target_of("edm", p.x0, p.eps, alpha, sigma, s) for p in (Prediction(x0, eps, alpha, sigma), found))
    error = {"target": output - target_of(target, x0, eps, alpha, sigma, s), "eps": found.eps - eps,
             "x0": found.x0 - x0, "edm": f_hat - f,
             "min_snr": (found.x0 - x0) * torch.minimum(alpha / sigma, torch.tensor(5.0).sqrt())}
    weight = weight_of(weighting, target, alpha[:, 0], sigma[:, 0], s)
    plain = (output - target_of(target, x0, eps, alpha, sigma, s)).square().mean(1)
    assert_close(weight * plain, error[weighting].square().mean(1), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("target, weighting", [("v", "min_snr"), ("x0", "edm"), ("edm", "eps")])
def test_the_loss_is_the_weighted_mean_and_its_gradient_that_of_a_hand_written_loop(target, weighting):
    config = small(prediction_type=target, weighting=weighting, steps=8, warmup=0, grad_clip=0.0, decay="constant")
    trainer, denoiser = Trainer(points(), config), make_denoiser(config, points())
    weights = list(denoiser.parameters())
    optimizer = torch.optim.AdamW(weights, lr=1e-2)
    for step in trainer.run():
        n = step.noised
        alpha, sigma = denoiser.schedule(n.t.double())
        found = denoiser(n.x_t, n.t)
        error = {"min_snr": (found.x0 - n.x0) * (alpha / sigma).clamp(max=5**0.5)[:, None].float(),
                 "edm": (found.x0 - n.x0) / (sigma * points().std
                                             / (alpha**2 * points().std**2 + sigma**2).sqrt())[:, None].float(),
                 "eps": found.eps - n.eps}[weighting]
        loss = error.square().mean()
        assert_close(loss.item(), step.loss, rtol=2e-3, atol=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for raw, w in zip(trainer.denoiser.parameters(), weights):
        assert_close(raw.detach(), w.detach(), rtol=0, atol=3e-3)


def test_a_training_is_weighted_by_its_target_unless_told_otherwise():
    plain = [step.loss for step in Trainer(points(), small(steps=10)).run()]
    # EDM's weights on EDM's target are 1, to rounding; a config without the setting is an older one.
    same = [step.loss for step in Trainer(points(), small(steps=10, weighting="edm")).run()]
    assert_close(same, plain, rtol=1e-4, atol=1e-6)
    older = {name: value for name, value in small(steps=10).to_dict().items() if name != "weighting"}
    assert TrainingConfig.from_dict(older) == small(steps=10)
    assert weight_of("target", "v", torch.ones(3), torch.ones(3)).tolist() == [1.0] * 3


def test_every_weight_is_finite_at_the_ends_of_time_too():
    for weighting in WEIGHTINGS:
        for target in PREDICTION_TYPES:
            weight = weight_of(weighting, target, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
            assert weight.isfinite().all(), (weighting, target)


def test_a_training_can_begin_from_the_weights_of_another_of_its_kind():
    first, second = Trainer(points(), small()), Trainer(points(), small(seed=5))
    for _ in first.run():
        pass
    second.begin_from(first.ema)
    for denoiser in (second.denoiser, second.ema):
        assert torch.equal(denoiser.network.enter.weight, first.ema.network.enter.weight)
    assert all(weight.requires_grad for weight in second.denoiser.parameters())
    with pytest.raises(ValueError, match="'width': 16.*'width': 32"):
        Trainer(points(), small(width=32)).begin_from(first.ema)


def test_the_prediction_of_a_step_is_what_the_denoiser_said_before_it_learned_from_it():
    trainer = Trainer(points(), small(prediction_type="v"))
    next(trainer.run())
    before = make_denoiser(small(prediction_type="v"), points())
    before.load_state_dict(trainer.denoiser.state_dict())
    step = next(trainer.run())
    assert step.index == 1
    assert_close(step.prediction.x0, before(step.noised.x_t, step.noised.t).x0.detach(), rtol=1e-3, atol=1e-5)
    assert isinstance(step.prediction, Prediction) and not step.prediction.x0.requires_grad


@pytest.mark.parametrize("target", few(("eps", "edm"), "edm"))
def test_a_short_training_comes_near_the_exact_denoisers_floor_and_not_below_it(target):
    data = points(bandwidth=0.3)
    trainer = Trainer(data, small(prediction_type=target, width=48, steps=250, batch=256, time_sampling="uniform"))
    for _ in trainer.run():
        pass
    x0, _ = data.draw(20_000, torch.Generator().manual_seed(9))
    t = torch.full((), 0.5)
    alpha, sigma = trainer.denoiser.schedule(t)
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(10))
    x_t = alpha * x0 + sigma * eps
    floor = (Exact(data.x0, trainer.denoiser.schedule, 0.3)(x_t, t).eps - eps).square().mean()
    with torch.no_grad():
        learned = (trainer.ema(x_t, t).eps - eps).square().mean()
    assert floor < learned < 1.1 * floor


def test_a_unet_learns_pictures_with_labels_in_bfloat16_where_there_is_any():
    base = pictures(channels=3)
    data = Dataset("p", "", "images", base.x0, torch.arange(6), tuple("abcdef"))
    config = preset("fast", data, "unet", width=16, batch=12, steps=24, lr=1e-2, warmup=5, labels=True)
    trainer = Trainer(data, config)
    losses = [step.loss for step in trainer.run()]
    assert config.bf16 and np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert trainer.ema(base.x0, torch.tensor(0.5), torch.arange(6)).x0.dtype == torch.float32


# Pause, resume, threads


def test_going_on_in_another_trainer_gives_the_unbroken_runs_losses_and_weights_to_the_last_bit():
    config = small(labels=True, batch=256, steps=20, weighting="min_snr")  # 16 steps in a bulk
    unbroken = Trainer(labelled(), config)
    losses = [step.loss for step in unbroken.run()]
    for pause in (0, 15, 16, 17, 20):
        first = Trainer(labelled(), config)
        begun = [step.loss for step in first.run(until=pause)]
        second = Trainer(labelled(), config)
        second.load_state_dict(first.state_dict())
        assert second.step == pause
        assert begun + [step.loss for step in second.run()] == losses
        assert np.array_equal(second.losses.loss, losses)
        assert np.array_equal(second.losses.eps_mse, unbroken.losses.eps_mse, equal_nan=True)
        for name, value in unbroken.state_dict().items():
            assert name == "seconds" or torch.equal(value, second.state_dict()[name]), name


def taken(trainer, until=None):
    for _ in trainer.run(until=until):
        pass
    return trainer


def alike(one, other):
    """Whether both would go on to the same last bit."""
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    return all(name == "seconds" or torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("changes", [{"lr": 3e-3}, {"weighting": "x0"}, {"steps": 60, "lr": 0.02}])
def test_what_is_turned_is_in_the_very_next_step_as_in_a_training_begun_so_that_takes_over_its_weights(changes):
    turned = taken(Trainer(points(), small(batch=128)), 33)  # 32 steps and more in a bulk
    by_hand = Trainer(points(), small(batch=128, **changes))
    by_hand.load_state_dict(turned.state_dict())
    one_more = Trainer(points(), small(batch=128))
    one_more.load_state_dict(turned.state_dict())
    turned.turn(**changes)
    assert taken(turned, 34).lr_at(33) == by_hand.lr_at(33) and turned.config == by_hand.config
    assert alike(turned, taken(by_hand, 34)) and not alike(turned, taken(one_more, 34))
    assert alike(taken(turned), taken(by_hand)) and turned.step == changes.get("steps", 40)


def test_a_turned_batch_is_of_fresh_rows_from_the_very_next_step():
    trainer = taken(Trainer(points(), small()), 7)
    length, *_ = (trainer._batches.length, *trainer.losses.loss)
    before = {trainer._batches.at(step).noised.eps.flatten()[0].item() for step in range(7, length)}
    trainer.turn(batch=50)
    step = next(trainer.run())
    assert step.index == 7 and step.noised.eps.shape == (50, 2)
    assert step.noised.eps.flatten()[0].item() not in before


def test_a_training_that_is_turned_and_one_resumed_anywhere_and_turned_alike_end_equal():
    turns = {5: {"lr": 3e-3}, 9: {"batch": 50, "weighting": "min_snr"}, 12: {"steps": 50}, 30: {"batch": 1000}}
    unbroken = Trainer(points(), small(batch=128))
    for step, changes in turns.items():
        taken(unbroken, step).turn(**changes)
    taken(unbroken)
    broken = Trainer(points(), small(batch=128))
    for stop in (4, 5, 7, 9, 10, 12, 29, 30, 31, 50):
        taken(broken, stop)
        again = Trainer(points(), broken.config)
        again.load_state_dict(broken.state_dict())
        again.turns, broken = broken.turns, again
        if stop in turns:
            broken.turn(**turns[stop])
    assert unbroken.step == 50 and alike(unbroken, broken) and broken.turns == unbroken.turns


def test_what_was_turned_is_recorded_with_its_step_and_what_is_turned_back_before_a_step_was_not():
    trainer = taken(Trainer(points(), small()), 3)
    trainer.turn(lr=1e-3, batch=32)
    trainer.turn(lr=3e-4, weighting="min_snr")
    trainer.turn(weighting="target", steps=1600)
    assert trainer.turns == (Turn(3, {"lr": (1e-2, 3e-4), "steps": (40, 1600)}),)
    assert trainer.turns[0].words == "rate 0.01 → 0.0003 · steps 40 → 1,600"
    taken(trainer, 4).turn(weighting="edm")
    assert [turn.step for turn in trainer.turns] == [3, 4]
    assert trainer.turns[1].words == "weighting by target → EDM weights"
    trainer.turn(weighting="target")
    assert len(trainer.turns) == 1 and from_json(json.loads(json.dumps(to_json(trainer.turns)))) == trainer.turns


@pytest.mark.parametrize("given", [
    None, {}, [{}], [{"step": 1}], [{"step": -1, "lr": [1, 2]}], [{"step": 1, "width": [1, 2]}], [{"step": 1, "lr": 2}],
    [{"step": 1, "weighting": ["target", "mine"]}], [{"step": 1, "batch": [1, 2.5]}], [{"step": True, "lr": [1, 2]}],
])
def test_what_is_no_record_of_turns_is_refused(given):
    with pytest.raises(ValueError, match="is nothing that was turned"):
        from_json(given)


def test_a_training_goes_on_after_its_end_for_as_many_steps_as_are_asked_for():
    trainer = taken(Trainer(points(), small(steps=10)))
    assert list(trainer.run()) == []
    trainer.turn(steps=25)
    assert [step.index for step in trainer.run()] == list(range(10, 25))
    assert len(trainer.losses.loss) == 25 and np.isfinite(trainer.losses.loss).all()


def test_only_what_a_step_reads_anew_can_be_turned_and_no_step_is_taken_back():
    trainer = taken(Trainer(points(), small()), 3)
    before = trainer.state_dict()
    for changes, why in (({"width": 32}, "width cannot be turned while a training runs; lr, batch"),
                         ({"steps": 2}, "steps is 2, and 3 are taken already"), ({"batch": 0}, "batch is 0"),
                         ({"lr": 3e-3, "weighting": "none"}, "weighting is 'none'")):
        with pytest.raises(ValueError, match=why):
            trainer.turn(**changes)
    after = trainer.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert trainer.config == small() and not trainer.turns


@pytest.mark.parametrize("target", ["eps", "edm"])
def test_the_error_is_in_one_currency_before_and_after_the_weighting_is_turned(target):
    trainer = taken(Trainer(points(), small(prediction_type=target)), 4)
    assert np.array_equal(trainer.losses.error, trainer.losses.loss)
    trainer.turn(weighting="x0")
    for step in trainer.run(until=8):
        error = (step.output - target_of_step(trainer, step)).square().mean().item()
        assert trainer.losses.error[-1] == pytest.approx(error, rel=1e-5)
        assert trainer.losses.loss[-1] == step.loss != trainer.losses.error[-1]


def target_of_step(trainer, step):
    alpha, sigma = (a.float()[:, None] for a in trainer.denoiser.schedule(step.noised.t))
    return target_of(trainer.config.prediction_type, step.noised.x0, step.noised.eps, alpha, sigma,
                     trainer.denoiser.sigma_data)


def test_a_state_of_before_trainings_could_be_turned_is_gone_on_from_where_its_losses_were_not_weighted():
    trainer = taken(Trainer(points(), small()), 9)
    former = {name: value for name, value in trainer.state_dict().items() if name not in ("error", "bulks_begin")}
    again = Trainer(points(), small())
    again.load_state_dict(former)
    assert alike(taken(again), taken(trainer))
    with pytest.raises(ValueError, match="error is missing"):
        Trainer(points(), small(weighting="edm")).load_state_dict(former)


def test_a_pause_is_not_asking_and_a_saved_state_does_not_change_while_training_goes_on():
    trainer = Trainer(points(), small())
    assert [step.index for step in trainer.run(until=3)] == [0, 1, 2]
    state = trainer.state_dict()
    kept = {name: value.clone() for name, value in state.items()}
    assert [step.index for step in trainer.run()] == list(range(3, 40))
    assert list(trainer.run()) == []
    assert all(torch.equal(state[name], kept[name]) for name in kept)


def test_a_state_of_another_training_is_refused_by_name_and_changes_nothing():
    trainer, other = Trainer(points(), small()), Trainer(points(), small(width=32))
    for _ in other.run(until=2):
        pass
    before = trainer.state_dict()
    with pytest.raises(ValueError, match=r"raw\.network\.enter\.weight is \(32, "):
        trainer.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match="generator is missing"):
        trainer.load_state_dict({name: value for name, value in before.items() if name != "generator"})
    with pytest.raises(ValueError, match="after 2 steps; the config ends at 1"):
        Trainer(points(), small(steps=1, warmup=0)).load_state_dict(other.state_dict())
    assert all(torch.equal(value, trainer.state_dict()[name]) for name, value in before.items())


def test_training_goes_on_with_gradients_on_threads_that_switched_them_off():
    expected = [step.loss for step in Trainer(points(), small(steps=12)).run()]
    run, got, modes = Trainer(points(), small(steps=12)).run(), [], []

    def step():
        torch.set_grad_enabled(len(got) % 2 == 0)
        mode = torch.is_grad_enabled()
        got.append(next(run).loss)
        modes.append(torch.is_grad_enabled() == mode)

    for _ in range(12):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert got == expected
    assert all(modes)


def test_two_trainers_made_at_once_on_two_threads_begin_alike():
    made = []
    threads = [threading.Thread(target=lambda: made.append(Trainer(points(), small(seed=3)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({float(trainer.denoiser.network.enter.weight.detach().sum()) for trainer in made}) == 1


# When it goes wrong


def test_a_weight_that_is_nan_stops_training_with_the_step_and_the_layer():
    trainer = Trainer(points(), small())
    for _ in trainer.run(until=7):
        pass
    with torch.no_grad():
        trainer.denoiser.network.hidden[1].weight[0, 0] = math.nan
    with pytest.raises(TrainingDiverged, match=r"step 7, worst sample at t = \d+ / 1000.*'hidden.1'"):
        next(trainer.run())


def test_a_gradient_that_is_not_finite_stops_training_before_the_weights_are_touched():
    trainer = Trainer(points(), small())
    run = trainer.run()
    next(run)
    trainer.denoiser.network.hidden[0].weight.register_hook(lambda grad: grad * math.inf)
    before = trainer.denoiser.network.enter.weight.clone()
    with pytest.raises(TrainingDiverged, match="step 1.*gradients.*'hidden.0.weight'"):
        next(run)
    assert torch.equal(trainer.denoiser.network.enter.weight, before)


def test_the_worst_sample_is_the_one_whose_error_is_not_finite():
    trainer = Trainer(points(), small())
    batch = trainer._batches.at(0)
    batch.wanted[11, 0] = math.inf
    with pytest.raises(TrainingDiverged) as caught:
        next(trainer.run())
    assert f"t = {round(float(batch.noised.t[11]) * 1000)} / 1000" in str(caught.value)
    assert "look at the data" in str(caught.value)


def test_a_batch_seen_in_parts_teaches_what_the_whole_does(monkeypatch):
    data = load("digits8")
    for weighting in ("target", "min_snr"):
        config = preset("fast", data, steps=3, batch=50, width=16, labels=True, weighting=weighting, bf16=False)
        whole, parts = (Trainer(data, config) for _ in range(2))
        seen = list(whole.run())
        with monkeypatch.context() as patch:
            patch.setattr(trainer_module, "PART", 64 * 7)  # seven pictures, and one in the last part
            again = list(parts.run())
        for one, other in zip(seen, again):
            assert other.loss == pytest.approx(one.loss, rel=1e-5)
            torch.testing.assert_close(other.output, one.output, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(parts.losses.sums, whole.losses.sums, rtol=1e-4, atol=1e-6)
        for one, other in zip(whole.denoiser.parameters(), parts.denoiser.parameters()):
            torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)
