"""Heat in a room, and walkers that go with it and back: against closed forms, and against the law they should obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.baselines.heat import BLUR, COLDEST, WALL, Heat
from core.data.datasets import load
from core.drawing.renderer import Renderer as Drawn
from core.scene import Panel
from core.views.base import DENSITY_CELLS, FIELD_CELLS, PATHS, field_points
from core.views.heat import HeatView

POINTS = torch.tensor([[0.9, 0.2], [-0.3, -1.0], [0.1, 0.4]], dtype=torch.float64)
TIMES = (0.0, 0.004, 0.05, 0.6)


@pytest.fixture(scope="module")
def room():
    return Heat(POINTS, blur=0.1)


@pytest.fixture(scope="module")
def film():
    return HeatView(load("gaussians8"), walkers=1000, seed=3)


def cosine(room, x, k, l):
    """c_k(x)·c_l(y) at points (n, 2)."""
    phase = (x.double() + room.wall) * math.pi / room.side
    return (k * phase[:, 0]).cos() * (l * phase[:, 1]).cos()


def lattice(room, cells=100):
    """Points (cells², 2) and the area of each."""
    axis = (torch.arange(cells, dtype=torch.float64) + 0.5) * room.side / cells - room.wall
    return torch.cartesian_prod(axis, axis), (room.side / cells) ** 2


@pytest.mark.parametrize("t", TIMES)
def test_the_cosines_add_up_to_the_sum_of_images(room, t, generator):
    # Instead of walls: every point mirrored in them, again and again, in an endless plane.
    x = (2 * torch.rand(300, 2, generator=generator, dtype=torch.float64) - 1) * WALL
    variance = 0.1**2 + 2 * t
    along = []
    for d in (0, 1):
        images = torch.stack([s * POINTS[:, d] + m * 2 * WALL for m in range(-8, 9) for s in [(-1.0) ** m]], 1)
        gauss = torch.exp(-((x[:, d, None, None] - images) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
        along.append(gauss.sum(-1))
    torch.testing.assert_close(room.heat(x, t), (along[0] * along[1]).mean(1), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("k, l", [(1, 0), (0, 2), (3, 1), (4, 4)])
def test_each_cosine_decays_at_its_own_rate(room, k, l):
    x, area = lattice(room)
    share = [float((room.heat(x, t) * cosine(room, x, k, l)).sum()) * area for t in (0.0, 0.07)]
    assert share[1] / share[0] == pytest.approx(math.exp(-(math.pi / room.side) ** 2 * (k**2 + l**2) * 0.07), rel=1e-9)


@pytest.mark.parametrize("t", TIMES)
def test_no_heat_is_lost_and_none_is_negative(room, t):
    x, area = lattice(room)
    u = room.heat(x, t)
    assert float(u.sum()) * area == pytest.approx(1.0, abs=1e-9) and float(u.min()) > -1e-11


def test_it_obeys_the_heat_equation(room, generator):
    x = (2 * torch.rand(50, 2, generator=generator, dtype=torch.float64) - 1) * 1.1
    t, d = 0.03, 1e-3
    along = [torch.tensor([d, 0.0], dtype=torch.float64), torch.tensor([0.0, d], dtype=torch.float64)]
    bend = sum(room.heat(x + e, t) - 2 * room.heat(x, t) + room.heat(x - e, t) for e in along) / d**2
    change = (room.heat(x, t + 1e-5) - room.heat(x, t - 1e-5)) / 2e-5
    torch.testing.assert_close(change, bend, rtol=1e-3, atol=1e-3)


def test_no_heat_flows_through_the_walls(room):
    y = torch.linspace(-1, 1, 20, dtype=torch.float64)
    for t in TIMES[1:]:
        for wall in (-WALL, WALL):
            at = torch.stack([torch.full_like(y, wall), y], 1)
            slope = room.slope(at, t)[:, 0]
            assert slope[~slope.isnan()].abs().max() < 1e-4
            assert room.slope(at.flip(1), t)[:, 1].nan_to_num().abs().max() < 1e-4


@pytest.mark.parametrize("t", TIMES)
def test_the_slope_is_the_gradient_of_log_u(room, t, generator):
    x = room.draw(100, generator).requires_grad_()
    gradient = torch.autograd.grad(room.heat(x, t).log().sum(), x)[0]
    torch.testing.assert_close(room.slope(x.detach(), t), gradient)


def test_where_no_heat_has_come_there_is_no_slope(room):
    corner = torch.tensor([[-1.2, 1.2]])
    assert room.heat(corner, 0.0).abs() < COLDEST * room.even and room.slope(corner, 0.0).isnan().all()
    assert room.slope(corner, 0.3).isfinite().all()


def test_a_grid_is_the_heat_at_its_cells_with_the_top_first(room):
    u, edge = room.grid(0.02, 8), WALL * (1 - 1 / 8)
    corners = torch.tensor([[-edge, edge], [edge, edge], [-edge, -edge], [edge, -edge]], dtype=torch.float64)
    torch.testing.assert_close(u[[0, 0, -1, -1], [0, -1, 0, -1]], room.heat(corners, 0.02))


def test_entropy_grows_to_that_of_the_even_room_at_the_rate_of_the_mean_square_slope(room):
    h = [room.entropy(t) for t in np.geomspace(1e-4, 4, 40)]
    assert all(a < b for a, b in zip(h, h[1:])) and h[-1] == pytest.approx(math.log(room.side**2), abs=1e-4)
    x, area = lattice(room)
    for t in (0.01, 0.1):
        information = float((room.heat(x, t)[:, None] * room.slope(x, t).nan_to_num() ** 2).sum()) * area
        rate = (room.entropy(t + 1e-5) - room.entropy(t - 1e-5)) / 2e-5
        assert rate == pytest.approx(information, rel=1e-4)


def test_when_the_slowest_cosine_has_decayed_is_told_exactly(room):
    assert math.exp(-(math.pi / room.side) ** 2 * room.time_left(0.02)) == pytest.approx(0.02)


def test_folding_mirrors_at_the_walls(room):
    x = torch.tensor([0.3, 1.3, -1.3, 2.0, 3.6, 3.7, -3.9])
    expected = torch.tensor([0.3, 1.1, -1.1, 0.4, -1.2, -1.1, 0.9], dtype=torch.float64)
    torch.testing.assert_close(room.fold(x), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("steps", [1, 7])
def test_stumbling_walkers_stand_as_the_heat_does(room, steps, generator):
    n, t = 40_000, 0.08
    x = room.draw(n, generator)
    for _ in range(steps):
        x = room.brownian(x, t / steps, generator)
    assert x.abs().max() <= WALL
    assert_stands_as(room, x, t)


def assert_stands_as(room, x, t):
    """Means of cosines over walkers are those of the heat, within 4.5 standard errors (each cosine's is ≤ 1/√n)."""
    on, area = lattice(room)
    u = room.heat(on, t)
    for k, l in [(1, 0), (0, 1), (1, 1), (2, 0), (0, 3), (2, 2), (5, 1), (0, 6)]:
        wanted = float((u * cosine(room, on, k, l)).sum()) * area
        assert float(cosine(room, x, k, l).mean()) == pytest.approx(wanted, abs=4.5 / math.sqrt(len(x))), (k, l)


def there_and_back(room, x, times):
    for t, s in zip(times, times[1:]):
        x = room.flow(x, t, s)
    return x


def test_the_flow_there_and_back_leads_everyone_home(room, generator):
    times = [float(t) for t in np.geomspace(room.start, 0.5 + room.start, 60) - room.start]
    times[0] = 0.0
    x = room.draw(150, generator)
    far = there_and_back(room, x, times)
    home = there_and_back(room, far, times[::-1])
    assert (far - x).norm(dim=1).mean() > 0.3
    assert (home - x).norm(dim=1).quantile(0.99) < 1e-3


def test_walkers_who_know_the_slope_alone_find_back_as_a_crowd(room, generator):
    last = room.time_left(0.02)
    times = [float(t) for t in np.geomspace(room.start, last + room.start, 51) - room.start]
    times[0] = 0.0
    begun = room.draw(1200, generator)
    far = room.brownian(begun, last, generator)
    home = there_and_back(room, far, times[::-1])
    assert_stands_as(room, home, 0.0)
    nearest = torch.cdist(home, POINTS).min(1)
    assert float((nearest[0] < 4 * room.blur).double().mean()) > 0.99
    # But each on its own is lost: whether it ends at the point that it came from is chance.
    same = (nearest[1] == torch.cdist(begun, POINTS).argmin(1)).double().mean()
    assert 0.2 < same < 0.5


def test_one_step_of_the_flow_is_of_fourth_order(room, generator):
    x = room.brownian(room.draw(80, generator), 0.2, generator)
    grid = lambda n: [float(t) for t in np.geomspace(0.2 + room.start, 0.02 + room.start, n + 1) - room.start]  # noqa: E731
    exact = there_and_back(room, x, grid(64))
    error = [float((there_and_back(room, x, grid(n)) - exact).norm(dim=1).median()) for n in (4, 8)]
    assert error[0] / error[1] > 10


def test_rooms_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="blur is 0"):
        Heat(POINTS, 0)
    with pytest.raises(ValueError, match="up to 1.3 from the middle; a room holds points"):
        Heat(torch.tensor([[1.3, 0.0]]), 0.1)
    with pytest.raises(ValueError, match="holds images"):
        HeatView(load("digits8"))


