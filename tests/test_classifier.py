"""Classifiers of noised data and guidance by them: against Bayes' rule, and learned."""

from __future__ import annotations

import math
from collections import deque

import pytest
import torch
from torch.testing import assert_close

from core.checkpoints.classifiers import classifiers, load_classifier, pretrained_classifier, save_classifier
from core.checkpoints.models import load_checkpoint, load_pretrained
from core.data.datasets import Dataset, load
from core.denoisers.exact import Exact
from core.guidance.classifier import (
    Classifier, ExactClassifier, ImageClassifier, PointClassifier, classifier_guidance, reschedule_classifier, slope,
)
from core.guidance.classifier_free import classifier_free, condition
from core.metrics.distances import agreement
from core.metrics.likelihood import density_grid
from core.reverse import start_noise, walk
from core.samplers import ddim, heun
from core.schedules import make_schedule
from core.training import trainer
from core.training.classifier import ClassifierConfig, ClassifierTrainer, accuracies, classifier_config, noised_labels


def clouds(kind="points") -> Dataset:
    """Three clouds of unequal weight, or pictures with a bright half: left, upper, lower."""
    g, labels = torch.Generator().manual_seed(1), torch.tensor([0, 0, 0, 1, 1, 2] * 4)
    if kind == "points":
        x0 = torch.tensor([[-0.8, 0.0], [0.7, 0.5], [0.5, -0.7]])[labels] + 0.05 * torch.randn(24, 2, generator=g)
    else:
        low = torch.linspace(0.8, -0.8, 2).repeat_interleave(4)
        halves = torch.stack([low.expand(8, 8), low.expand(8, 8).T, -low.expand(8, 8).T])[:, None]
        x0 = halves[labels] + 0.1 * torch.randn(24, 1, 8, 8, generator=g)
    rest = {"held_out": x0[:6], "held_out_labels": labels[:6]} if kind == "images" else {"bandwidth": 0.05}
    return Dataset("clouds", "", kind, x0, labels, ("a", "b", "c"), **rest)


def in_float64(schedule) -> Exact:
    data = clouds()
    return Exact(data.x0.double(), schedule, data.bandwidth, data.cond, data.classes)


def plain(exact: Exact) -> Exact:
    return Exact(exact.points, exact.schedule, exact.bandwidth)


@pytest.fixture
def x(generator):
    return torch.randn(7, 2, generator=generator, dtype=torch.float64)


def test_a_batch_seen_in_parts_teaches_what_the_whole_does(monkeypatch):
    data, seen = clouds("images"), []
    for part in (trainer.PART, 64 * 7):  # seven pictures, and six in the last part
        monkeypatch.setattr(trainer, "PART", part)
        steps = list(ClassifierTrainer(data, classifier_config(data, width=8, batch=20, steps=6)).run())
        seen.append([(step.loss, step.accuracy) for step in steps])
    for whole, parts in zip(*seen):
        assert parts == pytest.approx(whole, rel=1e-4)


def test_its_network_sees_states_of_unit_variance_and_the_noise_level_of_a_denoiser(generator):
    schedule, std, seen = make_schedule("ve"), 0.3, []

    class Ears(torch.nn.Module):
        def forward(self, x, t, noise_level):
            seen.append((x, noise_level))
            return torch.zeros(len(x), 2)

    classifier = Classifier(Ears(), schedule, std, torch.tensor([0.5, 0.5]))
    for t in (0.1, 0.4):
        alpha, sigma = schedule.at(t)
        x_t = math.hypot(alpha * std, sigma) * torch.randn(4000, 2, generator=generator)
        classifier(x_t, torch.tensor(t))
        x, noise_level = seen.pop()
        assert float(x.std()) == pytest.approx(1, rel=0.05)
        assert_close(noise_level, torch.full((4000,), math.log(sigma / alpha) / 4), rtol=1e-4, atol=1e-5)


# Guidance


@pytest.mark.parametrize("t", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("label", [torch.tensor([1]), torch.tensor([0, 1, 2, 0, 1, 2, 0])], ids=["one", "each"])
def test_the_exact_classifier_makes_the_conditional_denoiser_of_the_unconditional_one(schedule, x, t, label):
    exact, t = in_float64(schedule), torch.tensor(t, dtype=torch.float64)
    found = classifier_guidance(plain(exact), ExactClassifier(exact), label)(x, t)
    wanted = exact(x, t, label)
    assert_close(found.x0, wanted.x0, rtol=1e-6, atol=1e-6)
    assert_close(found.eps, wanted.eps, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 4.0, -1.0])
