"""Lessons: what a file can say, what is refused and in which words, and that what they claim is true of their runs."""

from __future__ import annotations

import os
import re
from functools import cache

import pytest

from core.lessons.checking import check
from core.lessons.evidence import Evidence, NotYet, evidence_of, kinds_of
from core.lessons.expressions import Expression
from core.lessons.judge import Answer, judge
from core.lessons.lesson import LESSONS, BadLesson, Lesson, lessons, load, load_all
from core.lessons.measures import MEASURES
from core.recipe.recipe import Recipe
from core.runs.walks import denoise

GOOD = """\
---
title: Do more steps cost more?
order: 99
minutes: 1
words: steps
---

## guess: How often is the network asked for 4 steps?
recipe: data=gaussians8&model=exact&samples=50&steps=4

It is asked once a step.

- four times     | evaluations(A) == 4 | Once a step.
- twice          | evaluations(A) == 2

## run: It was asked {evaluations(A):.0f} times

x_{t} has markup, and {sampler} is text.

## saw: How many steps were there?
number: steps
within: 0.5

## explain: As many as there are steps
formula: x_{s} = {steps:.0f} · x_{t}

## mend: Halve the cost
control: steps
goal: evaluations(A) <= 2
solved by: &steps=2
hint: Fewer steps.
"""


def written(tmp_path, text: str = GOOD, name: str = "99-more-steps.md"):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


@cache
def made(recipe: Recipe) -> Evidence:
    return evidence_of(recipe)


