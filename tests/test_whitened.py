"""The whitened MLP: before training it is the Wiener filter, and it learns only what that leaves open."""

from __future__ import annotations

import pytest
import torch

import core.denoisers.whitened as whitened
from core.checkpoints.models import load_checkpoint, save_checkpoint
from core.data.datasets import Dataset, load
from core.denoisers.base import Denoiser
from core.denoisers.linear import wiener
from core.denoisers.whitened import WhitenedMLP, components_of, principal
from core.prediction import PREDICTION_TYPES
from core.schedules import make_schedule
from core.training.presets import make_denoiser, preset
from core.training.trainer import Trainer

TIMES = (0.02, 0.3, 0.7, 0.98)


def digits() -> Dataset:
    return load("digits8")


def untrained(data: Dataset, components: int, schedule: str = "cosine", prediction_type: str = "v") -> Denoiser:
    network = WhitenedMLP(data.shape, components, width=16, depth=1)
    network.fit(data.x0, data.std)
    return Denoiser(network, make_schedule(schedule), prediction_type, data.std).eval().requires_grad_(False)


def noisy(data: Dataset, denoiser: Denoiser, t: float, n: int = 16) -> torch.Tensor:
    eps = torch.randn(n, *data.shape, generator=torch.Generator().manual_seed(1))
    alpha, sigma = (a.float() for a in denoiser.schedule(torch.tensor(t)))
    return alpha * data.x0[:n] + sigma * eps


@pytest.mark.parametrize("schedule", ["cosine", "linear", "ve", "flow"])
def test_untrained_it_is_the_wiener_filter(schedule):
    """Digits have 64 values of which 3 never change: all that varies is among its components."""
    data = digits()
    linear = wiener(data, make_schedule(schedule))
    denoiser = untrained(data, components_of(data.x0, 1 - 1e-7), schedule)
    for t in TIMES:
        x_t = noisy(data, denoiser, t)
        ours, best = denoiser(x_t, torch.tensor(t)).x0, linear(x_t, torch.tensor(t)).x0
        torch.testing.assert_close(ours, best, rtol=0, atol=2e-3 * float(best.abs().max()))


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_what_it_guesses_is_the_same_in_all_terms(prediction_type):
    data = digits()
    for t in TIMES[:3]:
        x_t = noisy(data, untrained(data, 20), t)
        x0 = [untrained(data, 20, prediction_type=each)(x_t, torch.tensor(t)).x0 for each in ("x0", prediction_type)]
        torch.testing.assert_close(*x0, rtol=0, atol=1e-3 * float(x0[0].abs().max()))


def cloud() -> torch.Tensor:
    """A long thin cloud of pictures 3×4 around 5, variances 9, 4 and 1 along three axes of their own."""
    g = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(12, 12, generator=g, dtype=torch.float64))[0][:3]
    code = torch.randn(400, 3, generator=g, dtype=torch.float64)
    code = torch.linalg.qr(code - code.mean(0))[0] * 20 * torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    return (code @ axes + 5).reshape(400, 1, 3, 4)


def test_components_and_variances_are_those_of_the_data():
    x0 = cloud()
    mean, variances, basis = principal(x0)
    torch.testing.assert_close(mean, torch.full((12,), 5.0, dtype=torch.float64))
    torch.testing.assert_close(variances[:3], torch.tensor([9.0, 4.0, 1.0], dtype=torch.float64))
    code = (x0.flatten(1) - mean) @ basis[:3].T
    torch.testing.assert_close(code @ basis[:3], x0.flatten(1) - mean)
    assert [components_of(x0, share) for share in (0.5, 0.7, 0.92, 0.95)] == [1, 2, 2, 3]
    assert principal(x0)[2] is basis, "worked out once"
    x0.mul_(2)
    torch.testing.assert_close(principal(x0)[1], 4 * variances)


def test_of_large_pictures_so_many_are_asked_as_can_be(monkeypatch):
    few = cloud()[torch.linspace(0, 399, 8).long()]
    mean, variances, basis = principal(few)
    monkeypatch.setattr(whitened, "ROWS", 8)  # of 400, fewer than the 12 values of a picture
    asked = principal(cloud())
    torch.testing.assert_close(asked[0], mean)
    torch.testing.assert_close(asked[1], variances[:8], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close((asked[2][:3] @ basis[:3].T).abs(), torch.eye(3, dtype=torch.float64))


def test_it_learns_what_is_left_open_and_is_stored_with_its_components(tmp_path):
    data = digits()
    trainer = Trainer(data, preset("fast", data, steps=200))
    assert trainer.denoiser.network.architecture["network"] == "whitened"
    before = make_denoiser(trainer.config, data).requires_grad_(False)
    for _ in trainer.run():
        pass
    x0 = data.held_out
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(2))
    t = torch.tensor(0.4)
    alpha, sigma = (a.float() for a in before.schedule(t))
    errors = [float((each(alpha * x0 + sigma * eps, t).x0 - x0).square().mean()) for each in (before, trainer.ema)]
    assert errors[1] < 0.95 * errors[0]
    stored, _ = load_checkpoint(save_checkpoint(tmp_path / "digits.safetensors", trainer))
    x_t = alpha * x0[:8] + sigma * eps[:8]
    ours, theirs = trainer.ema(x_t, t).x0, stored(x_t, t).x0
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.01 * float(ours.abs().max()))


def test_labels_change_what_it_says():
    data = digits()
    denoiser = make_denoiser(preset("fast", data, labels=True), data)
    torch.nn.init.normal_(denoiser.network.leave.weight, std=0.1)
    x_t, t = noisy(data, denoiser, 0.5, 4), torch.tensor(0.5)
    one, other = (denoiser(x_t, t, torch.full((4,), label)).x0 for label in (1, 7))
    assert not torch.allclose(one, other)


def test_a_network_for_other_data_is_refused_by_name():
    with pytest.raises(ValueError, match="trex holds points and the network is 'whitened'; points need 'mlp'"):
        preset("fast", load("trex"), "whitened")
    with pytest.raises(ValueError, match="'unet' or 'whitened'"):
        preset("fast", digits(), "mlp")
    with pytest.raises(ValueError, match="at most"):
        WhitenedMLP((1, 2, 2), 5)
