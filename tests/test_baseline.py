"""Diffusion and a GAN side by side: the same number of steps, counted alike, and neither disturbs the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.baselines.gan import GAN, GANConfig
from core.data.datasets import load
from core.drawing.renderer import Renderer as Drawn
from core.drawing.stage import pack
from core.metrics.coverage import Modes
from core.recipe.recipe import Recipe
from core.runs.baseline import STEPS, BaselineTraining
from core.runs.trainings import Training
from core.training.trainer import Trainer
from core.views.base import DATA_VIEW, DENSITY_CELLS
from core.views.baseline import REAL
from dashboard.server.jobs import STOPPED, Pool
from dashboard.server.visitors import Visitors

pytestmark = pytest.mark.usefixtures("short_previews")
SHORT = Recipe(data="gaussians8", train_steps=8, batch=32, seed=1)
PANELS = ("samples", "gan", "opinion", "guess", "field", "data")


@pytest.fixture(scope="module")
def beside():
    beside = BaselineTraining(SHORT)
    for _ in beside.run():
        pass
    beside.progress(1.0)
    return beside


@pytest.fixture
def visitor():
    visitors = Visitors()
    return visitors.of(visitors.enter())


def test_both_take_the_same_steps_of_as_many_rows_from_the_same_data(beside):
    c, g = beside.config, beside.gan.config
    assert beside.trainer.step == beside.gan.step == 8 and (g.batch, g.seed) == (c.batch, c.seed) == (32, 1)
    assert beside.gan.dataset is beside.trainer.dataset
    ours = sum(w.numel() for w in beside.trainer.denoiser.parameters())
    assert beside.gan.parameters == pytest.approx(ours, rel=0.06)


def test_after_each_step_neither_is_ahead():
    beside = BaselineTraining(SHORT.with_(train_steps=5))
    for k, _ in enumerate(beside.run()):
        assert beside.trainer.step == beside.gan.step == k


def test_neither_learns_otherwise_than_alone(beside):
    alone, other = Trainer(load("gaussians8"), beside.config), GAN(load("gaussians8"), beside.gan.config)
    for _ in zip(alone.run(), other.run()):
        pass
    list(other.run())
    np.testing.assert_array_equal(alone.losses.loss, beside.trainer.losses.loss)
    np.testing.assert_array_equal(other.losses, beside.gan.losses)


def test_a_training_without_a_gan_shows_the_same_of_diffusion(beside):
    training = Training(SHORT)
    for _ in training.run():
        pass
    assert torch.equal(training.film.previews[-1].samples, beside.film.previews[-1].samples)


def test_the_film_has_both_at_every_moment_of_the_training(beside):
    film = beside.film
    assert film.frames == film.total == len(beside.moments) and tuple(film.offers) == PANELS
    scene = film.scene()
    assert [p.key for p in scene.panels] == ["samples", "gan", "field", "opinion"]
    assert scene.panel("samples").data.shape == scene.panel("gan").data.shape == (film.frames, 600, 2)
    assert scene.panel("opinion").data.shape == (film.frames, DENSITY_CELLS, DENSITY_CELLS)
    torch.testing.assert_close(film.previews[-1].drawn, beside.gan.generate(beside._latent))


def test_the_opinion_stands_upright(beside):
    # The row at the top is that of the largest y, the column at the left that of the smallest x.
    edge = DATA_VIEW * (1 - 1 / DENSITY_CELLS)
    corners = torch.tensor([[-edge, edge], [edge, edge], [-edge, -edge], [edge, -edge]])
    shown = beside.film.previews[-1].opinion
    torch.testing.assert_close(shown[[0, 0, -1, -1], [0, -1, 0, -1]], beside.gan.opinion(corners))


def test_the_sentence_and_the_charts_say_what_was_counted(beside):
    film, modes = beside.film, Modes.of(load("gaussians8"))
    scene, last = film.scene(), film.previews[-1]
    ours, others = modes.look(last.samples), modes.look(last.drawn)
    sentence = scene.text(scene.sentence, film.frames - 1)
    assert sentence.startswith(f"After 8 steps each: diffusion covers {ours.covered} of 8 modes (")
    assert f"the GAN {others.covered} of 8 (" in sentence
    covered, good, game, loss = scene.charts
    assert covered.title == "modes covered, of 8"
    assert [s.y[-1] for s in covered.series] == [8, ours.covered, others.covered]
    assert [s.y[-1] for s in good.series] == pytest.approx([film.real, ours.good, others.good])
    assert abs(film.real - 0.9889) < 4 * (0.0110 / REAL) ** 0.5
    assert [s.label for s in loss.series] == ["floor", "raw", "smoothed"] and game.title.startswith("the GAN's losses")
    assert all(chart.cursor.tolist() == beside.moments for chart in scene.charts)


def test_the_film_can_be_drawn_and_packed(beside):
    scene = beside.film.scene(PANELS)
    assert len(pack(scene)) > 1000
    assert next(Drawn(scene, size=64).frames([3])).any()


def test_while_it_trains_the_film_shows_the_moments_so_far():
    beside = BaselineTraining(SHORT)
    running = beside.run()
    assert beside.film.frames == beside.nbytes == 0
    for _ in range(5):
        next(running)
    beside.progress(0.1)
    known = sum(moment <= 4 for moment in beside.moments)
    assert beside.film.frames == known == len(beside.film.coverage)
    scene = beside.film.scene()
    assert scene.frames == known and len(scene.charts[0].series[1].x) == known


def test_before_the_first_step_the_charts_reach_as_far_as_the_training_will_go():
    *_, film = BaselineTraining(SHORT).untrained()
    for chart in film.scene().charts:
        level = next(series for series in chart.series if series.style == "dashed")
        assert chart.ends == ("step 0", "8") and level.x[0] == 0 and level.x[-1] >= 7, chart.title


def test_in_the_end_the_diffusion_model_is_the_visitors_own(visitor):
    beside = BaselineTraining(SHORT.with_(train_steps=6), visitor)
    for _ in beside.run():
        pass
    assert visitor.card["data"] == "gaussians8" and visitor.card["steps"] == 6
    torch.testing.assert_close(visitor.denoiser(beside._x0, torch.tensor(0.5)).x0,
                               beside.trainer.ema(beside._x0, torch.tensor(0.5)).x0)
    assert len(beside.clocks(steps=3).traces) == 5


def test_a_job_that_is_stopped_leaves_what_both_have_learned(visitor):
    beside = BaselineTraining(SHORT.with_(train_steps=10_000), visitor)
    with Pool(workers=0) as pool:
        job = pool.submit(beside.run, lambda job: beside.progress(job.seconds), beside.config.steps + 1)
        visitor.take_job(job)
        while job.steps_done < 12 and not job.over:
            pool.turn()
        job.stop()
        pool.turn()
        assert job.over and job.state == STOPPED
    assert visitor.card["steps"] == beside.gan.step >= 11


def test_curves_are_counted_in_parts_and_other_gans_can_be_asked_for():
    beside = BaselineTraining(SHORT.with_(data="trex", train_steps=4), gan="tuned")
    for _ in beside.run():
        pass
    beside.progress(0.1)
    scene = beside.film.scene()
    assert "of 16 parts" in scene.text(scene.sentence, 0) and beside.gan.config.activation == "tanh"
    assert beside.gan.config == GANConfig(activation="tanh", steps=4, batch=32, seed=1)


def test_a_recipe_that_leaves_the_number_of_steps_open_gets_enough_for_a_gan():
    beside = BaselineTraining(Recipe(data="gaussians8", preset="textbook"))
    assert beside.config.steps == beside.gan_config.steps == STEPS
    recipe = Recipe.from_dict(beside.film.about)  # the page holds it against its own: nothing there is another
    assert recipe == beside.recipe and recipe.train_steps is None and beside.steps_of(recipe) == STEPS


def test_what_cannot_stand_side_by_side_is_refused():
    with pytest.raises(ValueError, match="GAN 'large'; there are plain, tuned"):
        BaselineTraining(SHORT, gan="large")
    with pytest.raises(ValueError, match="holds images"):
        BaselineTraining(Recipe(data="digits8", train_steps=4))