def test_the_film_goes_out_and_comes_back_at_the_same_times(film):
    assert film.frames == film.total == 101 and film.t[0] == film.t[-1] == 0.0
    np.testing.assert_array_equal(film.t, film.t[::-1])
    assert film.t.argmax() == 50 and film.t[50] == pytest.approx(film.room.time_left(0.02))
    assert film.room.blur == load("gaussians8").bandwidth and Heat.of(load("trex")).blur == BLUR


def test_the_crowd_stands_as_the_heat_out_and_back(film):
    for frame in (0, 10, 30, 50, 70, 90, 100):
        assert_stands_as(film.room, film.walkers[frame], film.t[frame])


def test_the_way_back_knows_nothing_of_the_way_out(film):
    x = film.walkers[50].double()
    torch.testing.assert_close(film.walkers[51], film.room.flow(x, film.t[50], film.t[51]).float())


def test_the_panels_show_heat_walkers_slopes_and_ways_back(film):
    scene = film.scene(tuple(film.offers))
    shapes = {p.key: p.data.shape for p in scene.panels}
    assert shapes == {"heat": (101, DENSITY_CELLS, DENSITY_CELLS), "walkers": (101, 1000, 2),
                      "slope": (101, FIELD_CELLS, FIELD_CELLS, 2), "back": (101, PATHS, 2),
                      "log": (101, DENSITY_CELLS, DENSITY_CELLS)}
    np.testing.assert_allclose(scene.panel("heat").data.mean((1, 2)), 1.0, atol=1e-5)  # of the even room's, at every t
    back = scene.panel("back").data
    assert (back[:50] == back[50]).all() and (back[-1] != back[50]).all()  # until the middle nobody is on a way back
    t = float(film.t[30])
    told = math.sqrt(2 * t + film.room.blur**2) * film.room.slope(field_points(WALL), t)
    np.testing.assert_allclose(scene.panel("slope").data[30].reshape(-1, 2), told, rtol=1e-5,
                               atol=1e-6 * float(abs(told).max()))
    assert [p.key for p in film.scene().panels] == ["heat", "walkers", "slope", "back"]


