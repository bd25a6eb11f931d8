"""The sidebar: the recipe as controls. Each field of `Recipe` that can be turned is declared once, with its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from core.recipe.recipe import DEFAULTS, FIELDS, SPECS, Recipe
from core.runs.trainings import LIVE_FIELDS
from core.recipe.values import Choice, Invalid, Label, Layer, Real, Weights, Whole
from dashboard.sidebar.examples import EXAMPLES
from dashboard.sidebar.knots import Knots
from dashboard.sidebar.picker import Picker
from dashboard.sidebar.variant_rows import VariantRows

#: What a training preset sets besides itself.
PRESET_SETS = {name: {"prediction_type": "auto", "schedule": schedule}
               for name, schedule in (("fast", "cosine"), ("textbook", "linear"), ("flow", "flow"))}

#: Tooltips of buttons, by their id.
BUTTONS = {"denoise": "Walk from noise to data once more", "dissolve": "Let the data become noise once more",
           "branch": "Change something in the recipe, then go on from this step: parent and branch are compared",
           "examine": "Let the Doctor look at this very walk, line by line",
           "examine-training": "Let the Doctor look at this training, and at a walk with what it has learned",
           "debug": "Look at it once more", "surprise": "A script with a fault in it, or none: find the line",
           "go-on": "As many steps more as were planned at first; with the rate, batch and weighting of the recipe",
           "own-trace": "What run.save wrote, in your own program; it is yours alone, and nothing in it can run",
           "look": "Hold predicted against true noise once more", "compare": "Walk all runs once more"}
#: What lies folded until it is wanted, or a recipe sets some of it: {name: its fields}.
FOLDS = {"guidance": ("guidance_method", "guidance_interval"), "sampling": ("spacing", "thresholding"),
         "training": ("weighting", "time_sampling"),
         "interventions": ("drop_noise", "nudge", "time_shift", "scale_eps"), "inside": ("layer",)}
#: Fields that are written as text in their control.
AS_TEXT = ("drop_noise", "guidance_interval", "variants", "lr")
#: Fields that have a handler of their own.
HANDLED = ("data", "model", "preset")


class Menu(gr.Dropdown):
    """A menu that passes on whatever it is sent; the recipe says, in words, what is wrong with a value.

    What some menus offer changes with the data, and an event under way may still carry what was offered before.
    """

    is_template = True  # Gradio draws it as what it is made from

    def preprocess(self, payload: str | None) -> str | None:
        return payload


@dataclass
class Controls:
    """The sidebar's components by the recipe's field, and the buttons of the tabs."""

    fields: dict[str, Any] = field(default_factory=dict)
    buttons: dict[str, gr.Button] = field(default_factory=dict)
    groups: dict[str, gr.Column] = field(default_factory=dict)
    examples: gr.Dropdown | None = None
    trace: gr.UploadButton | None = None  #: by which a trace is brought
    status: gr.HTML | None = None  #: where a training stands, above its buttons

    @property
    def inputs(self) -> list:
        return list(self.fields.values())

    def recipe(self, values: Sequence) -> Recipe:
        """The recipe that these values of `inputs` make. Invalid names the field, the value and what is allowed."""
        read = {}
        for name, value in zip(self.fields, values):
            if name in ("drop_noise", "guidance_interval", "lr"):
                try:
                    value = SPECS[name].parse(str(value or ("auto" if name == "lr" else "off")))
                except ValueError:
                    raise Invalid(name, value, SPECS[name].allowed) from None
            elif name == "variants":
                try:
                    value = SPECS[name].parse(str(value or ""))
                except ValueError as wrong:
                    raise ValueError(f"what B, C or D does differently {wrong}") from None
            elif isinstance(SPECS[name], Whole) and value in ("", None):
                value = DEFAULTS[name]
            read[name] = value
        return Recipe.shared(**read)

    def show(self, recipe: Recipe) -> list:
        """The values of `inputs` for a recipe: what a handler returns to set the whole sidebar."""
        return [SPECS[name].text(value) if name in AS_TEXT else value
                for name in self.fields for value in [getattr(recipe, name)]]

    def named(self, settings: Mapping[Any, Any]) -> dict[str, Any]:
        """{field: its value} of what an answer sets: {component: value or gr.update(…)}."""
        names = {component: name for name, component in self.fields.items()}
        found = {names[c]: value for c, value in settings.items() if c in names}
        plain = {name: value.get("value", gr.skip()) if is_update(value) else value for name, value in found.items()}
        return {name: value for name, value in plain.items() if not is_update(value)}

    def news(self, settings: Mapping[Any, Any], stood: Mapping[str, Any]) -> dict[Any, Any]:
        """What an answer sets, without the values that stood there anyhow: a hand may have turned those meanwhile."""
        same = {self.fields[name] for name, value in self.named(settings).items() if value == stood[name]}
        news = {}
        for component, value in settings.items():
            if component not in same:
                news[component] = value
            elif is_update(value):
                news[component] = {key: given for key, given in value.items() if key != "value"}
        return news

    def settled(self) -> list:
        """Events that say: a hand has come to rest on a control."""
        events = []
        for name, component in self.fields.items():
            if name in HANDLED:
                continue
            if isinstance(component, gr.Number):
                events += [component.submit, component.blur]
            elif isinstance(component, gr.Slider):
                events.append(component.release)
            else:
                events.append(component.input)
        return events

    def add(self, name: str, **options) -> None:
        """A control for a field, of the kind that its values ask for."""
        about, spec = FIELDS[name], SPECS[name]
        look = dict(label=about.label, elem_id=f"field-{name}",
                    elem_classes=["ns-row", *(["ns-live"] if name in LIVE_FIELDS else [])], interactive=True)
        value = DEFAULTS[name]
        if isinstance(spec, Choice):
            control = Menu([(about.words.get(c, c), c) for c in spec.choices], value=value, filterable=False,
                           **look, **options)
        elif isinstance(spec, Whole):
            control = gr.Number(value=value, precision=0, placeholder="auto" if spec.unset else None,
                                **look, **options)
        elif isinstance(spec, Real) and spec.unset:
            control = gr.Dropdown(["auto", *about.suggest], value=spec.text(value), allow_custom_value=True,
                                  **look, **options)
        elif isinstance(spec, Real):
            control = gr.Slider(spec.low, spec.high, value=value, step=0.01, buttons=[], **look, **options)
        elif isinstance(spec, Label):
            control = Menu(label_choices(()), value=value, filterable=False, **look, **options)
        elif isinstance(spec, Layer):
            control = Menu([("none", "")], value=value, filterable=False, **look, **options)
        elif isinstance(spec, Weights):
            control = gr.Dropdown([*about.suggest], value=value, allow_custom_value=True, **look, **options)
        else:
            control = gr.Dropdown(["off", *about.suggest], value=spec.text(value), allow_custom_value=True,
                                  **look, **options)
        self.fields[name] = control


def is_update(value: Any) -> bool:
    """Whether it is what gr.update makes."""
    return isinstance(value, dict) and value.get("__type__") == "update"


def label_choices(names: Sequence[str]) -> list[tuple[str, str]]:
    """What can be asked for, of labels with these names: (what people read, value)."""
    return [("any", "any"), ("each in turn", "each"), *((name, str(k)) for k, name in enumerate(names))]


def needs(*facts: str) -> list[str]:
    """Classes of what is seen only where all of these hold; `PageState` says to the page which do."""
    return [f"ns-needs-{fact}" for fact in facts]


@contextmanager
def fold(name: str, title: str) -> Iterator[None]:
    """What is put up inside lies in the fold of that name; the button with the title opens it."""
    gr.HTML(f'<button type="button" class="ns-fold-button" data-ns="fold" data-fold="{name}" aria-expanded="false" '
            f'aria-controls="fold-{name}">{title}</button>', padding=False)
    with gr.Column(elem_id=f"fold-{name}", elem_classes=["ns-fold", f"ns-fold-{name}"], min_width=0):
        yield


def build_controls() -> Controls:
    """The whole sidebar, inside the block that is open. Groups that belong to one tab carry the class ns-for-<tab>."""
    c = Controls()
    with gr.Column(elem_classes=["ns-group", "ns-for-debug"], min_width=0):
        gr.HTML("<h3>Examine</h3>", padding=False)
        c.add("bug")
        c.add("against")
        c.trace = gr.UploadButton("Open a trace …", size="sm", elem_id="own-trace",
                                  file_types=[".trace", ".safetensors"])
    with gr.Column(elem_classes=["ns-group", *needs("walked")], min_width=0):
        gr.HTML("<h3>Data</h3>", padding=False)
        c.fields["data"] = Picker(DEFAULTS["data"], elem_id="field-data")
        with gr.Column(elem_classes=needs("rows"), min_width=0):
            c.add("train_size")
        c.groups["own"] = gr.Accordion("your own data", open=False, elem_classes=["ns-own"])
    with gr.Column(elem_classes=["ns-group", *needs("walked")], min_width=0):
        gr.HTML("<h3>Model</h3>", padding=False)
        with gr.Column(elem_classes=["ns-for-denoise", "ns-for-lens", "ns-for-compare", "ns-for-debug"], min_width=0):
            c.add("model")
            with gr.Column(elem_classes=needs("mine"), min_width=0):
                c.add("weights")
        with gr.Column(elem_classes=["ns-for-forward"], min_width=0):
            with gr.Column(elem_classes=needs("points"), min_width=0):
                c.add("forward")
        with gr.Column(elem_classes=["ns-unless-memory", *needs("noised")], min_width=0):
            c.fields["schedule"] = Knots(DEFAULTS["schedule"], FIELDS["schedule"].words, elem_id="field-schedule")
            c.add("T")
    with gr.Column(elem_classes=["ns-group", "ns-for-train"], min_width=0):
        gr.HTML("<h3>Training</h3>", padding=False)
        c.fields["preset"] = gr.Radio(list(PRESET_SETS), value=DEFAULTS["preset"], label=FIELDS["preset"].label,
                                      elem_id="field-preset", elem_classes=["ns-row", "ns-switch"])
        c.add("network")
        c.add("prediction_type")
        with gr.Column(elem_classes=needs("labels"), min_width=0):
            c.add("labels")
        with gr.Column(elem_classes=needs("points"), min_width=0):
            c.add("baseline")
        c.add("train_steps")
        c.add("batch")
        c.add("lr")
        with fold("training", "loss weighting, t sampling"):
            c.add("weighting")
            c.add("time_sampling")
    with gr.Column(elem_classes=["ns-group", "ns-for-compare"], min_width=0):
        gr.HTML("<h3>The same noise, but</h3>", padding=False)
        c.examples = gr.Dropdown(["your own", *EXAMPLES], value="your own", label="example", filterable=False,
                                 elem_id="field-example", elem_classes=["ns-row"])
        c.fields["variants"] = VariantRows(SPECS["variants"].text(DEFAULTS["variants"]), elem_id="field-variants")
    asking = ["ns-group", "ns-for-denoise", "ns-for-compare", "ns-for-debug", "ns-unless-memory",
              *needs("labels", "walked")]
    with gr.Column(elem_classes=asking, min_width=0):
        gr.HTML("<h3>Guidance</h3>", padding=False)
        c.add("label")
        with gr.Column(elem_classes=needs("two"), min_width=0):
            c.add("label2")
        with gr.Column(elem_classes=needs("asked"), min_width=0):
            c.add("guidance_scale")
            with fold("guidance", "method, interval"):
                c.add("guidance_method")
                c.add("guidance_interval")
    with gr.Column(elem_classes=["ns-group", "ns-for-denoise", "ns-for-compare", "ns-for-debug", "ns-unless-memory",
                                 *needs("walked")], min_width=0):
        gr.HTML("<h3>Sampling</h3>", padding=False)
        c.add("sampler")
        c.add("steps")
        with gr.Column(elem_classes=needs("eta"), min_width=0):
            c.add("eta")
        with fold("sampling", "spacing, thresholding"):
            c.add("spacing")
            c.add("thresholding")
    with gr.Column(elem_classes=["ns-group"], min_width=0):
        with gr.Column(elem_classes=["ns-for-denoise", "ns-for-forward", "ns-for-compare"], min_width=0):
            c.add("samples")
        with gr.Column(elem_classes=["ns-for-lens"], min_width=0):
            c.add("lens_samples")
        c.add("seed")
        c.buttons["dice"] = gr.Button("another seed", size="sm", elem_classes=["ns-dice"])
    with gr.Column(elem_classes=["ns-group", "ns-for-denoise", "ns-for-lens", "ns-for-compare", "ns-for-debug",
                                 "ns-unless-memory", *needs("walked")], min_width=0):
        with fold("interventions", "interventions"):
            with gr.Column(elem_classes=["ns-for-denoise", "ns-for-compare", "ns-for-debug"], min_width=0):
                c.add("drop_noise")
                c.add("nudge")
            c.add("time_shift")
            c.add("scale_eps")
    with gr.Column(elem_classes=["ns-group", "ns-for-denoise", *needs("network")], min_width=0):
        with fold("inside", "look inside the network"):
            c.add("layer")
    with gr.Row(elem_classes=["ns-actions", "ns-for-denoise"]):
        c.buttons["denoise"] = gr.Button("Denoise", variant="primary", elem_id="denoise")
        c.buttons["branch"] = gr.Button("Branch here", elem_id="branch", elem_classes=["ns-unless-memory"])
        c.buttons["examine"] = gr.Button("Examine", elem_id="examine", elem_classes=["ns-unless-memory"])
    with gr.Row(elem_classes=["ns-actions", "ns-for-debug"]):
        c.buttons["surprise"] = gr.Button("Surprise me", variant="primary", elem_id="surprise")
        c.buttons["debug"] = gr.Button("Examine", elem_id="debug")
    with gr.Row(elem_classes=["ns-actions", "ns-for-compare"]):
        c.buttons["compare"] = gr.Button("Compare", variant="primary", elem_id="compare")
    with gr.Row(elem_classes=["ns-actions", "ns-for-forward"]):
        c.buttons["forward"] = gr.Button("Add noise", variant="primary", elem_id="dissolve")
    with gr.Row(elem_classes=["ns-actions", "ns-for-lens"]):
        c.buttons["lens"] = gr.Button("Measure", variant="primary", elem_id="look")
    with gr.Column(elem_classes=["ns-actions", "ns-for-train"], min_width=0):
        c.status = gr.HTML("", padding=False, elem_id="training-status")
        with gr.Row():
            c.buttons["train"] = gr.Button("Train", variant="primary", elem_id="train")
            c.buttons["pause"] = gr.Button("Pause", variant="primary", elem_id="pause", visible=False)
            c.buttons["resume"] = gr.Button("Resume", variant="primary", elem_id="resume", visible=False)
            c.buttons["stop"] = gr.Button("Stop", elem_id="stop", visible=False)
            c.buttons["go_on"] = gr.Button("Go on", elem_id="go-on", visible=False)
            c.buttons["reset"] = gr.Button("Reset", elem_id="reset", visible=False)
            c.buttons["examine_training"] = gr.Button("Examine", elem_id="examine-training", visible=False)
    return c
