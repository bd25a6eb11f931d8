"""A lesson outside the page: taken in a program, as a notebook that runs, as a page to print, on the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from core.cli.parser import main
from core.lessons.lesson import BadLesson, lessons, load
from core.lessons.taking import Taking, take
from core.lessons.written import making_slides, notebook, sheet
from tests.sweep import SWEEP

ROOT = Path(__file__).parents[1]
LESSON = """\
---
title: How often is it asked & why?
order: 1
minutes: 1
---
## guess: How often?
recipe: data=gaussians8&model=exact&samples=50&steps=4
Of x_{t} it is asked.
- twice | evaluations(A) == 2
- four times | evaluations(A) == 4 | {steps:.0f} steps.
## run: It was asked {evaluations(A):.0f} times
## saw: How many steps were there?
number: steps
within: 0.5
## explain: As many as steps
formula: x_{s} = {steps:.0f} · x_{t}
## mend: Halve it
control: steps
goal: steps <= 2
solved by: &steps=2
hint: Fewer.
It takes {steps:.0f}.
"""
RUN = """
import json, sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
print(json.dumps([[output.data for output in cell.outputs if "data" in output]
                  for cell in notebook.cells if cell.cell_type == "code"]))
"""


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "01-how-often.md"
    path.write_text(LESSON, "utf-8")
    return path


def test_a_lesson_is_taken_in_a_program_step_by_step(path):
    lesson = take(str(path))
    assert "twice" in str(lesson.guess(0))
    run = lesson.run()
    assert str(run) == "It was asked 4 times\n✗ You said: twice. It is: four times."
    assert "<iframe" in run._repr_html_() and "It was asked 4 times" in run._repr_html_()
    assert str(lesson.saw(4)) == "✓ You said: 4. It is: 4."
    assert str(lesson.explain()) == "As many as steps\nx_s = 4 · x_t"
    assert str(lesson.mend()) == "It takes 4.\nNot yet."
    assert str(lesson.mend("steps=3")) == "It takes 3.\nNot yet. Fewer."
    assert str(lesson.mend("steps=2")) == "It takes 2.\nMended."
    with pytest.raises(ValueError, match="turn steps, as “steps=…”"):
        lesson.mend("seed=2")
    for wrong in (2, "twice", True, None):
        with pytest.raises(ValueError, match="is no answer; give the number of one, 0 to 1"):
            Taking(load(path)).guess(wrong)
    with pytest.raises(BadLesson, match="there is no lesson nothing; there are "):
        take("nothing")


def run_in_a_kernel(file: Path) -> list[dict]:
    """What the code cells of a notebook show, by media type, as Jupyter runs it: in a process of its own."""
    done = subprocess.run([sys.executable, "-c", RUN, file], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return [shown[0] if shown else {} for shown in json.loads(done.stdout.splitlines()[-1])]


def run_here(file: Path) -> list[dict]:
    """The same by the shell that a kernel is made of, without loading everything anew in a kernel."""
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    shell = InteractiveShell(user_module=ModuleType("lesson"), ipython_dir=str(file.parent),
                             config=Config(HistoryManager={"enabled": False}))
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            done = shell.run_cell(cell.source)
            done.raise_error()
            shown.append({} if done.result is None else shell.display_formatter.format(done.result)[0])
    return shown


@pytest.mark.parametrize("run", [run_here, *([run_in_a_kernel] if SWEEP else [])])
def test_a_notebook_of_a_lesson_runs_and_shows_the_stage(path, tmp_path, capsys, run):
    assert main(["lesson", str(path), "--notebook", "--out", str(tmp_path / "it.ipynb")]) == 0
    _, guess, ran, saw, why, mend = run(tmp_path / "it.ipynb")
    assert "twice" in guess["text/plain"] and "<iframe" in ran["text/html"]
    assert "It was asked 4 times" in ran["text/plain"] and "x_s = 4 · x_t" in why["text/plain"]
    assert "Not yet." in mend["text/plain"]


def test_what_is_written_before_a_run_does_not_say_what_comes_of_it(path):
    for lesson in (load(path), *lessons().values()):
        cells = notebook(lesson)["cells"]
        told = "\n".join(cell["source"] for cell in cells)
        assert len({cell["id"] for cell in cells}) == len(cells)
        for step in lesson.steps:
            if step.kind == "run":
                assert step.headline.said(None) not in told
            for choice in step.question.choices if step.question else ():
                assert choice.when.text not in told


def test_a_page_to_print_asks_first_and_has_what_came_out_on_a_page_of_its_own(path):
    page = sheet(load(path))
    asked, _, answers = page.partition("<section class=answers>")
    assert "How often is it asked &amp; why?" in asked and "Of x<sub>t</sub> it is asked." in asked
    assert "<li>four times</li>" in asked and "It was asked" not in asked
    assert "It was asked 4 times" in answers and "It is: four times." in answers
    assert "x<sub>s</sub> = 4 · x<sub>t</sub>" in answers and "data:image/png;base64," in answers
    assert not re.search(r"[_^]\{", page)


def test_the_slides_of_a_lesson_ask_before_they_answer_and_lie_in_one_file(path, tmp_path):
    *told, (done, text) = making_slides(load(path))
    assert told == [(k / 6, "") for k in range(1, 6)] and done == 1
    shown = json.loads(re.search(r"Noisescope.slides\((.*)\);", text)[1].replace("\\u003c", "<"))
    kinds = [(slide["headline"], slide["at"], slide["holds"]) for slide in shown["slides"]]
    assert kinds == [
        ("How often?", "start", []), ("It was asked 4 times", "play", [False, True]),
        ("How many steps were there?", "end", []), ("How many steps were there?", "end", []),
        ("As many as steps", "end", []), ("Halve it", "play", []), ("Mended by steps: 2", "play", [])]
    assert shown["slides"][3]["text"][-1] == "It is: 4." and shown["slides"][4]["formula"] == "x_{s} = 4 · x_{t}"
    assert [slide["film"] for slide in shown["slides"]] == [0] * 6 + [1]  # one run is in it once
    assert set(re.findall(r"https?://[^\s'\"<)]+", text)) == {"http://www.w3.org/2000/svg"}
    assert main(["lesson", str(path), "--slides", "--out", str(tmp_path / "it.html")]) == 0
    assert "How often?" in (tmp_path / "it.html").read_text("utf-8")
    assert main(["lesson", str(path), "--slides", "--page"]) == 2


def test_the_command_line_lists_lessons_checks_one_and_says_what_is_wrong(path, capsys, tmp_path):
    assert main(["lesson"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in lessons())
    assert main(["lesson", "why-noise"]) == 0
    assert "?lesson=why-noise" in capsys.readouterr().out
    assert main(["lesson", str(path), "--check"]) == 0
    assert "holds with the seeds 0, 1, 2" in capsys.readouterr().out
    path.write_text(LESSON.replace("evaluations(A) == 2", "evaluations(A) > 2"), "utf-8")
    assert main(["lesson", str(path), "--check"]) == 1
    assert "seed 0: 01-how-often.md, line 11: of its answers 1 and 2 hold" in capsys.readouterr().out
    for words, said in ((["nothing"], "there is no lesson nothing"), (["--notebook"], "lesson which?"),
                        (["why-noise", "--out", "x.ipynb"], "Say --notebook, --page or --slides"),
                        (["why-noise", "--page", "--out", "x.pdf"], "let it end in .html"),
                        (["why-noise", "--page", "--notebook"], "one at a time")):
        assert main(["lesson", *words]) == 2
        assert said in capsys.readouterr().err
    path.write_text("hello", "utf-8")
    assert main(["lesson", str(path)]) == 2
    assert "01-how-often.md, line 1: a lesson begins with a header" in capsys.readouterr().err
