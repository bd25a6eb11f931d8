"""The page: the recipe at the left, the tabs at the right, one playhead in the middle. `build` makes it."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from core.data.datasets import Dataset
from core.data.readers import kind_of
from core.lessons.lesson import lessons
from core.recipe.models import SOLVED, USUAL, WORDS, walked_as
from core.recipe.recipe import DEFAULTS, HELP, OWN, Recipe
from core.recipe.words import uses, words
from core.runs.resolve import dataset_of, model_choices, usual_model
from dashboard.api import expose
from dashboard.greeting import greeting
from dashboard.head import head
from dashboard.ready.film import Greeting
from dashboard.server.blocks import Page
from dashboard.server.app_state import AppState, counted, user_error
from dashboard.server.visitors import Busy, Visitor
from dashboard.sidebar.choices import (
    WITH_CHOICES, best_model, choices_for, facts, moved_to, using, without_hidden, without_what_is_not_there,
)
from dashboard.sidebar.controls import BUTTONS, PRESET_SETS, Controls, build_controls
from dashboard.sidebar.examples import EXAMPLES
from dashboard.sidebar.own import Own, Read, build_own, choices, read_drawing, read_file, understood
from dashboard.sidebar.picker import items_with
from dashboard.stage import Stage
from dashboard.tabs import compare, debug, denoise, forward, learn, lens, train
from dashboard.tabs.stages import QUIET, recipe_from, wire_stage

#: Tabs whose stage follows the recipe at once; Train has a start button instead.
LOOKS = {"forward": forward, "denoise": denoise, "lens": lens, "compare": compare, "debug": debug}
TITLES = {"forward": "Forward", "train": "Train", "denoise": "Denoise", "lens": "Noise lens",
          "compare": "Compare", "debug": "Debug", "learn": "Learn"}
#: Every change gets a number where it happens: the first input of what answers it, with the number of the last answer
#: that the page has heard. Answers can overtake each other.
NUMBERED = "(_, ...rest) => [Noisescope.next(), ...rest]"
#: Tabs tell their first choice while the page is put up, with fields that hold nothing yet; a visitor who has been here
#: before has a token by then. What arrives opens the tab in front by itself.
UNLESS_READY = ("(_, token, ...rest) => document.body.classList.contains('ns-ready') "
                "? [Noisescope.next(), token, ...rest] : [[0, 0], null, ...rest]")
#: Said where a first film will stand, until it does.
COMING = "computing the first frame …"
BRAND = """<header class="ns-brand"><a href="./" class="ns-name">noise<b>scope</b></a><span class="ns-tools">
<span class="ns-opening" role="status">opening …</span>
<a href="?tab=learn" data-ns="go" class="ns-learn-link">Learn</a>
<button type="button" data-ns="recipe" class="ns-recipe-button">Recipe</button>
<button type="button" data-ns="glossary">Glossary</button>
<button type="button" data-ns="copy">Copy link</button>
<button type="button" data-ns="theme" aria-label="light or dark">◐</button></span></header>"""


class PageState(gr.HTML):
    """Value: what the page is to know of the recipe. {"query": as it stands in the address, "has": its `facts`,
    "recipe": it in `words`, "number": which change of the page it answers, counted from 1}. An answer to an earlier
    one than the last is late. Of a change that cannot be: {"refused": the field that is to blame, "number"}.

    Event `restore`, with {"query"}: the browser went to another address; `front`: the page, with its tab Train, came to
    the front again.

    The page watches the value itself. An event that waits for the handler which gave it can be overtaken by the next
    change, and the address would then miss that one.
    """

    def __init__(self, value: dict | None = None, **kwargs):
        super().__init__(
            value,
            html_template="<i></i>",
            js_on_load="const restore = query => trigger('restore', { query }), front = () => trigger('front', {});"
                       "Noisescope.pageState({ props, watch, restore, front });",
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: dict | None) -> dict | None:
        return value

    def api_info(self):
        return {"type": "object"}


def tell(recipe: Recipe, visitor: Visitor | None, number: int = 0) -> dict:
    """The value of `PageState`. Which tab, panels and frame are in front only the page knows."""
    plain = recipe.with_(tab=DEFAULTS["tab"], panels=(), frame=0)
    return {"query": plain.to_query(), "has": facts(plain, visitor), "recipe": words(plain.to_dict()),
            "number": number}


def first(film: dict, stage: Stage) -> str:
    """What a page is given in its first bytes: `head`, with the names of the tabs, a tooltip for every control and the
    film that greets, and what is seen of the page until Gradio has put it up."""
    tips = {**{f"field-{name}": text for name, text in HELP.items()}, **BUTTONS}
    return (f'<div id="ns-early">{BRAND}<div>{greeting()}<div id="{stage.elem_id}"><div class="ns-root"></div>'
            "</div></div></div>\n" + head(TITLES, tips, learn.catalogue(lessons()), film, stage.options))


def build(app: AppState) -> gr.Blocks:
    """The dashboard as Gradio blocks, on what `lab` holds."""
    app.greeting = Greeting()
    film = {**app.greeting.value, "greeting": True}
    with Page(title="Noisescope", analytics_enabled=False, fill_width=True) as page:
        token = gr.BrowserState(None, storage_key="noisescope-visitor", secret="noisescope")
        current, told = gr.State("denoise"), PageState(tell(Recipe(), None), padding=False, elem_id="told")
        gr.HTML(BRAND, padding=False, elem_id="brand")
        with gr.Row(elem_id="frame"):
            with gr.Column(elem_id="recipe", min_width=0, scale=0):
                controls = build_controls()
                own = build_own(controls)
            with gr.Column(elem_id="main", min_width=0):
                gr.HTML(greeting(), padding=False, elem_id="greeting", elem_classes=["ns-for-denoise"])
                strip = learn.Strip(padding=False, elem_id="lesson")
                with gr.Tabs(selected="denoise", elem_id="tabs") as tabs:
                    stages, tab_items = {}, {}
                    for name, title in TITLES.items():
                        with gr.Tab(title, id=name) as tab_items[name]:
                            if name == "learn":
                                learn.index()
                            elif name in LOOKS:
                                opens_with = {"value": film} if name == "denoise" else {}
                                stages[name] = LOOKS[name].stage(**opens_with)
                            else:
                                training = train.layout(controls)
        expose(app)
        _wire(app, page, controls, token, current, told, tabs, tab_items, stages, training, own)
        learn.wire(app, strip, token)
    page.first = first(film, stages["denoise"])
    return page


def _wire(app: AppState, page: gr.Blocks, controls: Controls, token, current, told, tabs, tab_items,
          stages: dict[str, Stage], training, own) -> None:
    inputs, number = [token, *controls.inputs], gr.JSON([0, 0], visible=False)
    kept = [controls.fields[name] for name in (*WITH_CHOICES, *USUAL)]  # by hand against an answer: set again

    def refresh(number: list, tab: str, token: str, session: str, values, force: bool, **view) -> Iterator[dict]:
        def plan(visitor: Visitor, values: Sequence) -> tuple[Recipe, dict]:
            return recipe_from(controls, values).with_(**view), {}

        yield from follow(number, tab, token, session, values, plan, kept, force)

    def follow(number: list, tab: str, token: str, session: str, values, plan: Callable, sets: Sequence,
               force=False) -> Iterator[dict]:
        """The page goes over to the recipe of plan(visitor, the sidebar's values), which gives it with what it sets.

        All of it is one event: the sidebar, the address, the stage. Of two in a row the second would read the sidebar,
        in a page that has much to do, before what the first has set stands there.
        """
        number, heard = counted(number)
        visitor = app.visitor(token, session)
        with app.turns.change(session, number) as fresh:  # until the page is told: answers go out in the changes' order
            try:
                stood = dict(zip(controls.fields, values))
                meant, coming = app.answers.merged(session, heard, stood)
                recipe, settings = plan(visitor, list(meant.values()))
                if recipe is None or not fresh:
                    yield {current: gr.skip()}
                    return
                again = {controls.fields[name]: value for name, value in meant.items() if controls.fields[name] in sets}
                settings = controls.news({**again, **settings}, coming)
                app.answers.give(session, number, stood, controls.named(settings))
                recipe = app.recipes[session] = without_hidden(recipe, visitor)
            except gr.Error as error:
                if refused := getattr(error, "field", ""):
                    yield {told: {"refused": refused, "number": number}}
                raise
            turn = None
            if (tab in LOOKS or tab == "train" and visitor.job is None) and (
                    force or not _is_shown(app, visitor, session, tab, recipe)):
                turn = app.turns.take(session, tab, recipe)
            yield {**settings, current: tab, told: tell(recipe, visitor, number)}
        if turn is not None:
            yield from shown(tab, recipe, visitor, session, turn)

    def shown(tab: str, recipe: Recipe, visitor: Visitor, session: str, turn: int) -> Iterator[dict]:
        """The recipe on the stage of a tab. One that is empty says until the first frame that it is on its way."""
        stage, waits = stages.get(tab, training.stage), visitor.trace(f"{tab}/{session}") is None
        values = (debug.shown_by(app, tab, LOOKS[tab], recipe, visitor, session, turn) if tab in LOOKS
                  else train.untrained(app, recipe, visitor, session, turn))
        try:
            if waits:
                yield {stage: gr.update(status=COMING)}
            for value in values:
                told_itself = "status" in value
                yield {stage: gr.update(value=value, status="") if waits and not told_itself else value}
                waits = waits and told_itself
            if waits:  # something newer has begun there
                yield {stage: gr.update(status="")}
        except gr.Error:
            if waits:
                yield {stage: gr.update(status="")}
            raise
        finally:
            app.turns.ended(session, tab, turn)

    def said_once(tab: str, session: str, answers: Iterator[dict]) -> Iterator[dict]:
        """What a page opens with is asked for twice, by its arrival and by the tab that comes to the front: of two
        errors that are the same the later is not told."""
        try:
            yield from answers
        except gr.Error as error:
            why = tab, str(error.message)
            if app.refused.pop(session, None) == why:
                return
            app.refused[session] = why
            raise

    def on_change(number: int, tab: str, token: str, request: gr.Request, *values) -> Iterator[dict]:
        def plan(visitor: Visitor, sidebar: Sequence) -> tuple[Recipe, dict]:
            recipe = recipe_from(controls, sidebar)
            if tab == "train":
                train.turn(visitor, app.recipes.get(request.session_hash), recipe)
            return recipe, {}

        yield from follow(number, tab, token, request.session_hash, values, plan, kept)

    outputs = [current, told, *stages.values(), training.stage]
    gr.on(controls.settled(), on_change, [number, current, *inputs], [*kept, *outputs], js=NUMBERED,
          trigger_mode="multiple", **QUIET)

    for name, item in tab_items.items():
        def on_tab(number: int, token: str | None, request: gr.Request, *values, name=name) -> Iterator[dict]:
            if token is None:  # see UNLESS_READY
                yield {current: gr.skip()}
                return
            answers = refresh(number, name, token, request.session_hash, values, force=False)
            opening = app.opening.pop(request.session_hash, None) == name
            yield from said_once(name, request.session_hash, answers) if opening else answers

        item.select(on_tab, [number, *inputs], [*kept, *outputs], trigger_mode="multiple", js=UNLESS_READY, **QUIET)

    for name in LOOKS:
        def on_press(number: int, token: str, request: gr.Request, *values, name=name) -> Iterator[dict]:
            yield from refresh(number, name, token, request.session_hash, values, force=True)

        controls.buttons[name].click(on_press, [number, *inputs], [*kept, *outputs], js=NUMBERED,
                                     trigger_mode="multiple", **QUIET)
        wire_stage(app, name, stages[name], token)

    def on_restore(number: list, token: str, request: gr.Request, event: gr.EventData, *values) -> Iterator[dict]:
        """Back or Forward of the browser: the recipe of that address."""
        recipe, _ = learn.opened(str(event._data.get("query", "")))

        def plan(visitor: Visitor, _: Sequence) -> tuple[Recipe, dict]:
            there, _ = fit(recipe, visitor)
            sidebar = dict(zip(controls.inputs, fitted(controls, there, visitor)))
            return there, {**sidebar, tabs: gr.update(selected=there.tab)}

        yield from follow(number, recipe.tab, token, request.session_hash, values, plan, controls.inputs)

    told.restore(on_restore, [number, *inputs], [tabs, *controls.inputs, *outputs], js=NUMBERED,
                 trigger_mode="multiple", **QUIET)

    compare.wire_branch(app, controls, number, token, tabs)  # the tab in front then shows itself

    again = train.wire(app, training, number, token)
    # A visitor has one training, whichever of their pages began it: a page that they come to shows it.
    for comes in (tab_items["train"].select, told.front):
        comes(again, token, training.outputs, **{**QUIET, **train.FOLLOWS})

    def on_go_on(number: int, token: str, request: gr.Request, *values) -> Iterator[dict]:
        def plan(visitor: Visitor, sidebar: Sequence) -> tuple[Recipe, dict]:
            try:
                recipe = train.go_on(app, visitor, recipe_from(controls, sidebar), request.session_hash)
            except Exception as error:
                raise user_error(error) from None
            return recipe, {controls.fields["train_steps"]: recipe.train_steps}

        yield from follow(number, "train", token, request.session_hash, values, plan, [controls.fields["train_steps"]])

    going = controls.buttons["go_on"].click(on_go_on, [number, *inputs], [controls.fields["train_steps"], *outputs],
                                            js=NUMBERED, trigger_mode="multiple", **QUIET)
    going.success(again, token, training.outputs, **{**QUIET, **train.FOLLOWS})
    sidebar = Sidebar(controls, [number, current, token], outputs, follow)
    _wire_data(sidebar, own)
    _wire_settings(sidebar)
    debug.wire(app, controls, stages["debug"], sidebar, tabs, number, token)

    def on_open(tab: str, view: dict, token: str, request: gr.Request, *values) -> Iterator[dict]:
        view = dict(view)
        greeted = view.pop("greeted", False)
        if greeted and recipe_from(controls, values) == Recipe():
            # The page came with this film on its stage; the visitor gets a reel of their own for what they do with it.
            app.stream(app.visitor(token, request.session_hash), request.session_hash, "denoise")
            yield {current: tab}
            return
        answers = refresh([0, 0], tab, token, request.session_hash, values, force=True, **view)
        yield from said_once(tab, request.session_hash, answers)

    _wire_arrival(app, page, controls, token, current, told, tabs, inputs, outputs, on_open, again, training, own)


def _is_shown(app: AppState, visitor: Visitor, session: str, tab: str, recipe: Recipe) -> bool:
    """Whether this page's stage already shows just that, or is about to, made by the very same model from the very
    same data."""
    stream, coming = visitor.trace(f"{tab}/{session}"), app.turns.under_way(session, tab)
    models = [recipe.model, *(change.fields.get("model") for change in recipe.changes.values() if tab == "compare")]
    theirs = recipe.data == OWN or tab == "debug" and recipe.bug in ("trace", "training")
    if stream is None and coming is None or "mine" in models or theirs:
        return False
    shown = coming or Recipe.from_dict(stream.film.about)
    return all(getattr(shown, name) == getattr(recipe, name) for name in uses(tab))


@dataclass(frozen=True)
class Sidebar:
    """What controls need that set others, and then show what they have set."""

    controls: Controls
    who: list  #: the components that say which change this is, which tab is in front, and who looks
    outputs: list
    follow: Callable[..., Iterator[dict]]

    def on(self, event: Callable, change: Callable[..., tuple[Recipe, dict] | None], *more, sets: Sequence) -> None:
        """When `event` happens, go over to the recipe that change(recipe, visitor, *more) gives with what it sets.

        more: components whose values are wanted too, and, last, the data of the event if `change` says so. None changes
        nothing. Any error is told to the visitor, and everything stays as it was.
        """
        wants_data = "event" in inspect.signature(change).parameters

        def act(number: list, tab: str, token: str, request: gr.Request, event: gr.EventData,
                *values) -> Iterator[dict]:
            known = {"event": event._data} if wants_data else {}

            def plan(visitor: Visitor, sidebar: Sequence) -> tuple[Recipe | None, dict]:
                try:
                    recipe = recipe_from(self.controls, sidebar)
                    return change(recipe, visitor, *values[: len(more)], **known) or (None, {})
                except Exception as error:
                    raise user_error(error) from None

            yield from self.follow(number, tab, token, request.session_hash, values[len(more):], plan, sets)

        event(act, [*self.who, *more, *self.controls.inputs], [*sets, *self.outputs], js=NUMBERED,
              trigger_mode="multiple", **QUIET)


def _wire_data(sidebar: Sidebar, own: Own) -> None:
    """A data set is picked, or brought."""
    fields = sidebar.controls.fields

    def choose(recipe: Recipe, visitor: Visitor) -> tuple[Recipe, dict]:
        dataset = dataset_of(recipe, visitor)
        recipe = without_what_is_not_there(using(recipe, best_model(recipe, visitor)), visitor)
        offered = dict(zip((fields[name] for name in WITH_CHOICES), choices_for(recipe, visitor)))
        walked = {fields[name]: getattr(recipe, name) for name in USUAL}
        read = understood(dataset if recipe.data == OWN else None)
        return recipe, {fields["data"]: picked(recipe, visitor), own.note: read, **offered, **walked}

    def pick(recipe: Recipe, visitor: Visitor, event: dict) -> tuple[Recipe, dict]:
        there = moved_to(recipe, event.get("name"), visitor)
        if there.model != recipe.model and there.model in SOLVED:
            gr.Info(f"No trained network is shipped for {dataset_of(there, visitor).title}: the {WORDS[there.model]} "
                    "denoiser is shown, which knows the data themselves. Train one in the tab Train.")
        recipe, sets = choose(there, visitor)
        return recipe, {**sets, **choices(own, None, None)}

    def bring(recipe: Recipe, visitor: Visitor, dataset: Dataset) -> tuple[Recipe, dict]:
        with visitor.lock:
            visitor.data = dataset
        return choose(using(recipe.with_(data=OWN, samples=None, lens_samples=None), "exact"), visitor)

    def read(recipe: Recipe, visitor: Visitor, path: str | None, size: int, *columns: str | None) -> tuple | None:
        """A file is read, or read again with other columns."""
        if path is None:
            return None
        chosen = tuple(filter(None, columns)) or None
        found = read_file(path, size, chosen)
        menus = choices(own, found.table, chosen)
        if found.recipe is not None:
            return go_to(found, visitor, menus)
        if found.dataset is None:
            return recipe, {own.note: understood(None, found.problem), **menus}
        recipe, sets = bring(recipe, visitor, found.dataset)
        return recipe, {**sets, **menus}

    def go_to(found: Read, visitor: Visitor, menus: dict) -> tuple[Recipe, dict]:
        """The whole sidebar as a film that was handed out says, as far as there is what it shows."""
        recipe, more = fit(found.recipe.with_(panels=(), frame=0), visitor)
        for complaint in (*found.complaints, *more):
            gr.Warning(complaint)
        read = understood(visitor.data if recipe.data == OWN else None)
        every = dict(zip(sidebar.controls.inputs, fitted(sidebar.controls, recipe, visitor)))
        return recipe, {**every, own.note: read, **menus}

    def reduce(recipe: Recipe, visitor: Visitor, path: str | None, size: int) -> tuple | None:
        return read(recipe, visitor, path, size) if path and kind_of(Path(path)) == "zip" else None

    def again(recipe: Recipe, visitor: Visitor, path: str | None, size: int, x: str | None, y: str | None,
              labels: str | None) -> tuple | None:
        return read(recipe, visitor, path, size, x, y, labels) if x and y else None

    def draw(recipe: Recipe, visitor: Visitor, event: dict) -> tuple[Recipe, dict]:
        recipe, sets = bring(recipe, visitor, read_drawing(event.get("picture")))
        return recipe, {**sets, **choices(own, None, None)}

    sets = [own.note, own.chooser, *own.columns, *sidebar.controls.inputs]
    sidebar.on(fields["data"].pick, pick, sets=sets)
    sidebar.on(own.file.upload, read, own.file, own.size, sets=sets)
    sidebar.on(own.size.input, reduce, own.file, own.size, sets=sets)
    for menu in own.columns:
        sidebar.on(menu.input, again, own.file, own.size, *own.columns, sets=sets)
    sidebar.on(own.pad.drawn, draw, sets=sets)


def picked(recipe: Recipe, visitor: Visitor) -> dict:
    """The picker's update for a recipe: a visitor's own data stand in it too."""
    items = {} if visitor.data is None else {"items": items_with(visitor.data)}
    return gr.update(value=recipe.data, **items)


def fitted(controls: Controls, recipe: Recipe, visitor: Visitor) -> list:
    """The whole sidebar for a recipe, with the choices that there are for its data."""
    values = controls.show(recipe)
    offered = {**dict(zip(WITH_CHOICES, choices_for(recipe, visitor))), "data": picked(recipe, visitor)}
    for name, update in offered.items():
        values[list(controls.fields).index(name)] = update
    return values


def _wire_settings(sidebar: Sidebar) -> None:
    """Controls that set other controls: a model how it is walked, an example everything, the dice a seed."""
    controls, throw = sidebar.controls, random.SystemRandom()
    fields = controls.fields
    def preset(recipe: Recipe, visitor: Visitor) -> tuple[Recipe, dict]:
        sets = PRESET_SETS[recipe.preset]
        return recipe.with_(**sets), {fields[name]: value for name, value in sets.items()}

    def take(recipe: Recipe, visitor: Visitor) -> tuple[Recipe, dict]:
        sets = walked_as(recipe.model, recipe.schedule, recipe.sampler, recipe.steps)
        recipe = without_what_is_not_there(recipe.with_(**sets), visitor)
        offered = dict(zip((fields[name] for name in WITH_CHOICES), choices_for(recipe, visitor)))
        return recipe, {**{fields[name]: value for name, value in sets.items()}, **offered}

    def show_example(recipe: Recipe, visitor: Visitor, name: str) -> tuple[Recipe, dict] | None:
        """A comparison of the list sets the sidebar; what it says nothing of stays as it was."""
        if name not in EXAMPLES:
            return None
        recipe = recipe.with_(**EXAMPLES[name])
        return recipe, dict(zip(controls.inputs, fitted(controls, recipe, visitor)))

    def dice(recipe: Recipe, visitor: Visitor) -> tuple[Recipe, dict]:
        recipe = recipe.with_(seed=throw.randrange(100_000))
        return recipe, {fields["seed"]: recipe.seed}

    sidebar.on(fields["preset"].input, preset, sets=[fields["prediction_type"], fields["schedule"]])
    sidebar.on(fields["model"].input, take, sets=[fields[name] for name in (*USUAL, *WITH_CHOICES)])
    sidebar.on(controls.examples.input, show_example, controls.examples, sets=controls.inputs)
    sidebar.on(controls.buttons["dice"].click, dice, sets=[fields["seed"]])


def _wire_arrival(app: AppState, page: gr.Blocks, controls: Controls, token, current, told, tabs, inputs, outputs,
                  on_open, again, training, own: Own) -> None:
    view = gr.State({})  # what a link says of panels and playhead; for the first film alone

    def arrive(known: str | None, request: gr.Request) -> list:
        try:
            mine = app.arrive(known, request.session_hash)
        except Busy as busy:
            raise user_error(busy) from None
        visitor = app.visitor(mine, request.session_hash)
        train.find_again(app, visitor, request.session_hash)
        recipe, complaints = learn.opened(request.query_params)
        recipe, more = fit(recipe, visitor)
        for complaint in complaints + more:
            gr.Warning(complaint)
        # A bare address shows the film that the page came with (page.js decides alike, by N.linked).
        shown = {"panels": recipe.panels, "frame": recipe.frame,
                 "greeted": not any(not name.startswith("__") for name in request.query_params)}
        read = understood(visitor.data if recipe.data == OWN else None)
        app.recipes[request.session_hash], app.opening[request.session_hash] = recipe, recipe.tab
        return [mine, recipe.tab, tell(recipe, visitor), gr.update(selected=recipe.tab), shown, read,
                *fitted(controls, recipe, visitor)]

    loaded = page.load(arrive, token, [token, current, told, tabs, view, own.note, *controls.inputs], **QUIET)
    # Until the visitor has arrived and the recipe stands in the sidebar, the buttons wait.
    loaded.success(None, None, None, js="() => document.body.classList.add('ns-ready')", api_visibility="private")
    loaded.success(on_open, [current, view, *inputs], outputs, **QUIET)
    loaded.success(again, token, training.outputs, **{**QUIET, "concurrency_limit": None})
    page.unload(lambda: None)  # without one Gradio's page keeps no heartbeat, which `AppState.on_page` hears


def fit(recipe: Recipe, visitor: Visitor) -> tuple[Recipe, list[str]]:
    """A link's recipe with what this visitor does not have replaced, and what that was."""
    complaints = []
    if recipe.data == OWN and visitor.data is None:
        complaints.append("The link shows data of somebody's own, which stay with them; the T-Rex is shown instead")
        recipe = recipe.with_(data="trex", model="pretrained")
    if recipe.model not in model_choices(recipe, visitor):
        usual = usual_model(recipe, visitor)
        why = ("The link shows a model trained live: press Train to make it again" if recipe.model == "mine"
               else "No trained model is shipped for this data")
        complaints.append(f"{why}; until then the {WORDS[usual]} one is shown")
        recipe = using(recipe, usual)
    kept = without_what_is_not_there(recipe, visitor)
    lost = [name for name in ("label", "label2", "layer", "network") if getattr(kept, name) != getattr(recipe, name)]
    if lost:
        complaints.append(f"The link asks for what this model or these data do not have: {', '.join(lost)} is left out")
    return kept, complaints
