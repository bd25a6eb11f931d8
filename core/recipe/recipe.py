"""The recipe: the one typed description of what is shown. It writes the address, and everything shown follows from it.

Every field is declared once, with its values and its tooltip; `SPECS` and `HELP` give them to the page's controls. A
recipe that exists is valid. Two doors lead in: `with_` is strict (a control or a caller must know what it asks),
`from_query` is lenient (a link may be old, or bent on purpose): what it cannot use is named and the default taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ..baselines.gan import GANS
from ..data.datasets import names
from ..debug.cases import CASES, SOUND
from ..denoisers import NETWORKS
from ..denoisers.wrappers import THRESHOLDINGS
from ..former import field_now, named_now, value_now
from ..prediction import PREDICTION_TYPES
from ..samplers import SAMPLERS
from ..schedules import NAMED, SCHEDULES, SPACINGS
from ..training.presets import PRESETS
from ..training.weightings import WEIGHTINGS
from .models import MODELS, WORDS as MODEL_WORDS
from .values import Choice, Curve, Invalid, Keys, Label, Layer, Real, Times, Weights, Whole, shown
from .variants import LETTERS, Variant, Variants

OWN = "own"  #: the data set that a visitor brought; it lives with the visitor, not in the link
TABS = ("forward", "train", "denoise", "lens", "compare", "debug", "learn")
MOST_IMAGES = 64  #: images side by side; points can be more
MAX_QUERY = 2000  #: characters of a link that are read
MAX_COMPLAINTS = 8
#: What stands beside a recipe in a film: itself in words, the command, and what was turned while it was trained.
SAID_BESIDES = ("made", "command", "turned")


#: What can be examined: the name in a link → what people read. Of a case of the museum that is the symptom alone.
BUGS = {"walk": "this recipe's walk", "training": "your training", "trace": "the opened trace",
        "surprise": "a surprise",
        **{case.name: f"{k}. {case.symptom}" for k, case in enumerate(CASES, 1)},
        **{case.name: f"{k}. an odd script" for k, case in enumerate(SOUND, len(CASES) + 1)}}

Spec = Choice | Whole | Real | Times | Keys | Weights | Label | Layer | Variants


@dataclass(frozen=True)
class About:
    """All there is to know of a field, said once: the sidebar, Compare, links, the command line and the API read it.

    spec        its values: how they are checked, read from a link and written into one
    help        its tooltip, one sentence
    label       what stands before its control
    words       what people read for its values; the values themselves where nothing is said
    suggest     values worth a try, as text, where others are possible too
    varied      what a run of a comparison sets it to when it is first picked; "" where runs cannot differ in it
    on_the_way  whether a branch can change it, which goes on along the grid of the run it leaves
    """

    spec: Spec
    help: str
    label: str = ""
    words: Mapping[str, str] = dataclass_field(default_factory=dict)
    suggest: tuple[str, ...] = ()
    varied: str = ""
    on_the_way: bool = True


def field(default: Any, spec: Spec, help: str, label: str = "", **more: Any) -> Any:
    return dataclass_field(default=default, metadata={"about": About(spec, help, label, **more)})


_RANGES = ("on", "1-0.5", "0.5-0", "0.2-0")
_LABELS = ("any", "each", "0", "1")


@dataclass(frozen=True)
class Recipe:
    """What is shown. Raises Invalid if a value is not allowed, or does not go with the others."""

    data: str = field(
        "trex", Choice((*names(), OWN)), "What the model is to make: points in the plane, or small images", "data")
    model: str = field(
        "pretrained", Choice(MODELS),
        "Who says what the noise is: a trained network, the exact answer, or the one you trained",
        "model", words=MODEL_WORDS, varied="exact")
    weights: str = field(
        "averaged", Weights(), "Which weights of your own training: averaged, raw, or those after a step",
        "weights", suggest=("averaged", "raw"), varied="raw")
    train_size: int | None = field(
        None, Whole(2, 100_000, "all of them"),
        "Only the first so many rows of the data: what is learned from few of them are copies",
        "training size", suggest=("4", "16", "64", "256"), varied="16", on_the_way=False)
    preset: str = field(
        "fast", Choice(tuple(PRESETS)),
        "How you train: fast is tuned, textbook is DDPM as in the paper, flow is rectified flow", "preset")
    prediction_type: str = field(
        "auto", Choice(("auto", *PREDICTION_TYPES)),
        "What your network puts out; auto is what the preset says, eps for textbook", "prediction type",
        words={"auto": "as the preset", "eps": "ε, the noise", "x0": "x₀, the data", "velocity": "velocity ε − x₀",
               "edm": "EDM's F"})
    network: str = field(
        "auto", Choice(("auto", *NETWORKS)), "Which network you train; auto is what the preset takes for these data",
        "network", words={"auto": "as the preset", **{name: known.title for name, known in NETWORKS.items()}})
    weighting: str = field(
        "target", Choice(tuple(WEIGHTINGS)),
        "What an error counts at each noise level; target: the network's own error as it is", "loss weighting",
        words={"target": "as the target", "eps": "errors of ε", "x0": "errors of x₀", "min_snr": "min-SNR",
               "edm": "EDM's"})
    time_sampling: str = field(
        "auto", Choice(("auto", "uniform", "log_normal")),
        "Which times a training draws: even ones, or log-normal around what is worth learning", "t sampling",
        words={"auto": "as the preset", "uniform": "uniform t", "log_normal": "log-normal"})
    labels: str = field(
        "ignore", Choice(("ignore", "learn")),
        "Learn the labels of the data too, so that one can be asked for, and guided to",
        "labels", words={"ignore": "ignored", "learn": "learned too"})
    baseline: str = field(
        "nothing", Choice(("nothing", *GANS)),
        "Train a GAN beside it: as many steps, rows and weights. Which of the two covers all modes?",
        "baseline", words={"nothing": "nothing", "plain": "a GAN", "tuned": "a tuned GAN"})
    schedule: str = field(
        "cosine", Curve(SCHEDULES), "How fast the data drowns in noise as t goes from 0 to 1", "schedule",
        words={name: known.title for name, known in NAMED.items() if known.title != name}, varied="linear",
        on_the_way=False)
    T: int = field(
        1000, Whole(2, 4000, widest=(2, 10_000)), "Timesteps that the schedule has in training", "timesteps T")
    train_steps: int | None = field(
        None, Whole(1, 200_000, "the preset's own"), "Optimizer steps of a training", "steps")
    batch: int | None = field(
        None, Whole(1, 4096, "the preset's own"), "Rows of data in one optimizer step", "batch")
    lr: float | None = field(
        None, Real(1e-6, 1.0, unset="the preset's own"),
        "Learning rate of the optimizer at its height: after the warm-up, before any decay", "learning rate",
        suggest=("0.00003", "0.0001", "0.0003", "0.001", "0.003", "0.01", "0.03", "0.1"))
    sampler: str = field(
        "ddim", Choice(tuple(SAMPLERS)),
        "How a step is taken: ODE rules without fresh noise, SDE rules with it, two that fail",
        "sampler", words={name: known.title for name, known in SAMPLERS.items()}, varied="ddpm")
    steps: int = field(
        100, Whole(1, 1000, widest=(1, 100_000)), "Steps from noise to data; at most T", "steps",
        suggest=("1", "2", "5", "10", "20", "50", "200"), varied="10", on_the_way=False)
    spacing: str = field(
        "trailing", Choice(SPACINGS),
        "Where steps lie: trailing, even in t; leading, from the data's end; or more where it matters", "spacing",
        words={"log_snr": "even in log-SNR", "edm": "EDM, ρ = 7"}, varied="log_snr", on_the_way=False)
    eta: float = field(
        0.0, Real(0.0, 1.0), "Fresh noise in each DDIM step: 0 is none, 1 is ancestral DDPM", "η",
        suggest=("0", "0.5", "1"), varied="1")
    label: str = field(
        "any", Label(), "What is asked for: anything, each label in turn, or one of them", "label",
        suggest=_LABELS, varied="0")
    label2: str = field(
        "any", Label(), "What is asked for of the second kind: anything, each in turn, or one of them",
        "second label", suggest=_LABELS, varied="0")
    guidance_method: str = field(
        "classifier_free", Choice(("classifier_free", "classifier")),
        "Who pushes to the label: the network against itself without it, or a classifier of noisy data",
        "guidance method", words={"classifier_free": "classifier-free", "classifier": "a classifier"},
        varied="classifier")
    guidance_scale: float = field(
        1.0, Real(0.0, 8.0, widest=(-1e4, 1e4)),
        "How hard: 0 ignores the label, 1 takes it as it is, more exaggerates what it changes",
        "guidance scale w", suggest=("0", "1", "2", "4", "8"), varied="3")
    guidance_interval: tuple[float, float] | None = field(
        (1.0, 0.0), Times(), "When it is pushed: always, never, or from one time to another",
        "guidance interval", suggest=("on", "1-0.5", "0.5-0", "0.8-0.2"), varied="0.8-0.2")
    samples: int | None = field(
        None, Whole(1, 2000, "1000 points or 16 images", widest=(1, 1_000_000)),
        "Samples made at once; at most 64 images", "samples")
    seed: int = field(
        0, Whole(0, 2**31 - 1, widest=(0, 2**63 - 1)),
        "Where the random numbers start: the same seed gives the same noise", "seed")
    thresholding: str = field(
        "none", Choice(THRESHOLDINGS), "Keep the predicted x̂₀ where data can be: static clamps, dynamic scales",
        "thresholding", varied="static")
    drop_noise: tuple[float, float] | None = field(
        None, Times(), "Leave out the fresh noise, always or from one time to another",
        "drop noise", suggest=_RANGES, varied="on")
    time_shift: float = field(
        0.0, Real(-0.2, 0.2, widest=(-1.0, 1.0)), "Tell the model a wrong time: t plus this", "time shift",
        suggest=("-0.05", "0.05"), varied="0.05")
    nudge: float = field(
        0.0, Real(-1.0, 1.0, widest=(-1e3, 1e3)), "Push the state by this much in all, a little in each step",
        "nudge x by", suggest=("-0.2", "0.2"), varied="0.2")
    scale_eps: float = field(
        1.0, Real(-2.0, 2.0, widest=(-1e3, 1e3)), "Multiply the predicted noise: 0 removes it, −1 turns it round",
        "ε̂ times", suggest=("0.9", "1.1", "-1"), varied="0.9")
    lens_samples: int | None = field(
        None, Whole(1, 2000, "500 points or 16 images"), "Samples under the noise lens; at most 64 images", "samples")
    layer: str = field("", Layer(), "A layer of the network to look inside, as a panel of the stage", "layer")
    forward: str = field(
        "data", Choice(("data", "heat")), "What is forgotten: the data in noise, or heat in a room",
        "process", words={"data": "data in noise", "heat": "heat in a room"})
    variants: tuple[str, ...] = field(
        ("sampler:ddpm",), Variants(lambda: FIELDS),
        "The same noise, but: what the runs B, C and D do differently from A", "B, C, D")
    bug: str = field(
        "walk", Choice(tuple(BUGS)),
        "What the Doctor looks at: this recipe's walk, your training, a trace, or a script of the museum",
        "examine", words=BUGS)
    against: str = field(
        "nothing", Choice(("nothing", "fixed", "before")),
        "A second run beside it: the same without its fault, or the trace that was open before",
        "beside it", words={"fixed": "the same, mended", "before": "the trace before"})
    tab: str = field("denoise", Choice(TABS), "The tab in front")
    panels: tuple[str, ...] = field((), Keys(6, widest=64), "The panels on the stage, in order")
    frame: int = field(0, Whole(0, 100_000), "Where the playhead stands, counted in frames")

    def __post_init__(self):
        for name, spec in SPECS.items():
            given = getattr(self, name)
            try:
                object.__setattr__(self, name, spec.check(given))
            except ValueError:
                raise Invalid(name, given, getattr(spec, "possible", spec.allowed)) from None
        for name, allowed in _clashes(vars(self)):
            raise Invalid(name, getattr(self, name), allowed)

    @property
    def kind(self) -> str | None:
        """ "points" or "images"; None for a visitor's own data, of which a recipe knows nothing."""
        return _kind(self.data)

    def sample_count(self, kind: str) -> int:
        """How many samples to make of this kind of data."""
        return self.samples or {"points": 1000, "images": 16}[kind]

    def lens_count(self, kind: str) -> int:
        """How many samples to put under the lens of this kind of data."""
        return {"points": 500, "images": 16}[kind] if self.lens_samples is None else (
            min(self.lens_samples, MOST_IMAGES) if kind == "images" else self.lens_samples)

    @property
    def changes(self) -> dict[str, Variant]:
        """What each of the runs that are compared with this one does differently, by its letter."""
        return {letter: SPECS["variants"].read(text) for letter, text in zip(LETTERS, self.variants) if text}

    @classmethod
    def shared(cls, **values: Any) -> Recipe:
        """The recipe of these values, for a door that strangers share. Invalid too for more than a page computes."""
        for name, value in values.items():
            spec = SPECS[name]
            if isinstance(spec, Whole | Real | Keys):
                try:
                    spec.check(value, shared=True)
                except ValueError:
                    raise Invalid(name, value, spec.allowed) from None
        recipe = cls(**values)
        for name, allowed in _clashes(vars(recipe), shared=True):
            raise Invalid(name, getattr(recipe, name), allowed)
        return recipe

    def with_(self, **changes: Any) -> Recipe:
        """The same recipe with these fields changed. Invalid names the field, the value given and what is allowed."""
        return Recipe.from_dict({**vars(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain JSON: it says the whole, even if defaults change one day."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` gave; fields left out have their defaults. Invalid if a name or a value is unknown.

        What a file says besides (`SAID_BESIDES`) is passed over.
        """
        values = named_now({name: value for name, value in values.items() if name not in SAID_BESIDES})
        for name in values:
            if name not in SPECS:
                raise Invalid("a field's name", name, ", ".join(SPECS))
        return cls(**values)

    def to_query(self) -> str:
        """What differs from the defaults, in the order of the fields, as the query of an address: "steps=50&seed=7"."""
        pairs = [(f.name, SPECS[f.name].text(getattr(self, f.name)))
                 for f in fields(self) if getattr(self, f.name) != f.default]  # fmt: skip
        return urlencode(pairs, safe=",:;@")

    @classmethod
    def from_query(cls, query: str | Mapping[str, Any] | None) -> tuple[Recipe, list[str]]:
        """The recipe of a link, and what in the link could not be used, one plain sentence each. Never raises.

        Names that begin with "__" belong to Gradio and are passed over. Complaints hold no HTML and no Markdown.
        """
        complaints: list[str] = []
        values: dict[str, Any] = {}
        seen: set[str] = set()
        for given, text in _pairs(query or "", complaints):
            if given.startswith("__"):
                continue
            name = field_now(given)
            if name not in SPECS:
                complaints.append(f"{shown(given)} in the link is no setting and is passed over")
                continue
            if name in seen:
                complaints.append(f"{name} is in the link more than once; the first is used")
                continue
            seen.add(name)
            try:
                values[name] = SPECS[name].parse(value_now(name, text))
            except ValueError as wrong:
                complaints.append(f"{name} = {shown(text)} in the link {wrong}; {_default(name)} is used")
        for name, allowed in list(_clashes({**DEFAULTS, "steps": steps_for(values), **values}, shared=True)):
            complaints.append(f"{name} = {values.pop(name)} in the link does not fit: it can be {allowed}; "
                              f"{steps_for(values) if name == 'steps' else _default(name)} is used")
        values.setdefault("steps", steps_for(values))
        if len(complaints) > MAX_COMPLAINTS:
            more = len(complaints) - MAX_COMPLAINTS + 1
            complaints[MAX_COMPLAINTS - 1 :] = [f"{more} more things in the link could not be used"]
        return cls(**values), complaints


def as_refusal(complaints: Sequence[str]) -> str:
    """What a door that takes all or nothing says of a link: its complaints, without what a lenient one does instead."""
    return "; ".join(re.sub("; [^;]+ (?:is used|are read)$| and is passed over$", "", complaint)
                     for complaint in complaints)


FIELDS: dict[str, About] = {f.name: f.metadata["about"] for f in fields(Recipe)}
SPECS: dict[str, Spec] = {name: about.spec for name, about in FIELDS.items()}  #: field → its values
HELP: dict[str, str] = {name: about.help for name, about in FIELDS.items()}  #: field → its tooltip
WORDS: dict[str, Mapping[str, str]] = {name: about.words for name, about in FIELDS.items() if about.words}
DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Recipe)}


def steps_for(values: Mapping[str, Any]) -> int:
    """The steps of a walk where none are given: as usual, and no more than its schedule has timesteps."""
    return min(DEFAULTS["steps"], values.get("T", DEFAULTS["T"]))


def _kind(data: str) -> str | None:
    return None if data == OWN else "images" if data in names("images") else "points"


def _clashes(values: Mapping[str, Any], shared: bool = False) -> Iterator[tuple[str, str]]:
    """Fields that are allowed by themselves but not beside the others, with what is. The defaults never clash.

    shared: what a page allows, where each visitor leaves room for others.
    """
    least = NAMED[values["schedule"]].least if values["schedule"] in NAMED else 2
    if values["T"] < least:
        yield "T", f"{least}…{SPECS['T'].high} on the {values['schedule']} schedule"
    elif values["steps"] > values["T"]:
        yield "steps", f"1…{values['T']}, the T of the schedule"
    if not shared:
        return
    kind = _kind(values["data"])
    for name in ("samples", "lens_samples"):
        if kind == "images" and (values[name] or 0) > MOST_IMAGES:
            yield name, f"1…{MOST_IMAGES} for images"


def _default(name: str) -> str:
    spec, default = SPECS[name], DEFAULTS[name]
    unset = default is None and isinstance(spec, Whole | Real)
    return spec.unset if unset else spec.text(default) or "the tab's own choice"


def _pairs(query: str | Mapping[str, Any], complaints: list[str]) -> Iterator[tuple[str, str]]:
    if isinstance(query, str):
        query = query.removeprefix("?")
        if len(query) > MAX_QUERY:
            complaints.append(f"the link has {len(query)} characters of settings; the first {MAX_QUERY} are read")
            query = query[:MAX_QUERY].rpartition("&")[0]  # a setting cut in two is not what anybody asked for
        yield from parse_qsl(query, keep_blank_values=True)
        return
    # A web framework's parameters may hold a name several times; a plain dict may hold a list for it.
    left = MAX_QUERY
    for name, given in query.multi_items() if hasattr(query, "multi_items") else query.items():
        for text in given if isinstance(given, list | tuple) else (given,):
            left -= len(str(name)) + len(str(text)) + 2
            if left < 0:
                complaints.append(f"the link has too many settings; the first {MAX_QUERY} characters are read")
                return
            yield str(name), str(text)
