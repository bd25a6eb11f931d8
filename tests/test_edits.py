"""Edits and hooks: they change what they name, and nothing else by a bit."""

from __future__ import annotations

import pytest
import torch

from core.edits import PLACES, Hooks, compose, drop_noise, during, nudge
from core.reverse import walk
from core.samplers import ddim, heun
from core.schedules import make_schedule

STATE = ("x_t", "mean", "std", "noise", "x_s")


@pytest.fixture
def cosine():
    return make_schedule("cosine")


@pytest.fixture
def run(cosine, small_denoiser):
    """(edit, hooks, update) → the steps of the same walk with these in its seams."""

    def go(edit=None, hooks: Hooks | None = None, update=None, steps=8):
        denoise = small_denoiser(cosine, "v")
        if hooks is not None:
            denoise, edit = hooks.on(denoise, cosine, edit)
        x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        g = torch.Generator().manual_seed(2)
        return list(walk(denoise, update or ddim(cosine, 1.0), x, cosine.times(steps), g, edit))

    return go


def same(one, other) -> bool:
    pairs = zip(one, other, strict=True)
    return all(
        all(torch.equal(getattr(a, name), getattr(b, name)) for name in STATE)
        and torch.equal(a.prediction.x0, b.prediction.x0) and torch.equal(a.prediction.eps, b.prediction.eps)
        for a, b in pairs
    )


def test_without_its_noise_a_step_arrives_at_its_mean(run):
    for step in run(drop_noise):
        assert torch.equal(step.x_s, step.mean)
    assert not same(run(drop_noise), run())


def test_dropping_the_noise_is_not_ddim(run, cosine):
    # The mean of many possible pasts is closer to the data than any of them; DDIM keeps the noise it has.
    dropped, kept = run(drop_noise)[3], run(update=ddim(cosine, 0.0))[3]
    assert dropped.x_s.abs().mean() < kept.x_s.abs().mean()


@pytest.mark.parametrize("by", [0.25, torch.tensor([0.5, -1.0], dtype=torch.float64)])
def test_a_nudge_moves_the_state_by_exactly_that(run, by):
    plain, nudged = run(), run(lambda step: nudge(by)(step) if step.index == 3 else step)
    assert same(plain[:3], nudged[:3])
    torch.testing.assert_close(nudged[3].x_s - plain[3].x_s, torch.zeros(4, 2).double() + by, rtol=1e-12, atol=1e-12)
    assert torch.equal(nudged[4].x_t, nudged[3].x_s)


def test_a_nudge_of_0_is_no_nudge(run):
    assert same(run(nudge(0.0)), run())


def test_an_edit_during_some_times_leaves_the_others(run):
    steps = run(during(drop_noise, begin=0.75, end=0.5))
    for step in steps:
        inside = 0.75 >= float(step.t) >= 0.5
        assert (float(step.std) == 0) == (inside or float(step.s) == 0)
    assert sum(float(step.std) == 0 for step in steps) == 4  # t = 0.75, 0.625 and 0.5, and the last


def test_edits_go_in_order(run):
    def double(step):
        return nudge(step.mean)(step)

    first = run(compose(nudge(1.0), double))[0].mean
    second = run(compose(double, nudge(1.0)))[0].mean
    mean = run()[0].mean
    torch.testing.assert_close(first, 2 * (mean + 1))
    torch.testing.assert_close(second, 2 * mean + 1)
    assert same(run(compose()), run())


@pytest.mark.parametrize("begin, end", [(0.2, 0.8), (1.5, 0.0), (1.0, -0.1)])
def test_times_that_do_not_run_down_are_refused(begin, end):
    for make in (lambda: during(drop_noise, begin, end), lambda: Hooks({}, begin, end)):
        with pytest.raises(ValueError, match=f"from {begin} to {end}.*begin ≥ end"):
            make()


@pytest.mark.parametrize("update", [None, "heun"])
def test_hooks_that_only_look_change_no_bit_and_see_every_step(run, cosine, update):
    rule = heun(cosine) if update else None
    seen = {place: [] for place in PLACES}

    def looking(place):
        return lambda value, t: seen[place].append((float(t), value.clone()))

    steps = run(hooks=Hooks({place: looking(place) for place in PLACES}), update=rule)
    assert same(steps, run(update=rule))
    calls = 15 if update else 8  # Heun asks twice a step and once at the last
    assert {place: len(values) for place, values in seen.items()} == {
        "x_t": calls, "t": calls, "x0": calls, "eps": calls, "mean": 8, "std": 8, "noise": 8, "x_s": 8
    }
    for name in ("mean", "std", "noise", "x_s"):
        for (t, value), step in zip(seen[name], steps):
            assert t == float(step.t) and torch.equal(value, getattr(step, name))


