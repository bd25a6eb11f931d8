"""What a page needs beside Gradio: its scripts, its style, its colours.

It can be given to `launch(head=…)`, or stand in the page from its first bytes, see `Early`; `launch(head=DRESSED)` then
says which of Gradio's styles come before ours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from core.drawing.stage import SANS, in_script, link, style, tables, tokens

HERE = Path(__file__).parent
STYLES = ("sidebar/sidebar.css", "page/page.css", "page/early.css", "page/lesson.css")
DRESSED = "<script>Noisescope.dressed(document.currentScript);</script>"


def head(titles: Mapping[str, str] = {}, tips: Mapping[str, str] = {}, lessons: Sequence[dict] = (),  # noqa: B006
         film: dict | None = None, stage: Mapping[str, object] = {}) -> str:  # noqa: B006
    """Scripts and styles of a page with stages.

    titles  of its tabs, by name
    tips    what explains a thing, by its id
    lessons  those that can be taken, as `page/lessons.js` knows them
    film    that the page opens with, and `stage`, the options of the stage that it plays on until Gradio has one
    """
    styles = "\n".join([tokens(), f"#ns-early {{ font-family: {', '.join(SANS)} }}", style(),
                        *((HERE / name).read_text("utf-8") for name in STYLES)])
    # A Space is told its name, "user/name", by Hugging Face.
    begin = in_script(tables=tables(), titles=dict(titles), tips=dict(tips), lessons=list(lessons), film=film,
                      stage=dict(stage), space=os.environ.get("SPACE_ID", ""))
    return f'<style id="ns-style">{styles}</style>\n<script>\n{scripts()}Noisescope.begin({begin});\n</script>'


@cache
def scripts() -> str:
    """All scripts of the page as one: `Noisescope` is what `page/main.js` exports."""
    return link(HERE / "page" / "main.js", "Noisescope")

