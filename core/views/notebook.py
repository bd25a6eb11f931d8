"""A trace in a notebook: it shows itself as a GIF."""

from __future__ import annotations

import base64

from ..drawing.export import to_bytes
from ..trace import Trace
from .bare import bare_scene

#: Frames and panel size of what a notebook shows: enough to see, little enough to keep in the file.
FRAMES, SIZE = 60, 240


def gif(trace: Trace, **options) -> bytes:
    """A trace as a GIF, x_t and x̂0 side by side; options are those of `core.drawing.export.export`."""
    return to_bytes(bare_scene(trace), "gif", **options)


def html(trace: Trace) -> str | None:
    """The GIF as an <img> that needs no file; None of a trace that is empty."""
    if trace.final is None:
        return None
    shown = base64.b64encode(gif(trace, size=SIZE, every=max(1, len(trace) // FRAMES))).decode()
    return f'<img alt="a walk of {len(trace)} steps" src="data:image/gif;base64,{shown}">'

