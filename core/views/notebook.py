"""A trace in a notebook: it shows itself on the stage."""

from __future__ import annotations

from ..drawing.export import to_bytes
from ..drawing.notebook import framed
from ..trace import Trace
from .bare import bare_scene

#: Frames of what a notebook shows, as the stage and as a GIF, and the GIF's panel size: enough to see, little to keep.
FRAMES, GIF_FRAMES, SIZE = 101, 30, 160


def gif(trace: Trace, **options) -> bytes:
    """A trace as a GIF, x_t and x̂0 side by side; options are those of `core.drawing.export.export`."""
    return to_bytes(bare_scene(trace), "gif", **options)


def html(trace: Trace) -> str | None:
    """The stage in a frame, with a GIF for who may not run it; None of a trace that is empty."""
    if trace.final is None:
        return None
    scene = bare_scene(trace)
    page = to_bytes(scene, "html", every=-(-scene.frames // FRAMES)).decode()
    still = to_bytes(scene, "gif", size=SIZE, every=-(-scene.frames // GIF_FRAMES))
    return framed(page, still, f"a walk of {len(trace)} steps")
