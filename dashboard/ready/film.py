"""The film that greets: shown as it was shipped, and walked again only for who wants more of it than is shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator

from core.recipe.recipe import Recipe
from core.runs.walks import denoise
from core.views import View
from dashboard.ready import FILM, FRAMES
from dashboard.stage.stage import cached
from dashboard.stage.stream import SceneStream


def walked() -> Iterator[View]:
    """The film as it grows, for a visitor who has nothing of their own."""
    return denoise(Recipe())


class Greeting:
    """The film that every page opens with. `value` is the stage's."""

    def __init__(self) -> None:
        self.value = json.loads(FILM.read_text("utf-8"))
        self.value["chunks"] = [{"path": cached(FRAMES.name, FRAMES.read_bytes())}]
        self._stream: SceneStream | None = None
        self._lock = threading.Lock()

    @property
    def files(self) -> list[str]:
        """Those that a page fetches."""
        return [chunk["path"] for chunk in self.value["chunks"]]

    def stream(self, each: Callable[[Iterable[View]], Iterable[View]] = iter) -> SceneStream:
        """A reel of it that has sent what every page has. The first one takes a walk; `each` goes through its steps."""
        with self._lock:
            if self._stream is None:
                *_, film = each(walked())
                self._stream = SceneStream(film, squeezed=True, sent=self.value)
            return self._stream.copy()
