"""The page: the recipe at the left, the tabs at the right, one playhead in the middle. `build` makes it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from core.datasets import Dataset
from dashboard.actions.subject import dataset_of, model_choices
from dashboard.api import expose
from dashboard.controls import BUTTONS, RECIPE_SETS, Controls, build_controls
from dashboard.examples import EXAMPLES
from dashboard.lab import Lab, plainly
from dashboard.models import USUAL, walked_as
from dashboard.outfit import OUTFITTED, facts, outfit, using, weights, without_hidden, without_what_is_not_there
from dashboard.own import Own, build_own, read_drawing, read_file
from dashboard.recipe import DEFAULTS, HELP, OWN, Recipe
from dashboard.reel import Reel
from dashboard.stage import Stage, head as stage_head
from dashboard.stage.stage import options
from dashboard.tabs import compare, denoise, forward, lens, train
from dashboard.tabs.stages import QUIET, recipe_from, show, wire_stage
from dashboard.visitors import Busy, Visitor

HERE = Path(__file__).parent
#: Files of frames live this long: (look every, older than), seconds.
CACHE_LIFE = (600, 3600)
#: Tabs whose stage follows the recipe at once; Train has a start button instead.
LOOKS = {"forward": forward, "denoise": denoise, "lens": lens, "compare": compare}
TITLES = {"forward": "Forward", "train": "Train", "denoise": "Denoise", "lens": "Noise lens", "compare": "Compare"}
#: Tabs tell their first choice while the page is put up, with fields that hold nothing yet; a visitor who has been here
#: before has a token by then. What arrives opens the tab in front by itself.
UNLESS_READY = "(token, ...rest) => [document.body.classList.contains('ns-ready') ? token : null, ...rest]"
BRAND = """<header class="ns-brand"><a href="./" class="ns-name">noise<b>scope</b></a><span class="ns-tools">
<button type="button" data-ns="recipe" class="ns-recipe-button">Recipe</button>
<button type="button" data-ns="copy">Copy link</button>
<button type="button" data-ns="theme" aria-label="light or dark">◐</button></span></header>"""


class Told(gr.HTML):
    """Value: what the page is to know of the recipe. {"query": as it stands in the address, "has": its `facts`}.

    The page watches the value itself. An event that waits for the handler which gave it can be overtaken by the next
    change, and the address would then miss that one.
    """

    def __init__(self, value: dict | None = None, **kwargs):
        super().__init__(
            value,
            html_template="<i></i>",
            js_on_load="document.body.dataset.has ||= props.value.has.join(' ');"
                       "watch('value', () => Noisescope.told(props.value));",
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: dict | None) -> dict | None:
        return value

    def api_info(self):
        return {"type": "object"}


def tell(recipe: Recipe, visitor: Visitor | None) -> dict:
    """The value of `Told`. Which tab, panels and frame are in front only the page knows."""
    plain = recipe.with_(tab=DEFAULTS["tab"], panels=(), frame=0)
    return {"query": plain.to_query(), "has": facts(plain, visitor)}


def head() -> str:
    """What the page needs beside Gradio: the stage's scripts, the page's own, its style and the tooltips."""
    script = "\n".join((HERE / name).read_text("utf-8") for name in ("page.js", "versus.js", "pad.js", "knots.js"))
    style = (HERE / "page.css").read_text("utf-8")
    tips = {**{f"field-{name}": text for name, text in HELP.items()}, **BUTTONS}
    begin = f"Noisescope.decorate({options(**tips)});\nNoisescope.tabs({options(**TITLES)});"
    return f"{stage_head()}\n<style>{style}</style>\n<script>\n{script}\n{begin}\n</script>"


def build(lab: Lab) -> gr.Blocks:
    """The dashboard as Gradio blocks, on what `lab` holds."""
    lab.greeting = greet()
    with gr.Blocks(title="Noisescope", analytics_enabled=False, fill_width=True, delete_cache=CACHE_LIFE) as page:
        token = gr.BrowserState(None, storage_key="noisescope-visitor", secret="noisescope")
        current, told = gr.State("denoise"), Told(tell(Recipe(), None), padding=False, elem_id="told")
        gr.HTML(BRAND, padding=False, elem_id="brand")
        with gr.Row(elem_id="frame"):
            with gr.Column(elem_id="recipe", min_width=0, scale=0):
                controls = build_controls()
                own = build_own(controls)
            with gr.Column(elem_id="main", min_width=0):
                with gr.Tabs(selected="denoise", elem_id="tabs") as tabs:
                    stages, tab_items = {}, {}
                    for name, title in TITLES.items():
                        with gr.Tab(title, id=name) as tab_items[name]:
                            if name in LOOKS:
                                first = {"value": {**lab.greeting.value(done=True), "greeting": True}}
                                stages[name] = LOOKS[name].stage(**first if name == "denoise" else {})
                            else:
                                training = train.layout(controls)
        expose(lab)
        _wire(lab, page, controls, token, current, told, tabs, tab_items, stages, training, own)
    return page


def greet() -> Reel:
    """The film that every page opens with, made once: it stands on the stage before anything is asked of the server."""
    *_, film = denoise.growing(Recipe(), None)
    reel = Reel(film)
    reel.value(done=True)
    return reel


def _wire(lab: Lab, page: gr.Blocks, controls: Controls, token, current, told, tabs, tab_items,
          stages: dict[str, Stage], training, own) -> None:
    inputs = [token, *controls.inputs]

    def refresh(tab: str, token: str, session: str, values, force: bool, **view) -> Iterator[dict]:
        visitor = lab.visitor(token, session)
        recipe = without_hidden(recipe_from(controls, values).with_(**view), visitor)
        yield {current: tab, told: tell(recipe, visitor)}
        if tab in LOOKS and (force or not _is_shown(visitor, session, tab, recipe)):
            for value in show(lab, tab, LOOKS[tab].growing, recipe, visitor, session):
                yield {stages[tab]: value}

    def on_change(tab: str, token: str, request: gr.Request, *values) -> Iterator[dict]:
        yield from refresh(tab, token, request.session_hash, values, force=False)

    outputs = [current, told, *stages.values()]
    gr.on(controls.settled(), on_change, [current, *inputs], outputs, trigger_mode="multiple", **QUIET)

    for name, item in tab_items.items():
        def on_tab(token: str | None, request: gr.Request, *values, name=name) -> Iterator[dict]:
            if token is None:  # see UNLESS_READY
                yield {current: gr.skip()}
                return
            yield from refresh(name, token, request.session_hash, values, force=False)

        item.select(on_tab, inputs, outputs, trigger_mode="multiple", js=UNLESS_READY, **QUIET)

    for name in LOOKS:
        def on_press(token: str, request: gr.Request, *values, name=name) -> Iterator[dict]:
            yield from refresh(name, token, request.session_hash, values, force=True)

        controls.buttons[name].click(on_press, inputs, outputs, trigger_mode="multiple", **QUIET)
        wire_stage(lab, name, stages[name], token)

    compare.wire_branch(lab, controls, token, tabs)  # the tab in front then shows itself

    again = train.wire(lab, training, token)
    _wire_data(lab, controls, token, own, changed=lambda event: event.success(
        on_change, [current, *inputs], outputs, **QUIET))
    _wire_examples(lab, controls, token, changed=lambda event: event.success(
        on_change, [current, *inputs], outputs, **QUIET))
    _wire_settings(controls, changed=lambda event: event.success(on_change, [current, *inputs], outputs, **QUIET))

    def on_open(tab: str, view: dict, token: str, request: gr.Request, *values) -> Iterator[dict]:
        view = dict(view)
        greeted = view.pop("greeted", False)
        if greeted and recipe_from(controls, values) == Recipe():
            # The page came with this film on its stage; the visitor gets a reel of their own for what they do with it.
            lab.visitor(token, request.session_hash).keep(f"denoise/{request.session_hash}", lab.greeting.copy())
            yield {current: tab}
            return
        yield from refresh(tab, token, request.session_hash, values, force=True, **view)

    _wire_arrival(lab, page, controls, token, current, told, tabs, inputs, outputs, on_open, again, training)


def _is_shown(visitor: Visitor, session: str, tab: str, recipe: Recipe) -> bool:
    """Whether this page's stage already shows just that, made by the very same model from the very same data."""
    reel = visitor.trace(f"{tab}/{session}")
    models = [recipe.model, *(change.fields.get("model") for change in recipe.changes.values() if tab == "compare")]
    if reel is None or "mine" in models or recipe.data == OWN:
        return False
    seen = dict(tab=tab, panels=(), frame=0) | ({} if tab == "compare" else {"versus": ()})
    return Recipe.from_dict(reel.film.about).with_(**seen) == recipe.with_(**seen)


