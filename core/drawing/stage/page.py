"""Scenes as one HTML file: the stage itself with everything that it needs in it, and nothing that it would have to ask
for. It opens from a disk, in a frame, in a notebook; its own policy forbids it the network.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
    begin, packed = _film(scene, shots, shown, fps, hold, drawn)
    about, question = scene.about, title or _title(scene)
    begin |= {"question": question, "loop": loop, "dark": dark, "colours": "colours"}
    size = f".ns-stage {{ --ns-side: {side}px }}\n" if side else ""
    again = f" <code>{html.escape(str(about['command']))}</code>" if about.get("command") else ""
    return _document(question, "player.js", f"play({in_script(**begin)})", packed, recipe, size, again)


@dataclass(frozen=True)
class Slide:
    """One page of several. Its words are in the page's markup, x_{t}."""

    headline: str
    text: Sequence[str] = ()
    choices: Sequence[str] = ()
    holds: Sequence[bool] = ()  #: which of them, where that is said
    formula: str = ""
    film: int | None = None  #: which of the films stands below
    at: str = "play"  #: "start": it waits there, and nothing tells how it ends; "play"; "end"


def slides(title: str, slides: Sequence[Slide], films: Sequence[tuple[Scene, Sequence[str]]], fps: float = 25,
           longest: int = 60) -> str:
    """One file to show to many: slides that the arrow keys turn, each above its film, which stays live.

    films    scenes, and the panels of each that are on at first
    longest  frames that a film has at most; of a longer one every so-many-th, each for as long
    """
    begun, packed = [], {}
    for n, (scene, shown) in enumerate(films):
        every = -(-scene.frames // longest)
        which = sorted({*range(0, scene.frames, every), scene.frames - 1})
        begin, texts = _film(scene, [(k, every) for k in which], shown, fps, 1.5, name=f"film{n}")
        begun.append(begin)
        packed |= texts
    begin = in_script(title=title, slides=[asdict(slide) for slide in slides], films=begun, colours="colours")
    return _document(title, "slides.js", f"slides({begin})", packed)


def _film(scene: Scene, shots: Sequence[tuple[int, float]] | None, shown: Sequence[str], fps: float, hold: float,
          drawn: Callable[[int, int], None] = lambda done, total: None, name: str = "") -> tuple[dict, dict[str, str]]:
    """What the player is told of a film, and by id what lies in the file for it."""
    shots = [(k, 1) for k in range(scene.frames)] if shots is None else shots
    scene = _only(scene, [k for k, _ in shots])
    begins = np.cumsum([0, *(ticks for _, ticks in shots)]) / fps
    clock = {"starts": begins[:-1].tolist(), "hold": hold + float((begins[-1:] - begins[-2:-1]).sum())}
    packed = {f"{name}part{n}": _packed(part) for n, part in enumerate(_parts(scene, drawn))}
    begin = {"chunks": list(packed), "findings": None, "shown": list(shown or [p.key for p in scene.panels[:6]]),
             "total": scene.frames, "clock": clock}
    if scene.findings is not None:
        begin["findings"] = f"{name}findings"
        packed[f"{name}findings"] = _packed(pack_findings(scene.findings, scene.finding_charts))
    return begin, packed


def _document(title: str, module: str, begin: str, packed: Mapping[str, str], recipe: str = "", more_style: str = "",
              made: str = "") -> str:
    packed = {**packed, "colours": _packed(json.dumps(tables()).encode())}
    data = "".join(f'<script type="text/plain" id="{name}">{text}</script>\n' for name, text in packed.items())
    about = f'<script type="application/json" id="recipe">{_safe(recipe)}</script>\n' if recipe else ""
    return (
        f"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n{about}"
        f'<meta name="viewport" content="width=device-width">\n<meta name="generator" content="Noisescope">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<title>{html.escape(title)}</title>\n'
        f"<style>\n{tokens()}\nbody {{ font-family: {', '.join(SANS)} }}\n{style()}\n{_style()}{more_style}</style>\n"
        f'<body>\n<div class="page">\n<div class="ns-root" id="stage"><noscript>This film is drawn by a script; let '
        f"scripts run to see it.</noscript></div>\n"
        f"<footer>made with Noisescope{made}</footer>\n</div>\n{data}"
        f"<script>\n{_script(module)}Noisescope.{begin};\n</script>\n</body>\n</html>\n")  # fmt: skip


def recipe_in(path: Path, most: int) -> str:
    """The recipe that `page` was given, out of its file; "" if there is none within so many bytes."""
    with path.open("rb") as file:
        text = file.read(most + 200)
    _, begins, rest = text.partition(b'<script type="application/json" id="recipe">')
    recipe, ends, _ = rest.partition(b"</script>")
    return recipe.decode("utf-8", "replace") if begins and ends else ""


def _title(scene: Scene) -> str:
    if scene.made:
        return scene.made.partition(" · ")[0]
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
def _script(module: str) -> str:
    return link(HERE / module, "Noisescope")


@cache
def _style() -> str:
    return (HERE / "page.css").read_text("utf-8")
