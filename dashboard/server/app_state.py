"""What all pages of one server share: who is here, who trains, whose turn it is. One instance an app, no globals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import gradio as gr

from core.recipe.values import Invalid
from core.runs.resolve import CannotShow
from core.training.trainer import warm_up
from dashboard.server.foreground import Foreground
from dashboard.server.jobs import Full, Pool
from dashboard.server.visitors import Busy, Gone, Visitor, Visitors
from dashboard.stage.stream import RunTokens, SceneStream

log = logging.getLogger(__name__)

#: What a visitor can be told as it is; anything else is our fault and is logged.
PLAIN = (CannotShow, Invalid, Full, Busy, Gone, ValueError)


class AppState:
    """Visitors, the training pool, what goes before it, and the turns on every stage.

    `open` starts its threads, `close` joins them.
    """

    def __init__(self):
        self.foreground = Foreground()
        self.visitors, self.pool, self.turns = Visitors(), Pool(yields_to=self.foreground), RunTokens()
        self.greeting: SceneStream | None = None  #: what every page opens with; shared, so read only
        self._door = threading.Lock()
        self._tokens: dict[str, str] = {}  # page → visitor, to know who has gone when a page closes

    def open(self) -> None:
        """Start the reaper, and import in the background what the first training would otherwise wait for."""
        self.visitors.start()
        self.pool.aside(warm_up)

    def close(self) -> None:
        """Stop everything; returns when all threads have ended."""
        self.pool.shutdown()
        self.visitors.stop()

    def arrive(self, known: str | None, session: str) -> str:
        """A page opens; the token of its visitor, who may be known from before. Raises Busy.

        Whoever presses a button before the page has been put up arrives by that; the page then finds itself known.
        """
        with self._door:
            if session not in self._tokens:
                self._tokens[session] = self.visitors.enter(known)
            return self._tokens[session]

    def depart(self, request: gr.Request) -> None:
        """A page closes: what runs for it ends, and its visitor may have gone."""
        self.turns.forget(request.session_hash)
        self.visitors.leave(self._tokens.pop(request.session_hash, None))

    def visitor(self, token: str | None, session: str) -> Visitor:
        """The visitor of a page. gr.Error if the page was left alone for too long, or if there is no room."""
        try:
            if session not in self._tokens:
                token = self.arrive(token, session)
            # Before the page has been told its token it can send none, or that of an earlier visit.
            return self.visitors.of(self._tokens.get(session, token))
        except (Gone, Busy) as error:
            raise gr.Error(str(error), print_exception=False) from None

    def stream(self, visitor: Visitor, session: str, tab: str) -> SceneStream:
        """The film on a page's stage. gr.Error if there is none (any more).

        Every page comes with the greeting; whoever wants more of it gets a reel of their own.
        """
        name = f"{tab}/{session}"
        if tab == "denoise" and visitor.trace(name) is None and not self.turns.taken(session, tab):
            visitor.keep(name, self.greeting.copy())
        stream = visitor.trace(name)
        if stream is None:
            raise gr.Error("There is no film on this stage any more: make it again first.", print_exception=False)
        return stream


def user_error(error: Exception) -> gr.Error:
    """An exception as what a visitor reads: our own words as they are, anything else without its insides."""
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, PLAIN):
        return gr.Error(str(error), print_exception=False)
    log.error("a request failed", exc_info=error)
    return gr.Error("Something went wrong here, and it is not your fault. What you had is still there; try again.",
                    print_exception=False)


def while_newest(app: AppState, session: str, tab: str, turn: int, films: Iterator) -> Iterator:
    """The films of a run until a newer one begins on the same stage, or its page goes."""
    for film in films:
        if not app.turns.holds(session, tab, turn):
            return
        yield film


