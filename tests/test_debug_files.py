"""Runs on disk: written by hand, by `save`, by an old Trace, and by somebody who means harm."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.cli import commands
from core.cli.parser import main
from core.debug import Place, Run
from core.debug.files import FORMAT, load

T = 50
BETAS = np.linspace(0.002, 0.4, T)
ALPHA_BAR = np.cumprod(1 - BETAS)


def arrays(std=np.sqrt) -> dict[str, np.ndarray]:
    """A DDPM in NumPy with the output of the best network for data of two points; `std` makes a step's std of beta."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, T, (30, 64))
    x0, eps = rng.choice([-1.0, 1.0], (30, 64, 2)), rng.normal(size=(30, 64, 2))
    a = ALPHA_BAR[t][..., None]
    x_t = np.sqrt(a) * x0 + np.sqrt(1 - a) * eps

    def net(x, i):
        b = ALPHA_BAR[i]
        return (x - np.sqrt(b) * np.tanh(x * np.sqrt(b) / (1 - b))) / np.sqrt(1 - b)

    out = np.stack([[net(x, i) for x, i in zip(xs, ts)] for xs, ts in zip(x_t, t)])
    states, outputs, nexts, noises, x = [], [], [], [], rng.normal(size=(32, 2))
    for i in reversed(range(T)):
        e, z = net(x, i), rng.normal(size=x.shape)
        states.append(x), outputs.append(e), noises.append(z)
        x = (x - BETAS[i] / np.sqrt(1 - ALPHA_BAR[i]) * e) / np.sqrt(1 - BETAS[i]) + (std(BETAS[i]) * z if i else 0)
        nexts.append(x)
    made = {
        "train/x_t": x_t,
        "train/t": t,
        "train/output": out,
        "train/target": eps,
        "train/x0": x0,
        "train/noise": eps,
        "walk/x_t": np.stack(states),
        "walk/t": np.arange(T)[::-1].copy(),
        "walk/output": np.stack(outputs),
        "walk/x_s": np.stack(nexts),
        "walk/noise": np.stack(noises),
    }
    return {name: np.ascontiguousarray(value) for name, value in made.items()}


def write(path, tensors, **header):
    save_file(tensors, path, {"format": FORMAT} | header)
    return path


def test_arrays_alone_are_a_trace_and_the_exit_code_says_healthy(tmp_path, capsys):
    path = write(tmp_path / "run.trace", arrays())
    report = Run.load(path).diagnose()
    assert report.healthy and {Place.FORWARD, Place.TARGET, Place.STEP, Place.STEP_NOISE} <= {*report.checked}
    assert main(["diagnose", str(path)]) == 0 and capsys.readouterr().out.startswith("Healthy")


