"""What a page needs beside Gradio, for `launch(head=…)`: its scripts, its style, its colours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from core.drawing.stage import in_script, link, style, tables

HERE = Path(__file__).parent
STYLES = ("sidebar/sidebar.css", "page/page.css")


def head(titles: Mapping[str, str] = {}, tips: Mapping[str, str] = {}) -> str:  # noqa: B006
    """Scripts and styles of a page with stages.

    titles  of its tabs, by name
    tips    what explains a thing, by its id
    """
    styles = "\n".join([style(), *((HERE / name).read_text("utf-8") for name in STYLES)])
    # A Space is told its name, "user/name", by Hugging Face.
    begin = in_script(tables=tables(), titles=dict(titles), tips=dict(tips), space=os.environ.get("SPACE_ID", ""))
    return f"<style>{styles}</style>\n<script>\n{scripts()}Noisescope.begin({begin});\n</script>"


@cache
def scripts() -> str:
    """All scripts of the page as one: `Noisescope` is what `page/main.js` exports."""
    return link(HERE / "page" / "main.js", "Noisescope")