@pytest.mark.parametrize("place", PLACES)
def test_each_place_can_be_replaced(run, cosine, place):
    half = Hooks({place: lambda value, t: value / 2})
    changed, plain = run(hooks=half)[0], run()[0]
    p, q = changed.prediction, plain.prediction
    alpha, sigma = cosine.at(changed.t)
    torch.testing.assert_close(alpha * p.x0 + sigma * p.eps, changed.x_t, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(changed.mean + changed.std * changed.noise, changed.x_s, rtol=0, atol=0)
    if place in ("x0", "eps"):
        torch.testing.assert_close(getattr(p, place), getattr(q, place) / 2)
    elif place in ("mean", "std", "noise", "x_s"):
        torch.testing.assert_close(getattr(changed, place), getattr(plain, place) / 2)
        assert torch.equal(p.x0, q.x0)
    else:
        assert not torch.equal(p.x0, q.x0)
        assert torch.equal(changed.x_t, plain.x_t)


@pytest.mark.parametrize("place", PLACES)
def test_a_replacement_is_walked_on_from(run, place):
    assert not torch.equal(run(hooks=Hooks({place: lambda value, t: value * 0.9}))[-1].x_s, run()[-1].x_s)


def test_x0_is_asked_before_eps_and_eps_has_the_last_word(run):
    hooks = Hooks({"x0": lambda value, t: torch.zeros_like(value), "eps": lambda value, t: torch.ones_like(value)})
    p = run(hooks=hooks)[0].prediction
    assert (p.eps == 1).all() and not (p.x0 == 0).any()


def test_the_model_sees_the_replaced_time_and_state(cosine, small_denoiser):
    asked = []

    def denoise(x_t, t):
        asked.append((x_t.clone(), float(t)))
        return small_denoiser(cosine, "v")(x_t, t)

    hooked, _ = Hooks({"x_t": lambda x, t: x + 1, "t": lambda value, t: value / 2}).on(denoise, cosine)
    x = torch.zeros(4, 2, dtype=torch.float64)
    p = hooked(x, torch.tensor(0.8, dtype=torch.float64))
    assert torch.equal(asked[0][0], x + 1) and asked[0][1] == 0.4
    alpha, sigma = cosine.at(0.8)
    torch.testing.assert_close(alpha * p.x0 + sigma * p.eps, x, rtol=0, atol=1e-12)
    told = small_denoiser(cosine, "v")(x + 1, torch.tensor(0.4, dtype=torch.float64))
    torch.testing.assert_close(p.velocity, told.velocity)


def test_a_wrong_state_or_time_stays_finite_where_no_signal_is_left(small_denoiser, generator):
    flow = make_schedule("flow")
    x = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    for hooks in (Hooks({"t": lambda value, t: value * 0.7}), Hooks({"x_t": lambda value, t: value + 0.1})):
        denoise, edit = hooks.on(small_denoiser(flow, "velocity"), flow)
        for step in walk(denoise, ddim(flow), x, flow.times(10), generator, edit):
            assert float(step.x_s.abs().max()) < 10


def test_hooks_work_within_their_times_and_leave_the_rest(run):
    calls = []
    places = {"x0": lambda value, t: calls.append(float(t)) or value * 0, "x_s": lambda _, t: calls.append(float(t))}
    hooks = Hooks(places, begin=0.5, end=0.25)
    changed, plain = run(hooks=hooks), run()
    assert calls == [0.5, 0.5, 0.375, 0.375, 0.25, 0.25]
    assert same(changed[:4], plain[:4])
    assert (changed[4].prediction.x0 == 0).all() and not (changed[7].prediction.x0 == 0).any()


def test_hooks_come_after_the_edit(run):
    seen = []
    run(edit=drop_noise, hooks=Hooks({"std": lambda value, t: seen.append(float(value))}))
    assert seen == [0.0] * 8


def test_nothing_is_left_behind(run):
    before = run()
    run(hooks=Hooks({"x0": lambda value, t: value * 0}))
    assert same(run(), before)


def test_an_unknown_place_is_refused_naming_those_there_are():
    with pytest.raises(ValueError) as error:
        Hooks({"x_1": lambda value, t: None})
    assert all(name in str(error.value) for name in ("'x_1'", *PLACES))


@pytest.mark.parametrize("place", PLACES)
def test_a_replacement_of_another_shape_is_refused_naming_place_and_shapes(run, place):
    with pytest.raises(ValueError) as error:
        run(hooks=Hooks({place: lambda value, t: torch.zeros(3, 5)}))
    given = "()" if place in ("t", "std") else "(4, 2)"
    assert repr(place) in str(error.value) and "(3, 5)" in str(error.value) and given in str(error.value)
