"""Runs on disk: one safetensors file, described in docs/trace-format.md.

Two kinds are read: a *record*, which `save` writes, with all that was observed; and a plain one of arrays alone, which
any language can write. Nothing in either can run.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..doors.jsons import look
from ..doors.words import one_line
from ..files import atomic_write
from .record import Arrival, Call, Run, Term, Train, Walk

FORMAT = "noisescope-run-1"
#: Bytes of a file that will be opened, and of the JSON in its header; calls of networks that it may hold.
LARGEST, LARGEST_HEADER, MOST_CALLS = 2 << 30, 64 << 20, 50_000
ROW_FIELDS = ("alpha", "sigma", "u", "v", "left", "error", "power")
TRAIN_ARRAYS = ("x_t", "t", "output", "target", "x0", "noise")
WALK_ARRAYS = ("x_t", "t", "output", "x_s", "noise")


def save(run: Run, path: str | os.PathLike) -> Path:
    """Write a run to one file; returns its path. ValueError if nothing was seen."""
    if not run.seen:
        raise ValueError("there is nothing to save: no call was seen. Call the watched network inside the block")
    tensors: dict[str, np.ndarray] = {}
    axes: dict[str, list[str]] = {}

    def put(name: str, value: np.ndarray, *names: str) -> None:
        tensors[name] = np.ascontiguousarray(value)
        axes[name] = [*names, *[f"axis{k}" for k in range(value.ndim - len(names))]]

    counts = [len(c.t) for c in run.trains]
    if run.trains:
        put("train/rows", np.array(counts, np.int64), "call")
        put("train/t", np.concatenate([c.t for c in run.trains]).astype(np.float64), "row")
        for name in ROW_FIELDS:
            parts = [_row(getattr(c, name), len(c.t)) for c in run.trains]
            put(f"train/{name}", np.concatenate(parts).astype(np.float64), "row")
    record: dict[str, Any] = {
        "facts": run.facts,
        "networks": run.networks,
        "train": [_plain(c.facts) for c in run.trains],
        "walks": [],
    }
    for w, walk in enumerate(run.walks):
        put(f"walk{w}/t", np.array([c.t for c in walk.calls], np.float64), "call")
        for name in ("x", "out"):
            for k, call in enumerate(walk.calls):
                value = getattr(call, name)
                if value is not None:
                    put(f"walk{w}/{name}/{k}", value, "sample")
        if walk.final is not None:
            put(f"walk{w}/final", walk.final, "sample")
        record["walks"].append(
            {
                "facts": walk.facts,
                "calls": [_plain(c.facts) for c in walk.calls],
                "arrivals": [None if c.arrival is None else asdict(c.arrival) for c in walk.calls],
                "ends": [asdict(e) for e in walk.ends],
            }
        )
    if run.data is not None:
        put("data", run.data, "sample")
    if run.swapped is not None:
        put("swapped", run.swapped, "step", "sample")
    header = {"format": FORMAT, "axes": json.dumps(axes), "record": json.dumps(record, default=_jsonable)}
    with atomic_write(path) as part:
        save_file(tensors, part, metadata=header)
    return Path(path)


def _row(value: np.ndarray | None, n: int) -> np.ndarray:
    return np.full(n, np.nan) if value is None or len(value) != n else value


def _plain(facts: dict) -> dict:
    return {k: v for k, v in facts.items() if not k.startswith("_")}


def _jsonable(value: Any) -> Any:
    return (
        value.item()
        if isinstance(value, np.generic)
        else value.tolist()
        if isinstance(value, np.ndarray)
        else str(value)
    )


def load(
    path: str | os.PathLike, *, largest: int = LARGEST, largest_header: int = LARGEST_HEADER, called: str | None = None
) -> Run:
    """Read a run. FileNotFoundError if there is none; ValueError says what is wrong with the file.

    Size and header are looked at before anything is parsed. called: the name that errors give it; its path if None.
    """
    path = Path(path)
    name = called or str(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {name}")
    _look_first(path, name, largest, largest_header)
    try:
        with safe_open(path, "np") as file:
            header = file.metadata() or {}
            found = header.get("format")
            if found == "noisescope-trace-1":
                from .ours import run_of_trace

                return run_of_trace(path)
            if found != FORMAT:
                raise ValueError(f"{name} is no trace of a run: its format is {found!r}, wanted {FORMAT!r}")
            look(header.get("record", "").encode(), f"the record of {name}", largest_header)
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{name} is no whole safetensors file ({error}); a trace is what run.save wrote") from error
    except (TypeError, OSError) as error:
        raise ValueError(
            f"{name} cannot be read ({error}); numbers in it must be float32, float64 or integers"
        ) from error
    wrong = [key for key, value in tensors.items() if value.dtype.kind not in "fiu"]
    if wrong:
        raise ValueError(f"{name}: {wrong[0]} holds {tensors[wrong[0]].dtype}; wanted are real numbers")
    try:
        return _record(header["record"], tensors) if "record" in header else _arrays(tensors)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        lacks = isinstance(error, KeyError)
        why = f"there is no {one_line(str(error.args[0]))!r} in it" if lacks else "it does not fit"
        raise ValueError(f"{name} is damaged, in what it says of itself: {why}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _look_first(path: Path, name: str, largest: int, largest_header: int) -> None:
    """ValueError for a file or a header of more bytes than may be, or nested too deep: nothing of it is parsed."""
    size = path.stat().st_size
    if size > largest:
        raise ValueError(
            f"{name} has {size / 1e6:,.0f} MB; a trace that can be opened has at most {largest / 1e6:,.0f}. "
            "Record fewer samples or steps"
        )
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise ValueError(f"{name} is no whole safetensors file; a trace is what run.save wrote")
        if length > largest_header:
            raise ValueError(f"{name} has a header of more than {largest_header >> 20} MB")
        look(file.read(length), f"the header of {name}", largest_header)


def _check_count(calls: int) -> None:
    if calls > MOST_CALLS:
        raise ValueError(f"it holds {calls:,} calls of networks; at most {MOST_CALLS:,} are looked at")


def _record(text: str, tensors: dict[str, np.ndarray]) -> Run:
    told = json.loads(text)
    run = Run()
    run.facts, run.networks = dict(told["facts"]), [dict(n) for n in told["networks"]]
    _check_count(len(told["train"]) + sum(len(walk["calls"]) for walk in told["walks"]))
    if "data" in tensors:
        run.saw(tensors["data"])
    run.swapped = tensors.get("swapped")
    if told["train"]:
        counts = tensors["train/rows"].astype(np.int64)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        if len(counts) != len(told["train"]) or (counts < 0).any() or bounds[-1] != len(tensors["train/t"]):
            raise ValueError("the rows of its training calls do not add up")
        for k, facts in enumerate(told["train"]):
            part = slice(int(bounds[k]), int(bounds[k + 1]))
            values = {name: tensors[f"train/{name}"][part] for name in ROW_FIELDS}
            run.trains.append(
                Train(
                    tensors["train/t"][part],
                    facts=dict(facts),
                    **{n: None if np.isnan(v).all() else v for n, v in values.items()},
                )
            )
    for w, saved in enumerate(told["walks"]):
        times = tensors[f"walk{w}/t"]
        if not len(times) == len(saved["calls"]) == len(saved["arrivals"]):
            raise ValueError(f"walk {w} has {len(times)} times and {len(saved['calls'])} calls")
        walk = Walk(facts=dict(saved["facts"]), final=tensors.get(f"walk{w}/final"))
        for k, (t, facts, arrival) in enumerate(zip(times, saved["calls"], saved["arrivals"])):
            walk.calls.append(
                Call(
                    float(t),
                    tensors.get(f"walk{w}/x/{k}"),
                    tensors.get(f"walk{w}/out/{k}"),
                    dict(facts),
                    None if arrival is None else _arrival(arrival, k),
                )
            )
        walk.ends = [_arrival(a, len(times)) for a in saved["ends"]]
        run.walks.append(walk)
    return run


def _arrival(told: dict, before: int) -> Arrival:
    terms = [Term(str(t["kind"]), int(t["call"]), int(t["part"]), float(t["factor"])) for t in told["terms"]]
    draws = [dict(d) for d in told["draws"]]
    clips = [_clip(clip) for clip in told["clips"]]
    inside = [Term(*part) for clip in clips for part in clip["terms"]]
    for term in [*terms, *inside]:
        if not 0 <= term.call < (len(draws) if term.kind == "z" else before):
            raise ValueError(f"a step names call {term.call} of {before}")
    return Arrival(
        terms,
        str(told["source"]),
        float(told["left"]),
        clips,
        draws,
        int(told.get("alive", 0)),
    )


def _clip(told: dict) -> dict:
    low, high = (None if told[end] is None else float(told[end]) for end in ("low", "high"))
    return {
        "low": low,
        "high": high,
        "share": float(told["share"]),
        "factor": float(told.get("factor", 1.0)),
        "terms": [[str(kind), int(call), int(part), float(factor)] for kind, call, part, factor in told["terms"]],
        "whole": bool(told.get("whole", False)),
        "noise": bool(told["noise"]),
    }


def _arrays(tensors: dict[str, np.ndarray]) -> Run:
    """A run of arrays alone: train/x_t (call, sample, …) and so on, walk/x_t (step, sample, …) and so on."""
    run = Run()
    train = {n: tensors[f"train/{n}"] for n in TRAIN_ARRAYS if f"train/{n}" in tensors}
    walk = {n: tensors[f"walk/{n}"] for n in WALK_ARRAYS if f"walk/{n}" in tensors}
    for part, arrays, needed in (("train", train, ("x_t", "t", "output")), ("walk", walk, ("x_t", "t", "output"))):
        missing = [n for n in needed if arrays and n not in arrays]
        if missing:
            raise ValueError(f"{part}/{missing[0]} is missing; see docs/trace-format.md")
        lengths = {n: len(a) if a.ndim else 0 for n, a in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the arrays of {part} differ in length: {lengths}")
    if not train and not walk:
        raise ValueError("it holds neither train/… nor walk/…; see docs/trace-format.md")
    _check_count(len(train.get("t", ())) + len(walk.get("t", ())))
    for k in range(len(train.get("t", ()))):
        run.train(**{n: a[k] for n, a in train.items()})
    for k in range(len(walk.get("t", ()))):
        run.step(**{n: a[k] for n, a in walk.items()})
    return run
