"""Watching somebody's loop: what is seen, and that nothing is changed by it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import _get_current_function_mode_stack

from core.debug import Place, Run, sums, watch
from core.debug.closed_forms import LEVELS_TOLD
from core.debug.identify import levels_of
from core.debug.record import Train
from core.debug.tape import Tape

T = 100
BETAS = torch.linspace(1e-3, 0.2, T)
ALPHA_BAR = (1 - BETAS).cumprod(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 32), nn.SiLU(), nn.Linear(32, 2))

    def forward(self, x, t):
        u = t[:, None].float() / T
        return self.layers(torch.cat([x, u, (6 * u).sin(), (6 * u).cos()], 1))


def data(n):
    return torch.randint(0, 2, (n, 2)) * 1.6 - 0.8 + 0.05 * torch.randn(n, 2)


def train(net, steps=40, batch=64):
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        x0, t = data(batch), torch.randint(0, T, (batch,))
        eps = torch.randn_like(x0)
        x_t = ALPHA_BAR[t].sqrt()[:, None] * x0 + (1 - ALPHA_BAR[t]).sqrt()[:, None] * eps
        loss = F.mse_loss(net(x_t, t), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def sample(net, n=16, first=T):
    x = torch.randn(n, 2)
    for i in reversed(range(first)):
        out = net(x, torch.full((n,), i))
        x = (x - BETAS[i] / (1 - ALPHA_BAR[i]).sqrt() * out) / (1 - BETAS[i]).sqrt()
        if i:
            x = x + BETAS[i].sqrt() * torch.randn_like(x)
    return x


def hooks(net):
    return [len(h) for m in net.modules() for h in (m._forward_hooks, m._forward_pre_hooks)]


@pytest.fixture(scope="module")
def run() -> Run:
    torch.manual_seed(0)
    net = Net()
    with watch(net) as run:
        train(net)
        sample(net)
    return run


def test_a_plain_ddpm_is_healthy_and_its_numbers_are_read_to_rounding(run):
    assert not run.facts["faults"] and len(run.trains) == 40
    call = run.trains[7]
    exact = ALPHA_BAR[call.t.astype(int)].double()
    assert torch.allclose(torch.tensor(call.alpha), exact.sqrt(), atol=1e-6)
    assert torch.allclose(torch.tensor(call.sigma), (1 - exact).sqrt(), atol=1e-6)
    assert (call.u == 0).all() and (call.v == 1).all() and call.left.max() < 1e-12
    terms = {t.kind: t.factor for t in run.walks[0].calls[50].arrival.terms}
    i = T - 50
    assert terms["x"] == pytest.approx(float((1 - BETAS[i]) ** -0.5), rel=1e-5)
    assert terms["out"] == pytest.approx(float(-BETAS[i] / ((1 - ALPHA_BAR[i]) * (1 - BETAS[i])).sqrt()), rel=1e-5)
    assert terms["z"] == pytest.approx(float(BETAS[i].sqrt()), rel=1e-5)
    report = run.diagnose()
    assert report.healthy and report.exit_code == 0, report


def test_results_are_the_same_to_the_last_bit_with_and_without():
    def work(watched):
        torch.manual_seed(1)
        net = Net()
        if watched:
            with watch(net):
                train(net, 10)
                out = sample(net, first=20)
        else:
            train(net, 10)
            out = sample(net, first=20)
        return [*net.parameters(), out, torch.rand(3)]

    assert all(torch.equal(a, b) for a, b in zip(work(True), work(False)))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_hooks_and_modes_are_gone_after_an_exception(error):
    net = Net()
    with pytest.raises(error):
        with watch(net):
            train(net, 2)
            raise error
    assert not any(hooks(net)) and not _get_current_function_mode_stack()


def test_a_network_that_raises_is_let_go_of_too():
    net = Net()
    with watch(net):
        with pytest.raises(RuntimeError):
            net(torch.zeros(3, 7), torch.zeros(3))
        train(net, 2)
    assert not any(hooks(net)) and not _get_current_function_mode_stack()


def test_it_can_be_entered_again_nested_and_around_a_generator():
    net, other = Net(), Net()
    spy = watch(net)
    with spy as run, spy, watch(other) as second:
        train(net, 3)
        train(other, 2)
    with spy:
        train(net, 3)
    assert (run.facts["training_calls"], second.facts["training_calls"]) == (6, 2)

    def steps():
        with watch(net) as inner:
            for _ in range(2):
                train(net, 1)
                yield inner

    going = steps()
    next(going)
    with watch(other):  # the generator ends while another mode stands above its own
        assert next(going).facts["training_calls"] == 2
        going.close()
        train(other, 1)
    assert not any(hooks(net)) and not any(hooks(other)) and not _get_current_function_mode_stack()


def test_it_is_a_decorator():
    net = Net()
    spy = watch(net)
    spy(train)(net, 4)
    assert spy.run.facts["training_calls"] == 4 and not any(hooks(net))


def test_a_copy_made_inside_is_watched_and_let_go_and_a_pickle_knows_nothing():
    net = Net()
    with watch(net) as run:
        train(net, 2)
        ema, unused, text = copy.deepcopy(net), copy.deepcopy(net), pickle.dumps(net)
        sample(ema, first=10)
    assert run.networks[1]["copy"] and run.walks[0].calls[0].facts["network"] == 1
    assert not any(hooks(ema)) and not any(hooks(unused))
    assert torch.equal(pickle.loads(text)(torch.ones(1, 2), torch.ones(1)), net(torch.ones(1, 2), torch.ones(1)))


def test_nothing_seen_is_not_health():
    with watch(Net()) as run:
        pass
    report = run.diagnose()
    assert not report.seen and not report.healthy and report.exit_code == 2 and report.unknown


def test_what_is_no_network_is_refused_with_a_sentence():
    with pytest.raises(TypeError, match="cannot watch a int"):
        watch(3)


def test_a_run_fed_by_hand_says_the_same(run):
    torch.manual_seed(0)
    net, mine = Net(), Run()
    for _ in range(30):
        x0, t = data(64), torch.randint(0, T, (64,))
        eps = torch.randn_like(x0)
        x_t = ALPHA_BAR[t].sqrt()[:, None] * x0 + (1 - ALPHA_BAR[t]).sqrt()[:, None] * eps
        mine.train(x_t=x_t, t=t, output=net(x_t, t), target=eps, x0=x0.numpy(), noise=eps)
    x = torch.randn(16, 2)
    for i in reversed(range(T)):
        out = net(x, torch.full((16,), i)).detach()
        mean = (x - BETAS[i] / (1 - ALPHA_BAR[i]).sqrt() * out) / (1 - BETAS[i]).sqrt()
        z = torch.randn_like(x)
        x_s = mean + BETAS[i] * z if i else mean  # the variance where its root belongs
        mine.step(x_t=x, t=i, output=out, x_s=x_s, noise=z if i else None)
        x = x_s
    assert mine.diagnose().causes[0].place == Place.STEP_NOISE


def test_a_report_is_one_file_that_asks_for_nothing_else(run, tmp_path):
    text = run.report(tmp_path / "report.html").read_text()
    assert 'id="findings"' in text and 'id="part0"' in text  # what they hold is seen in a browser
    assert not any(word in text for word in ("https:", "src=", "href=", "@import", "url("))
    with pytest.raises(ValueError, match="let it end in .html"):
        run.report(tmp_path / "report.pdf")


class Noisy:
    """A preconditioned program: the network is given c_in·x_t and told ln(sigma/alpha); t runs over (0, 1)."""

    LEAST = 1e-3

    def __init__(self, net):
        self.net = net

    def levels(self, t):
        alpha = torch.exp(-6 * t**2)
        return alpha, (1 - alpha**2 + self.LEAST**2).sqrt()

    def denoise(self, x_t, t):
        alpha, sigma = (level[..., None] for level in self.levels(t))
        c_in = torch.rsqrt(alpha**2 + sigma**2)
        told = torch.log(sigma / alpha).reshape_as(t)
        return alpha * c_in**2 * x_t + sigma * c_in * self.net(c_in * x_t, told.reshape(-1).expand(len(x_t)))

    def loss(self, x, t):
        alpha, sigma = (level[..., None] for level in self.levels(t))
        mean = self.denoise(alpha * x + sigma * torch.randn_like(x), t)
        return (((alpha / sigma) ** 2 + 1) * (mean - x).square()).mean()

    @torch.no_grad()
    def sample(self, shape, steps=12, root=torch.sqrt):
        """DDPM from a draw about a mean of 0, down to t = 0, where a least sigma is left."""
        times = torch.linspace(1, 0, steps + 1)
        alpha, sigma = self.levels(times[0])
        mean, std = (alpha * 0.0).expand(shape), (alpha**2 + sigma**2).sqrt().expand(shape)
        x = mean + std * torch.randn_like(mean)
        for t, s in zip(times, times[1:]):
            (alpha_t, sigma_t), (alpha_s, sigma_s) = self.levels(t), self.levels(s)
            tau = 1 - (alpha_t / alpha_s * sigma_s / sigma_t) ** 2
            x0 = self.denoise(x, t)
            x = alpha_s * x0 + sigma_s * (1 - tau).sqrt() / sigma_t * (x - alpha_t * x0) \
                + sigma_s * root(tau) * torch.randn_like(x)
        return x


@pytest.mark.parametrize("root, places", [(torch.sqrt, []), (lambda tau: tau, [Place.STEP_NOISE])])
def test_a_preconditioned_network_that_is_told_the_noise_level_is_read_to_the_last_step(root, places):
    torch.manual_seed(0)
    net = Net()
    program, optimizer = Noisy(net), torch.optim.Adam(net.parameters(), 1e-3)
    with watch(net) as run:
        for _ in range(20):
            program.loss(data(64), torch.rand(64)).backward()
            optimizer.step()
            optimizer.zero_grad()
        program.sample((16, 2), root=root)
    report = run.diagnose()
    assert not run.facts["faults"] and len(run.trains) == 20 and len(report.identified["steps"]) == 11
    assert report.identified["levels"]["closed_form"] == "t = ln(sigma/alpha)"
    assert [cause.place for cause in report.causes] == places, report


@pytest.mark.parametrize("told, ratio", LEVELS_TOLD, ids=[told for told, _ in LEVELS_TOLD])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_levels_that_are_told_themselves_are_known_where_training_never_was(told, ratio, scale):
    """x0 + r·eps, times 1/√(sigma_data² + r²) but for a scale of 0; told is what makes r, far beyond those drawn."""
    t = np.linspace(0.2, 0.9, 50)
    size = np.sqrt(scale**2 + ratio(t) ** 2) if scale else np.ones(50)
    run = Run()
    run.trains.append(Train(t, 1 / size, ratio(t) / size))
    levels = levels_of(run)
    assert levels.told == told
    far = 1.3
    alpha, sigma = levels.closed(np.array([far]))
    assert sigma / alpha == pytest.approx(ratio(far)) and (
        alpha == 1 if not scale else scale**2 * alpha**2 + sigma**2 == pytest.approx(1))


def test_a_state_that_is_used_many_times_is_followed_once(monkeypatch):
    """x ← 0.5·x + 0.3·x − 0.1·x, 15 times: 3¹⁵ ways lead back to the first x, and no node is opened twice."""
    opened, open_up = [], sums.open_up
    monkeypatch.setattr(sums, "open_up", lambda node, clips=None: opened.append(node) or open_up(node, clips))
    with Tape() as tape:
        first = x = torch.randn(6, 2)
        for _ in range(15):
            x = 0.5 * x + 0.3 * x - 0.1 * x
    ((leaf, factor),) = sums.terms(tape.node(x))
    assert leaf is tape.node(first)
    torch.testing.assert_close(factor, torch.full((6,), 0.7**15, dtype=torch.float64), rtol=1e-6, atol=0)
    assert len(opened) == len({id(node) for node in opened}) < 100


@pytest.mark.parametrize("divide", [lambda x: 0.5 / x, lambda x: torch.ones(4, 2) / x, lambda x: torch.div(1.0 + x, x)])
def test_what_a_state_is_divided_by_is_no_factor_of_it(divide):
    with Tape() as tape:
        x = torch.randn(4, 2)
        y = divide(x)
    assert sums.divisor(tape.node(y)) is tape.node(x)


@pytest.mark.parametrize("guide, place", [(lambda u, c: u + 3 / (c - u), Place.GUIDANCE),
                                          (lambda u, c: 1 / (u + 3 * (c - u)), Place.STEP)])
def test_division_by_a_difference_of_outputs_is_guidances_and_by_what_it_gives_the_steps(guide, place):
    torch.manual_seed(0)
    net, other = Net(), Net()
    with watch(net, other) as run:
        train(net, 20)
        x = torch.randn(16, 2)
        with torch.no_grad():
            for i in reversed(range(0, T, 10)):
                t = torch.full((16,), i)
                x = ALPHA_BAR[i].rsqrt() * x - (1 - ALPHA_BAR[i]).sqrt() * guide(net(x, t), other(x, t))
    assert run.diagnose().causes[0].place == place


def test_a_run_comes_back_from_its_file(run, tmp_path):
    again = Run.load(run.save(tmp_path / "run.trace"))
    assert str(again.diagnose()) == str(run.diagnose())
