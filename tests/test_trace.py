"""A trace: every timestep, within its budget, in one safe file."""

from __future__ import annotations

import json
import os
import pickle
import stat

import pytest
import torch
from safetensors.torch import save_file

from core.doors.tensors import read_tensors
from core.edits import drop_noise
from core.reverse import walk
from core.samplers import ddim, make_sampler
from core.schedules import make_schedule
from core.trace import FORMAT, QUANTITIES, Trace


@pytest.fixture
def steps(small_denoiser):
    """(count, shape, dtype) → the steps of a walk."""

    def take(count: int = 10, shape=(4, 2), dtype=torch.float64):
        schedule = make_schedule("cosine")
        denoiser = small_denoiser(schedule, "v", shape[1:]).to(dtype)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
        return list(walk(denoiser, ddim(schedule, 1.0), x, schedule.times(count), torch.Generator().manual_seed(2)))

    return take


def same(one: Trace, other: Trace) -> bool:
    return (
        one.keep == other.keep and one.every == other.every and one.about == other.about and len(one) == len(other)
        and all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one.keep)
        and all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("t", "s", "std", "final"))
    )


def test_every_quantity_of_every_step_is_there(steps):
    walked = steps()
    trace = Trace.record(walked)
    assert len(trace) == 10
    for k, step in enumerate(walked):
        assert torch.equal(trace["x_t"][k], step.x_t) and torch.equal(trace["x0"][k], step.prediction.x0)
        assert torch.equal(trace["eps"][k], step.prediction.eps) and torch.equal(trace["mean"][k], step.mean)
        assert torch.equal(trace["noise"][k], step.noise)
        assert (trace.t[k], trace.s[k], trace.std[k]) == (step.t, step.s, step.std)
    assert torch.equal(trace.final, walked[-1].x_s)
    # So the next state can be worked out from it, bit for bit.
    std = trace.std.view(-1, 1, 1)
    assert torch.equal((trace["mean"] + std * trace["noise"])[:-1], trace["x_t"][1:])


