"""What a page needs beside Gradio, for `launch(head=…)`: its scripts, its style, its colours."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from core.drawing.stage import in_script, link, style, tables

HERE = Path(__file__).parent
STYLES = ("sidebar/sidebar.css", "page/page.css", "page/lesson.css")


def head(titles: Mapping[str, str] = {}, tips: Mapping[str, str] = {}, lessons: Sequence[dict] = (),  # noqa: B006
         film: Sequence[str] = ()) -> str:
    """Scripts and styles of a page with stages.

    titles  of its tabs, by name
    tips    what explains a thing, by its id
    lessons  those that can be taken, as `page/lessons.js` knows them
    film    files of the film that the page opens with
    """
    styles = "\n".join([style(), *((HERE / name).read_text("utf-8") for name in STYLES)])
    # A Space is told its name, "user/name", by Hugging Face.
    begin = in_script(tables=tables(), titles=dict(titles), tips=dict(tips), lessons=list(lessons), film=list(film),
                      space=os.environ.get("SPACE_ID", ""))
    return f"<style>{styles}</style>\n<script>\n{scripts()}Noisescope.begin({begin});\n</script>"


@cache
def scripts() -> str:
    """All scripts of the page as one: `Noisescope` is what `page/main.js` exports."""
    return link(HERE / "page" / "main.js", "Noisescope")