def test_with_exact_parts_both_kinds_of_guidance_are_the_same(schedule, x, scale):
    exact, t = in_float64(schedule), torch.tensor(0.4, dtype=torch.float64)
    one = classifier_guidance(plain(exact), ExactClassifier(exact), torch.tensor([2]), scale)(x, t)
    other = classifier_free(exact, torch.tensor([2]), scale)(x, t)
    assert_close(one.eps, other.eps, rtol=1e-6, atol=1e-6)
    assert_close(one.x0, other.x0, rtol=1e-6, atol=1e-6)


def test_at_pure_noise_nothing_is_known_of_the_label_and_nothing_is_pulled(x):
    schedule = make_schedule("flow")  # alpha is 0 at t = 1
    exact, t = in_float64(schedule), torch.ones((), dtype=torch.float64)
    found = classifier_guidance(plain(exact), ExactClassifier(exact), torch.tensor([1]), 5.0)(x, t)
    assert_close(found.eps, x)
    assert found.x0.isfinite().all()


def test_outside_its_interval_and_at_scale_0_the_classifier_is_not_asked(x):
    exact, asked = in_float64(make_schedule("cosine")), []

    def classifier(x_t, t):
        asked.append(float(t))
        return exact.log_posterior(x_t, t)

    guided = classifier_guidance(plain(exact), classifier, torch.tensor([1]), 2.0, between=(0.7, 0.3))
    for t in (0.29, 0.3, 0.7, 0.71):
        t = torch.tensor(t, dtype=torch.float64)
        assert torch.equal(guided(x, t).eps, plain(exact)(x, t).eps) == (float(t) not in asked)
    assert asked == [0.3, 0.7]
    off = classifier_guidance(plain(exact), classifier, torch.tensor([1]), 0.0)
    assert torch.equal(off(x, t).eps, plain(exact)(x, t).eps) and len(asked) == 2


def test_a_walk_so_guided_arrives_at_what_was_asked_for_also_without_gradients_around_it():
    data, schedule = clouds(), make_schedule("cosine")
    exact, generator = Exact.of(data, schedule), torch.Generator().manual_seed(0)
    guided = classifier_guidance(plain(exact), ExactClassifier(exact), torch.tensor([1]), 1.0)
    times = schedule.times(20, "log_snr")
    x = start_noise(schedule, (60, 2), times[0], generator)
    made, wanted = (deque(walk(d, heun(schedule), x, times, generator), maxlen=1)[0].x_s
                    for d in (guided, condition(exact, torch.tensor([1]))))
    assert_close(made, wanted, rtol=0, atol=1e-3)
    assert agreement(made, torch.ones(60, dtype=torch.long), data) == 1


def test_the_density_of_a_guided_walk_can_be_worked_out():
    schedule = make_schedule("cosine")
    exact = in_float64(schedule)
    grids = [density_grid(d, schedule, 1.2, 16, 6) for d in (
        classifier_guidance(plain(exact), ExactClassifier(exact), torch.tensor([1]), 1.0),
        condition(exact, torch.tensor([1])))]
    assert_close(*grids, rtol=1e-3, atol=1e-3)


def test_the_exact_slope_is_the_derivative_of_the_exact_classifier_also_of_one_condition_of_two(generator):
    faces, schedule = load("faces16"), make_schedule("cosine")
    of_faces, of_clouds = Exact.of(faces, schedule), in_float64(schedule)
    for exact, which, label in ((of_clouds, 0, 1), (of_faces, 0, 4), (of_faces, 1, 2)):
        classifier, shape = ExactClassifier(exact, which), exact.points.shape[1:]
        x = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
        for t in (torch.tensor(0.4), torch.tensor([0.2, 0.6, 0.99])):
            found = slope(classifier, x, t, torch.tensor([label]))
            again = slope(classifier.__call__, x, t, torch.tensor([label]))  # by automatic derivatives
            assert again.abs().max() > 0
            assert_close(found, again, rtol=1e-8, atol=1e-10)