@pytest.mark.parametrize("shape", [(4, 2), (3, 1, 6, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_saved_is_loaded_bit_for_bit(steps, tmp_path, shape, dtype):
    about = {"data": "trex", "seed": 3, "schedule": "cosine", "ε": [1, 2.5, None]}
    trace = Trace.record(steps(6, shape, dtype), about=about)
    path = trace.save(tmp_path / "a.safetensors")
    assert path == tmp_path / "a.safetensors" and same(Trace.load(path), trace)
    assert os.listdir(tmp_path) == ["a.safetensors"]


@pytest.mark.parametrize("every, kept", [(1, 10), (2, 5), (3, 4), (10, 1), (99, 1)])
def test_every_kth_step_is_kept_and_the_end_all_the_same(steps, tmp_path, every, kept):
    walked = steps()
    trace = Trace.record(walked, every=every)
    assert len(trace) == kept
    assert trace.t.tolist() == [float(step.t) for step in walked[::every]]
    assert torch.equal(trace["x_t"], torch.stack([step.x_t for step in walked[::every]]))
    assert torch.equal(trace.final, walked[-1].x_s)
    assert same(Trace.load(trace.save(tmp_path / "t.safetensors")), trace)


def test_only_the_chosen_quantities_are_kept(steps, tmp_path):
    trace = Trace.record(steps(), keep=("x0", "noise"))
    assert trace.nbytes == 2 * 10 * 4 * 2 * 8
    with pytest.raises(KeyError, match="no 'x_t'; it kept x0, noise"):
        trace["x_t"]
    assert Trace.load(trace.save(tmp_path / "t.safetensors")).keep == ("x0", "noise")


def test_a_part_is_the_whole_cut(steps):
    trace = Trace.record(steps())
    assert torch.equal(trace.part("eps", 3, 6), trace["eps"][3:6])


def test_it_grows_while_the_walk_runs(steps):
    trace, seen = Trace(), []
    for step in steps(4):
        trace.add(step)
        seen.append((len(trace), torch.equal(trace.final, step.x_s), len(trace["x_t"])))
    assert seen == [(k, True, k) for k in (1, 2, 3, 4)]


def test_an_empty_trace_has_no_steps_and_is_not_saved(tmp_path):
    trace = Trace()
    assert len(trace) == 0 and trace.nbytes == 0 and len(trace["x_t"]) == 0
    with pytest.raises(ValueError, match="empty: record at least one step"):
        trace.save(tmp_path / "t.safetensors")
    assert not os.listdir(tmp_path)


def test_a_budget_is_never_exceeded_and_says_how_to_fit(steps):
    walked = steps()
    one = 5 * 4 * 2 * 8  # quantities × samples × dimensions × bytes
    Trace.record(walked, budget=10 * one)
    with pytest.raises(ValueError, match=r"full after 9 steps: its budget is 3,199 bytes.*every k-th"):
        Trace.record(walked, budget=10 * one - 1)


@pytest.mark.parametrize("budget, every", [(3200, 1), (3199, 2), (1600, 2), (1599, 3), (320, 10), (100_000, 1)])
def test_fit_names_the_smallest_stride_that_stays_within_the_budget(steps, budget, every):
    got = Trace.fit((4, 2), 10, budget, itemsize=8)
    assert got == every
    trace = Trace.record(steps(), every=got, budget=budget)
    assert trace.nbytes <= budget
    if got > 1:
        with pytest.raises(ValueError, match="full"):
            Trace.record(steps(), every=got - 1, budget=budget)


def test_fit_counts_the_chosen_quantities_and_float32_by_default():
    assert Trace.fit((100, 1, 8, 8), 50, 50 * 100 * 64 * 4, keep=("x0",)) == 1
    assert Trace.fit((100, 1, 8, 8), 50, 50 * 100 * 64 * 4, keep=("x0", "eps")) == 2


def test_a_budget_too_small_for_one_step_is_refused():
    with pytest.raises(ValueError, match=r"one step of shape \(4, 2\) takes 160 bytes and the budget is 100"):
        Trace.fit((4, 2), 10, 100)


@pytest.mark.parametrize("given, words", [
    (dict(keep=("x_t", "score")), ("'score'", *QUANTITIES)),
    (dict(keep=()), ("nothing", *QUANTITIES)),
    (dict(every=0), ("every = 0",)),
])
def test_what_cannot_be_kept_is_refused(given, words):
    with pytest.raises(ValueError) as error:
        Trace.record([], **given)
    assert all(word in str(error.value) for word in words)


def test_a_trace_holds_no_memory_of_the_network(steps):
    trace = Trace.record(steps(3))
    assert not any(trace[name].requires_grad for name in QUANTITIES)


class Running:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_a_pickle_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Running()))
    with pytest.raises(ValueError, match="evil.pt is no safetensors file.*Trace.save"):
        Trace.load(tmp_path / "evil.pt")
    torch.save({"x": torch.zeros(2)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="weights.pt is no safetensors file"):
        Trace.load(tmp_path / "weights.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(steps, tmp_path, share):
    path = Trace.record(steps()).save(tmp_path / "t.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match="t.safetensors is no safetensors file"):
        Trace.load(path)


def header(**other) -> dict[str, str]:
    return {"format": FORMAT, "every": "1", "end": "0.0", "about": "{}"} | other


TIMES = {name: torch.ones(3) for name in ("t", "s", "std")}
WHOLE = {"x0": torch.zeros(3, 4, 2), "final": torch.zeros(4, 2)} | TIMES


@pytest.mark.parametrize("tensors, about, words", [
    (WHOLE, None, ("no Noisescope trace", FORMAT)),
    (WHOLE, {"format": "pt"}, ("no Noisescope trace", "'pt'")),
    ({k: v for k, v in WHOLE.items() if k != "final"}, header(), ("not a whole trace", "x0")),
    ({k: v for k, v in WHOLE.items() if k != "x0"}, header(), ("not a whole trace",)),
    (WHOLE | {"t": torch.ones(2)}, header(), ("not a whole trace", "t (2,)", "s (3,)")),
    (WHOLE | {"final": torch.zeros(5, 2)}, header(), ("not a whole trace", "(5, 2)")),
    (WHOLE | {"t": torch.ones(3, 2)}, header(), ("not a whole trace",)),
    (WHOLE, header(every="often"), ("'often'",)),
    (WHOLE, header(about="{"), ("header",)),
    (WHOLE, header(about="[1]"), ("about",)),
    (WHOLE, {"format": FORMAT}, ("every",)),
    (WHOLE, header(every="0"), ("every is 0",)), (WHOLE, header(end="nan"), ("end nan",)),
    (WHOLE, header(end="soon"), ("in its header, 'end' is 'soon'; it must be a number",)),
    (WHOLE, header(about="[" * 1000 + "]" * 1000), ("nested 1,000 deep",)),
    (WHOLE | {"t": torch.full((3,), torch.nan)}, header(), ("'t' holds NaN",)),
    (WHOLE | {"x0": torch.zeros(3, 4, 2, dtype=torch.int8)}, header(), ("'x0' is int8",)),
    (WHOLE | {"final": torch.zeros(4, 2, dtype=torch.complex64)}, header(), ("'final' is complex64",)),
])
def test_a_file_that_is_no_whole_trace_is_refused_saying_what_it_is(tmp_path, tensors, about, words):
    path = tmp_path / "other.safetensors"
    save_file(tensors, path, metadata=about)
    with pytest.raises(ValueError) as error:
        Trace.load(path)
    assert all(word in str(error.value) for word in ("other.safetensors", *words)), error.value


@pytest.mark.parametrize("length, text, words", [
    (1 << 60, b"{}", "its header is no safetensors header"), (0, b"{}", "its header is no safetensors header"),
    (None, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested 100,000 deep"),
    (None, b" " * 11_000_000, "more than 10,000,000 bytes"),
])  # fmt: skip
def test_a_header_is_looked_at_before_it_is_parsed(tmp_path, length, text, words):
    path = tmp_path / "t.safetensors"
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text)
    with pytest.raises(ValueError, match=words):
        Trace.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Trace.load(tmp_path / "nowhere.safetensors")


def test_nothing_half_written_is_left_and_the_old_file_stays_when_saving_fails(steps, tmp_path, monkeypatch):
    path = Trace.record(steps(3)).save(tmp_path / "t.safetensors")
    before = path.read_bytes()

    def full_disk(tensors, where, metadata):
        with open(where, "wb") as file:
            file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("core.trace.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        Trace.record(steps(4)).save(path)
    assert os.listdir(tmp_path) == ["t.safetensors"] and path.read_bytes() == before


def test_what_json_cannot_say_leaves_no_file(steps, tmp_path):
    with pytest.raises(TypeError):
        Trace.record(steps(3), about={"data": torch.zeros(2)}).save(tmp_path / "t.safetensors")
    assert not os.listdir(tmp_path)


def test_a_saved_trace_can_be_read_by_whoever_can_read_its_neighbours(steps, tmp_path):
    (tmp_path / "neighbour").write_text("")
    path = Trace.record(steps(3)).save(tmp_path / "t.safetensors")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "neighbour").stat().st_mode)


def test_the_header_is_plain_json(steps, tmp_path):
    path = Trace.record(steps(3), about={"seed": 1}).save(tmp_path / "t.safetensors")
    raw = path.read_bytes()
    said = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert said["__metadata__"] == {"format": FORMAT, "every": "1", "end": "0.0", "about": '{"seed": 1}'}


def test_a_thinned_trace_knows_where_it_arrived_and_shows_that_in_a_notebook(steps, tmp_path):
    from core.views.bare import bare_scene
    from core.views.notebook import gif

    walked = list(steps(5))
    trace = Trace.load(Trace.record(walked, every=3).save(tmp_path / "t.safetensors"))
    assert trace.end == float(walked[-1].s) != float(walked[3].s)
    scene = bare_scene(trace)
    assert scene.numbers["t"].tolist() == [float(walked[0].t), float(walked[3].t), trace.end]
    torch.testing.assert_close(torch.from_numpy(scene.panel("x_t").data[-1]), trace.final.float())
    assert gif(trace, size=32)[:6] == b"GIF89a"


@pytest.mark.parametrize("name", ["ddpm", "dpmpp_2m", "langevin"])
@pytest.mark.parametrize("every", [1, 2])
def test_each_step_tells_what_the_rule_made_it_with_and_the_file_keeps_it(name, every, small_denoiser, tmp_path):
    schedule, generator = make_schedule("cosine"), torch.Generator().manual_seed(2)
    rule, times = make_sampler(name, schedule, generator=generator), schedule.times(7, start=0.9)
    walked = list(walk(small_denoiser(schedule, "v"), rule, torch.ones(3, 2).double(), times, generator, drop_noise))
    plan = rule.plan(times)  # the same, known from the times alone
    assert all(step.coefficients == {key: float(values[k]) for key, values in plan.items()}
               for k, step in enumerate(walked))
    trace = Trace.record(walked, every=every)
    back = Trace.load(trace.save(tmp_path / "trace.safetensors"))
    for made in (trace.coefficients, back.coefficients):
        assert made.keys() == plan.keys() and all(torch.equal(made[key], plan[key][::every]) for key in plan)
    assert (trace.std == 0).all() and (name == "dpmpp_2m" or (plan["std"] > 0).any())  # an edit changes the step alone


def test_a_trace_of_before_coefficients_were_kept_opens(steps, tmp_path):
    trace = Trace.record(steps())
    path = trace.save(tmp_path / "trace.safetensors")
    header, tensors = read_tensors(path)
    save_file({key: value for key, value in tensors.items() if not key.startswith("coefficient.")}, path, header)
    assert same(Trace.load(path), trace) and Trace.load(path).coefficients == {}
