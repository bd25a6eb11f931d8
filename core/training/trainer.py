"""Training is a generator: it yields a TrainStep each time and never prints, plots or sleeps.

    trainer = Trainer(data, preset("fast", data))
    for step in trainer.run():
        ...                       # look at step.loss, trainer.ema, trainer.losses; stop by not asking further

Pausing is not asking; going on later is asking again, also in another process with `state_dict` and `load_state_dict`:
the loss curve is then the same to the last bit as that of an unbroken run. Between two steps some settings can be
turned (`Trainer.turn`), and more steps be asked for after the last.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.datasets import Dataset
from ..denoisers.base import Denoiser
from ..denoisers.embeddings import null_labels
from ..forward import Noised, expand
from ..prediction import Prediction, eps_error_per_target_error, target_of
from ..schedules import Schedule
from .adamw import AdamW
from .presets import TrainingConfig, make_denoiser
from .turns import LIVE, Turn, added
from .weightings import weight_of

BUCKETS = 20  #: of equal width in t
DROP_LABEL = 0.1  #: probability of the null label in training (Ho & Salimans 2022, section 5), see `drop_labels`
BULK = 2**17  #: numbers of noise drawn at once
PART = 2**17  #: numbers that a processor is shown at once: 167 pictures of 28×28


class TrainingDiverged(RuntimeError):
    """The loss or a gradient is no longer a finite number. Says at which step, which timestep and in which layer."""


@dataclass(frozen=True)
class TrainStep:
    """What one training step saw and how well the network did, before it learned from it."""

    index: int  #: 0 for the first
    loss: float
    noised: Noised
    seconds: float  #: processor time that training took so far; a neighbour on the machine does not lengthen it
    output: Tensor = field(repr=False)  #: of the network, (B, ...)
    denoiser: Denoiser = field(repr=False)

    @property
    def prediction(self) -> Prediction:
        """The output seen as a prediction; worked out when asked for, so that a step nobody looks at stays cheap."""
        n, d = self.noised, self.denoiser
        alpha, sigma = (expand(a, n.x_t) for a in d.schedule(n.t))
        return Prediction.of(d.prediction_type, self.output, n.x_t, alpha, sigma, d.sigma_data)


class Losses:
    """The running record: the loss of every step and its error, and by time the mean squared error of eps.

    A loss is weighted, and losses under different weightings cannot be compared; the error of a step is the mean of
    |output − target|² without a weight. The error of eps is one currency for all targets: an error of the output, times
    `eps_error_per_target_error`, is an error of eps. For each of BUCKETS equal intervals of t, sum and count of samples
    fade by `fade` a step; their quotient is an exponential average over the samples that fell there, however rarely
    they do.
    """

    def __init__(self, steps: int, fade: float = 0.99):
        self.fade, self.count = fade, 0
        self.sums = torch.zeros(2, BUCKETS, dtype=torch.float64)  #: squared errors, and samples
        self._both = np.full((2, steps), np.nan)

    @property
    def loss(self) -> np.ndarray:
        """(steps so far,), float64."""
        return self._both[0, : self.count]

    @property
    def error(self) -> np.ndarray:
        """(steps so far,), float64: mean |output − target|², which is the loss where the target is the weighting."""
        return self._both[1, : self.count]

    @property
    def eps_mse(self) -> np.ndarray:
        """(BUCKETS,), float64: E|eps − eps_hat|² per value, for t in [k, k + 1)/BUCKETS; NaN where none fell yet."""
        errors, samples = self.sums.numpy()
        return np.divide(errors, samples, out=np.full(BUCKETS, np.nan), where=samples > 0)

    @property
    def nbytes(self) -> int:
        """Bytes of the record, the steps to come among them."""
        return self._both.nbytes + self.sums.nbytes

    def make_room(self, steps: int) -> None:
        """For so many steps in all, and no fewer than there have been."""
        both = np.full((2, max(steps, self.count)), np.nan)
        both[:, : self.count] = self._both[:, : self.count]
        self._both = both

    def add(self, loss: float, error: float, eps_errors: Tensor, buckets: Tensor) -> None:
        """One step's loss and error, each sample's squared error of eps (B,) and its bucket (B,)."""
        self._both[:, self.count] = loss, error
        self.count += 1
        both = torch.stack([eps_errors, torch.ones_like(eps_errors)]).cpu().to(self.sums)
        self.sums.mul_(self.fade).index_add_(1, buckets.to(self.sums.device), both)

    def restore(self, loss: np.ndarray, error: np.ndarray, sums: Tensor) -> None:
        """Go on after these losses and errors."""
        self.count = len(loss)
        self._both[:, : self.count] = loss, error
        self.sums.copy_(sums)


@dataclass(frozen=True)
class Batch:
    """The noising events of one step and what the network should say of them; tensors are (B, ...)."""

    noised: Noised
    alpha: Tensor
    sigma: Tensor
    wanted: Tensor
    cond: Tensor | None
    weight: Tensor | None  #: of each sample's squared error of the output, (B,), in the loss; None where all are 1
    eps_weight: Tensor  #: squared error of eps per squared error of the output
    buckets: Tensor

    def __len__(self) -> int:
        return len(self.alpha)

    def parts(self) -> list[Batch]:
        """Itself, or where its events hold more than PART numbers and a processor works on them, parts that do not.

        What a network keeps for its way back grows with the rows it sees at a time, to gigabytes; their gradients add
        up. A GPU is told of the memory it has in other ways, and is quick with large batches alone.
        """
        parts = in_parts(self.noised.x_t)
        return [self] if len(parts) == 1 else [self._rows(rows) for rows in parts]

    def _rows(self, rows: slice) -> Batch:
        def cut(part):
            return part if part is None else part[rows]

        noised, *others = (getattr(self, name.name) for name in fields(self))
        return Batch(Noised(*(cut(getattr(noised, name.name)) for name in fields(noised))), *map(cut, others))


def in_parts(x: Tensor) -> list[slice]:
    """The rows of a batch, cut so that no part holds more than PART numbers if a processor works on them."""
    rows = max(1, PART // x[0].numel()) if x.device.type == "cpu" else len(x)
    return [slice(i, min(i + rows, len(x))) for i in range(0, len(x), rows)]


class Batches:
    """Endless batches, drawn many steps at a time: one call for a hundred small batches costs little more than for one.

    Everything random comes from one generator, seeded by the config.

    pairs   (n, generator) → x0 and eps (n, ...), and labels (n,), (n, K) or None
    times   (n, generator) → t (n,), float64
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig, denoiser: Denoiser, device: torch.device,
                 pairs: Callable[[int, torch.Generator], tuple[Tensor, Tensor, Tensor | None]],
                 times: Callable[[int, torch.Generator], Tensor]):
        self.dataset, self.config, self.device, self._pairs, self._times = dataset, config, device, pairs, times
        self.schedule, self.prediction_type = denoiser.schedule, denoiser.prediction_type
        self.sigma_data = denoiser.sigma_data
        self.begin = 0  #: the step that the first bulk of this length begins with
        self._generator = torch.Generator().manual_seed(config.seed)
        self._before, self._number = self._generator.get_state(), -1
        self._bulk: tuple[Any, ...] = ()

    @property
    def length(self) -> int:
        """Steps in one bulk."""
        return max(1, BULK // (self.config.batch * math.prod(self.dataset.shape)))

    @property
    def nbytes(self) -> int:
        """Bytes of the batches that are drawn."""
        return sum(part.nbytes for part in self._bulk or () if part is not None)

    def at(self, step: int) -> Batch:
        """The batch of that step. Steps must be asked for in order."""
        number, row = divmod(step - self.begin, self.length)
        if self._number != number:
            self._before, self._number = self._generator.get_state(), number
            self._bulk = self._draw()
        parts: list[Any] = [None if a is None else a[row] for a in self._bulk]
        return Batch(Noised(*parts[:4]), *parts[4:])

    def state(self, step: int) -> Tensor:
        """The generator's state from which the bulk that holds this step is drawn."""
        now = self._number == (step - self.begin) // self.length
        return (self._before if now else self._generator.get_state()).clone()

    def restore(self, state: Tensor, begin: int) -> None:
        """Go on from a `state` and its `begin`: the next `at` draws its bulk from there."""
        self._generator.set_state(state)
        self.begin, self._number = begin, -1

    def turn(self, config: TrainingConfig, step: int) -> None:
        """From that step on as this config says. The same noise is weighted anew; other rows a step are drawn afresh.

        What is drawn depends on the steps that were taken and turned alone, not on where a training was resumed.
        """
        if config.batch == self.config.batch:
            self.restore(self.state(step), self.begin)
        else:
            if (step - self.begin) % self.length:
                self.at(step)  # the bulk under way, which a resumed training has not drawn yet
            self.begin, self._number = step, -1
        self.config = config

    def _draw(self) -> tuple[Tensor | None, ...]:
        n, rows = self.length * self.config.batch, (self.length, self.config.batch)
        x0, eps, labels = self._pairs(n, self._generator)
        t = self._times(n, self._generator)
        cond = None
        if self.config.labels:
            assert labels is not None  # or `make_denoiser` had refused
            cond = drop_labels(labels, self.dataset.classes, self._generator)
        # The schedule in float64, rounded once; the rest as the network will see it.
        alpha, sigma = (a.to(x0) for a in self.schedule(t))
        a, s = expand(alpha, x0), expand(sigma, x0)
        x_t, wanted = a * x0 + s * eps, target_of(self.prediction_type, x0, eps, a, s, self.sigma_data)
        weight, levels = None, (self.prediction_type, alpha, sigma, self.sigma_data)
        if self.config.weighting != "target":
            weight = weight_of(self.config.weighting, *levels)
        eps_weight = eps_error_per_target_error(*levels) ** 2
        buckets = (t * BUCKETS).long().clamp(max=BUCKETS - 1)
        parts = (x0, eps, t.to(x0), x_t, alpha, sigma, wanted, cond, weight, eps_weight, buckets)
        return tuple(None if p is None else p.to(self.device).unflatten(0, rows) for p in parts)


def drop_labels(cond: Tensor, classes: int | tuple[int, ...], generator: torch.Generator) -> Tensor:
    """cond (n,) or (n, K) with null labels in it: all of a row with probability DROP_LABEL, and of several each alone.

    A network so trained can be asked for all, for some, and for none of the conditions.
    """
    null = expand(torch.rand(len(cond), generator=generator) < DROP_LABEL, cond)
    if cond.ndim > 1:
        null = null | (torch.rand(cond.shape, generator=generator) < DROP_LABEL)
    return torch.where(null, null_labels(classes, len(cond)), cond)


def draw_times(n: int, config: TrainingConfig, schedule: Schedule, sigma_data: float,
               generator: torch.Generator) -> Tensor:
    """n training times in (0, 1], float64.

    uniform     a timestep k of T, all alike (Ho et al. 2020, algorithm 1); for a continuous schedule any t
    log_normal  log(sigma/(alpha·sigma_data)) ~ N(level_mean, level_std²) (Karras et al. 2022, table 1, for any
                schedule), and not below the first timestep, where no sampler asks; on the schedule "flow" this is the
                logit-normal of t (Esser et al. 2024, section 3.1)
    levels      one of `noise_levels`, all alike
    """
    if config.time_sampling == "levels":
        return noise_levels(schedule, config.levels)[torch.randint(config.levels, (n,), generator=generator)]
    if config.time_sampling == "log_normal":
        level = config.level_mean + config.level_std * torch.randn(n, generator=generator, dtype=torch.float64)
        return schedule.t_at(-2 * (level + math.log(sigma_data))).clamp(min=1 / schedule.T)
    if schedule.discrete:
        return torch.randint(1, schedule.T + 1, (n,), generator=generator).double() / schedule.T
    return torch.rand(n, generator=generator, dtype=torch.float64).clamp(min=1 / schedule.T)


def noise_levels(schedule: Schedule, count: int) -> Tensor:
    """`count` times from 1 down to 1/T, float64, even in r^(1/3) with r = sigma/(alpha + sigma).

    EDM's grid (Karras et al. 2022, eq. 5), with the exponent that evens out errors (appendix D.1) and in a coordinate
    that is finite at t = 1 on every schedule.
    """
    first, last = (sigma / (alpha + sigma) for alpha, sigma in (schedule.at(1.0), schedule.at(1 / schedule.T)))
    r = torch.linspace(first ** (1 / 3), last ** (1 / 3), count, dtype=torch.float64) ** 3
    times = schedule.t_at(2 * torch.log((1 - r) / r))
    times[0], times[-1] = 1.0, 1 / schedule.T
    return times


class Trainer:
    """Trains a denoiser on a data set; `denoiser` is the raw network, `ema` the one with averaged weights.

    After step n (from 0), ema ← d·ema + (1 − d)·raw with d = min(config.ema, (1 + n)/(10 + n)): the average is young at
    first, or it would show noise for the first 1/(1 − ema) steps. Buffers are copied, never averaged.

    What else is trained differs in the noising events or in what the network should say of them: `pairs`, `times` and
    `wanted` are there to be overridden (`reflow`, `consistency`, beside this).

    config   the settings as they stand now; `turns` says which of them were others before

    Raises ValueError if data and config do not fit, TrainingDiverged from `run`.
    """

    def __init__(self, dataset: Dataset, config: TrainingConfig, device: str | torch.device | None = None):
        self.dataset, self.config, self.device = dataset, config, torch.device(device or "cpu")
        self._shown = dataset.without(*config.without) if config.without else dataset
        self.denoiser = make_denoiser(config, dataset).to(self.device)
        self.ema = make_denoiser(config, dataset).to(self.device).eval().requires_grad_(False)
        self.names, self._weights = (list(part) for part in zip(*self.denoiser.named_parameters()))
        self._averages: list[Tensor] = list(self.ema.parameters())
        self._optimizer = AdamW(self._weights)
        self._batches = Batches(dataset, config, self.denoiser, self.device, self.pairs, self.times)
        self._bf16 = config.bf16 and fast_bf16(self.device)
        self.losses = Losses(config.steps)
        self.turns: tuple[Turn, ...] = ()  #: what was turned on the way, the earliest first
        self.step = 0  #: steps taken
        self.seconds = 0.0  #: processor time they took, of the thread that asked for them

    def begin_from(self, denoiser: Denoiser) -> None:
        """Take over these weights instead of first ones at random. ValueError if they are another network's."""
        if denoiser.network.architecture != self.denoiser.network.architecture:
            raise ValueError(f"the network to begin from is {denoiser.network.architecture}; the settings make "
                             f"{self.denoiser.network.architecture}")
        for own in (self.denoiser, self.ema):
            own.network.load_state_dict(denoiser.network.state_dict())

    def pairs(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """n rows of data and of noise, independent of each other, and the data's labels; none of what is held out."""
        x0, labels = self._shown.draw(n, generator)
        return x0, torch.randn(x0.shape, generator=generator), labels

    def times(self, n: int, generator: torch.Generator) -> Tensor:
        """n training times, see `draw_times`."""
        return draw_times(n, self.config, self.denoiser.schedule, self.denoiser.sigma_data, generator)

    def wanted(self, batch: Batch) -> Tensor:
        """What the network should put out for this batch, (B, ...)."""
        return batch.wanted

    @property
    def nbytes(self) -> int:
        """Bytes of what it holds: the weights, their averages, gradients and two moments, the next batches, the losses.

        What a step works with on the way, which grows with the batch, is not among them.
        """
        weights = sum(w.nbytes for w in self._weights)
        return 5 * weights + self._batches.nbytes + self.losses.nbytes

    @torch.enable_grad()  # on the function, not around a yield: the mode belongs to the thread that resumes it
    def run(self, until: int | None = None) -> Iterator[TrainStep]:
        """Take steps up to number `until`, or to the last one of the config, yielding each."""
        while self.step < (self.config.steps if until is None else min(until, self.config.steps)):
            yield self._take_step()

    def turn(self, **changes: Any) -> None:
        """Take the next step, and those after it, with other settings of LIVE. Between two steps, on their thread.

        lr          its course stays: the warm-up is over or not, the decay is where it is, of the new height
        batch       rows a step
        weighting   of the loss; `losses.error` goes on in the same currency
        steps       where it ends, after the last step too; a decay then runs down to the new end

        ValueError for any other setting, a value that cannot be, and fewer steps than are taken.
        """
        for name in changes:
            if name not in LIVE:
                raise ValueError(f"{name} cannot be turned while a training runs; {', '.join(LIVE)} can")
        config = replace(self.config, **changes)
        if config.steps < self.step:
            raise ValueError(f"steps is {config.steps:,}, and {self.step:,} are taken already; it can be that or more")
        turned = {name: (old, new) for name, new in changes.items() if (old := getattr(self.config, name)) != new}
        if turned.keys() & {"batch", "weighting"}:
            self._batches.turn(config, self.step)
        if "steps" in turned:
            self.losses.make_room(config.steps)
        self.config = self._batches.config = config
        self.turns = added(self.turns, Turn(self.step, turned))

    def lr_at(self, step: int) -> float:
        """The learning rate of that step: up from 0 over `warmup` steps, then as `decay` says."""
        c = self.config
        if step < c.warmup:
            return c.lr * (step + 1) / c.warmup
        if c.decay == "constant":
            return c.lr
        return c.lr * 0.5 * (1 + math.cos(math.pi * (step - c.warmup) / max(1, c.steps - c.warmup)))

    def _take_step(self) -> TrainStep:
        begun = time.thread_time()
        batch = self._batches.at(self.step)
        parts = [self._look_back(part, len(part) / len(batch)) for part in batch.parts()]
        value, (output, errors) = sum(loss for loss, *_ in parts), (torch.cat(p) for p in list(zip(*parts))[1:])
        self._update(value, batch, errors)
        error = value if batch.weight is None else float(errors.mean())
        self.losses.add(value, error, errors * batch.eps_weight, batch.buckets)
        self.seconds += time.thread_time() - begun
        index, self.step = self.step, self.step + 1
        return TrainStep(index, value, batch.noised, self.seconds, output, self.denoiser)

    def _look_back(self, batch: Batch, share: float) -> tuple[float, Tensor, Tensor]:
        """Add this part of a batch to the gradients; its share of the loss, the output, and the errors (B,)."""
        n = batch.noised
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            output = self.denoiser.output(n.x_t, n.t, batch.alpha, batch.sigma, batch.cond)
        errors = (output.float() - self.wanted(batch)).square().flatten(1).mean(1)
        loss = share * (errors.mean() if batch.weight is None else (batch.weight * errors).mean())
        loss.backward()
        return loss.item(), output.detach().float(), errors.detach()

    def _update(self, loss: float, batch: Batch, errors: Tensor) -> None:
        """Learn from the gradients that the weights hold."""
        gradients = [w.grad for w in self._weights]
        norm = float(torch.stack(torch._foreach_norm(gradients)).norm())
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingDiverged(self._explain(loss, batch, errors))
        clip = self.config.grad_clip
        if clip and norm > clip:
            torch._foreach_mul_(gradients, clip / norm)
        self._optimizer.step(self.lr_at(self.step))
        self._optimizer.forget()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
            for average, buffer in zip(self.ema.buffers(), self.denoiser.buffers()):
                average.copy_(buffer)

    @torch.no_grad()
    def _explain(self, loss: float, batch: Batch, errors: Tensor) -> str:
        """What went wrong first: the worst sample's timestep, and the first layer, activations before gradients."""
        # Non-finite errors count as worst; argmax alone would pass over some of them.
        t = float(batch.noised.t[torch.nan_to_num(errors, nan=math.inf, posinf=math.inf).argmax()])
        T = self.denoiser.schedule.T
        where = f"step {self.step}, worst sample at t = {round(t * T)} / {T}"
        n = batch.noised
        if not (n.x_t.isfinite().all() and batch.wanted.isfinite().all()):
            return (f"training diverged at {where}: the noised data are not finite before the network sees them; "
                    "look at the data")
        with first_not_finite(self.denoiser.network) as layers:
            self.denoiser.output(n.x_t, n.t, batch.alpha, batch.sigma, batch.cond)
        what = "activations" if layers else "gradients"
        layers = layers or [name.removeprefix("network.") for name, weight in zip(self.names, self._weights)
                            if not weight.grad.isfinite().all()]
        first = f"the first {what} that are not finite are those of {layers[0]!r}" if layers else "no layer is to blame"
        return (f"training diverged at {where}: the loss is {loss:.4g}, and {first}. "
                "Start again with a smaller learning rate, a longer warm-up or grad_clip = 1")

    def state_dict(self) -> dict[str, Tensor]:
        """All that the next step depends on, as flat named tensors: weights, averages, optimizer, noise, losses."""
        state = {f"raw.{name}": w.detach().clone() for name, w in self.denoiser.state_dict().items()}
        state |= {f"ema.{name}": w.clone() for name, w in self.ema.state_dict().items()}
        for key, values in self._optimizer.state.items():
            state |= {f"adam.{key}.{name}": value.clone() for name, value in zip(self.names, values)}
        state |= {"step": torch.tensor(self.step), "seconds": torch.tensor(self.seconds, dtype=torch.float64),
                  "generator": self._batches.state(self.step), "bulks_begin": torch.tensor(self._batches.begin),
                  "loss": torch.from_numpy(self.losses.loss.copy()),
                  "error": torch.from_numpy(self.losses.error.copy()), "eps_mse": self.losses.sums.clone()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where `state_dict` was taken. ValueError if it is of another training: nothing changes then."""
        state = {"bulks_begin": torch.tensor(0), **state}  # of a training that was saved before any could be turned
        if "loss" in state and self.config.weighting == "target":
            state.setdefault("error", state["loss"])
        taken = int(state["step"]) if "step" in state else 0
        if taken > self.config.steps:
            raise ValueError(f"this state was saved after {taken} steps; the config ends at {self.config.steps}")
        adam = AdamW.STATE if taken else ()
        shapes = {f"{part}.{name}": w.shape for part in ("raw", "ema")
                  for name, w in self.denoiser.state_dict().items()}
        shapes |= {f"adam.{key}.{name}": w.shape if key != "step" else () for key in adam
                   for name, w in zip(self.names, self._weights)}
        shapes |= {"step": (), "seconds": (), "generator": self._batches.state(self.step).shape, "loss": (taken,),
                   "error": (taken,), "bulks_begin": (), "eps_mse": self.losses.sums.shape}
        for name in shapes | state:
            given = tuple(state[name].shape) if name in state else "missing"
            needed = tuple(shapes[name]) if name in shapes else "nothing of that name"
            if given != needed:
                raise ValueError(f"this state is of another training: {name} is {given}, needed is {needed}")
        if not 0 <= int(state["bulks_begin"]) <= taken:
            raise ValueError(f"this state is of another training: bulks_begin is {int(state['bulks_begin'])}, and "
                             f"{taken} steps are taken")
        for part, denoiser in (("raw", self.denoiser), ("ema", self.ema)):
            denoiser.load_state_dict({name: state[f"{part}.{name}"] for name in denoiser.state_dict()})
        self._optimizer.state = {key: [state[f"adam.{key}.{name}"].clone().to(self.device) for name in self.names]
                                 for key in adam}
        self._batches.restore(state["generator"], int(state["bulks_begin"]))
        self.losses.restore(state["loss"].numpy(), state["error"].numpy(), state["eps_mse"])
        self.step, self.seconds = taken, float(state["seconds"])


@contextmanager
def first_not_finite(network: nn.Module) -> Iterator[list[str]]:
    """Collects, in the order they ran, the names of layers whose outputs are not finite while the block lasts."""
    names: list[str] = []

    def look(name, out):
        if not out.isfinite().all():
            names.append(name)

    layers = [(name, module) for name, module in network.named_modules() if name and not list(module.children())]
    hooks = [module.register_forward_hook(lambda _m, _i, out, name=name: look(name, out)) for name, module in layers]
    try:
        yield names
    finally:
        for hook in hooks:
            hook.remove()


@cache
def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is worth it there: on a GPU that has it, and on a CPU with instructions for it.

    A CPU without them computes in bfloat16 too, slower than in float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