def test_a_label_that_no_point_has_is_refused_rather_than_followed_to_nowhere():
    few = load("digits8").first(4)
    classifier = ExactClassifier(Exact.of(few, make_schedule("cosine")))
    missing = next(c for c in range(10) if c not in few.labels)
    with pytest.raises(ValueError, match=f"no data point is called {missing}"):
        slope(classifier, torch.zeros(2, 1, 8, 8), torch.tensor(0.5), torch.tensor([missing]))


# The network


@pytest.mark.parametrize("network, shape", [(PointClassifier(classes=3), (2,)),
                                            (ImageClassifier(3, 8, 2, 2, classes=3), (3, 9, 9))])
def test_a_classifier_is_a_distribution_and_where_all_is_noise_it_is_the_prior_and_flat(network, shape, generator):
    torch.nn.init.normal_(network.leave.weight)
    prior = torch.tensor([0.5, 0.3, 0.2])
    classifier = Classifier(network, make_schedule("flow"), 0.5, prior)
    x = torch.randn(4, *shape, generator=generator)
    found = classifier(x, torch.tensor(0.5))
    assert_close(found.exp().sum(1), torch.ones(4))
    assert found.std(0).min() > 0
    assert_close(classifier(x, torch.tensor(1.0)), prior.log().expand(4, 3))
    assert not slope(classifier, x, torch.tensor(1.0), torch.tensor([1])).any()
    one = classifier(x[1:2], torch.tensor([0.3]))
    each = classifier(x, torch.tensor([0.9, 0.3, 0.1, 0.6]))
    assert_close(each[1:2], one, rtol=1e-4, atol=1e-5)


def test_the_slope_is_the_derivative(generator):
    torch.manual_seed(0)
    classifier = Classifier(PointClassifier(width=16, classes=3), make_schedule("cosine"), 0.5, torch.ones(3) / 3)
    classifier, t, h = classifier.double(), torch.tensor(0.6, dtype=torch.float64), 1e-5
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    found = slope(classifier, x, t, torch.tensor([2]))
    for axis in torch.eye(2, dtype=torch.float64):
        rise = (classifier(x + h * axis, t) - classifier(x - h * axis, t))[:, 2] / (2 * h)
        assert_close(found @ axis, rise, rtol=1e-5, atol=1e-7)


# Training


def test_a_trained_classifier_of_points_says_what_bayes_rule_says():
    data = clouds()
    trainer = ClassifierTrainer(data, classifier_config(data, steps=150, width=64))
    steps = list(trainer.run())
    exact = ExactClassifier(Exact.of(data, trainer.ema.schedule))
    x_t, t, label = noised_labels(data, trainer.ema, 4000, 0, torch.Generator().manual_seed(9))
    with torch.no_grad():
        own, best = (-each(x_t, t).gather(1, label[:, None]).mean() for each in (trainer.ema, exact))
    assert [step.index for step in steps] == list(range(150)) and steps[-1].loss < steps[0].loss
    assert float(best) - 0.01 < float(own) < float(best) + 0.05 < math.log(3)
    times = (0.1, 0.5, 0.9)
    found, wanted = (accuracies(each, data, times, trainer.ema.schedule) for each in (trainer.ema, exact))
    assert found == pytest.approx(wanted, abs=0.03) and found[0] > 0.99 and found[2] < 0.75


def test_a_trained_classifier_of_pictures_guides_a_denoiser_that_knows_no_labels():
    data = clouds("images")
    trainer = ClassifierTrainer(data, classifier_config(data, steps=80, width=16, batch=16))
    deque(trainer.run(), maxlen=0)
    schedule, generator = trainer.ema.schedule, torch.Generator().manual_seed(0)
    times, obeyed = schedule.times(10), []
    x = start_noise(schedule, (20, 1, 8, 8), times[0], generator)
    for scale in (0.0, 10.0):
        guided = classifier_guidance(plain(Exact.of(data, schedule)), trainer.ema, torch.tensor([2]), scale)
        made = deque(walk(guided, heun(schedule), x, times, generator), maxlen=1)[0].x_s
        obeyed.append(agreement(made, torch.full((20,), 2), data))
    assert obeyed[0] < 0.4 and obeyed[1] > 0.7


def test_training_is_the_same_for_the_same_seed_and_each_condition_of_faces_can_be_told():
    faces = load("faces16")
    config = classifier_config(faces, steps=2, width=8, batch=8, condition=1)
    one, other = ClassifierTrainer(faces, config), ClassifierTrainer(faces, config)
    assert [s.loss for s in one.run()] == [s.loss for s in other.run()]
    assert one.ema(faces.x0[:2], torch.tensor(0.5)).shape == (2, 6)