def refused(tmp_path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(BadLesson) as error:
        load(written(tmp_path, GOOD.replace(old, new, 1)))
    return str(error.value)


def test_a_lesson_is_one_file_in_a_folder(tmp_path):
    written(tmp_path)
    lesson = load_all(tmp_path)["more-steps"]
    assert (lesson.title, lesson.order, lesson.minutes, lesson.words) == ("Do more steps cost more?", 99, 1, ("steps",))
    assert [step.kind for step in lesson.steps] == ["guess", "run", "saw", "explain", "mend"]
    assert lesson.steps[1].recipe == lesson.steps[0].recipe  # what is not said is as it was
    guess, run, saw, explain, mend = (judge(lesson, k, made(lesson.steps[k].recipe)) for k in range(5))
    assert guess.answer is None  # it is not given away before the run
    assert run.hold is None and mend.hold is None
    assert run.answer.holds == (True, False) and run.answer.replies == ("Once a step.", "")
    assert run.headline == "It was asked 4 times" and run.text == "x_{t} has markup, and ddim is text."
    assert saw.answer.truth == 4 and saw.answer.right(4) and not saw.answer.right(3)
    assert explain.formula == "x_{s} = 4 · x_{t}"
    assert mend.goal is False and mend.hint == "Fewer steps."
    assert judge(lesson, 4, made(lesson.steps[4].mend.solved)).goal is True


WRONG = (
    ("title: Do more steps cost more?\n", "", "line 1: the header does not say its title"),
    ("words: steps", "drawing: perhaps", "line 5: drawing: perhaps; it can be yes or no"),
    ("## run: It was asked {evaluations(A):.0f} times\n", "## run: It\nhold: sampler\n",
     "line 17: sampler is text; wanted is a number"),
    ("order: 99", "order: last", "line 3: 'last' is no whole number from 1 to 999"),
    ("words: steps", "colour: red", "line 5: 'colour: red' in the header; it says title, order"),
    ("## guess: How", "## quiz: How", "line 8: '## quiz: How often is the network asked ' is no step; one is"),
    ("recipe: data=gaussians8", "recipe: data=nowhere", "line 9: the recipe does not open unchanged: data = nowhere"),
    ("recipe: data=gaussians8&model=exact", "recipe: model=mine", "line 9: a recipe of a lesson cannot need data"),
    ("recipe: data", "goal: data", "line 9: 'goal' in a step “guess”; it can say recipe"),
    ("- twice          | evaluations(A) == 2\n", "", "line 8: 1 choices; there can be 2 to 5"),
    ("| evaluations(A) == 2", "", "line 14: 'twice' is no choice; write “- text | condition”"),
    ("evaluations(A) == 2", "evaluations(B) == 2", "line 14: there is no B in this recipe's run; there are A"),
    ("evaluations(A) == 2", "evaluations(data) == 2", "line 14: evaluations(data): of is a Dataset, and evaluations"),
    ("evaluations(A) == 2", "evaluations() == 2", "line 14: evaluations() does not fit: evaluations(of): How often"),
    ("evaluations(A) == 2", "evalutions(A) == 2", "line 14: there is no measure evalutions; there are"),
    ("evaluations(A) == 2", "evaluations(A)", "line 14: evaluations(A) is a number; wanted is true or false"),
    ("evaluations(A) == 2", "A.trace == 2", "line 14: A.trace is not allowed here; allowed are numbers"),
    ("evaluations(A) == 2", "(lambda: 1)() == 2", "line 14: (lambda: 1)() is not allowed here"),
    ("evaluations(A) == 2", "sampler < 2", "line 14: sampler < 2 compares text with a number"),
    ("evaluations(A) == 2", "2 +", "line 14: '2 +' is no expression"),
    ("evaluations(A):.0f}", "evaluations(A):.0z}", "line 16: '.0z' in {evaluations(A):.0z} is no format"),
    ("It is asked once a step.", "One. Two. Three. Four.", "line 11: a step says 3 sentences at the most"),
    ("within: 0.5\n", "", "line 21: an answer by number says within what it is right"),
    ("number: steps", "number: steps > 1", "line 21: steps > 1 is true or false; wanted is a number"),
    ("control: steps", "control: stops", "line 28: control: 'stops' is no field of the recipe; there are data, model"),
    ("solved by: &steps=2", "solved by: &seed=2", "line 30: it changes seed; it is to change steps alone"),
    ("solved by: &steps=2", "solved by: &steps=4", "line 30: it changes nothing"),
    ("goal: evaluations(A) <= 2\n", "", "line 27: a step “mend” says its goal"),
    ("## run: It", "## explain: It", "line 8: a guess is followed by a step “## run"),
)


@pytest.mark.parametrize("old, new, said", WRONG, ids=[said for _, _, said in WRONG])
def test_what_is_wrong_is_said_with_file_line_and_what_is_allowed(tmp_path, old, new, said):
    assert f"99-more-steps.md, {said}" in refused(tmp_path, old, new)


def test_a_file_that_is_no_lesson_is_refused_in_words(tmp_path):
    with pytest.raises(BadLesson, match="it.md, line 1: a lesson begins with a header between two lines"):
        load(written(tmp_path, "hello", "it.md"))
    with pytest.raises(BadLesson, match="a lesson's file is called NN-name.md"):
        load(written(tmp_path, name="99-More Steps.md"))
    with pytest.raises(BadLesson, match="b.md cannot be read"):
        (tmp_path / "b.md").write_bytes(b"\xff\xfe\x00")
        load(tmp_path / "b.md")
    (tmp_path / "b.md").unlink()
    (tmp_path / "99-More Steps.md").unlink()
    (tmp_path / "it.md").unlink()
    written(tmp_path, name="1-same.md")
    written(tmp_path, name="2-same.md")
    with pytest.raises(BadLesson, match="2-same.md and 1-same.md are both called same"):
        load_all(tmp_path)


def test_a_line_that_is_indented_goes_on_with_the_one_before(tmp_path):
    path = written(tmp_path, GOOD.replace("- four times     | evaluations(A) == 4 | Once a step.",
                                          "- four\n  times | evaluations(A)\n  == 4 | Once a\n  step."))
    choice = load(path).steps[0].question.choices[0]
    said = (choice.text.raw, choice.when.text, choice.reply.raw)
    assert said == ("four times", "evaluations(A) == 4", "Once a step.")


EXPRESSIONS = (("1 + 2 * 3 ** 2 / 2 - 1", 9), ("1 < 2 < 3 and not 2 > 3", True), ("1 == 2 or 1 != 2", True),
               ("max(abs(-3), sqrt(4), 1)", 3), ("log(exp(2))", 2), ("(1, 2 + 1)", (1, 3)), ('"a" == "a"', True))


@pytest.mark.parametrize("text, value", EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_an_expression_is_worth_what_arithmetic_says(text, value):
    assert Expression.read(text, {}, {}).value({}) == pytest.approx(value)


def test_a_run_is_left_where_its_answer_is_seen_and_a_header_says_whether_any_drawing_will_do(tmp_path):
    plain = load(written(tmp_path))
    held = GOOD.replace("times\n\nx_", "times\nhold: 1 / steps\n\nx_")
    lesson = load(written(tmp_path, held.replace("words: steps", "words: steps\ndrawing: yes")))
    assert judge(lesson, 1, made(lesson.steps[1].recipe)).hold == 0.25
    assert (plain.drawing, lesson.drawing) == (False, True)


def test_what_cannot_be_worked_out_is_said_and_names_the_expression():
    with pytest.raises(ValueError, match=re.escape("1 / n cannot be worked out here")):
        Expression.read("1 / n", {"n": float}, {}).value({"n": 0.0})


def test_every_measure_says_what_it_is_and_what_it_gives():
    for measure in MEASURES.values():
        assert measure.usage.startswith(f"{measure.name}(") and measure.usage.endswith(".")
        assert measure.gives in (float, bool, str, tuple, list)
        assert all(kinds for _, kinds, _ in measure.takes)


def test_a_run_is_judged_when_it_is_over():
    walk = denoise(Recipe(data="gaussians8", model="exact", samples=10, steps=3))
    view = next(walk)
    with pytest.raises(NotYet, match="still under way"):
        Evidence.of(view)
    for view in walk:  # noqa: B007
        pass
    assert Evidence.of(view).names["A"].end.shape == (10, 2)
    with pytest.raises(NotYet, match="no run on the stage"):
        Evidence.of(None)


@pytest.mark.parametrize("query", [
    "tab=forward", "tab=forward&forward=heat&data=gaussians8&samples=20", "samples=20&steps=2",
    "tab=compare&steps=2&samples=20&variants=steps:1,,eta:1", "tab=lens&lens_samples=20&model=exact&data=gaussians8",
])
def test_what_is_promised_of_a_recipe_is_there_when_it_has_run(query):
    recipe, complaints = Recipe.from_query(query)
    assert not complaints
    assert made(recipe).names.keys() == kinds_of(recipe).keys()


def test_curves_and_places_are_right_when_they_are_near():
    curve = Answer("curve", truth=[(0.0, 0.0), (1.0, 1.0)], within=0.1)
    assert curve.right([(0.0, 0.05), (0.5, 0.55), (1.0, 1.05)]) and not curve.right([(0.0, 0.5)])
    place = Answer("place", truth=(1.0, 1.0), within=0.5)
    assert place.right((1.3, 1.3)) and not place.right((1.4, 1.4))
    assert place.clear and not Answer("number", truth=float("nan")).clear


@pytest.fixture(params=lessons().values(), ids=lambda lesson: lesson.name)
def lesson(request) -> Lesson:
    return request.param


def test_a_file_of_every_lesson_has_its_order_in_its_name():
    assert [lesson.path.stem for lesson in lessons().values()] == [
        f"{lesson.order:02}-{lesson.name}" for lesson in lessons().values()]


def test_every_lesson_is_taken_within_five_minutes_and_ends_by_doing_something(lesson):
    assert lesson.minutes <= 5
    assert {"guess", "run", "explain"} <= {step.kind for step in lesson.steps}


#: What takes long (other seeds, trainings, scripts, several walks) is left to `make lessons`. (The lesson that
#: CONTRIBUTING shows compares walks, and is gone through here.)
ALL = os.environ.get("NOISESCOPE_LESSONS") == "all"
SEEDS = (0, 1, 2) if ALL else (0,)


#: Walks with many networks or of many points; of each kind of step there is one in a shorter lesson.
LONG = ("does-it-copy", "noise-becomes-a-trex", "why-noise", "what-steers")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_lesson_claims_is_true_of_its_own_runs(lesson, seed):
    if lesson.name in LONG and not ALL:
        pytest.skip("`make lessons` goes through it")
    assert check(lesson, seed, without=() if ALL else ("train", "debug", "compare")) == []


def test_a_claim_that_does_not_hold_is_found_and_said(tmp_path):
    def said(old: str, new: str) -> list[str]:
        assert old in GOOD
        return check(load(written(tmp_path, GOOD.replace(old, new))), 0)

    assert said("twice", "thrice") == []
    assert said("evaluations(A) == 2", "evaluations(A) > 1") == [
        "99-more-steps.md, line 16: of its answers 1 and 2 hold; it is to be one"]
    assert said("evaluations(A) == 4", "evaluations(A) == 3") == [
        "99-more-steps.md, line 16: of its answers none holds; it is to be one"]
    assert said("goal: evaluations(A) <= 2", "goal: evaluations(A) <= 4") == [
        "99-more-steps.md, line 27: the goal is met before anything is turned"]
    assert said("goal: evaluations(A) <= 2", "goal: evaluations(A) <= 1") == [
        "99-more-steps.md, line 27: the goal is not met by what is said to meet it"]
    unknown, = said("number: steps", "number: 1 / (steps - 4)")
    assert unknown.startswith("99-more-steps.md, line 20: 1 / (steps - 4) cannot be worked out here: ")
    assert "there is no panel x_a; there are x_t" in said("steps=4\n", "steps=4&panels=x_a\n")[0]


def test_the_lesson_that_contributing_shows_is_one_and_true(tmp_path):
    guide = (LESSONS.parent / "CONTRIBUTING.md").read_text("utf-8")
    path = written(tmp_path, re.search(r"```markdown\n(.*?)```", guide, re.S)[1], "90-better-rule.md")
    assert [step.kind for step in load(path).steps] == ["guess", "run", "saw", "explain", "mend"]
    assert not any(check(load(path), seed) for seed in SEEDS)
