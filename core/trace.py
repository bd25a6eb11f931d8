"""A trace: the record of one walk, every timestep of it, on the CPU and in one safe file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .buffers import Shelf
from .doors.jsons import entry, parse_json
from .doors.tensors import check_numbers, read_tensors
from .doors.words import one_line, some
from .files import atomic_write
from .reverse import Step

QUANTITIES = ("x_t", "x0", "eps", "mean", "noise")
_READ = {
    "x_t": lambda step: step.x_t,
    "x0": lambda step: step.prediction.x0,
    "eps": lambda step: step.prediction.eps,
    "mean": lambda step: step.mean,
    "noise": lambda step: step.noise,
}
FORMAT = "noisescope-trace-1"
COEFFICIENT = "coefficient."  #: begins the names of the coefficients in a file


@dataclass
class Trace:
    """K recorded steps. `trace["x0"]` is (K, B, ...); `trace.t`, `trace.s` and `trace.std` are (K,); `trace.final` is
    where the walk arrived, (B, ...). `about` says what it was made from, as plain JSON. `coefficients` are those that
    each step was made with, by their symbols, (K,) each; {} in traces of before they were kept.

    It grows with `add`, so that a page can show a walk while it runs.
    """

    keep: tuple[str, ...] = QUANTITIES
    every: int = 1
    budget: int | None = None
    about: dict = field(default_factory=dict)

    def __post_init__(self):
        unknown = [name for name in self.keep if name not in QUANTITIES]
        if unknown or not self.keep:
            raise ValueError(f"cannot keep {unknown or 'nothing'}; a trace keeps any of {', '.join(QUANTITIES)}")
        if self.every < 1:
            raise ValueError(f"every = {self.every}; keep every 1st, 2nd, … step")
        self._t: list[float] = []
        self._s: list[float] = []
        self._std: list[float] = []
        self._coefficients: dict[str, list[float]] = {}
        self._kept: dict[str, list[Tensor]] = {name: [] for name in self.keep}
        self._shelf = Shelf()
        self.final: Tensor | None = None
        self.end: float = 0.0  #: the time at which it arrived

    @classmethod
    def record(cls, steps: Iterable[Step], keep: Iterable[str] = QUANTITIES, every: int = 1, budget: int | None = None,
               about: dict | None = None) -> Trace:
        """Record a walk to its end. `budget` is in bytes; when it is used up, ValueError says how to fit in it."""
        trace = cls(tuple(keep), every, budget, about or {})
        for step in steps:
            trace.add(step)
        return trace

    @staticmethod
    def fit(shape: tuple[int, ...], steps: int, budget: int, keep: Iterable[str] = QUANTITIES,
            itemsize: int = 4) -> int:
        """The smallest `every` with which a walk of so many steps over this shape stays within the budget (bytes)."""
        size = itemsize * len(tuple(keep))
        for n in shape:
            size *= n
        if size > budget:
            raise ValueError(
                f"one step of shape {tuple(shape)} takes {size:,} bytes and the budget is {budget:,}; "
                "take fewer samples"
            )
        return max(1, -(-steps // (budget // size)))

    def add(self, step: Step) -> None:
        """Take one step in, if it is one of every `every`-th; the end of the walk is always known afterwards."""
        self.final, self.end = step.x_s.cpu(), float(step.s)
        if step.index % self.every:
            return
        values = {name: _READ[name](step).cpu() for name in self.keep}
        if self.budget is not None and self.nbytes + sum(v.nbytes for v in values.values()) > self.budget:
            raise ValueError(
                f"the trace is full after {len(self)} steps: its budget is {self.budget:,} bytes. Keep every k-th step "
                "(Trace.fit tells k), fewer quantities or fewer samples"
            )
        for name, value in values.items():
            self._kept[name].append(self._shelf.put(value))
        self._t.append(float(step.t))
        self._s.append(float(step.s))
        self._std.append(float(step.std))
        for name, value in step.coefficients.items():
            self._coefficients.setdefault(name, []).append(value)

    def __len__(self) -> int:
        return len(self._t)

    @property
    def nbytes(self) -> int:
        """Bytes held by the recorded quantities."""
        return sum(v[0].nbytes * len(v) for v in self._kept.values() if v)

    @property
    def t(self) -> Tensor:
        return torch.tensor(self._t, dtype=torch.float64)

    @property
    def s(self) -> Tensor:
        return torch.tensor(self._s, dtype=torch.float64)

    @property
    def std(self) -> Tensor:
        return torch.tensor(self._std, dtype=torch.float64)

    @property
    def coefficients(self) -> dict[str, Tensor]:
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in self._coefficients.items()}

    def __getitem__(self, name: str) -> Tensor:
        """One quantity at every kept step, (K, B, ...). KeyError naming what was kept."""
        return self.part(name, 0, len(self))

    def part(self, name: str, begin: int, end: int) -> Tensor:
        """One quantity of the kept steps begin … end−1."""
        if name not in self._kept:
            raise KeyError(f"the trace has no {name!r}; it kept {', '.join(self.keep)}")
        values = self._kept[name][begin:end]
        return torch.stack(values) if values else torch.empty(0)

    def _repr_html_(self) -> str | None:
        # Only what shows itself loads what draws: the record alone knows nothing of views.
        return import_module(".views.notebook", __package__).html(self)

    def save(self, path: str | os.PathLike) -> Path:
        """Write one safetensors file, by a temporary name and a rename. ValueError if nothing was recorded."""
        if self.final is None:
            raise ValueError("the trace is empty: record at least one step before saving it")
        path = Path(path)
        tensors = {name: self[name].contiguous() for name in self.keep}
        tensors |= {"t": self.t, "s": self.s, "std": self.std, "final": self.final.contiguous()}
        tensors |= {COEFFICIENT + name: values for name, values in self.coefficients.items()}
        header = {"format": FORMAT, "every": str(self.every), "end": repr(self.end), "about": json.dumps(self.about)}
        with atomic_write(path) as part:
            save_file(tensors, part, metadata=header)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> Trace:
        """Read a file that `save` wrote. ValueError if it is no trace; nothing in it can run."""
        name = Path(path).name
        try:
            header, tensors = read_tensors(path)
        except ValueError as error:
            raise ValueError(f"{name} is no safetensors file ({error}); a trace is what Trace.save wrote") from error
        if header.get("format") != FORMAT:
            found = one_line(repr(header.get("format")))
            raise ValueError(f"{name} is no Noisescope trace: its format is {found}, wanted {FORMAT!r}")
        keep = tuple(key for key in QUANTITIES if key in tensors)
        times: dict[str, Tensor] = {key: tensors[key] for key in ("t", "s", "std") if key in tensors}
        lengths = [value.shape for value in times.values()]
        used = {key: value for key, value in tensors.items() if key.startswith(COEFFICIENT)}
        whole = keep and len(times) == 3 and "final" in tensors and len({*lengths}) == 1 and len(lengths[0]) == 1
        if not whole or any(tensors[key].shape != (*lengths[0], *tensors["final"].shape) for key in keep) or any(
                value.shape != lengths[0] for value in used.values()):
            held = some([f"{one_line(key)} {tuple(value.shape)}" for key, value in sorted(tensors.items())])
            raise ValueError(f"{name} is not a whole trace; it holds {held or 'nothing'}")
        try:
            check_numbers(times | used)
            check_numbers({key: tensors[key] for key in (*keep, "final")}, finite=False)  # a walk may explode
            every, end = _number(header, "every", int), _number(header, "end", float)
            about = parse_json(entry(header, "about", str), "what it is about")
            if every < 1 or not math.isfinite(end):
                raise ValueError(f"every is {every} and end {end}; wanted are 1 or more, and a time")
            if not isinstance(about, dict):
                raise ValueError(f"about is {one_line(header['about'])!r}, wanted a JSON object")
        except ValueError as error:
            raise ValueError(f"{name} is no Noisescope trace: in its header, {one_line(str(error), 200)}") from error
        trace = cls(keep, every, None, about)
        trace._t, trace._s, trace._std = (tensors[name].tolist() for name in ("t", "s", "std"))
        trace._coefficients = {name.removeprefix(COEFFICIENT): value.tolist() for name, value in used.items()}
        trace._kept = {name: list(tensors[name]) for name in keep}
        trace.final, trace.end = tensors["final"], end
        return trace


def _number(header: dict[str, str], name: str, kind: type) -> Any:
    said = entry(header, name, str)
    try:
        return kind(said)
    except ValueError:
        raise ValueError(f"{name!r} is {one_line(said)!r}; it must be a number") from None
