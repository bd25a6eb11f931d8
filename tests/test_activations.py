"""Looking inside a network: what is recorded is what a layer put out, for whoever looks and for nobody else."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import silu

from core.data.datasets import load
from core.denoisers.base import Denoiser
from core.denoisers.mlp import MLP
from core.denoisers.unet import UNet
from core.denoisers.wrappers import clip_x0, reschedule, scale_eps, shift_time
from core.guidance.classifier_free import classifier_free
from core.probes.activations import capture, layers_of
from core.reverse import start_noise, walk
from core.samplers import ddim
from core.schedules import make_schedule
from core.trace import Trace
from core.training.presets import make_network
from core.views import TraceView
from core.views.activations import CELLS, UNITS, VIEW, offer_inside, outputs


def scrambled(network: nn.Module) -> nn.Module:
    """With weights of some size everywhere: layers that begin at zero would put out nothing."""
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=g) / max(1, weight[0].numel()) ** 0.5)
    return network.eval().requires_grad_(False)


@pytest.fixture
def unet() -> UNet:
    return scrambled(UNet(channels=1, width=8, levels=2))


@pytest.fixture
def mlp() -> MLP:
    return scrambled(MLP(width=24, depth=2))


def hooks(net: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in net.modules())


def inputs(shape: tuple[int, ...], b: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(b, *shape, generator=g), torch.full((b,), 0.4), torch.full((b,), -0.2)


# capture

def test_what_is_recorded_is_what_a_forward_by_hand_gives(mlp):
    x, t, level = inputs((2,))
    with capture(mlp, ["enter", "hidden.1", "leave"]) as seen:
        out = mlp(x, t, level)
    enter = mlp.enter(mlp.features(x, t, level))
    h = enter + mlp.hidden[0](silu(enter))
    for name, by_hand in {"enter": enter, "hidden.1": mlp.hidden[1](silu(h)), "leave": out}.items():
        assert len(seen[name]) == 1
        torch.testing.assert_close(seen[name][0], by_hand)


def test_a_recorded_network_says_what_it_says_otherwise(unet):
    with capture(unet, list(layers_of(unet))) as seen:
        watched = unet(*inputs((1, 8, 8)))
    assert torch.equal(watched, unet(*inputs((1, 8, 8))))
    assert torch.equal(seen["leave"][0], watched)
    assert [len(calls) for calls in seen.values()] == [1] * len(seen)


def test_calls_are_kept_in_their_order(mlp):
    x, t, level = inputs((2,))
    with capture(mlp, ["leave"]) as seen:
        first, second = mlp(x, t, level), mlp(-x, t, level)
    assert torch.equal(seen["leave"][0], first) and torch.equal(seen["leave"][1], second)
    mlp(x, t, level)
    assert len(seen["leave"]) == 2


def test_recorded_tensors_hold_no_graph():
    net = nn.Sequential(nn.Linear(2, 2))
    with capture(net, ["0"]) as seen:
        assert net(torch.ones(1, 2)).requires_grad
    assert not seen["0"][0].requires_grad


def test_nothing_is_left_in_the_network_even_after_an_error(unet):
    with pytest.raises(RuntimeError, match="on the way"):
        with capture(unet, ["middle", "enter"]):
            assert hooks(unet) == 2
            raise RuntimeError("on the way")
    assert hooks(unet) == 0


def test_blocks_within_blocks_each_record_their_own(mlp):
    with capture(mlp, ["enter"]) as outer:
        mlp(*inputs((2,)))
        with capture(mlp, ["enter", "leave"]) as inner:
            mlp(*inputs((2,)))
        mlp(*inputs((2,)))
    assert (len(outer["enter"]), len(inner["enter"]), len(inner["leave"])) == (3, 1, 1)


@pytest.mark.parametrize("name, near", [("midle", "middle"), ("up.2", "up.1"), ("", "enter, down"), ("zzz", "enter")])
def test_an_unknown_layer_is_answered_with_those_near(unet, name, near):
    with pytest.raises(ValueError, match=f"no layer '{name}'.*{near}"):
        with capture(unet, ["enter", name]):
            pass
    assert hooks(unet) == 0


def test_of_a_network_without_layers_none_is_suggested():
    with pytest.raises(ValueError, match="no layer 'enter'; it has none"):
        with capture(nn.Identity(), ["enter"]):
            pass


def test_a_layer_that_puts_out_no_tensor_is_told():
    net = nn.ModuleList([nn.LSTM(2, 3)])
    with pytest.raises(ValueError, match="'0' puts out a tuple"):
        with capture(net, ["0"]):
            net[0](torch.ones(1, 2))


def test_calls_of_other_threads_are_not_recorded(mlp):
    x, t, level = inputs((2,))
    opened, called = threading.Event(), threading.Event()

    def neighbour():
        opened.wait(600)
        mlp(2 * x, t, level)
        called.set()

    thread = threading.Thread(target=neighbour)
    thread.start()
    with capture(mlp, ["leave"]) as seen:
        opened.set()
        assert called.wait(600)
        mine = mlp(x, t, level)
    thread.join()
    assert len(seen["leave"]) == 1 and torch.equal(seen["leave"][0], mine)


def test_many_threads_look_into_one_network_and_each_sees_its_own_calls(mlp):
    x, t, level = inputs((2,))
    wrong, begin = [], threading.Barrier(6)

    def look(number: int):
        begin.wait(600)
        for _ in range(60):
            with capture(mlp, ["enter", "leave"]) as seen:
                out = mlp(number * x, t, level)
            if len(seen["leave"]) != 1 or not torch.equal(seen["leave"][0], out):
                wrong.append(number)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and hooks(mlp) == 0


# layers_of

@pytest.mark.parametrize("levels", [1, 2, 3])
def test_layers_stand_in_the_order_in_which_they_run(levels):
    net, order = UNet(width=8, levels=levels), []
    names = list(layers_of(net))
    for name in names:
        net.get_submodule(name).register_forward_hook(lambda *_, name=name: order.append(name))
    net(*inputs((1, 8, 8)))
    assert order == names and len(names) == 3 + 2 * levels + 2 * (levels - 1)


def test_layers_of_points_and_of_any_network_can_be_recorded(mlp):
    assert list(layers_of(mlp)) == ["enter", "hidden.0", "hidden.1", "leave"]
    other = nn.Sequential(nn.Linear(2, 3), nn.SiLU(), nn.Sequential(nn.Linear(3, 1)))
    assert list(layers_of(other)) == ["0", "2.0"]


# The panel

def film_of(denoiser: Denoiser, denoise, data, n: int, steps: int = 4) -> TraceView:
    schedule, g = denoiser.schedule, torch.Generator().manual_seed(0)
    times, trace = schedule.times(steps, "trailing", 1.0), Trace()
    film = TraceView(trace, times, data, schedule, denoise, ddim(schedule))
    for step in walk(denoise, ddim(schedule), start_noise(schedule, (n, *data.shape), times[0], g), times, g):
        trace.add(step)
    film.finish()
    return film


@pytest.fixture
def digits_film(unet) -> TraceView:
    denoiser = Denoiser(unet, make_schedule("cosine"), "v", 0.75)
    return film_of(denoiser, denoiser, load("digits8"), 5)


def test_the_panel_shows_the_layer_at_the_states_of_the_walk_over_its_size(digits_film, unet):
    offer_inside(digits_film, unet, "down.1", sample=3)
    panel = digits_film.scene(("inside",)).panel("inside")
    assert panel.data.shape == (5, 16, 4, 4, 1) and panel.range == (-VIEW, VIEW)
    for k in (0, 2):
        with capture(unet, ["down.1"]) as seen, torch.no_grad():
            digits_film.denoise(digits_film.trace["x_t"][k], digits_film.kept[k])
        there = seen["down.1"][0][3]
        np.testing.assert_allclose(panel.data[k, ..., 0], there / there.square().mean().sqrt(), rtol=1e-4, atol=1e-5)
    assert np.array_equal(panel.data[-1], panel.data[-2])  # where the walk has arrived, the last step's stay


def test_a_part_of_the_film_is_what_the_whole_has_there(digits_film, unet):
    offer_inside(digits_film, unet, "up.0")
    whole, part = (digits_film.scene(("inside",), *span).panel("inside").data for span in ((0, 5), (2, 4)))
    np.testing.assert_allclose(part, whole[2:4], rtol=1e-4, atol=1e-5)


def test_the_chart_has_the_sizes_of_the_frames_that_were_looked_at(digits_film, unet):
    offer_inside(digits_film, unet, "enter")
    (chart,) = digits_film.more_charts
    assert chart() == ()
    digits_film.scene(("inside",), 1, 3)
    (drawn,) = chart()
    with capture(unet, ["enter"]) as seen, torch.no_grad():
        digits_film.denoise(digits_film.trace["x_t"][1], digits_film.kept[1])
    assert drawn.series[0].x.tolist() == digits_film.kept[1:3].tolist()
    assert drawn.series[0].y[0] == pytest.approx(float(seen["enter"][0][0].square().mean().sqrt()), rel=1e-5)


def test_at_most_64_channels_are_shown_and_the_caption_says_of_how_many():
    net = scrambled(UNet(channels=1, width=40, levels=2))
    denoiser = Denoiser(net, make_schedule("cosine"), "v")
    film = film_of(denoiser, denoiser, load("digits8"), 2, steps=2)
    offer_inside(film, net, "middle")
    panel = film.scene(("inside",)).panel("inside")
    assert panel.data.shape[1] == 64 and panel.caption.startswith("64 of 80")


def test_a_layer_without_pixels_shows_a_picture_a_number(digits_film, unet):
    offer_inside(digits_film, unet, "time.0")
    assert digits_film.scene(("inside",)).panel("inside").data.shape == (5, 32, 1, 1, 1)


def test_a_layer_that_puts_out_nothing_is_blank_and_not_an_error(unet):
    net = make_network({"network": "unet", "channels": 1, "width": 8, "levels": 1, "patch": 1, "labels": 0})
    denoiser = Denoiser(net, make_schedule("cosine"), "v")
    film = film_of(denoiser, denoiser, load("digits8"), 2, steps=2)
    offer_inside(film, net, "leave")
    assert not film.scene(("inside",)).panel("inside").data.any()


def test_units_are_shown_where_they_are_in_the_plane_top_row_first(mlp):
    denoiser = Denoiser(mlp, make_schedule("cosine"), "eps")
    film = film_of(denoiser, denoiser, load("moons"), 7)
    offer_inside(film, mlp, "leave")
    panel = film.scene(("inside",)).panel("inside")
    assert panel.data.shape == (5, 2, CELLS, CELLS, 1)
    half = 1.9 * (1 - 1 / CELLS)
    with torch.no_grad():
        corner = denoiser.network(*(a.float() for a in _scaled(denoiser, torch.tensor([[-half, half]]), film.kept[1])))
    assert np.sign(panel.data[1, :, 0, 0, 0]).tolist() == np.sign(corner[0].numpy()).tolist()
    ratio = panel.data[1, 1, 0, 0, 0] / panel.data[1, 0, 0, 0, 0]
    assert ratio == pytest.approx(float(corner[0, 1] / corner[0, 0]), rel=1e-3)


def _scaled(denoiser: Denoiser, x: torch.Tensor, t: torch.Tensor):
    """What the network itself is asked about x at t."""
    alpha, sigma = (a.float() for a in denoiser.schedule(t))
    scale = (alpha**2 * denoiser.sigma_data**2 + sigma**2).rsqrt()
    return scale * x, t[None], (torch.log(sigma / alpha) / 4)[None].clamp(-3, 3)


def test_of_a_wide_layer_for_points_the_first_units_are_shown(mlp):
    denoiser = Denoiser(mlp, make_schedule("cosine"), "eps")
    film = film_of(denoiser, denoiser, load("moons"), 7, steps=2)
    offer_inside(film, mlp, "hidden.0")
    panel = film.scene(("inside",)).panel("inside")
    assert panel.data.shape[1] == UNITS and panel.caption.startswith("16 of 24")


def test_a_layer_or_a_sample_that_is_not_there_is_told(digits_film, unet):
    with pytest.raises(ValueError, match="no layer 'in'"):
        offer_inside(digits_film, unet, "in")
    offer_inside(digits_film, unet, "enter", sample=5)
    with pytest.raises(ValueError, match="sample 5.*has 5"):
        digits_film.scene(("inside",))


def test_a_network_that_is_not_the_one_that_walks_is_told(digits_film):
    offer_inside(digits_film, UNet(width=8), "enter")
    with pytest.raises(ValueError, match="did not run"):
        digits_film.scene(("inside",))


def test_the_layer_is_seen_through_all_that_wraps_the_denoiser(unet):
    cosine, linear = make_schedule("cosine"), make_schedule("linear")
    moved = reschedule(Denoiser(unet, cosine, "v"), cosine, linear)
    wrapped = clip_x0(scale_eps(shift_time(moved, linear, 0.1), 0.9), "static")
    x_t, t = inputs((1, 8, 8))[0], torch.tensor(0.5, dtype=torch.float64)
    with capture(unet, ["middle"]) as seen, torch.no_grad():
        wrapped(x_t, t)
    assert torch.equal(outputs(wrapped, unet, "middle", x_t, t), seen["middle"][0])


def test_under_guidance_the_layer_is_that_of_the_call_with_the_label():
    net = scrambled(UNet(channels=1, width=8, levels=2, labels=3))
    denoiser, cond = Denoiser(net, make_schedule("cosine"), "v", labels=3), torch.tensor([2, 0, 1])
    x_t, t = inputs((1, 8, 8))[0], torch.tensor(0.5, dtype=torch.float64)
    with capture(net, ["up.0"]) as seen, torch.no_grad():
        denoiser(x_t, t, cond)
    guided = outputs(classifier_free(denoiser, cond, 3.0), net, "up.0", x_t, t)
    torch.testing.assert_close(guided, seen["up.0"][0], rtol=1e-4, atol=1e-5)
