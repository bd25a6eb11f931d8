"""Walks from the same noise, side by side under one playhead: what one choice changes, and where they part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..metrics.distances import Estimate
from ..drawing.palettes import MARK_PALETTES
from ..scene import Chart, Palette, Scene, Series
from ..schedules import Schedule
from ..trace import Trace
from .base import FIELD_CELLS, PATHS, STATE_VIEW, View, over, pictures, scaled, signed_pictures, state_scale

#: Two walks have parted when they are this share of the data's standard deviation away from one another.
PARTED = 0.05
#: Frames at most: a grid of more times is thinned out evenly.
MOST_FRAMES = 301
#: Two times that are nearer than this are one time, reached by two grids.
SAME = 1e-9
#: Points of the data that stand behind those of the walks, where these are asked for some of them alone.
BEHIND = 400
#: Why runs differ that take other steps, and such as differ in whether noise is added on the way.
OTHER_STEPS = "A step goes straight on where its path bends: the longer the steps, the farther they leave it."
OTHER_NOISE = ("Where fresh noise is added (SDE), a sample forgets its start, and with it what earlier steps got "
               "wrong; without (ODE), the first noise alone says where it ends.")
SYMBOLS = {"x_t": "x_{t}", "x0": "x̂_{0}"}


@dataclass
class Run:
    """One walk of a comparison. `calls` and `quality` are known when it has ended."""

    letter: str
    label: str  #: what it is, or what it does differently, in a few words
    trace: Trace  #: of x_t and x0
    times: Tensor  #: its grid, (K+1,)
    schedule: Schedule
    finished: bool = False
    calls: int = 0  #: how often it asked the denoiser for each sample
    quality: Estimate | None = None  #: its samples' distance to the data

    @property
    def moments(self) -> Tensor:
        """The times of its kept steps, and where it arrives, (M,)."""
        return torch.cat([self.times[:-1][:: self.trace.every], self.times[-1:]])

    @property
    def known(self) -> int:
        """How many of its moments are there by now."""
        return len(self.trace) + self.finished

    @property
    def scale(self) -> Tensor:
        """What its states are divided by to be shown and compared, at each of its moments, (M,)."""
        return state_scale(self.schedule, self.moments)

    @property
    def key(self) -> str:
        return self.letter.lower()

    @property
    def palette(self) -> Palette:
        """Its colour, in panels and charts."""
        return MARK_PALETTES["ABCD".index(self.letter)]


def common_grid(grids: Sequence[Tensor]) -> Tensor:
    """All times of all grids, once each, downwards; thinned out evenly to MOST_FRAMES, both ends kept."""
    times = torch.cat(list(grids)).sort(descending=True).values
    times = times[torch.cat([torch.tensor([True]), times.diff() < -SAME])]
    if len(times) <= MOST_FRAMES:
        return times
    return times[torch.linspace(0, len(times) - 1, MOST_FRAMES).round().long()]


def latest(moments: Tensor, times: Tensor) -> Tensor:
    """For each of the times the index of the last moment that is not below it, or of the first: (len(times),)."""
    return (torch.searchsorted(-moments, -times + SAME, right=True) - 1).clamp(min=0)


def rms(a: Tensor) -> Tensor:
    """Root mean square over samples and coordinates of each frame, (F, N, ...) → (F,)."""
    return a.flatten(1).square().mean(1).sqrt()


def displacement(a: Tensor, b: Tensor, view: float) -> Tensor:
    """The mean of b − a over the points of a in each cell of [−view, view]², (F, G, G, 2); 0 in empty cells.

    a and b are (F, N, 2); row 0 is at the bottom.
    """
    frames, cells = len(a), FIELD_CELLS
    at = ((a / view + 1) / 2 * cells).floor().long()
    inside = ((at >= 0) & (at < cells)).all(-1)
    cell = torch.arange(frames)[:, None] * cells**2 + at[..., 1] * cells + at[..., 0]
    total, count = torch.zeros(frames * cells**2, 2), torch.zeros(frames * cells**2, 1)
    total.index_add_(0, cell[inside], (b - a)[inside].float())
    count.index_add_(0, cell[inside], torch.ones(int(inside.sum()), 1))
    return (total / count.clamp(min=1)).reshape(frames, cells, cells, 2)


class CompareView(View):
    """One panel a run over the times of all of them; a run shows the latest state that it has at that t.

    runs        from the same noise; the first, A, is what the others are held against. They may still be under way
    quantity    what the distance is taken of: "x_t", as it is shown (`state_scale`), or "x0" (where a run has arrived:
                its end) for runs of different schedules, whose states have different sizes
    measure     what `Run.quality` is, in words; `real` is to become the same of real data
    """

    def __init__(self, runs: Sequence[Run], dataset, quantity: str = "x_t", measure: str = "",
                 about: dict | None = None):
        self.runs, self.dataset, self.quantity, self.measure = list(runs), dataset, quantity, measure
        self.about, self.real = about or {}, None
        self.scale = torch.cat([run.scale for run in runs])
        self.times = common_grid([run.moments for run in runs])
        self.at = {run.letter: latest(run.moments, self.times) for run in runs}
        self._away: dict[str, list[float]] = {run.letter: [] for run in runs[1:]}
        self.legend = tuple((run.palette, f"{run.letter} · {run.label}") for run in self.runs)
        self.offers = {}
        (self._offer_points if dataset.kind == "points" else self._offer_pictures)()
        self.default = tuple(f"x_{run.key}" for run in self.runs) + tuple(f"less_{run.key}" for run in self.others[:1])
        if dataset.kind == "points" and len(self.runs) == 2:
            self.default += (f"shift_{self.others[0].key}",)

    @property
    def others(self) -> list[Run]:
        return self.runs[1:]

    @property
    def frames(self) -> int:
        return min(int((self.at[run.letter] < run.known).sum()) for run in self.runs)

    @property
    def total(self) -> int:
        return len(self.times)

    @property
    def nbytes(self) -> int:
        return sum(run.trace.nbytes for run in self.runs)

    def rows(self, run: Run, name: str, first: int, end: int) -> Tensor:
        """A quantity of a run on the frames first … end−1; x̂0 at its end is the last one made."""
        at, last = self.at[run.letter][first:end], len(run.trace)
        if name != "x_t":
            at = at.clamp(max=last - 1)
        begin, stop = int(at[0]), int(at[-1]) + 1
        rows = run.trace.part(name, begin, min(stop, last))
        if stop > last:
            rows = torch.cat([rows, run.trace.final[None]]) if len(rows) else run.trace.final[None]
        return rows[at - begin]

    def state(self, run: Run, first: int, end: int) -> Tensor:
        """The states of a run on their scale."""
        return over(self.rows(run, "x_t", first, end), run.scale[self.at[run.letter][first:end]])

    def less(self, run: Run, first: int, end: int) -> Tensor:
        """The states of a run less those of A, sample by sample."""
        return self.state(run, first, end) - self.state(self.runs[0], first, end)

    def away(self, run: Run) -> np.ndarray:
        """Root mean square distance between a run and A at each frame so far, over samples and coordinates."""
        known, frames = self._away[run.letter], self.frames
        if frames > len(known):
            if self.quantity == "x_t":
                less = self.less(run, len(known), frames)
            else:
                less = self.rows(run, "x0", len(known), frames) - self.rows(self.runs[0], "x0", len(known), frames)
                if frames == self.total:
                    less[-1] = run.trace.final - self.runs[0].trace.final
            known += rms(less).tolist()
        return np.array(known[:frames])

    def parted(self, run: Run) -> int | None:
        """The first frame at which a run is more than PARTED of the data's std away from A; None: at none so far."""
        beyond = np.flatnonzero(self.away(run) > PARTED * self.dataset.std)
        return int(beyond[0]) if len(beyond) else None

    def _offer_each(self, key: str, title: str, note: str, of: Callable, runs: Sequence[Run], **look) -> None:
        """A panel for each of the runs; texts with {run} for its letter, of(run, first, end)."""
        for run in runs:
            self.offer(f"{key}_{run.key}", title.format(run=run.letter), note.format(run=run.letter),
                       lambda first, end, run=run: of(run, first, end), **{"palette": run.palette, **look})

    def _offer_states(self, shown: Callable, **look) -> None:
        for run in self.runs:
            steps = len(run.times) - 1
            self.offer(f"x_{run.key}", f"{run.letter} · {run.label}",
                       f"the latest state of run {run.letter} at this t; all runs begin with the same noise",
                       lambda first, end, run=run: shown(self.state(run, first, end)),
                       caption=scaled(run.scale, f"{steps:,} step{'s' * (steps != 1)}"), holds="samples",
                       **{"palette": run.palette, **look})

    def _offer_points(self) -> None:
        state = dict(kind="points", range=(-STATE_VIEW, STATE_VIEW))
        # Who is asked for some of the data goes there, or past it: seen where all of them stand.
        asked = any(run.trace.about.get("label", "any") != "any" for run in self.runs)
        self._offer_states(lambda x: x, **state, **({"backdrop": self._all_data()} if asked else {}))
        for run in self.others:
            self._offer_each("less", "{run} − A", "where each point of {run} is, seen from the same point of A",
                             self.less, [run], caption=scaled(self.scale, view=STATE_VIEW), **state)
            self._offer_each("shift", "A → {run}", "from the points of A to the same of {run}, the mean of each cell",
                             self._shift, [run], kind="field", range=(-STATE_VIEW, STATE_VIEW),
                             scale=0.5, caption=scaled(self.scale, "cell = 0.5"), backdrop=self.dataset.x0.numpy(),
                             holds="places")
        self._offer_each("guess", "{run}: clean guess x̂_{{0}}", "the guess of the data in run {run}",
                         lambda run, a, b: self.rows(run, "x0", a, b), self.runs, kind="points",
                         range=(-STATE_VIEW, STATE_VIEW), holds="places")
        self._offer_each("paths", "{run}: paths", "the way of some points in run {run}; the same in all runs",
                         lambda run, a, b: self.state(run, a, b)[:, :PATHS], self.runs, kind="paths",
                         range=(-STATE_VIEW, STATE_VIEW),
                         caption=scaled(self.scale, f"{PATHS} at most"), holds="places")

    def _all_data(self) -> np.ndarray:
        return self.dataset.draw(BEHIND, torch.Generator().manual_seed(0))[0].numpy()

    def _shift(self, run: Run, first: int, end: int) -> Tensor:
        return displacement(*(self.state(r, first, end) for r in (self.runs[0], run)), STATE_VIEW)

    def _offer_pictures(self) -> None:
        state = dict(kind="images", range=(-1.0, 1.0), palette="data")
        self._offer_states(pictures, **state)
        self._offer_each("less", "{run} − A", "the pictures of {run} less the same pictures of A",
                         lambda run, a, b: signed_pictures(self.less(run, a, b)), self.others, kind="images",
                         range=(-2.0, 2.0), palette="signed", caption=scaled(self.scale, view=2.0))
        self._offer_each("guess", "{run}: clean guess x̂_{{0}}", "the guess of the data in run {run}",
                         lambda run, a, b: pictures(self.rows(run, "x0", a, b)), self.runs, holds="places", **state)

    def shell(self, first: int, end: int) -> Scene:
        numbers = dict(t=self.times.double())
        for run in self.runs:
            at = self.at[run.letter]
            std = torch.cat([run.trace.std, torch.zeros(1 + len(run.moments), dtype=torch.float64)])
            step = (at * run.trace.every).clamp(max=len(run.times) - 1)
            numbers |= {f"step_{run.key}": step, f"std_{run.key}": std[at]}
        for run in self.others:
            away = self.away(run)
            numbers[f"away_{run.key}"] = torch.from_numpy(np.pad(away, (0, self.total - len(away))))
        return Scene(
            (), {name: values[first:end].double().numpy() for name, values in numbers.items()}, clock="t = {t:.3f}",
            sentence=self._sentence(), formula=f"d(t) = √ mean ( {SYMBOLS[self.quantity]}^{{B}} − "
                                               f"{SYMBOLS[self.quantity]}^{{A}} )^{{2}}",
            figures=tuple(map(self._figure, self.runs)), charts=self._charts(), about=self.about,
            source="core/views/compare.py · a.flatten(1).square().mean(1).sqrt()",
        )

    def _figure(self, run: Run) -> str:
        numbers = [f"step {{step_{run.key}:.0f}}/{len(run.times) - 1}", f"+ {{std_{run.key}:.3f}} z"]
        numbers += [f"d = {{away_{run.key}:.4f}}"] * (run is not self.runs[0])
        # With many runs a line each; the panels say what they are.
        what = f"{run.letter}  {run.label}\n   " if len(self.runs) == 2 else f"{run.letter}  "
        return what + ", ".join(numbers)

    def _sentence(self) -> str:
        return " ".join(filter(None, (self._distances(), *self._why())))

    def _why(self) -> Iterator[str]:
        if len({len(run.times) for run in self.runs}) > 1:
            yield OTHER_STEPS
        if len({bool((run.trace.std > 0).any()) for run in self.runs}) > 1:
            yield OTHER_NOISE

    def _distances(self) -> str:
        said = []
        for run in self.others:
            k = self.parted(run)
            parted = "they have not parted" if k is None else f"they part at t = {float(self.times[k]):.2f}"
            said.append((f"{run.letter} is {{away_{run.key}:.3f}}", parted))
        how = "root mean square" + (" of the guesses x̂₀" if self.quantity == "x0" else "")
        if len(said) == 1:
            (away, parted), = said
            return f"The same noise: at t = {{t:.2f}} {away} away from A, {how}; {parted}."
        each = ", ".join(f"{away} ({parted})" for away, parted in said)
        return f"The same noise: at t = {{t:.2f}}, from A, {each}; {how}."

    def _charts(self) -> tuple[Chart, ...]:
        if not self.frames:
            return ()
        t, limit = self.times.numpy(), PARTED * self.dataset.std
        series = [Series(f"{100 * PARTED:.0f} % of std", t[[0, -1]], np.full(2, limit), style="faint", palette="ink")]
        for run in self.others:
            away, k = self.away(run), self.parted(run)
            series.append(Series(run.letter, t[: len(away)], away, palette=run.palette))
            if k is not None:
                series.append(Series("", t[k : k + 1], away[k : k + 1], style="dots", palette=run.palette))
        small = " ÷√(α²+σ²)" if self.quantity == "x_t" and (self.scale > 1).any() else ""
        apart = Chart(f"how far from A? root mean square of {SYMBOLS[self.quantity]}{small}; parted (dot): beyond "
                      f"{100 * PARTED:.0f} % of the data's std", tuple(series), t, ends=("t=1 noise", "t=0 data"),
                      flip=True)
        return apart, self._quality()

    def _quality(self) -> Chart:
        """Distance to the data over evaluations; an error bar is two standard errors long on either side."""
        rated = [run for run in self.runs if run.quality is not None]
        title = "quality over evaluations, lower is better: "
        if not rated:
            return Chart(title + self.measure, (), ends=("counted when the walks have ended", ""))
        most, series = 1.2 * max(run.calls for run in rated), []
        if self.real is not None:
            low, high = (np.full(2, max(0.0, self.real.value + side * 2 * self.real.error)) for side in (-1, 1))
            series.append(Series("real data", np.array([0, most]), high, style="band", palette="ink", low=low))
        for i, run in enumerate(rated):
            beside = sum(other.calls == run.calls for other in rated[:i])  # next to one that asked as often, not on it
            x, y, error = run.calls + 0.025 * most * beside, run.quality.value, 2 * run.quality.error
            series.append(Series("", np.array([x, x]), np.array([max(y - error, 0), y + error]), palette=run.palette))
            series.append(Series(f"{run.letter}, {run.calls:,}", np.array([x]), np.array([y]), "dots", run.palette))
        return Chart(title + f"{self.measure}, ±2 s.e.", tuple(series), ends=("0 evaluations a sample", f"{most:.0f}"))