def _wire_data(lab: Lab, controls: Controls, token, own: Own, changed) -> None:
    fields = controls.fields
    targets = [fields["data"], own.note, *(fields[name] for name in (*OUTFITTED, *USUAL))]
    inputs = [token, *controls.inputs]

    def choose(recipe: Recipe, visitor: Visitor, text: str = "") -> list:
        dataset_of(recipe, visitor)
        recipe = using(recipe, weights(recipe, visitor))
        return [recipe.data, text, *outfit(recipe, visitor), *(getattr(recipe, name) for name in USUAL)]

    def on_pick(token: str, request: gr.Request, event: gr.EventData, *values) -> list:
        try:
            recipe = recipe_from(controls, values).with_(data=event._data.get("name"))
            return choose(recipe, lab.visitor(token, request.session_hash))
        except ValueError as error:
            raise plainly(error) from None

    def bring(visitor: Visitor, values, dataset: Dataset) -> list:
        with visitor.lock:
            visitor.data = dataset
        recipe = using(recipe_from(controls, values).with_(data=OWN, samples=None, lens_samples=None), "exact")
        rows = f"{len(dataset):,} {'points' if dataset.kind == 'points' else 'pictures'}"
        for warning in dataset.warnings[:4]:
            gr.Warning(warning)
        return choose(recipe, visitor, f"In use: your own {rows}.")

    def on_file(path: str | None, size: int, token: str, request: gr.Request, *values) -> list:
        if path is None:
            return [gr.skip()] * len(targets)
        try:
            return bring(lab.visitor(token, request.session_hash), values, read_file(path, size))
        except Exception as error:
            raise plainly(error) from None

    def on_drawing(token: str, request: gr.Request, event: gr.EventData, *values) -> list:
        try:
            return bring(lab.visitor(token, request.session_hash), values, read_drawing(event._data.get("picture")))
        except Exception as error:
            raise plainly(error) from None

    changed(fields["data"].pick(on_pick, inputs, targets, **QUIET))
    changed(own.file.upload(on_file, [own.file, own.size, *inputs], targets, **QUIET))
    changed(own.pad.drawn(on_drawing, inputs, targets, **QUIET))


