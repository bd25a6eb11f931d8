"""A lesson as a notebook that runs, as a page to print, and as slides.

    notebook(lesson)                 # nbformat 4, as plain JSON
    sheet(lesson)                    # HTML: the questions, and on the last page what came out
    slides(lesson)                   # HTML: a slide for each step, its film below it
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from typing import Any

from ..drawing.export import to_bytes
from ..drawing.stage.page import Slide, slides as page_of_slides
from ..recipe.recipe import FIELDS, Recipe
from .evidence import Evidence, evidence_of
from .judge import Answer, judge
from .lesson import Lesson, Question, Step
from .taking import ORDINARY, outcome, plain

HOME = """\
try:
    from noisescope.core.lessons.taking import take  # installed
except ImportError:
    from core.lessons.taking import take  # in a checkout

lesson = take({name!r})"""
#: Pictures of a printed run, and how wide a panel of them is.
STILLS, SIZE = 4, 150
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 720px; margin: 32px auto; padding: 0 16px; color: #1c1f23; }
h1 { font-size: 24px; } h2 { font-size: 17px; margin: 28px 0 4px; } ul { list-style: none; padding: 0; margin: 8px 0; }
li::before { content: "☐  "; } .line { border-bottom: 1px solid #999; height: 28px; } img { max-width: 100%; }
.answers { break-before: page; } .formula { font-family: monospace; } small { color: #6b7280; }
@media print { body { margin: 0; } }
"""


def notebook(lesson: Lesson, name: str | None = None) -> dict[str, Any]:
    """The lesson as a notebook. `name`: what `take` is to find it by; that of a lesson that comes with Noisescope."""
    cells = [_words(f"# {lesson.title}\n\nLesson {lesson.order}, {lesson.minutes} minutes. Guess before you run the "
                    "next cell: who guesses first sees more rightly what then happens, whether the guess was right or "
                    "wrong."),
             _code(HOME.format(name=name or lesson.name))]
    for step in lesson.steps:
        if step.kind in ("guess", "saw"):
            first = {"choices": "0", "place": "(0, 0)", "curve": "[(0, 0), (1, 1)]"}.get(step.question.kind, "0.5")
            what = "the number of your answer" if step.question.kind == "choices" else ORDINARY[step.question.kind]
            cells += [_words(f"## {plain(step.headline.said(None))}\n\n{_asked(step)}"),
                      _code(f"lesson.{step.kind}({first})  # {what}")]
        elif step.kind == "mend":
            controls = " or ".join(step.mend.controls)
            cells += [_words(f"## {plain(step.headline.said(None))}\n\nTurn {controls}, as in a link: "
                             f"`\"{step.mend.controls[0]}=…\"`."), _code('lesson.mend("")')]
        else:
            cells += [_words(f"## {'Run' if step.kind == 'run' else 'Why'}"), _code(f"lesson.{step.kind}()")]
    for k, cell in enumerate(cells):
        cell["id"] = f"{lesson.name}-{k}"[-64:]
    return {"cells": cells, "nbformat": 4, "nbformat_minor": 5,
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}}


def _asked(step: Step) -> str:
    text = plain(step.text.said(None)) if not step.text.figures else ""
    choices = [f"{k}. {plain(choice.text.raw)}" for k, choice in enumerate(step.question.choices)]
    return "\n\n".join(filter(None, (text, "\n".join(choices))))


def _words(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": text}


def sheet(lesson: Lesson) -> str:
    """The lesson as one HTML file to print: what is asked, and on a page of its own what came out, with pictures of it.

    Every run is made for that.
    """
    asked, answers = [], []
    made: dict[Any, Any] = {}
    for number, step in enumerate(lesson.steps):
        recipe = step.recipe.with_(panels=(), frame=0)
        if recipe not in made:
            made[recipe] = evidence_of(step.recipe)
        evidence = made[recipe]
        verdict = judge(lesson, number, evidence)
        headline = f"<h2>{_html(verdict.headline)}</h2>"
        if step.kind in ("guess", "saw"):
            asked.append(headline + _paragraph("" if step.text.figures else verdict.text) + _answers(step))
            if verdict.answer is not None:
                lines = outcome(step.question, verdict.answer, None)
                answers.append(headline + "".join(map(_paragraph, lines)))
            continue
        if step.kind == "mend":
            asked.append(headline + _paragraph(verdict.text) + '<div class="line"></div>')
            continue
        if step.kind == "run":
            at = lesson.asked(number)
            lines = [verdict.text, *outcome(lesson.steps[at].question, verdict.answer, None)]
            answers.append(headline + "".join(map(_paragraph, lines)) + _pictures(step, evidence.view))
        else:
            formula = f'<p class="formula">{_html(verdict.formula)}</p>' if verdict.formula else ""
            answers.append(headline + _paragraph(verdict.text) + formula)
    title = html.escape(lesson.title)
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
            f"<h1>{title}</h1><small>Noisescope, lesson {lesson.order} · guess before you look</small>"
            f"{''.join(asked)}<section class=answers><h1>What came out</h1>{''.join(answers)}</section></html>\n")


