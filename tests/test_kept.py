"""A training outlives its server: saved on its way, found again by its visitor alone, and as if it was never broken."""

import os
import time
from itertools import islice

import numpy as np
import pytest
import torch

from core.data.datasets import Dataset
from core.recipe.recipe import Recipe
from core.runs.baseline import BaselineTraining
from core.runs.trainings import Training
from dashboard.server.app_state import AppState
from dashboard.server.jobs import FINISHED, PAUSED, Pool
from dashboard.server.kept import KeptTrainings
from dashboard.server.visitors import Visitors
from dashboard.tabs.train import find_again, status_of

pytestmark = pytest.mark.usefixtures("short_previews")
RECIPE = Recipe(data="gaussians8", train_steps=12, batch=32)


@pytest.fixture
def kept(tmp_path):
    """A folder that is saved to after every step: by its clock saving takes no time."""
    return KeptTrainings(tmp_path / "kept", every=0.0, clock=lambda: 0.0)


def comes(kept, token=None):
    """A visitor of a server that has just been started."""
    visitors = Visitors(knows=kept.knows)
    return visitors.of(visitors.enter(token))


def trains(kept, visitor, recipe=RECIPE, steps=None, kind=Training):
    """A training of so many steps, or whole, as the page runs it; the iterator that it goes on with."""
    training = kind(recipe, visitor)
    visitor.trains = training
    running = kept.steps(training, visitor)
    for _ in running if steps is None else islice(running, steps + 1):
        pass
    return training, running


def test_a_training_that_was_turned_comes_back_turned_and_goes_on_bit_for_bit(kept):
    def turned(training, running):
        training.turn(batch=50, lr=1e-3, train_steps=20)
        return training, running

    whole, running = turned(*trains(kept, comes(KeptTrainings(None)), steps=5))
    for _ in running:
        pass
    visitor = comes(kept)
    killed, running = turned(*trains(kept, visitor, steps=5))
    next(running), next(running)  # it is saved before it goes on
    resumed = kept.load(comes(kept, visitor.token))
    assert 5 <= resumed.trainer.step < 20 and resumed.trainer.turns == killed.trainer.turns
    assert resumed.recipe == killed.recipe == RECIPE.with_(batch=50, lr=1e-3, train_steps=20)
    assert resumed.moments == whole.moments and resumed.film.about == whole.film.about
    for _ in resumed.run():
        pass
    np.testing.assert_array_equal(resumed.trainer.losses.error, whole.trainer.losses.error)
    for a, b in zip(resumed.trainer.ema.parameters(), whole.trainer.ema.parameters()):
        assert torch.equal(a, b)
    assert [p.step for p in resumed.film.previews] == [p.step for p in whole.film.previews] == whole.moments


def test_a_saved_training_goes_on_bit_for_bit_with_its_film(kept):
    visitor = comes(kept)
    whole, _ = trains(kept, comes(KeptTrainings(None)))
    _, killed = trains(kept, visitor, steps=8)  # held, so that it is not asked to end

    again = comes(kept, visitor.token)
    assert again.token == visitor.token
    resumed = kept.load(again)
    assert resumed.trainer.step == 8 and resumed.recipe == RECIPE
    begun = [p.step for p in resumed.film.previews]
    assert begun == [m for m in whole.moments if m <= 8] and resumed.film.frames == len(begun)
    for _ in resumed.run():
        pass
    np.testing.assert_array_equal(resumed.trainer.losses.loss, whole.trainer.losses.loss)
    for a, b in zip(resumed.trainer.ema.parameters(), whole.trainer.ema.parameters()):
        assert torch.equal(a, b)
    for a, b in zip(resumed.film.previews, whole.film.previews, strict=True):
        assert a.step == b.step and torch.equal(a.samples, b.samples) and torch.equal(a.field, b.field)
    killed.close()


def test_pictures_come_back_with_theirs(kept):
    visitor = comes(kept)
    training, killed = trains(kept, visitor, Recipe(data="digits8", train_steps=4, batch=4), steps=2)
    again = kept.load(comes(kept, visitor.token))
    assert again.trainer.step == 2 and torch.equal(again.film.previews[-1].guess, training.film.previews[-1].guess)
    killed.close()


def test_data_of_ones_own_come_back_with_the_training_that_learns_them(kept, generator):
    visitor, x0 = comes(kept), torch.randn(50, 2, generator=generator)
    visitor.data = Dataset("own", "mine", "points", x0, bandwidth=0.1)
    trains(kept, visitor, RECIPE.with_(data="own", train_size=20, model="exact"), steps=1)
    again = comes(kept, visitor.token)
    assert kept.load(again).trainer.step == 1 and torch.equal(again.data.x0, x0)
    trains(kept, visitor, steps=1)
    assert not list(kept.folder.glob("*.npz")), "the next training learns other data"


def test_only_the_token_finds_it_and_the_folder_does_not_tell_the_token(kept):
    visitor = comes(kept)
    trains(kept, visitor, steps=1)
    for other in (None, "", "x" * 43, visitor.token[:-1], next(kept.folder.iterdir()).stem, "../" + visitor.token):
        stranger = comes(kept, other)
        assert stranger.token not in (other, visitor.token) and kept.load(stranger) is None
    assert all(visitor.token not in file.name and visitor.token.encode() not in file.read_bytes()
               for file in kept.folder.iterdir())
    assert kept.folder.stat().st_mode & 0o777 == 0o700 or os.name == "nt"


