"""A report as one HTML file: the stage with the walk that was watched, the Doctor beside it. It asks for nothing."""

from __future__ import annotations

import os
from pathlib import Path

from ..drawing.stage.page import page
from ..files import atomic_write
from .record import Run
from .report import Report
from .showing import film_of

#: Steps of a walk that a report holds at most: of longer ones every k-th.
STEPS = 200


def write(run: Run, report: Report, path: str | os.PathLike) -> Path:
    """Write a run's report to `path`, .html; returns it. ValueError for another ending."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path} cannot be written; let it end in .html")
    text = html(run, report)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def html(run: Run, report: Report) -> str:
    """The text of that file."""
    film, shown = film_of(run, report)
    every = max(1, -(-film.frames // STEPS))
    frames = sorted({*range(0, film.frames, every), *([film.frames - 1] if film.frames else [])})
    return page(film, shots=[(k, 1) for k in frames], shown=shown, title="Diagnosis", fps=max(1.0, len(frames) / 6))
