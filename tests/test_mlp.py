import math

import pytest
import torch
from torch.testing import assert_close

from core.denoisers.embeddings import LabelEmbedding, sinusoidal
from core.denoisers.mlp import MLP


def inputs(n=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=g), torch.rand(n, generator=g), torch.randn(n, generator=g)


@pytest.mark.parametrize("fourier", [True, False])
def test_the_output_has_the_shape_of_the_points(fourier):
    assert MLP(width=16, fourier=fourier)(*inputs(7)).shape == (7, 2)


def test_fourier_features_are_sin_and_cos_of_every_axis_and_of_the_noise_level():
    x, t, level = inputs()
    network = MLP()
    count, low, high = MLP.FREQUENCIES
    features = network.features(x, t, level)
    assert features.shape == (5, 3 + 2 * (2 * count + MLP.LEVELS[0]))
    assert_close(features[:, :2], x)
    sines = features[:, 3:]
    for axis, start in ((0, 0), (1, count)):
        assert_close(sines[:, start], torch.sin(low * x[:, axis]))
        assert_close(sines[:, start + count - 1], torch.sin(high * x[:, axis]), atol=1e-4, rtol=0)
    assert_close(sines[:, 2 * count], torch.sin(MLP.LEVELS[1] * level))


def test_with_fourier_features_the_noise_level_is_heard_and_without_them_the_time():
    x, t, level = inputs()
    fourier, plain = MLP(width=16), MLP(width=16, fourier=False)
    assert not torch.allclose(fourier(x, t, level), fourier(x, t, level + 0.1))
    assert_close(fourier(x, t, level), fourier(x, t * 0.5, level))
    assert not torch.allclose(plain(x, t, level), plain(x, t * 0.5, level))
    assert_close(plain(x, t, level), plain(x, t, level + 0.1))


def test_no_label_is_the_null_label():
    torch.manual_seed(0)
    x, t, level = inputs()
    network = MLP(width=16, labels=3)
    null = torch.full((5,), 3)
    assert_close(network(x, t, level), network(x, t, level, null))
    assert not torch.allclose(network(x, t, level), network(x, t, level, torch.zeros(5, dtype=torch.long)))


@pytest.mark.parametrize("wrong", [-1, 4])
def test_a_label_outside_is_named(wrong):
    with pytest.raises(ValueError, match=f"{wrong}.*knows 0 to 2"):
        LabelEmbedding(3, 8)(torch.tensor([0, wrong]))


def test_the_sinusoidal_embedding_tells_neighbouring_timesteps_apart_and_has_constant_norm():
    t = torch.arange(1001) / 1000
    e = sinusoidal(t, 64)
    assert_close(e.square().sum(1), torch.full((1001,), 32.0))
    assert_close(e[437, 0], torch.tensor(math.sin(437.0)), atol=1e-3, rtol=0)
    assert (e[1:] - e[:-1]).norm(dim=1).min() > 0.5


def test_a_sample_does_not_depend_on_its_neighbours_in_the_batch():
    x, t, level = inputs(6)
    network = MLP(width=16)
    assert_close(network(x, t, level)[2:3], network(x[2:3], t[2:3], level[2:3]))