def test_who_comes_back_has_model_and_training_paused_where_it_stood(kept):
    visitor = comes(kept)
    trains(kept, visitor, steps=6)
    app = AppState(kept=kept)
    app.pool.shutdown()
    app.pool = Pool(workers=0)
    again = app.visitors.of(app.visitors.enter(visitor.token))
    find_again(app, again, "page")
    job = again.job
    assert job.state == PAUSED and job.steps_done == 6 and job.newest.losses.shape == (6,)
    assert "<b>6</b> of 12 · paused" in status_of(job, again.training)
    assert again.card["steps"] == 6 and again.denoiser is not None
    find_again(app, again, "another page")
    assert again.job is job
    job.resume()
    while not job.over:
        app.pool.turn()
    assert job.state == FINISHED and again.card["steps"] == 12
    assert again.training.film.frames == len(again.training.moments)
    assert kept.load(comes(kept, visitor.token)).trainer.step == 12
    app.close()


def test_what_was_stopped_is_saved_as_it_was_and_what_was_let_go_of_is_not(kept):
    kept.every = 1e9
    visitor = comes(kept)
    _, running = trains(kept, visitor, steps=7)
    assert not kept.knows(visitor.token)
    running.close()
    assert kept.load(comes(kept, visitor.token)).trainer.step == 7
    _, running = trains(kept, visitor, steps=9)
    visitor.trains = None
    kept.forget(visitor.token)
    running.close()
    assert not kept.knows(visitor.token) and not list(kept.folder.iterdir())


def test_saving_takes_no_more_than_a_tenth_of_the_time(tmp_path, monkeypatch):
    now, saved = [0.0], []
    kept = KeptTrainings(tmp_path, clock=lambda: now[0])
    visitor = comes(kept)

    def slow(training, path):
        saved.append(now[0])
        now[0] += 2.0

    monkeypatch.setattr(kept, "_write", slow)
    training = Training(RECIPE.with_(train_steps=40), visitor)
    visitor.trains = training
    for _ in kept.steps(training, visitor):
        now[0] += 1.0
    assert saved[:2] == [5.0, 27.0], "first after five seconds, and then after ten times what it took"


def test_a_disk_that_takes_nothing_is_told_and_the_training_goes_on(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("dashboard.server.kept.log.warning", lambda words, *more: said.append(words % more))
    (tmp_path / "file").write_text("in the way")
    kept = KeptTrainings(tmp_path / "file" / "kept", every=0.0, clock=lambda: 0.0)
    visitor = comes(kept)
    training, _ = trains(kept, visitor)
    assert training.trainer.step == 12 and visitor.denoiser is not None
    assert len(said) == 1 and "could not be saved" in said[0] and visitor.not_saved


def test_a_damaged_file_is_told_once_and_goes(kept):
    visitor = comes(kept)
    trains(kept, visitor, steps=1)
    file = next(kept.folder.iterdir())
    file.write_bytes(file.read_bytes()[:-100])
    again = comes(kept, visitor.token)
    with pytest.raises(ValueError):
        kept.load(again)
    assert kept.load(again) is None and not file.exists()


def test_a_gan_beside_it_is_not_saved_so_neither_is_the_training_and_the_page_says_so(kept):
    visitor = comes(kept)
    training, _ = trains(kept, visitor, RECIPE.with_(train_steps=2), kind=BaselineTraining)
    assert not kept.knows(visitor.token)
    with Pool(workers=0) as pool:
        job = pool.submit(lambda: iter(()), total=3)
        assert "not saved: with a GAN beside it" in status_of(job, training)
        assert "not saved" not in status_of(job, Training(RECIPE, visitor))


def test_the_oldest_go_beyond_a_day_a_number_or_bytes_and_so_do_pieces(kept):
    kept.folder.mkdir()
    files = [kept.folder / f"{i:064x}.safetensors" for i in range(4)]
    for age, file in zip((90_000, 300, 200, 100), files):
        file.write_bytes(bytes(100))
        os.utime(file, (time.time() - age,) * 2)
    piece, data = kept.folder / ".x.0123abcd.part.safetensors", files[1].with_suffix(".npz")
    for file in (piece, data):
        file.write_bytes(bytes(100))
        os.utime(file, (time.time() - 90,) * 2)
    assert kept.sweep() == 1 and sorted(kept.folder.iterdir()) == sorted([*files[1:], data])
    kept.most_bytes = 250
    assert kept.sweep() == 1 and sorted(kept.folder.iterdir()) == sorted(files[2:])
    kept.most = 1
    assert kept.sweep() == 1 and [*kept.folder.iterdir()] == files[3:]


def test_the_environment_says_where_and_whether(tmp_path):
    assert KeptTrainings.of({"NOISESCOPE_KEEP": ""}).folder is None
    assert KeptTrainings.of({"NOISESCOPE_KEEP": str(tmp_path)}).folder == tmp_path
    assert KeptTrainings.of({"XDG_CACHE_HOME": str(tmp_path)}).folder == tmp_path / "noisescope" / "trainings"
