"""A GAN: its losses, its fairness as a neighbour of diffusion, and what it does on eight Gaussians."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.baselines.gan import GAN, GANConfig, gan_config
from core.data.datasets import Dataset, load
from core.metrics.coverage import Modes
from core.training.presets import make_denoiser, preset
from core.training.trainer import TrainingDiverged

EIGHT = load("gaussians8")
SMALL = GANConfig(latent=4, width=16, depth=1, steps=70, batch=32)


def trained(config, data=EIGHT):
    gan = GAN(data, config)
    for _ in gan.run():
        pass
    return gan


def weights(gan):
    return torch.cat([w.flatten() for network in (gan.generator, gan.discriminator) for w in network.parameters()])


def test_the_losses_are_those_of_the_paper():
    gan = GAN(EIGHT, SMALL)
    x, z, w = gan._batch()
    D = lambda points: torch.sigmoid(gan.discriminator(points)[:, 0])  # noqa: E731
    with torch.no_grad():
        discriminator = -(D(x).log().mean() + (1 - D(gan.generator(z))).log().mean())
    step = GAN(EIGHT, SMALL)._take_step()
    assert step.discriminator == pytest.approx(float(discriminator), rel=1e-5)
    twin = GAN(EIGHT, SMALL)
    twin._learn(0, _discriminator_loss(twin, *twin._batch()[:2]))
    with torch.no_grad():
        generator = -torch.sigmoid(twin.discriminator(twin.generator(w))[:, 0]).log().mean()
    assert step.generator == pytest.approx(float(generator), rel=1e-5)


def _discriminator_loss(gan, x, z):
    D = lambda points: torch.sigmoid(gan.discriminator(points)[:, 0])  # noqa: E731
    return -(D(x).log().mean() + (1 - D(gan.generate(z))).log().mean())


def test_each_network_learns_from_its_own_loss_alone():
    gan = GAN(EIGHT, SMALL)
    x, z, w = gan._batch()
    before = [torch.cat([p.flatten() for p in n.parameters()]).clone() for n in (gan.generator, gan.discriminator)]
    gan._learn(0, _discriminator_loss(gan, x, z))
    middle = [torch.cat([p.flatten() for p in n.parameters()]).clone() for n in (gan.generator, gan.discriminator)]
    assert torch.equal(before[0], middle[0]) and not torch.equal(before[1], middle[1])
    gan._learn(1, -gan.discriminator(gan.generator(w)).mean())
    after = [torch.cat([p.flatten() for p in n.parameters()]) for n in (gan.generator, gan.discriminator)]
    assert not torch.equal(middle[0], after[0]) and torch.equal(middle[1], after[1])


def test_the_generators_gradients_do_not_leak_into_the_discriminators_next_turn():
    gan = GAN(EIGHT, SMALL)
    gan._take_step()
    x, z = EIGHT.x0.repeat(4, 1), torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    loss = _discriminator_loss(gan, x, z)
    alone = torch.autograd.grad(loss, list(gan.discriminator.parameters()), retain_graph=True)
    gan._learn(0, loss)
    for own, w in zip(alone, gan.discriminator.parameters()):
        torch.testing.assert_close(w.grad, own)


def test_against_a_generator_that_is_perfect_the_discriminator_ends_at_a_half():
    # z is what the data are made of here, so the identity is a perfect generator.
    data = Dataset("normal", "", "points", torch.zeros(1, 2), bandwidth=1.0)
    gan = GAN(data, GANConfig(latent=2, width=32, depth=1, steps=300, batch=256))
    generator = torch.Generator().manual_seed(5)
    for _ in range(300):
        x, z = (torch.randn(256, 2, generator=generator) for _ in range(2))
        logits = gan.discriminator(torch.cat([x, z]))[:, 0].split(256)
        softplus = torch.nn.functional.softplus
        loss = gan._learn(0, softplus(-logits[0]).mean() + softplus(logits[1]).mean())
    assert loss == pytest.approx(2 * math.log(2), abs=0.03)
    assert gan.opinion(torch.randn(500, 2, generator=generator)).sub(0.5).abs().max() < 0.2


def test_the_same_seed_learns_the_same_to_the_last_bit_and_another_does_not():
    torch.manual_seed(1)
    a = trained(SMALL)
    torch.manual_seed(2)
    b = trained(SMALL)
    assert torch.equal(weights(a), weights(b)) and np.array_equal(a.losses, b.losses)
    assert not torch.equal(weights(a), weights(trained(replace(SMALL, seed=1))))


def test_torchs_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    trained(replace(SMALL, steps=3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_training_that_pauses_and_goes_on_in_another_thread_is_the_same():
    gan, whole = GAN(EIGHT, SMALL), trained(SMALL)
    assert len(list(gan.run(until=33))) == 33 and gan.step == 33

    def rest():
        for _ in gan.run():
            pass

    with torch.no_grad():  # the mode of this thread is no matter of that one's
        thread = threading.Thread(target=rest)
        thread.start()
        thread.join()
    assert torch.equal(weights(gan), weights(whole)) and gan.losses.shape == (70, 2)


def test_steps_are_counted_and_their_losses_kept():
    gan = GAN(EIGHT, SMALL)
    steps = list(gan.run())
    assert [s.index for s in steps] == list(range(70)) and gan.step == 70 and list(gan.run()) == []
    np.testing.assert_array_equal(gan.losses, [(s.discriminator, s.generator) for s in steps])
    assert 0 < steps[0].seconds < steps[-1].seconds == gan.seconds


def test_both_networks_together_have_as_many_parameters_as_the_denoiser():
    denoiser = make_denoiser(preset("fast", EIGHT), EIGHT)
    assert GAN(EIGHT, GANConfig()).parameters == pytest.approx(sum(w.numel() for w in denoiser.parameters()), rel=0.06)


def test_it_learns_from_any_points_and_says_how_sure_it_is(generator):
    gan = trained(replace(SMALL, steps=5), load("trex"))
    x = gan.draw(40, generator)
    opinion = gan.opinion(x)
    assert x.shape == (40, 2) and not x.requires_grad and opinion.shape == (40,)
    assert ((0 < opinion) & (opinion < 1)).all()


def test_a_gan_that_is_tuned_covers_all_modes(generator):
    gan = trained(gan_config("tuned", width=96, batch=64, lr=4e-3, steps=300, seed=2))
    coverage = Modes.of(EIGHT).look(gan.draw(2000, generator))
    assert coverage.covered == 8 and coverage.good > 0.6


def test_a_gan_may_leave_modes_out_and_nothing_in_its_losses_says_so(generator):
    gan = trained(GANConfig(width=64, batch=64, lr=4e-3, steps=300, seed=2))
    coverage = Modes.of(EIGHT).look(gan.draw(2000, generator))
    assert coverage.covered < 4
    # Near those of the equilibrium, where all would be well.
    np.testing.assert_allclose(gan.losses[-50:].mean(0), [2 * math.log(2), math.log(2)], atol=0.35)


def test_a_gan_that_diverges_says_where(monkeypatch):
    gan = GAN(EIGHT, replace(SMALL, lr=10.0))
    gan._take_step()
    with torch.no_grad():
        next(gan.generator.parameters()).fill_(math.nan)
    with pytest.raises(TrainingDiverged, match="at step 1: the loss of its discriminator is nan"):
        gan._take_step()


@pytest.mark.parametrize("field, value, allowed", [("activation", "sine", "relu, tanh"), ("latent", 0, "1 to 256"),
                                                   ("width", 1.5, "whole number"), ("lr", 0.0, "1e-08 to 10"),
                                                   ("steps", True, "whole number"), ("beta1", 1.0, "0.0 to 0.999")])
def test_a_setting_that_cannot_be_is_named_with_what_can(field, value, allowed):
    with pytest.raises(ValueError, match=f"{field} is .*{allowed}"):
        GANConfig(**{field: value})


def test_names_and_settings_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="GAN 'big'; there are plain, tuned"):
        gan_config("big")
    with pytest.raises(ValueError, match="no setting 'ema'; there are latent"):
        gan_config("plain", ema=0.9)


def test_pictures_are_refused():
    with pytest.raises(ValueError, match="holds images"):
        GAN(load("digits8"), GANConfig())
