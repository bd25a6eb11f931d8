"""Lessons and the files they are in. What a file can say stands in full in CONTRIBUTING.md.

    lesson = load(LESSONS / "06-why-noise.md")
    lesson.steps[0].question.choices[2].when.value(evidence.names)

Everything is checked when it is read: each recipe opens unchanged, each expression speaks of what its recipe's run has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..doors.words import listed, one_line
from ..recipe.recipe import DEFAULTS, FIELDS, SPECS, Recipe
from .evidence import kinds_of
from .expressions import CURVE, NUMBER, PLACE, TRUTH, WORDS, Expression
from .measures import MEASURES

#: Those that come with Noisescope.
LESSONS = Path(__file__).parents[2] / "lessons"
KINDS = ("guess", "run", "saw", "explain", "mend")
MOST_SENTENCES, MOST_CHOICES, MOST_BYTES = 3, 5, 60_000
#: How a question can be answered besides by choosing; the kind of its truth.
ANSWERS: dict[str, type] = {"number": NUMBER, "playhead": NUMBER, "place": PLACE, "curve": CURVE}
#: What can stand under the heading of each kind of step.
KEYS = {
    "guess": ("recipe", "panel", *ANSWERS, "within", "axes"),
    "run": ("recipe", "press", "hold"),
    "saw": ("recipe", "panel", *ANSWERS, "within", "axes"),
    "explain": ("recipe", "formula"),
    "mend": ("recipe", "control", "goal", "solved by", "hint"),
}
HEADER = ("title", "order", "minutes", "words", "question", "drawing")
_HEADING = re.compile(r"##\s+(\w+)\s*:\s*(.+)")
_KEY = re.compile(r"([a-z][a-z ]{1,20}?):(?:\s+(.*))?$")
#: Braces of the markup (x_{t}, x^{2}) are no figures.
_FIGURE = re.compile(r"(?<![_^])\{([^{}]*)\}")
_SENTENCE_END = re.compile(r"[.!?…]['”)]*(?=\s|$)")
#: What a recipe says of how one looks; a control that is to be turned is none of these.
_VIEW = ("panels", "frame")


class BadLesson(ValueError):
    """A file is no lesson; the message says where, what was given and what is allowed."""


@dataclass(frozen=True)
class Text:
    """Words with figures of the run in them: "their spread is {spread(B):.2f}"."""

    raw: str
    figures: tuple[tuple[str, Expression, str], ...] = ()  #: (as it stands, what it is, its format)

    def said(self, names: Mapping[str, Any] | None) -> str:
        """The text with the figures of a run; without one, a figure is …"""
        text = self.raw
        for written, expression, form in self.figures:
            text = text.replace(written, "…" if names is None else format(expression.value(names), form), 1)
        return text


@dataclass(frozen=True)
class Choice:
    """One answer of several: right where `when` holds in the run. `reply` is said to who chose it."""

    text: Text
    when: Expression
    reply: Text


@dataclass(frozen=True)
class Question:
    """What is asked. kind: "choices", or one of ANSWERS, whose truth is an expression and right within another."""

    kind: str
    choices: tuple[Choice, ...] = ()
    truth: Expression | None = None
    within: Expression | None = None
    panel: str = ""  #: on which a place is clicked
    axes: tuple[str, ...] = ()  #: of a curve: what its heights are, their least and their most


@dataclass(frozen=True)
class Mend:
    """One control is to be turned until the goal is met. `solved` meets it by that control alone."""

    controls: tuple[str, ...]
    goal: Expression
    solved: Recipe
    hint: Text


@dataclass(frozen=True)
class Step:
    """One step of a lesson. Its stage is what `recipe` shows."""

    kind: str
    headline: Text
    text: Text
    recipe: Recipe
    line: int
    question: Question | None = None
    mend: Mend | None = None
    formula: Text = field(default_factory=lambda: Text(""))
    press: str = ""  #: a button that makes the run, where its tab waits for one
    hold: Expression | None = None  #: the t at which the playhead is left when the run is over, to be looked at

    @property
    def title(self) -> str:
        return self.headline.raw


@dataclass(frozen=True)
class Lesson:
    """A lesson; `name` is what links call it."""

    name: str
    title: str
    order: int
    minutes: int
    words: tuple[str, ...]  #: of the glossary, that it explains
    steps: tuple[Step, ...]
    path: Path
    drawing: bool = False  #: whether it is as true of a drawing of somebody's own, taken for the data of its recipes

    def guess_before(self, number: int) -> int | None:
        """The number of the last guess before a step, both counted from 0: what a run is the answer to."""
        return next((k for k in reversed(range(number)) if self.steps[k].kind == "guess"), None)

    def asked(self, number: int) -> int | None:
        """The step whose question is judged at a step: its own; of a run, the last guess."""
        if self.steps[number].question is not None and self.steps[number].kind != "guess":
            return number
        return self.guess_before(number) if self.steps[number].kind == "run" else None


def load(path: Path) -> Lesson:
    """Read a lesson. BadLesson names file, line, what was given and what is allowed."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadLesson(f"{path.name} has {path.stat().st_size:,} bytes; {MOST_BYTES:,} are the most")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadLesson(f"{path.name} cannot be read: {one_line(str(error), 120)}") from None
    return _Reader(path, text).lesson()


