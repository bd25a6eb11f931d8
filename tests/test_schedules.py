"""Schedules against hand-written products, the papers' formulas and diffusers; grids of times; faults by name."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

from core.schedules import (
    SCHEDULES, SPACINGS, Discrete, Drawn, Flow, Schedule, VarianceExploding, ZeroTerminalSNR, linear_betas,
    make_schedule,
)

DISCRETE = ("cosine", "linear", "sigmoid")


def timesteps(T: int) -> torch.Tensor:
    return torch.arange(1, T + 1, dtype=torch.float64) / T


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("T", [50, 1000])
def test_a_table_of_betas_is_exact_at_every_timestep(name, T):
    schedule = make_schedule(name, T)
    alpha_bar, product = [], 1.0
    for beta in schedule.betas.tolist():
        product *= 1 - beta
        alpha_bar.append(product)
    wanted = torch.tensor(alpha_bar, dtype=torch.float64)
    alpha, sigma = schedule(timesteps(T))
    torch.testing.assert_close(alpha, wanted.sqrt(), rtol=1e-10, atol=0)
    torch.testing.assert_close(sigma, (1 - wanted).sqrt(), rtol=1e-10, atol=0)


@pytest.mark.parametrize("name, theirs", [("linear", "linear"), ("cosine", "squaredcos_cap_v2"), ("sigmoid", None)])
@pytest.mark.parametrize("T", [200, 1000])
def test_alpha_bar_equals_diffusers_whose_timestep_j_is_ours_at_j_plus_1(name, theirs, T):
    schedule = make_schedule(name, T)
    if theirs is None:  # they have other sigmoid betas; their product of ours must still be our alpha_bar
        peer = DDPMScheduler(T, trained_betas=schedule.betas.tolist())
    else:
        peer = DDPMScheduler(T, beta_schedule=theirs, beta_start=1e-4 * 1000 / T, beta_end=0.02 * 1000 / T)
    # Their table is float32, and small alpha_bar is a product of many roundings.
    torch.testing.assert_close(schedule.alpha_bar(timesteps(T)).float(), peer.alphas_cumprod, rtol=2e-4, atol=1e-7)


def test_linear_betas_are_those_of_the_ddpm_paper():
    betas = linear_betas(1000)
    assert betas[0] == pytest.approx(1e-4) and betas[-1] == pytest.approx(0.02)
    assert betas[499] == pytest.approx(1e-4 + (0.02 - 1e-4) * 499 / 999)


def test_cosine_is_the_formula_of_nichol_and_dhariwal_until_its_betas_are_clipped():
    t = timesteps(1000)[:-1]
    f = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    wanted = f / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    torch.testing.assert_close(make_schedule("cosine").alpha_bar(t), wanted, rtol=1e-9, atol=0)
    assert float(make_schedule("cosine").betas[-1]) == 0.999


def test_sigmoid_is_the_formula_of_jabri_and_chen_until_its_betas_are_clipped():
    def logistic(x):
        return 1 / (1 + math.exp(-x))

    schedule = make_schedule("sigmoid")
    for t in (0.001, 0.25, 0.5, 0.9, 0.999):
        wanted = (logistic(3) - logistic(-3 + 6 * t)) / (logistic(3) - logistic(-3))
        assert float(schedule.alpha_bar(torch.tensor(t, dtype=torch.float64))) == pytest.approx(wanted, rel=1e-9)


def test_flow_is_the_straight_path():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    alpha, sigma = Flow()(t)
    torch.testing.assert_close(alpha, 1 - t, rtol=0, atol=0)
    torch.testing.assert_close(sigma, t, rtol=0, atol=0)


@pytest.mark.parametrize("name", DISCRETE)
def test_between_two_timesteps_log_snr_is_linear(name):
    schedule = make_schedule(name, 40)
    k = torch.arange(1, 40, dtype=torch.float64)
    left, right = schedule.log_snr(k / 40), schedule.log_snr((k + 1) / 40)
    for share in (0.25, 0.5, 0.9):
        inside = schedule.log_snr((k + share) / 40)
        torch.testing.assert_close(inside, left + share * (right - left), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DISCRETE)
def test_below_the_first_timestep_the_variance_is_linear_and_joins_the_table(name):
    schedule = make_schedule(name, 100)
    first = schedule.betas[0].item()
    for share in (0.1, 0.5, 0.999999):
        sigma = schedule(torch.tensor(share / 100, dtype=torch.float64))[1]
        assert float(sigma**2) == pytest.approx(share * first, rel=1e-9)


def test_discrete_schedules_keep_the_variance():
    t = torch.linspace(0, 1, 997, dtype=torch.float64)
    for name in DISCRETE:
        alpha, sigma = make_schedule(name)(t)
        torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t), rtol=0, atol=1e-12)


def test_time_0_is_the_data(schedule):
    alpha, sigma = schedule(torch.zeros((), dtype=torch.float64))
    assert float(alpha) == 1 and float(sigma) == 0


def test_shape_and_dtype_of_t_are_kept(schedule):
    for dtype in (torch.float32, torch.float64):
        alpha, sigma = schedule(torch.rand(3, 2).to(dtype))
        assert alpha.shape == sigma.shape == (3, 2) and alpha.dtype == sigma.dtype == dtype


def test_one_time_as_floats_is_the_same_as_one_time_as_a_tensor(schedule):
    for t in (0.0, 0.001, 0.1234, 0.5, 1.0):
        alpha, sigma = schedule(torch.tensor(t, dtype=torch.float64))
        # Asked twice: the second answer is remembered.
        assert schedule.at(t) == schedule.at(torch.tensor(t, dtype=torch.float64)) == (float(alpha), float(sigma))


def test_snr_and_its_logarithm_agree(schedule):
    t = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)
    torch.testing.assert_close(schedule.snr(t).log(), schedule.log_snr(t), rtol=1e-9, atol=1e-9)
    assert schedule.log_snr(torch.zeros(())) == math.inf


def test_t_at_inverts_log_snr(schedule):
    t = torch.linspace(0.002, 0.998, 333, dtype=torch.float64)
    torch.testing.assert_close(schedule.t_at(schedule.log_snr(t)), t, rtol=0, atol=1e-5)
    ends = schedule.t_at(torch.tensor([1e9, -1e9], dtype=torch.float64))
    signal_at_1 = schedule.at(1.0)[0] > 0
    assert 0 < float(ends[0]) < 0.001 and (ends[1] == 1 if signal_at_1 else 0.999 < float(ends[1]) < 1)


def test_t_at_by_formula_is_t_at_by_the_general_table(schedule):
    # The table's own interpolation is good to a part of its cells; log-SNR is steep at both ends.
    levels = schedule.log_snr(torch.linspace(0.01, 0.98, 200, dtype=torch.float64))
    torch.testing.assert_close(schedule.t_at(levels), Schedule.t_at(schedule, levels), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("T", [50, 1000])
def test_beta_gives_the_table_back(name, T):
    schedule = make_schedule(name, T)
    torch.testing.assert_close(schedule.beta(timesteps(T)), schedule.betas, rtol=1e-6, atol=1e-12)


def test_any_number_of_linear_timesteps_ends_at_about_the_same_noise():
    full = float(make_schedule("linear", 1000).log_snr(torch.ones(())))
    for T in (100, 250, 4000):
        assert float(make_schedule("linear", T).log_snr(torch.ones(()))) == pytest.approx(full, abs=1.5)


def test_unscaled_betas_are_ddpms_at_a_thousand_timesteps_and_leave_most_of_the_data_at_few():
    torch.testing.assert_close(make_schedule("unscaled", 1000).betas, linear_betas(1000))
    short = make_schedule("unscaled", 3)  # by hand: 0.9999 · 0.98995 · 0.98
    assert float(short.alpha_bar(torch.ones((), dtype=torch.float64))) == pytest.approx(0.9999 * 0.98995 * 0.98)
    problem, = make_schedule("unscaled", 50).check()
    assert "alpha = 0.776 at t = 1" in problem and "scale the betas by 1000/T" in problem


def test_betas_in_another_order_leave_as_much_at_the_end_and_not_on_the_way():
    usual, turned = make_schedule("linear"), make_schedule("reversed")
    torch.testing.assert_close(turned.betas.flip(0), usual.betas)
    assert turned.at(1.0)[0] == pytest.approx(usual.at(1.0)[0])
    # ᾱ(1) = ᾱ(t) · the product of the other steps, which are the first 1 − t of the schedule turned round
    assert turned.at(0.25)[0] * usual.at(0.75)[0] == pytest.approx(usual.at(1.0)[0])


@pytest.mark.parametrize("name, T", [(n, T) for n in SCHEDULES for T in (50, 1000) if (n, T) != ("unscaled", 50)])
def test_nothing_is_wrong_with_the_schedules_that_ship(name, T):
    assert make_schedule(name, T).check() == []


class Made(Schedule):
    """A schedule from any two functions, to be faulty with."""

    name, T = "made", 100

    def __init__(self, alpha, sigma):
        self.alpha, self.sigma = alpha, sigma

    def __call__(self, t):
        return self.alpha(t), self.sigma(t)


def of_alpha(alpha) -> Made:
    return Made(alpha, lambda t: (1 - alpha(t) ** 2).clamp(min=0).sqrt())


@pytest.mark.parametrize("faulty, words", [
    (of_alpha(lambda t: (1 - t + 0.2 * torch.sin(9 * t) * t * (1 - t)).clamp(0, 1) ** 2 + 0.3 * (t > 0.7) * (1 - t)),
     ("not monotone", "after t = 0.70")),
    (Made(lambda t: (1 - 2 * t).clamp(min=0), lambda t: t), ("beta", "t = 0.500", "below 1")),
    (Discrete("unscaled", linear_betas(1000)[:100]), ("terminal SNR", "1000/T")),
    (Made(lambda t: 1 - t, lambda t: t.log()), ("not a finite number",)),
    (Made(lambda t: t.log(), lambda t: t), ("not a finite number",)),
    (Made(lambda t: torch.cos(math.pi * t), lambda t: t), ("negative",)),
    (Made(lambda t: 0.9 - 0.9 * t, lambda t: 0.2 + 0.8 * t), ("at t = 0", "alpha = 0.9", "sigma = 0.2")),
])
def test_check_names_the_fault(faulty, words):
    said = faulty.check()
    assert any(all(word in sentence for word in words) for sentence in said), said


def test_check_says_one_thing_for_one_fault():
    assert len(Discrete("unscaled", linear_betas(1000)[:100]).check()) == 1
    # A table that rises only where its last beta makes alpha 0 is no fault: that is zero terminal SNR.
    assert Flow(100).check() == []


@pytest.mark.parametrize("betas, words", [
    ([0.1, 1.0, 0.1], ("beta 1", "timestep 2 of 3", "(0, 1)")),
    ([0.1, 0.2, -0.1], ("beta -0.1", "timestep 3 of 3")),
    ([math.nan, 0.2], ("nan", "timestep 1 of 2")),
    ([0.1], ("shape (1,)", "at least 2")),
])
def test_a_beta_that_cannot_be_is_named_with_its_timestep(betas, words):
    with pytest.raises(ValueError) as error:
        Discrete("mine", torch.tensor(betas))
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("name, T, words", [
    ("cosin", 1000, ("'cosin'", "cosine", "flow")),
    ("linear", 20, ("T = 20", "linear", "21")),
    ("cosine", 1, ("T = 1", "2")),
    ("flow", 10_001, ("10001", "10000")),
])
def test_a_schedule_that_cannot_be_made_is_refused_naming_what_can(name, T, words):
    with pytest.raises(ValueError) as error:
        make_schedule(name, T)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_grid_descends_to_0_in_so_many_steps(schedule, spacing):
    for steps in (1, 2, 7, 50, 1000):
        times = schedule.times(steps, spacing)
        assert times.shape == (steps + 1,) and times.dtype == torch.float64
        assert (times.diff() < 0).all() and 0 < times[0] <= 1 and times[-1] == 0


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("steps", [1, 10, 30, 50, 999, 1000])
def test_uniform_and_leading_are_the_timesteps_of_diffusers(name, steps):
    schedule = make_schedule(name)
    for spacing, theirs in (("trailing", "trailing"), ("leading", "leading")):
        peer = DDIMScheduler(1000, timestep_spacing=theirs)
        peer.set_timesteps(steps)
        ours = schedule.times(steps, spacing)[:-1] * 1000 - 1
        torch.testing.assert_close(ours, peer.timesteps.double(), rtol=0, atol=1e-9)


def test_uniform_begins_at_all_noise_and_leading_below_it():
    schedule = make_schedule("cosine")
    assert schedule.times(50)[0] == 1 and float(schedule.times(50, "leading")[0]) == pytest.approx(0.981)


def test_log_snr_grid_has_equal_strides_of_log_snr_down_to_the_first_timestep(schedule):
    times = schedule.times(20, "log_snr")
    strides = schedule.log_snr(times[:-1]).diff()
    torch.testing.assert_close(strides, strides.mean().expand_as(strides), rtol=1e-2, atol=0)
    assert float(times[-2]) == pytest.approx(1 / schedule.T, rel=1e-3)


def test_from_a_later_timestep_there_are_only_so_many_steps():
    with pytest.raises(ValueError, match="600 sampling steps asked for from t = 0.5.*1 to 500"):
        make_schedule("cosine").times(600, start=0.5)
    assert len(make_schedule("flow").times(600, start=0.5)) == 601


@pytest.mark.parametrize("steps, start", [(10, 0.5), (250, 0.5), (1, 0.3), (3, 0.004), (499, 0.999)])
def test_a_walk_can_start_anywhere_below_all_noise(schedule, steps, start):
    for spacing in SPACINGS:
        times = schedule.times(steps, spacing, start)
        assert len(times) == steps + 1 and (times.diff() < 0).all() and times[-1] == 0
        assert float(times[0]) <= start + 1e-9
        if spacing != "leading":
            assert float(times[0]) == pytest.approx(start)
        if schedule.discrete and spacing in ("trailing", "leading"):
            torch.testing.assert_close((times * 1000).round() / 1000, times, rtol=0, atol=1e-12)


@pytest.mark.parametrize("given, words", [
    (dict(steps=0), ("0 sampling steps", "1 to 1000")),
    (dict(steps=1001), ("1001 sampling steps", "1 to 1000")),
    (dict(steps=5, spacing="even"), ("'even'", *SPACINGS)),
    (dict(steps=5, start=0.0), ("start is 0", "(0, 1]")),
    (dict(steps=5, start=1.5), ("start is 1.5", "(0, 1]")),
    ])
def test_a_grid_that_does_not_fit_is_refused_naming_what_does(schedule, given, words):
    with pytest.raises(ValueError) as error:
        schedule.times(**given)
    assert all(word in str(error.value) for word in words), error.value


def test_a_walk_starts_one_timestep_below_all_noise_only_where_eps_says_nothing_of_x0():
    assert make_schedule("flow").start_for("eps") == 0.999
    assert make_schedule("flow").start_for("velocity") == 1
    assert make_schedule("zero_snr").start_for("eps") == 0.999 and make_schedule("zero_snr").start_for("v") == 1
    assert make_schedule("ve").start_for("eps") == 1
    assert make_schedule("cosine").start_for("eps") == 1


# --- EDM's schedule and grid --------------------------------------------------------------------------------------


def edm_sigmas(steps: int, least: float = 0.002, most: float = 80.0) -> list[float]:
    """Karras et al. 2022, eq. 5, and the 0 after it."""
    first, last = most ** (1 / 7), least ** (1 / 7)
    return [(first + i / (steps - 1) * (last - first)) ** 7 for i in range(steps)] + [0.0]


@pytest.mark.parametrize("T", [40, 1000])
def test_the_timesteps_of_the_exploding_schedule_are_edms_grid_of_as_many(T):
    schedule = make_schedule("ve", T)
    alpha, sigma = schedule(schedule.times(T))
    assert (alpha == 1).all()
    torch.testing.assert_close(sigma, torch.tensor(edm_sigmas(T), dtype=torch.float64), rtol=1e-9, atol=0)


@pytest.mark.parametrize("steps", [2, 18, 200])
def test_edms_spacing_is_edms_grid_whatever_the_schedule_was_trained_with(steps):
    sigma = make_schedule("ve")(make_schedule("ve").times(steps, "edm"))[1]
    torch.testing.assert_close(sigma, torch.tensor(edm_sigmas(steps), dtype=torch.float64), rtol=1e-9, atol=0)


def test_edms_spacing_has_equal_strides_of_the_seventh_root_of_the_noise_on_any_schedule(schedule):
    alpha, sigma = schedule(schedule.times(20, "edm")[:-1])
    strides = (sigma / alpha).pow(1 / 7).diff()
    torch.testing.assert_close(strides, strides.mean().expand_as(strides), rtol=1e-4, atol=0)
    assert float(schedule.times(20, "edm")[-2]) == pytest.approx(1 / schedule.T, rel=1e-6)


def test_below_the_first_timestep_exploding_noise_goes_to_0_along_a_line():
    schedule = VarianceExploding(100)
    for share in (0.0, 0.25, 1.0):
        assert schedule.at(share / 100)[1] == pytest.approx(0.002 * share)
    assert schedule.beta(torch.tensor([0.5])) == 0  # of a signal that is never made smaller


# --- no signal left at the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("T", [50, 1000])
def test_rescaling_to_zero_terminal_snr_is_diffusers(name, T):
    table = make_schedule(name, T)
    ours = ZeroTerminalSNR("mine", table)
    theirs = torch.cumprod(1 - rescale_zero_terminal_snr(table.betas), 0)
    torch.testing.assert_close(ours.alpha_bar(timesteps(T)), theirs, rtol=1e-9, atol=1e-15)


def test_rescaled_the_last_timestep_is_pure_noise_and_the_first_stays():
    before, after = make_schedule("linear"), make_schedule("zero_snr")
    assert after.at(1.0) == (0, 1) and before.at(1.0)[0] > 0.006
    assert after.at(0.001) == pytest.approx(before.at(0.001), rel=1e-12)
    t = torch.tensor([0.5, 1.0], dtype=torch.float64)
    assert [float(a) for a in after(t)[0]] == [after.at(0.5)[0], 0.0]  # of many times or of one
    assert float(after.beta(t)[1]) == 1


def test_between_timesteps_the_rescaled_schedule_is_continuous():
    schedule = make_schedule("zero_snr", 100)
    t = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    alpha, sigma = schedule(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t), rtol=0, atol=1e-12)
    assert (alpha.diff() <= 0).all() and alpha.diff().abs().max() < 2e-3 and sigma.diff().abs().max() < 8e-3


# --- a schedule drawn by hand -------------------------------------------------------------------------------------

KNOTS = ((0, 8), (0.25, 3), (0.5, 0), (1, -9))


def test_a_drawn_schedule_goes_through_its_knots_along_lines():
    schedule = Drawn(KNOTS)
    for (t, l), (s, m) in zip(KNOTS, KNOTS[1:]):
        for share in (0.01, 0.4, 1.0):
            time = torch.tensor(t + share * (s - t), dtype=torch.float64)
            assert float(schedule.log_snr(time)) == pytest.approx(l + share * (m - l), abs=1e-9)
    alpha, sigma = schedule(torch.linspace(0, 1, 999, dtype=torch.float64))
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(alpha), rtol=0, atol=1e-12)
    assert schedule.at(0.0) == (1, 0) and schedule.check() == []


def test_a_drawn_schedules_name_reads_back_as_the_same():
    schedule = Drawn([(0, 7.12345), (1 / 3, 0.5), (1, -8)], T=400)
    assert schedule.name == "drawn:0,7.123;0.3333,0.5;1,-8"
    again = make_schedule(schedule.name, 400)
    assert again.name == schedule.name and again.knots == schedule.knots and again.T == 400
    t = torch.linspace(0, 1, 77, dtype=torch.float64)
    assert all(torch.equal(a, b) for a, b in zip(schedule(t), again(t)))


def test_every_grid_works_on_a_drawn_schedule():
    for spacing in SPACINGS:
        times = Drawn(KNOTS).times(30, spacing)
        assert len(times) == 31 and (times.diff() < 0).all() and times[-1] == 0


def test_a_drawn_schedule_that_leaves_signal_where_sampling_starts_is_told_so_and_which_knot_to_move():
    said, = Drawn([(0, 8), (1, -1)]).check()
    assert "terminal SNR is 0.368" in said and "last knot" in said and "log-SNR of −4.7 or lower" in said
    assert "beta" not in said  # it has none that could be scaled
    assert Drawn([(0, 8), (1, -4.7)]).check() == [] != Drawn([(0, 8), (1, -4.6)]).check()


def test_what_to_do_about_signal_that_is_left_is_said_of_betas_only_where_there_are_betas():
    left = Made(lambda t: 1 - 0.5 * t, lambda t: t)
    assert any("terminal SNR" in said and "beta" not in said and "alpha fall" in said for said in left.check())
    assert "scale the betas by 1000/T" in Discrete("unscaled", linear_betas(1000)[:100]).check()[0]


@pytest.mark.parametrize("name, words", [
    ("drawn:", ("'drawn:'", "drawn:0,8;0.5,0;1,-9")),
    ("drawn:0,8", ("1 knots", "2 to 12")),
    ("drawn:0,8;1", ("'drawn:0,8;1'",)),
    ("drawn:0,8;x,0;1,-9", ("'drawn:0,8;x,0;1,-9'", "log-SNR")),
    ("drawn:0,8;0.5,9;1,-9", ("knot (0.5, 9) after (0, 8)", "log-SNR fall")),
    ("drawn:0,8;0.5,0;0.5,-1;1,-9", ("knot (0.5, -1) after (0.5, 0)", "t must grow")),
    ("drawn:0.1,8;1,-9", ("t = 0.1 to 1", "at t = 0")),
    ("drawn:0,8;0.9,-9", ("t = 0 to 0.9", "at t = 1")),
    ("drawn:0,25;1,-9", ("knot (0, 25)", "−20 … 20")),
    ("drawn:0,nan;1,-9", ("knot (0, nan)",)),
    ("drawn:0,8;1,2", ("from 8 to 2", "ends below 0")),
    ("drawn:" + ";".join(f"{k / 12},{8 - k}" for k in range(13)), ("13 knots",)),
])
def test_knots_that_cannot_be_are_named(name, words):
    with pytest.raises(ValueError) as error:
        make_schedule(name)
    assert all(word in str(error.value) for word in words), error.value