@pytest.mark.parametrize("data", [clouds(), clouds("images")], ids=["points", "images"])
def test_a_saved_classifier_comes_back_with_its_card(data, tmp_path):
    trainer = ClassifierTrainer(data, classifier_config(data, steps=3, width=8))
    deque(trainer.run(), maxlen=0)
    path = save_classifier(tmp_path / "clouds-classifier.safetensors", trainer, {"command": "c"})
    classifier, card = load_classifier(path)
    x, t = data.x0[:5], torch.tensor(0.3)
    with torch.no_grad():
        assert_close(classifier(x, t), trainer.ema(x, t), rtol=1e-2, atol=1e-2)  # stored in float16
    assert not classifier.training and not any(w.requires_grad for w in classifier.parameters())
    assert (card["role"], card["data"], card["condition"], card["steps"], card["command"]) == (
        "classifier", "clouds", "label", 3, "c")
    assert len(card["quality"]["accuracy"]) == len(card["quality"]["exact"]) == len(card["quality"]["t"])
    assert ClassifierConfig(**card["training"]) == trainer.config
    with pytest.raises(ValueError, match="does not fit its card|classifier"):
        load_checkpoint(path)


def test_what_cannot_be_is_refused_naming_what_can(x):
    exact = in_float64(make_schedule("cosine"))
    with pytest.raises(ValueError, match="condition 0; the data have 0"):
        ExactClassifier(plain(exact))
    with pytest.raises(ValueError, match="condition 1; clouds has 1"):
        ClassifierTrainer(clouds(), ClassifierConfig(condition=1))
    with pytest.raises(ValueError, match="no setting 'heads'; there are width"):
        classifier_config(clouds(), heads=3)
    with pytest.raises(ValueError, match="width is 4; it must be a whole number from 8 to 1024"):
        classifier_config(clouds(), width=4)
    with pytest.raises(ValueError, match="scale of guidance is inf"):
        classifier_guidance(exact, exact.log_posterior, torch.tensor([0]), math.inf)
    with pytest.raises(ValueError, match="condition 1 of images held out is not known"):
        accuracies(exact.log_posterior, load("faces16"), (0.5,), exact.schedule, 1)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_a_classifier_of_one_schedule_guides_along_another(schedule, x, t):
    trained, t = make_schedule("cosine"), torch.tensor(t, dtype=torch.float64)
    if not 0.01 < float(trained.t_at(schedule.log_snr(t))) < 0.99:
        pytest.skip("beyond the noise levels of the classifier's own schedule")
    moved = reschedule_classifier(ExactClassifier(in_float64(trained)), trained, schedule)
    there = ExactClassifier(in_float64(schedule))
    assert_close(moved(x, t), there(x, t), rtol=1e-4, atol=1e-4)
    assert_close(slope(moved, x, t, torch.tensor([1])), slope(there, x, t, torch.tensor([1])), rtol=1e-4, atol=1e-4)
    assert reschedule_classifier(there, schedule, schedule) is there


@pytest.mark.parametrize("name", classifiers())
def test_a_shipped_classifier_is_as_right_as_its_card_says_and_guides_a_shipped_model_told_no_label(name):
    classifier, card = pretrained_classifier(name)
    data = load(name)
    assert card["data_hash"] == data.hash and pretrained_classifier(name)[0] is classifier
    found = accuracies(classifier, data, tuple(card["quality"]["t"]), classifier.schedule)
    assert found == pytest.approx(card["quality"]["accuracy"], abs=0.03)
    assert found == pytest.approx(card["quality"]["exact"], abs=0.06)
    denoiser, schedule = load_pretrained(name)[0], classifier.schedule
    label, generator = torch.arange(data.classes).repeat(3), torch.Generator().manual_seed(0)
    times = schedule.times(12)
    x = start_noise(schedule, (len(label), *data.shape), times[0], generator)
    guided = classifier_guidance(condition(denoiser, None), classifier, label, 6.0)
    made = deque(walk(guided, ddim(schedule), x, times, generator), maxlen=1)[0].x_s
    assert agreement(made, label, data) > 0.85


def test_a_data_set_without_a_classifier_is_told_which_have_one():
    with pytest.raises(ValueError, match="'trex'; there are some for .*digits8"):
        pretrained_classifier("trex")
