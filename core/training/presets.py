"""What a training run is made of, in one frozen description, and the presets that fill it in.

    config = preset("fast", load("trex"))
    config = preset("textbook", load("digits8"), steps=2000, labels=True)

*fast* is what was measured to reach good samples soonest on a CPU: targets that stay within reach at every noise
level, noise levels drawn where there is something to learn, Fourier features for points. *textbook* is DDPM as papers
and tutorials have it: predict eps, linear betas, uniform t. *flow* is rectified flow: the straight path and its
velocity (Liu et al. 2022). They differ in nothing but these numbers.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..data.datasets import Dataset
from ..denoisers import NETWORKS, networks_for
from ..denoisers.base import Denoiser
from ..denoisers.linear import Linear
from ..former import named_now
from ..numerics import check_ranges
from ..prediction import PREDICTION_TYPES
from ..schedules import SCHEDULES, Drawn, make_schedule
from .weightings import WEIGHTINGS

TIME_SAMPLINGS = ("uniform", "log_normal", "levels")
DECAYS = ("cosine", "constant")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training run besides the data. ValueError names the field that cannot be.

    The loss is mean weight·|output − target|², in the target's own coordinates. Unless `weighting` says otherwise the
    weight is 1, and choosing the target is choosing what each noise level counts (Salimans & Ho 2022, section 4).
    """

    network: str  #: a name of `core.denoisers.NETWORKS`
    width: int = 128  #: hidden units, or channels of the finest level
    depth: int = 2  #: hidden layers, or levels of resolution
    fourier: bool = True  #: mlp: Fourier features of the point; without them, plain coordinates
    patch: int = 1  #: unet: pixels a side folded into channels, 1 or 2
    labels: bool = False  #: learn the data's conditions too, with null labels among them (Ho & Salimans 2022)
    without: tuple[str, ...] = ()  #: rows called that are held out of training, a name for each of the conditions
    prediction_type: str = "edm"  #: what the network puts out, see `core.prediction`
    weighting: str = "target"  #: what an error counts at each noise level, see `core.training.weightings`
    schedule: str = "cosine"  #: a name of SCHEDULES, or a drawn one in full, as drawn:0,8;0.5,0;1,-9
    T: int = 1000
    time_sampling: str = "log_normal"  #: "uniform" in t, or log(sigma/(alpha·sigma_data)) ~ N(level_mean, level_std²)
    level_mean: float = -1.2
    level_std: float = 1.2
    levels: int = 16  #: or "levels": one of that many noise levels, see `core.training.trainer.noise_levels`
    steps: int = 1000
    batch: int = 128
    lr: float = 1e-3
    warmup: int = 0  #: steps over which the learning rate rises to lr
    decay: str = "cosine"  #: of the learning rate after that: "cosine" to 0 at the last step, or "constant"
    ema: float = 0.999  #: decay of the averaged weights, at most; see `Trainer`
    grad_clip: float = 1.0  #: largest norm of the gradient; 0 leaves it alone
    seed: int = 0
    bf16: bool = False  #: compute in bfloat16 where the processor can; weights stay float32

    def __post_init__(self):
        choices = {"network": tuple(NETWORKS), "prediction_type": PREDICTION_TYPES, "weighting": tuple(WEIGHTINGS),
                   "time_sampling": TIME_SAMPLINGS, "decay": DECAYS, "patch": (1, 2)}
        if not isinstance(self.schedule, str) or not self.schedule.startswith(Drawn.PREFIX):
            choices["schedule"] = SCHEDULES
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it can be {', '.join(map(str, allowed))}")
        check_ranges(self, {
            "width": (8, 1024), "depth": (1, NETWORKS[self.network].deepest), "steps": (1, 10_000_000),
            "batch": (1, 65_536), "warmup": (0, 1_000_000), "seed": (0, 2**63 - 1), "lr": (1e-8, 10.0),
            "ema": (0.0, 0.999999), "grad_clip": (0.0, math.inf), "level_mean": (-10.0, 10.0), "level_std": (0.0, 10.0),
            "levels": (2, 1000)})
        for name in ("fourier", "labels", "bf16"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be true or false")
        if self.width % (groups := NETWORKS[self.network].groups):
            raise ValueError(f"width is {self.width}; that of {self.network!r} must be a multiple of {groups}, for its "
                             f"{groups} groups of channels")
        make_schedule(self.schedule, self.T)
        if not isinstance(self.without, (tuple, list)) or not all(isinstance(name, str) for name in self.without):
            raise ValueError(f"without is {self.without!r}; it must be names, one for each of the data's conditions")
        object.__setattr__(self, "without", tuple(self.without))  # JSON has a list

    @property
    def line(self) -> str:
        """What is learned, and from what, in one line: "v · cosine · log-normal t · min-SNR"."""
        target = {"eps": "ε", "x0": "x₀"}.get(self.prediction_type, self.prediction_type)
        times = {"uniform": "uniform t", "log_normal": "log-normal t", "levels": f"{self.levels} levels of t"}
        return f"{target} · {self.schedule} · {times[self.time_sampling]} · {WEIGHTINGS[self.weighting]}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """The inverse of `to_dict`, under former names too. ValueError for a field that there is not."""
        values = named_now(values)
        _known(values)
        return cls(**values)


def _known(values: dict[str, Any]) -> None:
    fields = [field.name for field in dataclasses.fields(TrainingConfig)]
    for name in values:
        if name not in fields:
            raise ValueError(f"a training has no setting {name!r}; there are {', '.join(fields)}")


#: Layers draw their first weights from the one generator that all threads share, and so do scripts of the museum:
#: whoever draws from it holds this, and puts it back as it was.
GLOBAL_GENERATOR = threading.Lock()


#: All that denoise: those, and what is solved instead.
DENOISERS: Mapping[str, type[nn.Module]] = {name: known.make for name, known in NETWORKS.items()} | {"linear": Linear}


def make_network(architecture: dict[str, Any], seed: int = 0,
                 kinds: Mapping[str, type[nn.Module]] = DENOISERS) -> nn.Module:
    """The network that says this of itself (network.architecture), its first weights decided by the seed alone.

    ValueError if it is none of these kinds, or if its options make none.
    """
    options = dict(architecture)
    kind = options.pop("network", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"network {kind!r}; it can be {', '.join(kinds)}")
    for name, value in options.items():
        _check_option(name, value)
    with GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return kinds[kind](**options)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"these options do not make a network of kind {kind!r}: {options} ({error})") from None


def _check_option(name: str, value: Any) -> None:
    """ValueError for an option of a network that is no number, or one that would keep the machine busy for ever."""
    most = {"depth": 64, "levels": 8, "width": 8192}.get(name, 1_000_000)
    numbers = value if isinstance(value, list | tuple) else [value]
    if len(numbers) > 16 or not all(isinstance(each, int) and 0 <= each <= most for each in numbers):
        raise ValueError(f"{name!r} is {str(value)[:40]!r}; a network's options are whole numbers up to {most:,}, or "
                         "lists of a few")


def make_denoiser(config: TrainingConfig, dataset: Dataset) -> Denoiser:
    """An untrained denoiser for this data.

    ValueError if the network does not fit the data, or if labels are asked for and the data have none.
    """
    check_fits(config.network, dataset)
    network = NETWORKS[config.network]
    if config.labels and not dataset.conditions:
        raise ValueError(f"{dataset.name} has no labels to learn; set labels to false")
    labels = dataset.classes if config.labels else 0
    architecture = {"network": config.network, "width": config.width, "labels": labels}
    made = make_network(architecture | network.options(config, dataset), config.seed)
    fit: Any = getattr(made, "fit", None)
    if fit is not None:
        fit(dataset.x0, dataset.std)
    return Denoiser(made, make_schedule(config.schedule, config.T), config.prediction_type, dataset.std, labels)


#: Pictures up to this side are drawn well by a network that sees no neighbourhoods, and soonest.
SMALL = 16


def _fast(dataset: Dataset, network: str | None) -> TrainingConfig:
    if dataset.kind == "points":
        return TrainingConfig("mlp", width=128, depth=2, prediction_type="edm", time_sampling="log_normal",
                              level_mean=-2.5, level_std=1.6, steps=800, batch=256, lr=1e-2, warmup=50, ema=0.995,
                              grad_clip=0.0)
    if network == "whitened" or network is None and dataset.side <= SMALL:
        # Noise levels at which small pictures are neither plain nor lost (log-normal about sigma = 0.7 of the data's).
        return TrainingConfig("whitened", width=256, depth=2, prediction_type="edm", time_sampling="log_normal",
                              level_mean=-0.4, level_std=1.0, steps=2000, batch=128, lr=3e-3, warmup=100, ema=0.995)
    # At 16×16 and more the first thing worth folding away is half the resolution.
    return TrainingConfig("unet", width=48, depth=2, patch=2 if dataset.side >= 16 else 1, prediction_type="v",
                          time_sampling="uniform", steps=2000, batch=64, lr=2e-3, warmup=100, ema=0.999, bf16=True)


def _flow(dataset: Dataset, network: str | None) -> TrainingConfig:
    # Liu et al. 2022 draw t uniformly; a logit-normal leaves five times fewer points off the shape (of the T-rex). It
    # is wide, so that t = 1 is seen too, where every walk begins.
    mean, std = (-1.0, 2.4) if dataset.kind == "points" else (0.0, 1.5)
    return dataclasses.replace(_fast(dataset, network), prediction_type="velocity", schedule="flow",
                               time_sampling="log_normal", level_mean=mean, level_std=std)


def _textbook(dataset: Dataset, network: str | None) -> TrainingConfig:
    plain: dict[str, Any] = dict(prediction_type="eps", schedule="linear", T=1000, time_sampling="uniform", batch=128,
                                 lr=1e-3, decay="constant", ema=0.999, steps=10_000)
    if dataset.kind == "points":
        return TrainingConfig("mlp", width=128, depth=3, fourier=False, grad_clip=0.0, **plain)
    if network == "whitened":
        return TrainingConfig("whitened", width=256, depth=2, **plain)
    return TrainingConfig("unet", width=32, depth=3, patch=1, **plain)


#: name → the config for a data set and a network, None being the one that the preset thinks best for these data. A
#: network that it says nothing of gets what the other one for such data has.
PRESETS: dict[str, Callable[[Dataset, str | None], TrainingConfig]] = {"fast": _fast, "textbook": _textbook,
                                                                       "flow": _flow}


def preset(name: str, dataset: Dataset, network: str | None = None, **changes: Any) -> TrainingConfig:
    """The named preset for this data, with some settings changed; network: a name of NETWORKS, None for the preset's.

    ValueError for an unknown name or setting, or a network that is not for such data.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r}; there are {', '.join(PRESETS)}")
    _known(changes)
    if network is not None:
        check_fits(network, dataset)
    config = PRESETS[name](dataset, network)
    network = network or config.network
    own: dict[str, Any] = {"network": network, "depth": min(config.depth, NETWORKS[network].deepest)}
    return dataclasses.replace(config, **own | changes)


def check_fits(network: str, dataset: Dataset) -> None:
    """ValueError if there is no such network, or it is not for such data."""
    if network not in networks_for(dataset.kind):
        fits = " or ".join(map(repr, networks_for(dataset.kind)))
        raise ValueError(f"{dataset.name} holds {dataset.kind} and the network is {network!r}; "
                         f"{dataset.kind} need {fits}")
