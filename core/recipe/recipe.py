"""The recipe: the one typed description of what is shown. It writes the address, and everything shown follows from it.

Every field is declared once, with its values and its tooltip; `SPECS` and `HELP` give them to the page's controls. A
recipe that exists is valid. Two doors lead in: `with_` is strict (a control or a caller must know what it asks),
`from_query` is lenient (a link may be old, or bent on purpose): what it cannot use is named and the default taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ..baselines.gan import GANS
from ..data.datasets import names
from ..denoisers.wrappers import CLIPPINGS
from ..prediction import TARGETS
from ..samplers import SAMPLERS
from ..schedules import SCHEDULES, SPACINGS
from ..training.presets import PRESETS
from ..training.weightings import WEIGHTINGS
from .models import MODELS
from .values import Choice, Curve, Invalid, Keys, Label, Layer, Real, Times, Weights, Whole, shown
from .variants import LETTERS, Variant, Variants

OWN = "own"  #: the data set that a visitor brought; it lives with the visitor, not in the link
TABS = ("forward", "train", "denoise", "lens", "compare")
MOST_IMAGES = 64  #: images side by side; points can be more
MAX_QUERY = 2000  #: characters of a link that are read
MAX_COMPLAINTS = 8


Spec = Choice | Whole | Real | Times | Keys | Weights | Label | Layer | Variants


def _is(default: Any, spec: Spec, help: str) -> Any:
    return field(default=default, metadata={"spec": spec, "help": help})


@dataclass(frozen=True)
class Recipe:
    """What is shown. Raises Invalid if a value is not allowed, or does not go with the others."""

    data: str = _is("trex", Choice((*names(), OWN)), "What the model is to make: points in the plane, or small images")
    model: str = _is("pretrained", Choice(MODELS),
                     "Who says what the noise is: a trained network, the exact answer, or the one you trained")
    weights: str = _is("averaged", Weights(),
                       "Which weights of your own training: averaged, raw, or those after a step")
    rows: int | None = _is(None, Whole(2, 100_000, "all of them"),
                           "Only the first so many rows of the data: what is learned from few of them are copies")
    recipe: str = _is("fast", Choice(tuple(PRESETS)),
                      "How you train: fast is tuned, textbook is DDPM as in the paper, flow is rectified flow")
    target: str = _is("auto", Choice(("auto", *TARGETS)),
                      "What your network puts out; auto is what the training recipe says, eps for textbook")
    weighting: str = _is("target", Choice(tuple(WEIGHTINGS)),
                         "What an error counts at each noise level; target: the network's own error as it is")
    time_sampling: str = _is("auto", Choice(("auto", "uniform", "log_normal")),
                             "Which times a training draws: even ones, or log-normal around what is worth learning")
    labels: str = _is("ignore", Choice(("ignore", "learn")),
                      "Learn the labels of the data too, so that one can be asked for, and guided to")
    beside: str = _is("nothing", Choice(("nothing", *GANS)),
                      "Train a GAN beside it: as many steps, rows and weights. Which of the two covers all modes?")
    schedule: str = _is("cosine", Curve(SCHEDULES), "How fast the data drowns in noise as t goes from 0 to 1")
    T: int = _is(1000, Whole(100, 4000), "Timesteps that the schedule has in training")
    train_steps: int | None = _is(None, Whole(1, 200_000, "the training recipe's own"), "Optimizer steps of a training")
    batch: int | None = _is(None, Whole(1, 4096, "the training recipe's own"), "Rows of data in one optimizer step")
    sampler: str = _is("ddim", Choice(tuple(SAMPLERS)),
                       "How a step is taken: ODE rules without fresh noise, SDE rules with it, two that fail")
    steps: int = _is(100, Whole(1, 1000), "Steps from noise to data; at most T")
    spacing: str = _is("uniform", Choice(SPACINGS),
                       "Where the steps lie: even in t, counted from the data's end, even in log-SNR, or EDM's grid")
    eta: float = _is(0.0, Real(0.0, 1.0), "Fresh noise in each DDIM step: 0 is none, 1 is ancestral DDPM")
    label: str = _is("any", Label(), "What is asked for: anything, each label in turn, or one of them")
    label2: str = _is("any", Label(), "What is asked for of the second kind: anything, each in turn, or one of them")
    guide: str = _is("free", Choice(("free", "classifier")),
                     "Who pushes to the label: the network against itself without it, or a classifier of noisy data")
    guidance: float = _is(1.0, Real(0.0, 8.0),
                          "How hard: 0 ignores the label, 1 takes it as it is, more exaggerates what it changes")
    guide_when: tuple[float, float] | None = _is((1.0, 0.0), Times(),
                                                 "When it is pushed: always, never, or from one time to another")
    samples: int | None = _is(None, Whole(1, 2000, "1000 points or 16 images"),
                              "Samples made at once; at most 64 images")
    seed: int = _is(0, Whole(0, 2**31 - 1), "Where the random numbers start: the same seed gives the same noise")
    clip: str = _is("none", Choice(CLIPPINGS), "Keep the predicted x0 where data can be: static clamps, dynamic scales")
    drop_noise: tuple[float, float] | None = _is(None, Times(),
                                                 "Leave out the fresh noise, always or from one time to another")
    tell: float = _is(0.0, Real(-0.2, 0.2), "Tell the model a wrong time: t plus this")
    nudge: float = _is(0.0, Real(-1.0, 1.0), "Push the state by this much in all, a little in each step")
    scale_eps: float = _is(1.0, Real(-2.0, 2.0), "Multiply the predicted noise: 0 removes it, −1 turns it round")
    lens_samples: int | None = _is(None, Whole(1, 2000, "500 points or 16 images"),
                                   "Samples under the noise lens; at most 64 images")
    layer: str = _is("", Layer(), "A layer of the network to look inside, as a panel of the stage")
    forward: str = _is("data", Choice(("data", "room")), "What is forgotten: the data in noise, or heat in a room")
    versus: tuple[str, ...] = _is(("sampler:ddpm",), Variants(lambda: SPECS),
                                  "The same noise, but: what the runs B, C and D do differently from A")
    tab: str = _is("denoise", Choice(TABS), "The tab in front")
    panels: tuple[str, ...] = _is((), Keys(6), "The panels on the stage, in order")
    frame: int = _is(0, Whole(0, 100_000), "Where the playhead stands, counted in frames")

    def __post_init__(self):
        for name, spec in SPECS.items():
            given = getattr(self, name)
            try:
                object.__setattr__(self, name, spec.check(given))
            except ValueError:
                raise Invalid(name, given, spec.allowed) from None
        for name, allowed in _clashes(vars(self)):
            raise Invalid(name, getattr(self, name), allowed)

    @property
    def kind(self) -> str | None:
        """ "points" or "images"; None for a visitor's own data, of which a recipe knows nothing."""
        return _kind(self.data)

    def sample_count(self, kind: str) -> int:
        """How many samples to make of this kind of data: what was asked for, within what the kind allows."""
        return _count(self.samples, kind, points=1000)

    def lens_count(self, kind: str) -> int:
        """How many samples to put under the lens of this kind of data."""
        return _count(self.lens_samples, kind, points=500)

    @property
    def changes(self) -> dict[str, Variant]:
        """What each of the runs that are compared with this one does differently, by its letter."""
        return {letter: SPECS["versus"].read(text) for letter, text in zip(LETTERS, self.versus) if text}

    def with_(self, **changes: Any) -> Recipe:
        """The same recipe with these fields changed. Invalid names the field, the value given and what is allowed."""
        return Recipe.from_dict({**vars(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Every field, as plain JSON: it says the whole, even if defaults change one day."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` gave; fields left out have their defaults. Invalid if a name or a value is unknown."""
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
        for name, text in _pairs(query or "", complaints):
            if name.startswith("__"):
                continue
            if name not in SPECS:
                complaints.append(f"{shown(name)} in the link is no setting and is passed over")
                continue
            if name in seen:
                complaints.append(f"{name} is in the link more than once; the first is used")
                continue
            seen.add(name)
            try:
                values[name] = SPECS[name].parse(text)
            except ValueError as wrong:
                complaints.append(f"{name} = {shown(text)} in the link {wrong}; {_default(name)} is used")
        for name, allowed in list(_clashes({**DEFAULTS, **values})):
            complaints.append(f"{name} = {values.pop(name)} in the link does not fit: it can be {allowed}; "
                              f"{_default(name)} is used")
        if len(complaints) > MAX_COMPLAINTS:
            more = len(complaints) - MAX_COMPLAINTS + 1
            complaints[MAX_COMPLAINTS - 1 :] = [f"{more} more things in the link could not be used"]
        return cls(**values), complaints


SPECS: dict[str, Spec] = {f.name: f.metadata["spec"] for f in fields(Recipe)}  #: field → its values
HELP: dict[str, str] = {f.name: f.metadata["help"] for f in fields(Recipe)}  #: field → its tooltip
DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Recipe)}


def _kind(data: str) -> str | None:
    return None if data == OWN else "images" if data in names("images") else "points"


def _count(asked: int | None, kind: str, points: int) -> int:
    if kind == "images":
        return 16 if asked is None else min(asked, MOST_IMAGES)
    return points if asked is None else asked


def _clashes(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that are allowed by themselves but not beside the others, with what is. The defaults never clash."""
    if values["steps"] > values["T"]:
        yield "steps", f"1…{values['T']}, the T of the schedule"
    kind = _kind(values["data"])
    for name in ("samples", "lens_samples"):
        if kind == "images" and (values[name] or 0) > MOST_IMAGES:
            yield name, f"1…{MOST_IMAGES} for images"


def _default(name: str) -> str:
    spec, default = SPECS[name], DEFAULTS[name]
    return spec.unset if default is None and isinstance(spec, Whole) else spec.text(default) or "the tab's own choice"


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