def test_part_of_the_film_is_that_part_of_the_whole(film):
    whole, part = film.scene(("walkers", "back")), film.scene(("walkers", "back"), 40, 60)
    for a, b in zip(whole.panels, part.panels):
        np.testing.assert_array_equal(a.data[40:60], b.data)
    np.testing.assert_array_equal(part.charts[0].cursor, whole.charts[0].cursor[40:60])
    assert all(len(values) == 20 for values in part.numbers.values())


def test_the_sentence_and_the_chart_say_how_much_is_forgotten(film):
    scene = film.scene()
    assert scene.text(scene.sentence, 0).startswith("At t = 0.000 the room has forgotten 0 %.")
    assert scene.text(scene.sentence, 50).startswith("At t = 2.283 the room has forgotten 100 %.")
    assert scene.numbers["entropy"][50] == pytest.approx(math.log(film.room.side**2), abs=1e-3)
    even, heat, out, back = scene.charts[0].series
    assert np.all(np.diff(heat.y) > 0)
    np.testing.assert_allclose(out.y, heat.y, atol=0.1)
    np.testing.assert_allclose(back.y, heat.y[::3], atol=0.1)
    assert scene.charts[0].cursor.tolist() == [*range(51), *range(49, -1, -1)]


def test_it_can_be_drawn(film):
    scene = film.scene(tuple(film.offers))
    assert all(isinstance(p, Panel) for p in scene.panels)
    assert next(Drawn(scene, size=64).frames([70])).any()
