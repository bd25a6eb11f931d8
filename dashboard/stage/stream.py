"""From a film to a stage: each frame of each panel that is looked at is packed and sent once."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy

from core.drawing.stage import pack
from core.drawing.stage.pack import pack_findings
from core.recipe.recipe import Recipe
from core.scene import Scene
from core.views import View
from core.recipe.words import words
from dashboard.stage import chunk, film as stage_value

#: Seconds between two looks at a film that grows: quick enough to seem continuous, slow enough to cost little.
LOOK_EVERY = 0.12
#: Seconds that a change waits for those of its page that come before it.
PATIENCE = 1.0


class SceneStream:
    """One film on one stage. `value` is what the stage is given; it grows with the film and with the panels wanted.

    squeezed  its chunks are deflated: see `chunk`
    sent      a value of the whole of this very film, with the panels that it shows of itself, that was given before
    """

    def __init__(self, film: View, shown: Iterable[str] = (), frame: int | None = None, follow: bool = False,
                 also: Iterable[str] = (), squeezed: bool = False, sent: dict | None = None):
        self.film, self.follow, self.squeezed = film, follow, squeezed
        self.name = secrets.token_hex(8)
        wanted = tuple(key for key in shown if key in film.offers)
        self.shown = wanted or None  # None leaves the choice to what the visitor had on before
        self.frame = frame
        # Panels that were on before are likely on still: they are sent too.
        self.keys = list(dict.fromkeys((*wanted, *film.default, *(key for key in also if key in film.offers))))
        self.chunks: list[dict] = []
        self.latest: list[dict] = []  # charts that a later look replaces
        self.sent = 0
        self.done = False  #: whether no more frames will come
        self.findings = None if film.findings is None else chunk(pack_findings(film.findings, film.finding_charts))
        self._lock = threading.RLock()  # a panel may be wanted while the film streams
        if sent is not None:
            self.name, self.chunks, self.sent, self.done = sent["film"], [*sent["chunks"]], film.frames, True

    def copy(self) -> SceneStream:
        """Another reel of the same film, which has sent the same: what is wanted of it is no matter of this one's."""
        twin = copy(self)
        twin.keys, twin.chunks, twin.latest = [*self.keys], [*self.chunks], [*self.latest]
        twin._lock = threading.RLock()
        return twin

    @property
    def grows(self) -> bool:
        """Whether it will be whole before long: a training, which is looked at on its way, takes minutes."""
        return not (self.done or self.follow)

    @property
    def nbytes(self) -> int:
        """Bytes that keeping it costs (the files of its chunks lie on the disk)."""
        return self.film.nbytes

    def value(self, done: bool | None = None) -> dict:
        """The stage's value, with the frames that have come since the last look. done: as it was said last, if None."""
        offers = [{"key": o.key, "title": o.title, "note": o.note} for o in self.film.offers.values()]
        with self._lock:
            self.done = self.done if done is None else done
            end = self.film.frames
            if end > self.sent:
                self.chunks.append(self._pack(tuple(self.keys), self.sent, end))
                self.sent, self.latest = end, []
            return stage_value(self.chunks + self.latest, name=self.name, done=self.done, total=self.film.total,
                               available=offers, frame=self.frame, shown=self.shown, usual=self.film.default,
                               follow=self.follow, made=words(self.film.about), findings=self.findings)

    def refreshed(self, done: bool) -> dict:
        """The same, with the charts as they are now even if no frame has come: the last frame is sent again."""
        with self._lock:
            if self.film.frames == self.sent and self.sent:
                self.latest = [self._pack((), self.sent - 1, self.sent)]
            return self.value(done)

    def want(self, key: str) -> None:
        """Send a panel that was not among those shown, and keep sending it. ValueError if the film has none such."""
        if key not in self.film.offers:
            raise ValueError(f"no panel {key!r} here; there are {', '.join(self.film.offers)}")
        with self._lock:
            if key in self.keys:
                return
            self.keys.append(key)
            if self.sent:
                self.chunks.append(self._pack((key,), 0, self.sent))

    def scene(self, keys: Iterable[str]) -> Scene:
        """The whole film so far with these panels, for an export."""
        return self.film.scene(tuple(keys) or None, 0, self.film.frames)

    def _pack(self, keys: tuple[str, ...], first: int, end: int) -> dict:
        if first:  # what stands still went with the first frame, and may cost more than all the others together
            keys = tuple(key for key in keys if not self.film.offers[key].still)
        packed = pack(self.film.scene(keys, first, end), first=first, total=max(self.film.total, end),
                      delta=self.squeezed)
        return chunk(packed, self.squeezed)


