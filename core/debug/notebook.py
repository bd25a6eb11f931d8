"""A watched run in a notebook: the report as it stands in its file."""

from __future__ import annotations

from ..drawing.export import to_bytes
from ..drawing.notebook import framed
from .page import html as page
from .record import Run
from .showing import show

FRAMES, SIZE = 30, 160  #: of the GIF, for who may not run the stage


def html(run: Run) -> str:
    """The stage in a frame with the Doctor beside it; for who may not run it, a GIF and one line of the report."""
    report = run.diagnose()
    try:
        scene = show(run, report).scene()
        still = to_bytes(scene, "gif", size=SIZE, every=-(-scene.frames // FRAMES))
    except ValueError:  # no walk was seen
        still = None
    return framed(page(run, report), still, str(report).splitlines()[0])
