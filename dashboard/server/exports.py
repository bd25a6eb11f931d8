"""Export: what stands on a stage, as a file. Progress comes while it is written, and stopping leaves nothing behind."""

from __future__ import annotations

import queue
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from core.drawing.export import estimate, export
from core.runs.resolve import CannotShow
from core.scene import Scene
from core.views import TraceView
from dashboard.stage.formats import OFFERED
from dashboard.stage.stream import SceneStream

#: What a page may ask for: enough for a slide, little enough for a shared machine.
SIZES, RATES, MOST_FRAMES = (64, 512), (1, 50), 1001


def options_of(wish: dict) -> dict:
    """What a page asked for, checked: it comes from a stranger. ValueError names what is wrong."""
    if not isinstance(wish, dict):
        raise ValueError("an export is asked for with format, size, fps, every and pacing")
    kind = wish.get("format", "gif")
    kinds = [offer["name"] for offer in OFFERED]
    if kind not in kinds:
        raise ValueError(f"format {str(kind)[:20]!r}; it can be {', '.join(kinds)}")
    numbers = {}
    for name, default, (low, high) in (("size", 224, SIZES), ("fps", 20, RATES), ("every", 1, (1, MOST_FRAMES))):
        value = wish.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{name} is {str(value)[:20]}; it can be {low} to {high}")
        numbers[name] = int(value)
    pacing = wish.get("pacing", "t")
    if pacing not in ("frame", "t", "log_snr"):
        raise ValueError(f"pacing {str(pacing)[:20]!r}; it can be frame, t or log_snr")
    panels = wish.get("panels") or []
    if not isinstance(panels, list) or not all(isinstance(key, str) for key in panels):
        raise ValueError("panels are a list of names")
    if len(panels) > 6 or len({*panels}) < len(panels):
        raise ValueError("panels are up to 6 names, none of them twice")
    content = wish.get("content", "shown")
    if content != "shown" and not (content == "all" and kind == "html"):
        raise ValueError(f"content {str(content)[:20]!r}; it can be shown, and for html all: every panel that there is")
    theme = "dark" if wish.get("theme") == "dark" else "light"
    return dict(format=kind, pacing=pacing, panels=tuple(panels), content=content, theme=theme, **numbers)


def export_stream(stream: SceneStream, wish: dict, folder: Path,
                  name: str = "noisescope") -> Iterator[tuple[float, Path | None]]:
    """(share done, None) while the file is written, at the end (1.0, its path in `folder`).

    The folder is this export's own: it goes again if nothing comes of it. ValueError for what cannot be.
    """
    path = None
    try:
        # closing: the writer has ended before the folder goes
        with closing(_exported(stream, options_of(wish), folder, name)) as running:
            for done, path in running:
                yield done, path
    finally:
        if path is None:
            shutil.rmtree(folder, ignore_errors=True)


def weight(stream: SceneStream, wish: dict) -> int:
    """The bytes that the file of a wish would have. ValueError for what cannot be, and for what no film is."""
    options = options_of(wish)
    kind, scene = options.pop("format"), _scene(stream, options)
    return estimate(scene, kind, **_paced(scene, options))


def _scene(stream: SceneStream, options: dict) -> Scene:
    """The film with the panels that are asked for; of all that there are, those are on when it opens."""
    options["shown"] = panels = options.pop("panels")
    everything = options.pop("content") == "all"
    return stream.scene(dict.fromkeys((*panels, *stream.film.offers)) if everything else panels)


def _paced(scene: Scene, options: dict) -> dict:
    """Options as this film can have them: training steps have no t to be even in, and heat spreads and comes back."""
    ways = np.sign(np.diff(scene.numbers.get(options["pacing"], ())))
    turns = not ways.any() or ways.min() < 0 < ways.max()
    return {**options, "pacing": "frame"} if turns else options


def _exported(stream: SceneStream, options: dict, folder: Path, name: str) -> Iterator[tuple[float, Path | None]]:
    name = re.sub(r"[^\w-]", "-", name)
    kind = options.pop("format")
    if kind == "trace" and not isinstance(stream.film, TraceView):
        raise CannotShow("A trace is the record of a walk: export it from the Denoise tab.")
    if kind == "trace":
        yield 1.0, stream.film.trace.save(folder / f"{name}.safetensors")
        return
    scene = _scene(stream, options)
    yield from _written(scene, folder / f"{name}.{kind}", _paced(scene, options))


def _written(scene, path: Path, options: dict) -> Iterator[tuple[float, Path | None]]:
    # The encoder reports by a callback and the page wants a stream: a thread writes while this one tells.
    told: queue.Queue = queue.Queue()
    stop = threading.Event()

    def write():
        try:
            export(scene, path, progress=lambda done, total: told.put(done / total), stop=stop.is_set, **options)
            told.put(path)
        except BaseException as error:  # handed over to whoever listens, who raises it
            told.put(error)

    thread = threading.Thread(target=write, name="export", daemon=True)
    thread.start()
    try:
        while True:
            news = told.get()
            while isinstance(news, float) and not told.empty():
                news = told.get()
            if isinstance(news, BaseException):
                raise news
            if isinstance(news, Path):
                yield 1.0, news
                return
            yield min(news, 0.99), None
    finally:
        stop.set()
        thread.join()