def load_all(folder: Path = LESSONS) -> dict[str, Lesson]:
    """The lessons of a folder by name, in their order. BadLesson for the first that is none, or two of one name."""
    lessons: dict[str, Lesson] = {}
    for lesson in sorted(map(load, sorted(folder.glob("*.md"))), key=lambda lesson: lesson.order):
        if lesson.name in lessons:
            raise BadLesson(f"{lesson.path.name} and {lessons[lesson.name].path.name} are both called {lesson.name}")
        lessons[lesson.name] = lesson
    return lessons


@cache
def lessons() -> dict[str, Lesson]:
    """Those that come with Noisescope, by name, in their order."""
    return load_all()


class _Reader:
    def __init__(self, path: Path, text: str):
        self.path, self.lines = path, text.splitlines()

    def wrong(self, line: int, what: str) -> BadLesson:
        return BadLesson(f"{self.path.name}, line {line}: {what}")

    def lesson(self) -> Lesson:
        header, after = self._header()
        steps = tuple(self._steps(after))
        if not steps or steps[0].kind != "guess":
            raise self.wrong(after + 1, "a lesson begins with a step “## guess: …”")
        for step, following in zip(steps, (*steps[1:], None)):
            if step.kind == "guess" and (following is None or following.kind != "run"):
                raise self.wrong(step.line, "a guess is followed by a step “## run: …”, which shows the answer")
        name = re.sub(r"^\d+[-_]", "", self.path.stem)
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            raise BadLesson(f"{self.path.name}: a lesson's file is called NN-name.md, its name of a-z, 0-9 and -")
        words = tuple(word.strip() for word in header.get("words", (0, ""))[1].split(",") if word.strip())
        line, drawing = header.get("drawing", (0, "no"))
        if drawing not in ("yes", "no"):
            raise self.wrong(line, f"drawing: {one_line(drawing)}; it can be yes or no")
        return Lesson(name, header["title"][1], self._whole(header["order"], 1, 999),
                      self._whole(header["minutes"], 1, 30), words, steps, self.path, drawing == "yes")

    def _whole(self, given: tuple[int, str], least: int, most: int) -> int:
        line, text = given
        if not text.isdecimal() or not least <= int(text) <= most:
            raise self.wrong(line, f"{one_line(text)!r} is no whole number from {least} to {most}")
        return int(text)

    def _header(self) -> tuple[dict[str, tuple[int, str]], int]:
        """(key → (line, value), the number of lines it takes)."""
        lines = [line.rstrip() for line in self.lines]
        if not lines or lines[0] != "---" or "---" not in lines[1:]:
            raise self.wrong(1, "a lesson begins with a header between two lines “---”: title, order, minutes, words")
        end, header = lines.index("---", 1), {}
        for number, line in enumerate(lines[1:end], 2):
            key, colon, value = line.partition(":")
            if not line.strip():
                continue
            if not colon or key.strip() not in HEADER or key.strip() in header:
                raise self.wrong(number, f"{one_line(line)!r} in the header; it says {listed(HEADER)}, once each")
            header[key.strip()] = number, re.sub(r"\s+#\s.*$", "", value).strip()
        for key in ("title", "order", "minutes"):
            if not header.get(key, (0, ""))[1]:
                raise self.wrong(1, f"the header does not say its {key}")
        return header, end + 1

    def _steps(self, after: int) -> Iterator[Step]:
        blocks: list[tuple[int, str, str, list[tuple[int, str]]]] = []
        for number, line in enumerate(self.lines[after:], after + 1):
            if line.startswith("#"):
                found = _HEADING.fullmatch(line.strip())
                if not found or found[1] not in KINDS:
                    raise self.wrong(number, f"{one_line(line)!r} is no step; one is “## {listed(KINDS)}: headline”")
                blocks.append((number, found[1], found[2].strip(), []))
            elif blocks:
                blocks[-1][3].append((number, line.rstrip()))
            elif line.strip():
                raise self.wrong(number, f"{one_line(line)!r} stands before the first step “## guess: …”")
        recipe = Recipe()
        for number, kind, headline, lines in blocks:
            step = self._step(number, kind, headline, lines, recipe)
            yield step
            recipe = step.recipe

    def _step(self, line: int, kind: str, headline: str, lines: list[tuple[int, str]], before: Recipe) -> Step:
        keys, text, items = self._parts(kind, lines)
        recipe = self._recipe(*keys["recipe"], before) if "recipe" in keys else before
        names = kinds_of(recipe)
        says = lambda number, raw: self._text(number, raw, names)  # noqa: E731
        if len(_SENTENCE_END.findall(_FIGURE.sub("0", text[1]))) > MOST_SENTENCES:
            raise self.wrong(text[0] or line, f"a step says {MOST_SENTENCES} sentences at the most")
        step = dict(kind=kind, headline=says(line, headline), text=says(*text), recipe=recipe, line=line)
        if kind in ("guess", "saw"):
            step["question"] = self._question(line, keys, items, names)
        elif items:
            raise self.wrong(items[0][0], f"a step “{kind}” has no choices; “guess” and “saw” have")
        if kind == "mend":
            step["mend"] = self._mend(line, keys, recipe, names)
        if "formula" in keys:
            step["formula"] = says(*keys["formula"])
        if "press" in keys:
            if keys["press"][1] not in ("train",):
                raise self.wrong(keys["press"][0], f"press: {one_line(keys['press'][1])}; it can be train")
            step["press"] = keys["press"][1]
        elif kind == "run" and recipe.tab == "train":
            step["press"] = "train"
        if "hold" in keys:
            step["hold"] = self._expression(*keys["hold"], names, NUMBER)
        return Step(**step)

    def _parts(self, kind: str, lines: list[tuple[int, str]]) -> tuple[dict, tuple[int, str], list[tuple[int, str]]]:
        """(key → (line, value), (line, text), the choices with their lines)."""
        keys: dict[str, tuple[int, str]] = {}
        text: list[str] = []
        items: list[tuple[int, str]] = []
        begun, last = 0, None  # the line on which the text begins; what a line that is indented goes on with
        for number, line in lines:
            found = _KEY.fullmatch(line)
            if line.startswith("- "):
                items.append((number, line[2:].strip()))
                last = items
            elif line[:1] in (" ", "\t") and line.strip() and last is not None:
                if last is items:
                    items[-1] = (items[-1][0], f"{items[-1][1]} {line.strip()}")
                else:
                    keys[last] = (keys[last][0], f"{keys[last][1]} {line.strip()}")
            elif found and not text and not items:
                key = found[1]
                if key not in KEYS[kind] or key in keys:
                    raise self.wrong(number, f"{one_line(key)!r} in a step “{kind}”; it can say "
                                             f"{listed(KEYS[kind])}, once each")
                keys[key] = (number, (found[2] or "").strip())
                last = key
            elif line.strip():
                if items:
                    raise self.wrong(number, f"{one_line(line)!r} stands after the choices; text comes before them")
                begun = begun or number
                text.append(line.strip())
            else:
                last = None
        return keys, (begun, " ".join(text)), items

    def _recipe(self, line: int, query: str, before: Recipe) -> Recipe:
        """A link's words; one that begins with & changes the recipe of the step before."""
        if query.startswith("&"):
            changed, complaints = Recipe.from_query(query[1:])
            names = {part.partition("=")[0] for part in query[1:].split("&")}
            try:
                recipe = before.with_(**{name: getattr(changed, name) for name in names if name in SPECS})
            except ValueError as error:
                raise self.wrong(line, f"the recipe {one_line(query, 120)} cannot be: {error}") from None
        else:
            recipe, complaints = Recipe.from_query(query)
        if complaints:
            raise self.wrong(line, f"the recipe does not open unchanged: {'; '.join(complaints)}")
        if recipe.tab == "learn":
            raise self.wrong(line, "a recipe of a lesson says a tab that has a stage")
        if recipe.data == "own" or recipe.model == "mine":
            raise self.wrong(line, "a recipe of a lesson cannot need data or a model of somebody's own")
        return recipe

    def _expression(self, line: int, text: str, names: Mapping[str, type], *wanted: type) -> Expression:
        try:
            return Expression.read(text, names, MEASURES, wanted)
        except ValueError as error:
            raise self.wrong(line, str(error)) from None

    def _text(self, line: int, raw: str, names: Mapping[str, type]) -> Text:
        figures = []
        for found in _FIGURE.finditer(raw):
            inside, colon, form = found[1].rpartition(":")
            if not colon:
                inside, form = form, ".2f"
            expression = self._expression(line, inside, names, NUMBER, WORDS)
            try:
                format("" if expression.kind is WORDS else 0.5, "" if expression.kind is WORDS else form)
            except ValueError:
                raise self.wrong(line, f"{form!r} in {found[0]} is no format of a number, as .2f or .0% are") from None
            figures.append((found[0], expression, "" if expression.kind is WORDS else form))
        return Text(raw, tuple(figures))

    def _question(self, line: int, keys: dict, items: list[tuple[int, str]], names: Mapping[str, type]) -> Question:
        kinds = [name for name in ANSWERS if name in keys]
        if len(kinds) + bool(items) != 1:
            raise self.wrong(line, "a question has either choices (“- text | condition”), or one of "
                                   f"{', '.join(ANSWERS)}")
        if items:
            if not 2 <= len(items) <= MOST_CHOICES:
                raise self.wrong(line, f"{len(items)} choices; there can be 2 to {MOST_CHOICES}")
            return Question("choices", tuple(self._choice(*item, names) for item in items))
        kind, = kinds
        truth = self._expression(*keys[kind], names, ANSWERS[kind])
        if "within" not in keys:
            raise self.wrong(keys[kind][0], f"an answer by {kind} says within what it is right: “within: 0.1”")
        within = self._expression(*keys["within"], names, NUMBER)
        axes = ()
        if kind == "curve":
            number, text = keys.get("axes", (line, ""))
            axes = tuple(part.strip() for part in text.split(","))
            try:
                what, low, high = axes
                fits = float(low) < float(high)
            except ValueError:
                fits = False
            if not fits:
                raise self.wrong(number, f"axes: {one_line(text)!r}; of a curve it says what is drawn over t, the "
                                         "least and the most: “axes: error, 0, 1”")
        return Question(kind, (), truth, within, keys.get("panel", (0, "x_t"))[1], axes)

    def _choice(self, line: int, item: str, names: Mapping[str, type]) -> Choice:
        parts = [part.strip() for part in item.split("|")]
        if len(parts) not in (2, 3) or not all(parts[:2]):
            raise self.wrong(line, f"{one_line(item, 80)!r} is no choice; write “- text | condition”, and, if it is to "
                                   "be answered, “| what is said to it”")
        when = self._expression(line, parts[1], names, TRUTH)
        return Choice(self._text(line, parts[0], {}), when, self._text(line, parts[2] if parts[2:] else "", names))

    def _mend(self, line: int, keys: dict, recipe: Recipe, names: Mapping[str, type]) -> Mend:
        for key in ("control", "goal", "solved by"):
            if not keys.get(key, (0, ""))[1]:
                raise self.wrong(line, f"a step “mend” says its {key}")
        number, text = keys["control"]
        controls = tuple(part.strip() for part in text.split(","))
        for control in controls:
            if control not in FIELDS or control in _VIEW:
                raise self.wrong(number, f"control: {one_line(control)!r} is no field of the recipe; there are "
                                         f"{', '.join(name for name in FIELDS if name not in _VIEW)}")
        goal = self._expression(*keys["goal"], names, TRUTH)
        solved = self._recipe(*keys["solved by"], recipe)
        differ = {name for name in DEFAULTS if getattr(solved, name) != getattr(recipe, name)} - {*_VIEW}
        if not differ or not differ <= {*controls}:
            raise self.wrong(keys["solved by"][0], f"it changes {', '.join(sorted(differ)) or 'nothing'}; it is to "
                                                   f"change {listed(controls) if controls[1:] else controls[0]} alone")
        hint = self._text(*keys.get("hint", (line, "")), names)
        return Mend(controls, goal, solved, hint)
