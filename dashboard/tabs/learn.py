"""Learn: the lessons, a strip beside whatever stage they speak of, and who was right by the numbers of that stage."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import gradio as gr
from gradio.data_classes import FileData

from core.doors.words import one_line
from core.lessons.evidence import Evidence, NotYet
from core.lessons.judge import judge
from core.lessons.lesson import Lesson, Step, lessons
from core.lessons.written import making_slides
from core.recipe.recipe import DEFAULTS, FIELDS, MAX_QUERY, OWN, Recipe
from core.recipe.words import uses
from dashboard.server.app_state import AppState, said_with, user_error
from dashboard.server.foreground import Foreground
from dashboard.server.visitors import Visitor
from dashboard.stage.stage import cached
from dashboard.tabs.stages import QUIET

#: What of an address is no recipe: a lesson, which of its steps (from 1), and whether it is shown to a class.
PLACE = ("lesson", "step", "present")
#: Fields that a run may differ in from a lesson's own and still answer its questions: what is asked is true of any.
FREE = ("seed", "samples", "lens_samples", "tab", "panels", "frame", "layer")
#: Those in which it may besides, where a lesson is taken with a drawing of the visitor's own.
DRAWN = ("data", "model")


class Strip(gr.HTML):
    """The lesson that is taken. It is told what is true of the film on the stage:

        {"for": what the page had asked, "verdict": a `core.lessons.judge.Verdict`, "own": whether it is the step's run}

    or {"for", "later": why not yet}. Event `judge`, with {"for", "lesson", "step", "tab", "film"}.

    Event `slides`, with {"lesson"}, is answered by `slides_state`.
    """

    def __init__(self, slides_state: dict | None = None, **kwargs):
        super().__init__(
            None,
            html_template='<div class="ns-strip"></div>',
            js_on_load="const judge = asked => trigger('judge', asked), slides = asked => trigger('slides', asked);"
                       "Noisescope.strip(element.querySelector('.ns-strip'), { props, watch, judge, slides });",
            apply_default_css=False,
            slides_state=slides_state,
            **kwargs,
        )

    def get_config(self) -> dict:
        # Gradio would look for attributes named like our own parameters.
        config = super(gr.HTML, self).get_config(gr.HTML)
        return config | {"component_class_name": self.component_class_name}

    def postprocess(self, value: dict | None) -> dict | None:
        return value

    def api_info(self):
        return {"type": "object"}


def slides_state(done: float, path: Path | None = None, wrong: str = "") -> Any:
    """How far the slides are, and at the end the file, which the page then downloads; or why there are none."""
    state = {"done": done, "wrong": wrong, "id": secrets.token_hex(4)}
    if path is not None:
        state["file"] = FileData(path=str(path), orig_name=path.name).model_dump()
    return gr.update(slides_state=state)


class Slides:
    """Lessons as slides, each made once: what they show hangs on nobody."""

    def __init__(self, foreground: Foreground):
        self._foreground = foreground
        self._paths: dict[str, Path] = {}

    def of(self, lesson: Lesson) -> Iterator[tuple[float, Path | None]]:
        """(share done, None) while they are made, at the end (1.0, the file). Two who ask at once both make them."""
        path = self._paths.get(lesson.name)
        if path is None or not path.exists():
            text = ""
            for done, text in self._foreground.each(making_slides(lesson)):
                if not text:
                    yield done, None
            path = self._paths[lesson.name] = Path(cached(f"{lesson.name}-slides.html", text.encode()))
        yield 1.0, path


def index() -> gr.HTML:
    """The list of lessons, which the page fills."""
    return gr.HTML("", html_template='<div class="ns-lessons"></div>', apply_default_css=False, padding=False,
                   elem_id="lessons", js_on_load="Noisescope.index(element.querySelector('.ns-lessons'));")


def catalogue(taught: Mapping[str, Lesson]) -> list[dict[str, Any]]:
    """The lessons as the page knows them; what is true of a run only the server knows."""
    return [{"name": lesson.name, "title": lesson.title, "order": lesson.order, "minutes": lesson.minutes,
             "words": lesson.words, "drawing": lesson.drawing,
             "steps": [_step(lesson, k) for k in range(len(lesson.steps))]}
            for lesson in taught.values()]


def _step(lesson: Lesson, number: int) -> dict[str, Any]:
    step: Step = lesson.steps[number]
    asked = lesson.asked(number)
    shown = {"kind": step.kind, "title": step.headline.said(None), "text": step.text.said(None), "press": step.press,
             "formula": step.formula.said(None), "tab": step.recipe.tab, "query": _query(step.recipe),
             "panels": ",".join(step.recipe.panels), "asked": -1 if asked is None else asked, "question": None,
             "controls": [], "solved": ""}
    if step.question is not None:
        q = step.question
        shown["question"] = {"kind": q.kind, "choices": [choice.text.raw for choice in q.choices], "panel": q.panel,
                             "axes": q.axes}
    if step.mend is not None:
        controls = [{"field": name, "label": FIELDS[name].label or name} for name in step.mend.controls]
        shown |= {"controls": controls, "solved": link_of(step.mend.solved)}
    return shown


def _query(recipe: Recipe) -> str:
    """As the page's address has it: tab, panels and playhead stand beside it."""
    return recipe.with_(tab=DEFAULTS["tab"], panels=(), frame=0).to_query()


def link_of(recipe: Recipe) -> str:
    """A recipe as the query of an address that says its tab."""
    query = recipe.to_query()
    return query if "tab=" in query else f"{query}&tab={recipe.tab}".lstrip("&")


def opened(query: str | Any) -> tuple[Recipe, list[str]]:
    """The recipe of an address, and what of it could not be used: as `Recipe.from_query`, and of a lesson's step.

    An address that names a step and says nothing of data, model or tab shows what the step shows.
    """
    text = query if isinstance(query, str) else str(query)
    pairs = parse_qsl(text.removeprefix("?")[:MAX_QUERY], keep_blank_values=True)
    if not any(name in PLACE for name, _ in pairs):
        return Recipe.from_query(query)
    place = {name: value for name, value in reversed(pairs) if name in PLACE}
    rest = [(name, value) for name, value in pairs if name not in PLACE and not name.startswith("__")]
    recipe, complaints = Recipe.from_query(urlencode(rest))
    if "lesson" not in place:
        return recipe, complaints
    lesson = lessons().get(place["lesson"])
    if lesson is None:
        there = ", ".join(lessons())
        return recipe, [*complaints, f"There is no lesson {one_line(place['lesson'])}; there are {there}"]
    given = place.get("step", "1")
    number = int(given) if given.isdecimal() and len(given) < 5 else 0
    if not 1 <= number <= len(lesson.steps):
        complaints.append(f"step = {one_line(given)} in the link: this lesson has the steps 1 to {len(lesson.steps)}; "
                          "the first is shown")
        number = 1
    if all(name in ("panels", "frame") for name, _ in rest):
        looks = {name: getattr(recipe, name) for name, _ in rest}
        recipe = lesson.steps[number - 1].recipe.with_(**looks)
    return recipe, complaints


def wire(app: AppState, strip: Strip, token: gr.BrowserState) -> None:
    """The strip's questions are answered from the film on the stage of its tab."""

    def on_judge(token: str, request: gr.Request, event: gr.EventData) -> dict:
        asked = said_with(event)
        visitor = app.visitor(token, request.session_hash)
        try:
            with app.foreground.work():
                return {"for": str(asked.get("for", ""))[:200], **answer(visitor, request.session_hash, asked)}
        except NotYet as later:
            return {"for": str(asked.get("for", ""))[:200], "later": str(later)}
        except Exception as error:
            raise user_error(error) from None

    made = Slides(app.foreground)

    def on_slides(event: gr.EventData) -> Iterator[Any]:
        try:
            lesson = lessons().get(str(said_with(event).get("lesson")))
            if lesson is None:
                raise ValueError("There is no such lesson.")
            for done, path in made.of(lesson):
                yield slides_state(done, path)
        except Exception as error:
            yield slides_state(1.0, wrong=str(user_error(error).message))

    strip.slides(on_slides, None, strip, **QUIET)
    strip.judge(on_judge, token, strip, **{**QUIET, "trigger_mode": "multiple"})


def answer(visitor: Visitor, session: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is true of the film on a page's stage, as a step of a lesson asks it. NotYet if it cannot be judged."""
    lesson, number = lessons().get(str(asked.get("lesson"))), asked.get("step")
    if lesson is None or type(number) is not int or not 0 <= number < len(lesson.steps):
        raise NotYet("There is no such step.")
    step = lesson.steps[number]
    stream = visitor.trace(f"{step.recipe.tab}/{session}")
    if stream is None or stream.name != asked.get("film"):
        raise NotYet("The stage shows another film by now.")
    shown = Recipe.from_dict(stream.film.about)
    drawn = DRAWN if lesson.drawing and shown.data == OWN else ()
    own = all(getattr(shown, name) == getattr(step.recipe, name) for name in uses_of(step) if name not in drawn)
    if not own and step.kind != "mend":
        return {"own": False, "verdict": None}  # what it claims, it claims of its own run
    verdict = judge(lesson, number, Evidence.of(stream.film, visitor))
    return {"own": own, "verdict": verdict.to_dict()}


def uses_of(step: Step) -> list[str]:
    """The fields of the recipe that the film of a step is made from, but for those that it holds for any value of."""
    return [name for name in uses(step.recipe.tab) if name not in FREE]
