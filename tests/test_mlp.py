import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from core.denoisers.base import Denoiser
from core.denoisers.embeddings import LabelEmbedding, null_labels, sinusoidal
from core.denoisers.mlp import MLP
from core.schedules import make_schedule


class Spy(nn.Module):
    """A network that keeps the noise levels which it is told."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x, t, level, cond=None):
        self.seen.append(level)
        return x


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


def test_the_noise_level_is_a_quarter_of_the_logarithm_and_three_at_most_where_that_is_infinite():
    seen = []
    Denoiser(Spy(seen), make_schedule("flow"), "velocity")(torch.zeros(4, 2), torch.tensor([0.0, 1e-7, 0.25, 1.0]))
    assert_close(seen[0], torch.tensor([-3.0, -3.0, math.log(1 / 3) / 4, 3.0]))


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


def test_several_conditions_add_up_and_each_has_a_null_label_of_its_own():
    torch.manual_seed(0)
    table = LabelEmbedding((2, 3), 8)
    kinds, hairs = table.weight[:3].detach(), table.weight[3:].detach()  # 2 + 1 and 3 + 1 rows
    cond = torch.tensor([[0, 0], [1, 2], [2, 1], [0, 3], [2, 3]])
    assert_close(table(cond).detach(), kinds[cond[:, 0]] + hairs[cond[:, 1]])
    assert_close(table(None).detach(), (kinds[2] + hairs[3])[None])
    assert null_labels((2, 3), 4).tolist() == [[2, 3]] * 4 and null_labels(7, 2).tolist() == [7, 7]
    for network in (MLP(width=16, labels=(2, 3)), MLP(width=16, labels=[2, 3])):
        assert network.architecture["labels"] == (2, 3)
        assert_close(network(*inputs()), network(*inputs(), null_labels((2, 3), 5)))


@pytest.mark.parametrize("labels, cond, message", [
    (3, torch.zeros(2, 2, dtype=torch.long), r"\(2, 2\).*needs \(batch,\)"),
    ((2, 3), torch.zeros(2, dtype=torch.long), r"\(2,\).*needs \(batch, 2\)"),
    ((2, 3), torch.zeros(2, 3, dtype=torch.long), r"\(2, 3\).*needs \(batch, 2\)"),
    ((2, 3), torch.tensor([[2, 4]]), "4; this network knows 0 to 2, and 3"),
])  # fmt: skip
def test_labels_of_another_shape_or_outside_their_condition_are_named(labels, cond, message):
    with pytest.raises(ValueError, match=message):
        LabelEmbedding(labels, 8)(cond)


@pytest.mark.parametrize("labels", [-1, (2, 0), (2, 2.5), True])
def test_counts_that_no_condition_can_have_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        MLP(width=16, labels=labels)
