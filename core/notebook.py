"""In a notebook, a trace shows itself as a GIF. `from core import Trace` loads this; the trace itself draws nothing."""

from __future__ import annotations

import base64

from core.export import to_bytes
from core.films.bare import bare_scene
from core.trace import Trace

#: Frames and panel size of what a notebook shows: enough to see, little enough to keep in the file.
FRAMES, SIZE = 60, 240


def gif(trace: Trace, **options) -> bytes:
    """A trace as a GIF, x_t and x̂0 side by side; options are those of `core.export.export`."""
    return to_bytes(bare_scene(trace), "gif", **options)


def _html(trace: Trace) -> str | None:
    if trace.final is None:
        return None
    shown = base64.b64encode(gif(trace, size=SIZE, every=max(1, len(trace) // FRAMES))).decode()
    return f'<img alt="a walk of {len(trace)} steps" src="data:image/gif;base64,{shown}">'


Trace._repr_html_ = _html