def slides(lesson: Lesson) -> str:
    """The lesson as one HTML file to show: a slide for each step above its film, and after a question its answer.

    Every run is made for that, those to mend as they are and as they are mended.
    """
    *_, (_, text) = making_slides(lesson)
    return text


def making_slides(lesson: Lesson) -> Iterator[tuple[float, str]]:
    """`slides`, step by step: (share of the steps that are done, ""), and at the end (1.0, the file's text)."""
    shown: list[Slide] = []
    films: list[tuple[Any, tuple[str, ...]]] = []
    made: dict[Recipe, Evidence] = {}
    places: dict[Recipe, int] = {}

    def run(recipe: Recipe) -> tuple[Evidence, int]:
        bare = recipe.with_(panels=(), frame=0)
        if bare not in made:
            made[bare] = evidence_of(bare)
        recipe = recipe.with_(frame=0)
        if recipe not in places:
            view = made[bare].view
            panels = tuple(key for key in recipe.panels if key in view.offers)
            places[recipe] = len(films)
            films.append((view.scene(panels or None), panels))
        return made[bare], places[recipe]

    for number, step in enumerate(lesson.steps):
        evidence, film = run(step.recipe)
        verdict = judge(lesson, number, evidence)
        choices = _choices(step.question)
        if step.kind == "guess":
            text = () if step.text.figures else (verdict.text,)
            shown.append(Slide(step.headline.said(None), text, choices, film=film, at="start"))
        elif step.kind == "run":
            question = lesson.steps[lesson.asked(number)].question
            shown.append(Slide(verdict.headline, (verdict.text, *_came(question, verdict.answer)), _choices(question),
                               verdict.answer.holds, film=film))
        elif step.kind == "saw":
            shown.append(Slide(verdict.headline, (verdict.text,), choices, film=film, at="end"))
            shown.append(Slide(verdict.headline, (verdict.text, *_came(step.question, verdict.answer)), choices,
                               verdict.answer.holds, film=film, at="end"))
        elif step.kind == "explain":
            shown.append(Slide(verdict.headline, (verdict.text,), formula=verdict.formula, film=film, at="end"))
        else:
            shown.append(Slide(verdict.headline, (verdict.text, verdict.hint), film=film))
            evidence, film = run(step.mend.solved)
            turned = [f"{FIELDS[name].label or name}: {getattr(step.mend.solved, name)}" for name in step.mend.controls
                      if getattr(step.mend.solved, name) != getattr(step.recipe, name)]
            shown.append(Slide(f"Mended by {', '.join(turned)}", (judge(lesson, number, evidence).text,), film=film))
        yield (number + 1) / (len(lesson.steps) + 1), ""
    yield 1.0, page_of_slides(lesson.title, shown, films)


def _choices(question: Question | None) -> tuple[str, ...]:
    return tuple(choice.text.raw for choice in question.choices) if question else ()


def _came(question: Question, answer: Answer) -> list[str]:
    """What came out, of a question whose answers are no choices."""
    return [] if question.choices else outcome(question, answer, None)


def _answers(step: Step) -> str:
    if not step.question.choices:
        return '<div class="line"></div>'
    return "<ul>" + "".join(f"<li>{_html(choice.text.raw)}</li>" for choice in step.question.choices) + "</ul>"


def _pictures(step: Step, view: Any) -> str:
    scene = view.scene(tuple(key for key in step.recipe.panels if key in view.offers) or None)
    strip = base64.b64encode(to_bytes(scene, "png", size=SIZE, count=min(STILLS, scene.frames))).decode()
    return f'<img alt="the run, from its beginning to its end" src="data:image/png;base64,{strip}">'


def _paragraph(text: str) -> str:
    return f"<p>{_html(text)}</p>" if text else ""


def _html(text: str) -> str:
    """The page's markup as HTML: x_{t} → x<sub>t</sub>."""
    parts, tags = [], []
    for piece in html.escape(text).replace("_{", "\0_").replace("^{", "\0^").replace("}", "\0}").split("\0"):
        if piece[:1] in "_^" and (parts or text[:1] in "_^"):
            tags.append("sub" if piece[0] == "_" else "sup")
            parts.append(f"<{tags[-1]}>{piece[1:]}")
        elif piece[:1] == "}" and tags:
            parts.append(f"</{tags.pop()}>{piece[1:]}")
        else:
            parts.append(piece)
    return "".join(parts)