def test_the_variance_in_the_place_of_the_std_is_named_with_exit_code_1(tmp_path, capsys):
    path = write(tmp_path / "run.trace", arrays(std=lambda beta: beta))
    assert main(["diagnose", str(path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["causes"][0]["place"] == "step_noise"
    assert "variance" in report["causes"][0]["says"]
    assert [line["verdict"] for line in report["algorithm"]["sampling"]].count("wrong") == 1


def test_a_script_of_the_museum_is_run_named_and_revealed(capsys, monkeypatch):
    monkeypatch.setattr(commands, "run_of_case", cache(lambda case, seed: case.run(seed=seed, steps=40, samples=32)))
    assert main(["diagnose", "--bug", "flow-backwards", "--seed", "2"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("1 cause.") and "The museum: the fault of points_flow is at step." in said
    assert "  - x = x + v * dt\n  + x = x - v * dt\n1. " in said
    assert main(["diagnose", "--bug", "flow-backwards", "--seed", "2", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["causes"][0]["place"] == told["case"]["place"] == "step"


@pytest.mark.parametrize("words, said", [
    ([], "either the FILE that run.save wrote, or --bug NAME"),
    (["run.trace", "--bug", "flow"], "either the FILE that run.save wrote, or --bug NAME"),
    (["--bug", "nope"], "the museum has no such case; it has posterior-swapped, sign-flipped"),
])
def test_what_there_is_nothing_of_to_diagnose_is_said(words, said, capsys):
    assert main(["diagnose", *words]) == 2 and said in capsys.readouterr().err


def test_states_without_training_are_not_called_healthy_steps(tmp_path):
    only = {name: value for name, value in arrays().items() if name.startswith("walk")}
    report = Run.load(write(tmp_path / "run.trace", only)).diagnose()
    assert not report.causes and report.verdict(Place.STEP) == "not seen" and report.unknown


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda a: a.pop("walk/t"), "walk/t is missing"),
        (lambda a: a.update({"walk/t": np.zeros(3)}), "differ in length"),
        (lambda a: a.update({"train/x0": np.zeros((30, 3, 2))}), "must be the same"),
        (lambda a: a.clear() or a.update({"other": np.zeros(3)}), "neither"),
        (lambda a: a.update({"walk/x_t": a["walk/x_t"] > 0}), "real numbers"),
    ],
    ids=["missing", "length", "shape", "nothing", "bool"],
)
def test_arrays_that_do_not_fit_are_refused_with_a_sentence(tmp_path, break_it, says):
    tensors = arrays()
    break_it(tensors)
    with pytest.raises(ValueError, match=says):
        Run.load(write(tmp_path / "run.trace", tensors))


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[]",
        "{}",
        '{"facts": {}, "networks": [], "train": [{}], "walks": []}',
        "[" * 100_000,
        json.dumps(
            {
                "facts": {},
                "networks": [],
                "train": [],
                "walks": [{"facts": {}, "calls": [{}], "arrivals": [None], "ends": []}],
            }
        ),
        json.dumps(
            {
                "facts": {},
                "networks": [],
                "train": [],
                "walks": [
                    {
                        "facts": {},
                        "calls": [{}],
                        "ends": [],
                        "arrivals": [
                            {
                                "terms": [{"kind": "x", "call": 7, "part": 0, "factor": 1}],
                                "source": "",
                                "left": 0,
                                "clips": [],
                                "draws": [],
                            }
                        ],
                    }
                ],
            }
        ),
    ],
    ids=["broken", "list", "empty", "rows", "deep", "times", "call"],
)
def test_a_record_that_lies_is_refused(tmp_path, record):
    path = write(tmp_path / "run.trace", {"walk0/t": np.zeros(1 if "terms" in record else 2)}, record=record)
    with pytest.raises(ValueError, match="run.trace") as refused:
        Run.load(path)
    assert "Error(" not in str(refused.value)


def test_what_is_no_trace_is_refused_by_the_command_line_too(tmp_path, capsys):
    path = tmp_path / "run.trace"
    path.write_bytes(b"\x00" * 100)
    assert main(["diagnose", str(path)]) == 2 and "error" in capsys.readouterr().err
    save_file({"x": np.zeros(1)}, path, {"format": "other"})
    with pytest.raises(ValueError, match="its format is 'other'"):
        Run.load(path)
    with pytest.raises(FileNotFoundError):
        Run.load(tmp_path / "none.trace")


def test_a_header_is_looked_at_before_it_is_parsed(tmp_path):
    path = tmp_path / "run.trace"
    for header, says in ((b"[" * 100_000, "nested"), (b"{}" + b" " * 5_000, "more than 0 MB"), (b"{", "safetensors")):
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(ValueError, match=says):
            load(path, largest_header=4_000 if b" " in header else 200_000)
    path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load(path)


def test_a_stranger_is_not_told_where_a_file_lies(tmp_path):
    path = tmp_path / "run.trace"
    path.write_bytes(b"PK not a trace")
    with pytest.raises(ValueError) as refused:
        load(path, called="mine.trace")
    assert "mine.trace" in str(refused.value) and str(tmp_path) not in str(refused.value)


def test_a_file_of_more_calls_than_anybody_looks_at_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("core.debug.files.MOST_CALLS", 70)
    with pytest.raises(ValueError, match="80 calls of networks; at most 70"):
        Run.load(write(tmp_path / "run.trace", arrays()))
