"""The stage: a player in the browser, which draws what the renderer draws by the same table, with a playhead in hand.

Its scripts are ES modules without a build step; `link` makes them one script for whatever page they stand in.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ..marks import MARKS
from ..palettes import DARK, LIGHT, THEMES, Theme
from ..palettes import tables as tables_of
from .link import link
from .pack import frames, pack

HERE = Path(__file__).parent

SANS = ("system-ui", "-apple-system", "Segoe UI", "DejaVu Sans", "Helvetica Neue", "Arial", "sans-serif")
#: Tokens of pages alone: quiet fills, the slider's track, and what is unusual.
EXTRA = {
    "light": {"quiet": "#f1f1ee", "track": "#e0e0dc", "unusual": "#a16207"},
    "dark": {"quiet": "#1f2327", "track": "#343a40", "unusual": "#e3b341"},
}

__all__ = ["SANS", "frames", "in_script", "link", "pack", "style", "tables", "tokens"]


def tokens() -> str:
    """The colours of a page with stages, as `--ns-…` variables: light, and dark below an element of class `dark`."""
    return f"{_tokens(':root', LIGHT)}\n{_tokens('.dark', DARK)}"


def _tokens(selector: str, theme: Theme) -> str:
    names = ("bg", "panel", "ink", "sub", "line", "accent", "accent_weak", "wrong", "noise", "fourth")
    colours = {name: getattr(theme, name) for name in names} | EXTRA[theme.name]
    declared = "; ".join(f"--ns-{name.replace('_', '-')}: {value}" for name, value in colours.items())
    return f"{selector} {{ {declared}; color-scheme: {theme.name} }}"


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


def in_script(**values) -> str:
    """Values as a JavaScript expression that stands safely inside a script."""
    return json.dumps(values, separators=(",", ":")).replace("<", "\\u003c")