def _wire_examples(lab: Lab, controls: Controls, token, changed) -> None:
    """A comparison of the list sets the sidebar; what it says nothing of stays as it was."""

    def on_example(name: str, token: str, request: gr.Request, *values) -> list:
        if name not in EXAMPLES:
            return [gr.skip()] * len(controls.inputs)
        try:
            recipe = recipe_from(controls, values).with_(**EXAMPLES[name])
            return fitted(controls, recipe, lab.visitor(token, request.session_hash))
        except ValueError as error:
            raise plainly(error) from None

    changed(controls.examples.input(on_example, [controls.examples, token, *controls.inputs], controls.inputs, **QUIET))


def fitted(controls: Controls, recipe: Recipe, visitor: Visitor) -> list:
    """The whole sidebar for a recipe, with the choices that there are for its data."""
    values = controls.show(recipe)
    for name, update in zip(OUTFITTED, outfit(recipe, visitor)):
        values[list(controls.fields).index(name)] = update
    return values


def _wire_settings(controls: Controls, changed) -> None:
    """Controls that set other controls: a training recipe its target and schedule, the dice a seed."""
    fields = controls.fields
    fields["recipe"].input(lambda name: [RECIPE_SETS[name]["target"], RECIPE_SETS[name]["schedule"]], fields["recipe"],
                           [fields["target"], fields["schedule"]], **QUIET)
    walked = [fields[name] for name in USUAL]
    changed(fields["model"].input(lambda *now: list(walked_as(*now).values()), [fields["model"], *walked], walked,
                                  **QUIET))
    throw = random.SystemRandom()
    changed(controls.buttons["dice"].click(lambda: throw.randrange(100_000), None, fields["seed"], **QUIET))


def _wire_arrival(lab: Lab, page: gr.Blocks, controls: Controls, token, current, told, tabs, inputs, outputs, on_open,
                  again, training) -> None:
    view = gr.State({})  # what a link says of panels and playhead; for the first film alone

    def arrive(known: str | None, request: gr.Request) -> list:
        try:
            mine = lab.arrive(known, request.session_hash)
        except Busy as busy:
            raise plainly(busy) from None
        visitor = lab.visitor(mine, request.session_hash)
        recipe, complaints = Recipe.from_query(request.query_params)
        recipe, more = fit(recipe, visitor)
        for complaint in complaints + more:
            gr.Warning(complaint)
        # A bare address shows the film that the page came with (page.js decides alike, by N.linked).
        shown = {"panels": recipe.panels, "frame": recipe.frame,
                 "greeted": not any(not name.startswith("__") for name in request.query_params)}
        return [mine, recipe.tab, tell(recipe, visitor), gr.update(selected=recipe.tab), shown,
                *fitted(controls, recipe, visitor)]

    loaded = page.load(arrive, token, [token, current, told, tabs, view, *controls.inputs], **QUIET)
    # Until the visitor has arrived and the recipe stands in the sidebar, the buttons wait.
    loaded.success(None, None, None, js="() => document.body.classList.add('ns-ready')", api_visibility="private")
    loaded.success(on_open, [current, view, *inputs], outputs, **QUIET)
    loaded.success(again, inputs, training.outputs, **{**QUIET, "concurrency_limit": None})
    page.unload(lab.depart)


def fit(recipe: Recipe, visitor: Visitor) -> tuple[Recipe, list[str]]:
    """A link's recipe with what this visitor does not have replaced, and what that was."""
    complaints = []
    if recipe.data == OWN and visitor.data is None:
        complaints.append("The link shows data of somebody's own, which stay with them; the T-Rex is shown instead")
        recipe = recipe.with_(data="trex", model="pretrained")
    choices = model_choices(recipe, visitor)
    if recipe.model not in choices:
        why = ("The link shows a model trained live: press Train to make it again" if recipe.model == "mine"
               else "No trained model is shipped for this data")
        complaints.append(f"{why}; until then the {choices[0]} one is shown")
        recipe = using(recipe, choices[0])
    kept = without_what_is_not_there(recipe, visitor)
    lost = [name for name in ("label", "label2", "layer") if getattr(kept, name) != getattr(recipe, name)]
    if lost:
        complaints.append(f"The link asks for what this model does not have: {', '.join(lost)} is left out")
    return kept, complaints
