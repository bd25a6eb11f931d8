"""The stage: a player in the browser, which draws what the renderer draws by the same table, with a playhead in hand.

Its scripts are ES modules without a build step; `link` makes them one script for whatever page they stand in.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ..marks import MARKS
from ..palettes import THEMES
from ..palettes import tables as tables_of
from .link import link
from .pack import frames, pack

HERE = Path(__file__).parent

__all__ = ["frames", "link", "pack", "style", "tables"]


@cache
def style() -> str:
    """The style of every stage; the colours are `--ns-…` variables, which the page gives."""
    lengths = "; ".join(f"--ns-panel-{name}: {value}px" for name, value in MARKS["panels"].items())
    sheets = [(HERE / name).read_text("utf-8") for name in ("stage.css", "doctor.css")]
    return "\n".join([f".ns-root {{ {lengths} }}", *sheets])


@cache
def tables() -> dict[str, Any]:
    """Colours and tokens of both themes, for `dress` in `look.js`."""
    return {name: {**tables_of(name), "tokens": dict(tables_of(name)["tokens"])} for name in THEMES}
