import pytest
import torch
from torch.testing import assert_close

from core.denoisers import base
from core.denoisers.base import Denoiser
from core.denoisers.unet import UNet
from core.schedules import make_schedule
from tests.sweep import SWEEP


def awake(**options):
    """A U-Net whose layers that start at 0 do not, so that every path carries something."""
    torch.manual_seed(0)
    network = UNet(**{"width": 8, **options})
    with torch.no_grad():
        for w in network.parameters():
            if not w.any():
                w.normal_(std=0.2)
    return network.eval()


def inputs(size=8, channels=1, n=3):
    g = torch.Generator().manual_seed(1)
    return torch.randn(n, channels, size, size, generator=g), torch.rand(n, generator=g), torch.zeros(n)


@pytest.mark.parametrize("size", range(8, 33) if SWEEP else [8, 9, 10, 11, 12, 15, 16, 17, 28, 31, 32])
def test_every_size_from_8_to_32_comes_out_as_it_went_in(size):
    x, t, level = inputs(size, channels=3, n=2)
    for patch in (1, 2):
        assert UNet(3, width=8, patch=patch)(x, t, level).shape == x.shape


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_any_number_of_levels_works(levels):
    x, t, level = inputs(16)
    assert awake(levels=levels, patch=2)(x, t, level).shape == x.shape


def test_the_time_changes_the_output_and_the_noise_level_does_not():
    x, t, level = inputs()
    network = awake()
    assert not torch.allclose(network(x, t, level), network(x, t * 0.9, level))
    assert_close(network(x, t, level), network(x, t, level + 1))


def test_every_pixel_hears_every_pixel():
    network = awake(patch=2)
    x, t, level = inputs(16, n=1)
    x.requires_grad_()
    network(x, t, level)[0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


def test_every_weight_is_used():
    network = awake(labels=3, patch=2)
    x, t, level = inputs(16)
    network(x, t, level, torch.tensor([0, 1, 3])).square().sum().backward()
    silent = [name for name, w in network.named_parameters() if w.grad is None or not w.grad.any()]
    assert silent == []


def test_no_label_is_the_null_label():
    x, t, level = inputs()
    network = awake(labels=10)
    assert_close(network(x, t, level), network(x, t, level, torch.full((3,), 10)))
    assert not torch.allclose(network(x, t, level), network(x, t, level, torch.tensor([1, 2, 3])))


def test_a_new_network_puts_out_zero():
    x, t, level = inputs()
    assert not UNet(width=8)(x, t, level).any()


def test_a_sample_does_not_depend_on_its_neighbours_in_the_batch():
    x, t, level = inputs(n=5)
    network = awake()
    assert_close(network(x, t, level)[1:2], network(x[1:2], t[1:2], level[1:2]), atol=1e-5, rtol=1e-4)


def test_the_layers_have_names_that_activations_can_be_asked_for_by():
    names = dict(UNet(width=8).named_modules())
    for name in ("enter", "down.0", "down.1", "middle", "up.0", "up.1", "leave"):
        assert name in names


@pytest.mark.parametrize("cond", [None, torch.tensor([0, 1, 3, 2, 1])])
def test_many_pictures_are_shown_to_it_some_at_a_time_and_it_says_the_same(monkeypatch, cond):
    network, shown = awake(labels=3), []
    denoiser, (x, *_) = Denoiser(network, make_schedule("cosine"), "v", 0.5, 3), inputs(8, n=5)
    t = torch.linspace(0.1, 0.9, 5)
    with torch.no_grad():
        whole = denoiser(x, t, cond)
        monkeypatch.setattr(base, "PART", 2 * x[0].numel())
        network.register_forward_pre_hook(lambda _, given: shown.append(len(given[0])))
        parts, at_one_time = denoiser(x, t, cond), denoiser(x, torch.tensor(0.3), cond)
    assert shown == [2, 2, 1] * 2 and at_one_time.x0.shape == x.shape
    assert_close(parts.x0, whole.x0)
    assert_close(parts.eps, whole.eps)
    denoiser(x, t, cond).eps.sum().backward()
    assert shown[6:] == [5], "for gradients all is kept anyway"
