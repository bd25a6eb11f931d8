"""A scene as one HTML file: the stage itself with everything that it needs in it, and nothing that it would have to ask
for. It opens from a disk, in a frame, in a notebook; its own policy forbids it the network.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ...scene import Scene
from . import SANS, in_script, link, style, tables, tokens
from .pack import frames, pack, pack_findings

HERE = Path(__file__).parent
#: Frames of one part: the first is soon decoded, and what is there can move.
PART = 32
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def page(scene: Scene, recipe: str = "{}", shots: Sequence[tuple[int, float]] | None = None, *,
         shown: Sequence[str] = (), fps: float = 25, hold: float = 1.5, loop: bool = True, side: int | None = None,
         dark: bool = False, title: str = "",
         drawn: Callable[[int, int], None] = lambda done, total: None) -> str:  # fmt: skip
    """The file's text. A scene without frames is shown by its findings alone.

    recipe   JSON that is found in it again, by `recipe_in`
    shots    (frame, for how many ticks of 1/fps it stands), in order; by default each frame for one
    shown    keys of the panels that are on at first: up to six, by default the first six
    hold     seconds that the last frame stands longer; `loop`: and then it begins again
    side     a panel's side in pixels, where there is room for it
    dark     it begins dark, whatever the reader's system asks
    title    the headline; by default what the recipe says
    drawn    is told how many frames are done, of how many
    """
    shots = [(k, 1) for k in range(scene.frames)] if shots is None else shots
    scene = _only(scene, [k for k, _ in shots])
    begins = np.cumsum([0, *(ticks for _, ticks in shots)]) / fps
    clock = {"starts": begins[:-1].tolist(), "hold": hold + float((begins[-1:] - begins[-2:-1]).sum())}
    parts = [_packed(part) for part in _parts(scene, drawn)]
    ids = [f"part{n}" for n in range(len(parts))]
    about, question = scene.about, title or _title(scene)
    told = None if scene.findings is None else _packed(pack_findings(scene.findings, scene.finding_charts))
    begin = in_script(chunks=ids, colours="colours", findings=None if told is None else "findings", dark=dark,
                      shown=list(shown or [p.key for p in scene.panels[:6]]),
                      total=scene.frames, question=question, loop=loop, clock=clock)
    size = f".ns-stage {{ --ns-side: {side}px }}\n" if side else ""
    packed = {**dict(zip(ids, parts)), "colours": _packed(json.dumps(tables()).encode()), "findings": told}
    data = "".join(f'<script type="text/plain" id="{name}">{text}</script>\n' for name, text in packed.items() if text)
    again = f" <code>{html.escape(str(about['command']))}</code>" if about.get("command") else ""
    return (
        f"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
        f'<script type="application/json" id="recipe">{_safe(recipe)}</script>\n'
        f'<meta name="viewport" content="width=device-width">\n<meta name="generator" content="Noisescope">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<title>{html.escape(question)}</title>\n'
        f"<style>\n{tokens()}\nbody {{ font-family: {', '.join(SANS)} }}\n{style()}\n{_style()}{size}</style>\n"
        f'<body>\n<div class="page">\n<div class="ns-root" id="stage"><noscript>This film is drawn by a script; let '
        f"scripts run to see it.</noscript></div>\n"
        f"<footer>made with Noisescope{again}</footer>\n</div>\n{data}"
        f"<script>\n{_script()}Noisescope.play({begin});\n</script>\n</body>\n</html>\n")  # fmt: skip


def recipe_in(path: Path, most: int) -> str:
    """The recipe that `page` was given, out of its file; "" if there is none within so many bytes."""
    with path.open("rb") as file:
        text = file.read(most + 200)
    _, begins, rest = text.partition(b'<script type="application/json" id="recipe">')
    recipe, ends, _ = rest.partition(b"</script>")
    return recipe.decode("utf-8", "replace") if begins and ends else ""


def _title(scene: Scene) -> str:
    about = scene.about
    told = [str(about["data"])] if about.get("data") else []
    told += [str(about["sampler"])] if about.get("sampler") else []
    told += [f"{about['steps']} steps"] if about.get("steps") else []
    return ", ".join(told) or "Noisescope"


def _only(scene: Scene, which: list[int]) -> Scene:
    """The scene with these frames alone."""
    return replace(
        scene,
        panels=tuple(p if p.frames == 1 else replace(p, data=p.data[which]) for p in scene.panels),
        numbers={name: np.asarray(values)[which] for name, values in scene.numbers.items()},
        charts=tuple(c if c.cursor is None else replace(c, cursor=np.asarray(c.cursor)[which]) for c in scene.charts))


def _parts(scene: Scene, drawn: Callable[[int, int], None]) -> Iterator[bytes]:
    for first in range(0, scene.frames, PART):
        part = frames(scene, first, first + PART)
        if first + PART < scene.frames:  # curves come once, with the last part, which says what is shown
            part = replace(part, charts=tuple(replace(chart, series=()) for chart in part.charts))
        yield pack(part, first, scene.frames, delta=True)
        drawn(min(first + PART, scene.frames), scene.frames)


def _packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def _safe(text: str) -> str:
    """JSON that cannot end the element it stands in."""
    return text.replace("<", "\\u003c")


@cache
def _script() -> str:
    return link(HERE / "player.js", "Noisescope")


@cache
def _style() -> str:
    return (HERE / "page.css").read_text("utf-8")
