"""`python -m core lesson`: the lessons that there are, and one as a notebook, as a page to print, as slides, or
checked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..files import atomic_write
from ..lessons.checking import check
from ..lessons.lesson import Lesson, lessons
from ..lessons.taking import find
from ..lessons.written import notebook, sheet, slides
from .progress import table

SEEDS = (0, 1, 2)


def lesson(options: argparse.Namespace, command: str) -> int | None:
    """List the lessons, or do with one what the options say; 1 if a check found something."""
    if options.name is None:
        if options.notebook or options.page or options.slides or options.check or options.out:
            raise ValueError("lesson which? Give the name of one, or the path of a file NN-name.md")
        table(("name", "question", "minutes", "steps"),
              [(one.name, one.title, str(one.minutes), " ".join(step.kind for step in one.steps))
               for one in lessons().values()])
        return None
    found = find(options.name)
    if options.check:
        return checked(found)
    if options.notebook or options.page or options.slides:
        write(found, options)
        return None
    if options.out:
        raise ValueError(f"--out {options.out}: of what? Say --notebook, --page or --slides")
    print(f"{found.title}  ({found.minutes} min)")
    for number, step in enumerate(found.steps, 1):
        print(f"{number}. {step.kind}: {step.title}")
    print(f"\nOn the page: ?lesson={found.name}")
    return None


def write(found: Lesson, options: argparse.Namespace) -> None:
    """The notebook, the page to print, or the slides, in their file."""
    if options.notebook + options.page + options.slides > 1:
        raise ValueError("--notebook, --page and --slides are files of their own; ask for one at a time")
    suffix = ".ipynb" if options.notebook else ".html"
    path = Path(options.out or found.name + ("-slides" if options.slides else "") + suffix)
    if path.suffix != suffix:
        raise ValueError(f"{path} cannot be written; let it end in {suffix}")
    name = found.name if found.name in lessons() and lessons()[found.name] == found else str(found.path.absolute())
    if options.notebook:
        text = json.dumps(notebook(found, name), indent=1, ensure_ascii=False) + "\n"
    else:
        text = slides(found) if options.slides else sheet(found)
    with atomic_write(path) as part:
        part.write_text(text, "utf-8")
    print(f"wrote {path}")


def checked(found: Lesson) -> int:
    """Measure what a lesson claims, with several seeds."""
    wrong = [f"seed {seed}: {said}" for seed in SEEDS for said in check(found, seed)]
    for said in wrong:
        print(said)
    if not wrong:
        print(f"{found.path.name} holds with the seeds {', '.join(map(str, SEEDS))}: every question has one answer in "
              "its run, and every goal is met by its control alone")
    return 1 if wrong else 0