def play(growing: Iterable[View], shown: Iterable[str] = (), frame: int | None = None,
         before: SceneStream | None = None) -> Iterator[tuple[SceneStream, dict]]:
    """(the reel, the stage's value) every so often while a film grows; the last value is done.

    before: what the stage showed till now. Its panels are sent too; and the film's own choice is shown, whatever was
    on, if there is a panel in it that there was not before.
    """
    stream, looked = None, 0.0
    try:
        for film in growing:
            if stream is None:
                new = before is not None and not {*film.default} <= before.film.offers.keys()
                stream = SceneStream(film, shown or (film.default if new else ()), frame,
                                     also=before.keys if before else ())
            now = time.monotonic()
            if film.frames and now - looked > LOOK_EVERY:
                looked = now
                yield stream, stream.value(done=False)
    finally:
        if stream is not None:  # also if it broke, or a newer run ended it: whoever wants a panel of it is told so
            stream.done = True
    if stream is not None:
        yield stream, stream.refreshed(done=True)  # the charts may know more by now than when the last frame came


class RunTokens:
    """Whose turn it is on each stage: a new run on a stage ends the one before, at its next step."""

    def __init__(self):
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._newest: dict[tuple[str, str], int] = {}
        self._shows: dict[tuple[str, str], Recipe] = {}
        self._changes: dict[str, int] = {}
        self._working: dict[str, set[int]] = {}
        self._count = itertools.count(1)  # over all stages: a turn once taken never comes back

    def take(self, session: str, tab: str, shows: Recipe | None = None) -> int:
        """Begin a run; what was running there is no longer the newest. shows: the recipe of a film that it makes."""
        with self._lock:
            turn = self._newest[session, tab] = next(self._count)
            self._shows.pop((session, tab), None)
            if shows is not None:
                self._shows[session, tab] = shows
            return turn

    def under_way(self, session: str, tab: str) -> Recipe | None:
        """The recipe whose film is being made there."""
        return self._shows.get((session, tab))

    def ended(self, session: str, tab: str, turn: int) -> None:
        """This run has come to its end."""
        with self._lock:
            if self._newest.get((session, tab)) == turn:
                self._shows.pop((session, tab), None)

    def stop(self, session: str, tab: str) -> None:
        """End what runs there; nothing takes its place."""
        with self._lock:
            self._newest[session, tab] = 0
            self._shows.pop((session, tab), None)

    def stopped(self, session: str, tab: str) -> bool:
        """Whether what ran there last was ended, and nothing has begun since."""
        return self._newest.get((session, tab)) == 0

    def taken(self, session: str, tab: str) -> bool:
        """Whether this page has begun a run there."""
        return (session, tab) in self._newest

    def holds(self, session: str, tab: str, turn: int) -> bool:
        """Whether this run is still the newest there. False too once the page is gone."""
        return self._newest.get((session, tab)) == turn

    @contextmanager
    def change(self, session: str, number: int) -> Iterator[bool]:
        """A change of a page is worked on: gives whether no later one has been. A page counts its own from 1; 0 is its
        arrival.

        Changes can overtake each other on their way. One waits here for those before it: until they have been worked
        on, which ends when the page is told and takes as long as what is read then may take; or, if they have not come
        yet, not for long: they may have been refused. So answers go out in the order of the changes.
        """
        working = self._working.setdefault(session, set())
        with self._moved:
            working.add(number)
            self._wait(session, number - 1)
            fresh = number >= self._changes.get(session, 0)
        try:
            yield fresh
        finally:
            with self._moved:
                working.discard(number)
                if number:
                    self._changes[session] = max(self._changes.get(session, 0), number)
                self._moved.notify_all()

    def after(self, session: str, number: int) -> None:
        """Returns when the changes of a page up to this one have been worked on, as `change` waits for them."""
        with self._moved:
            self._wait(session, number)

    def _wait(self, session: str, number: int) -> None:
        while (begun := any(other <= number for other in self._working.get(session, ()))) \
                or self._changes.get(session, 0) < number:
            if not self._moved.wait(PATIENCE) and not begun:
                return

    def forget(self, session: str) -> None:
        """The page is gone: whatever runs for it ends."""
        with self._lock:
            self._changes.pop(session, None)
            self._working.pop(session, None)
            for key in [key for key in self._newest if key[0] == session]:
                del self._newest[key]
                self._shows.pop(key, None)
