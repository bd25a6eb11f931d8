"""What all pages of one server share: who is here, who trains, whose turn it is. One instance an app, no globals."""

from __future__ import annotations

import dis
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from core.debug.record import Run
from core.files import NotWritten
from core.recipe.recipe import Recipe
from core.recipe.values import Invalid
from core.runs.resolve import CannotShow
from dashboard.ready.film import Greeting
from dashboard.server.door import Door, Limits
from dashboard.server.foreground import Ended, Foreground
from dashboard.server.jobs import Full, Pool
from dashboard.server.kept import KeptTrainings
from dashboard.server.museum import Museum
from dashboard.server.visitors import Busy, Gone, Visitor, Visitors
from dashboard.sidebar.answers import Answers
from dashboard.stage.stream import RunTokens, SceneStream

log = logging.getLogger(__name__)

#: What a visitor can be told as it is; anything else is our fault and is logged.
PLAIN = (CannotShow, Invalid, Full, Busy, Gone, Ended)
ROOT = Path(__file__).parents[2]
RAISE = dis.opmap["RAISE_VARARGS"]


class AppState:
    """Visitors, the training pool, what goes before it, and the turns on every stage.

    `open` starts its threads, `close` joins them.
    """

    def __init__(self, limits: Limits | None = None, kept: KeptTrainings | None = None):
        limits, self.kept = limits or Limits(), kept or KeptTrainings(None)
        self.foreground, self.turns = Foreground(), RunTokens()
        self.door = Door(limits, on_page=self.on_page)
        self.visitors = Visitors(limits.visitors, most_each=limits.address_visitors, knows=self.kept.knows)
        self.pool = Pool(most=limits.trainings, most_each=limits.address_trainings, yields_to=self.foreground)
        self.greeting: Greeting | None = None  #: what every page opens with
        self._door = threading.Lock()
        self.answers, self.museum = Answers(), Museum()
        self.opened: Run | None = None  #: the trace that the server was started with: every visitor's to look at
        self.recipes: dict[str, Recipe] = {}  #: page → what it shows now
        self.opening: dict[str, str] = {}  #: page → the tab that it opens with, until a tab has been chosen on it
        self.refused: dict[str, tuple[str, str]] = {}  #: page → (tab, why it cannot be shown), of what it opens with
        self._tokens: dict[str, str] = {}  # page → visitor, to know who has gone when a page closes
        self._pages: set[str] = set()  # those whose heartbeat is open

    def open(self) -> None:
        """Start the reaper."""
        self.visitors.start()

    def close(self) -> None:
        """Stop everything; returns when all threads have ended."""
        self.foreground.end()
        self.pool.shutdown()
        self.visitors.stop()

    def arrive(self, known: str | None, session: str) -> str:
        """A page opens; the token of its visitor, who may be known from before. Raises Busy.

        Whoever presses a button before the page has been put up arrives by that; the page then finds itself known.
        """
        with self._door:
            if session not in self._tokens:
                if len(self._tokens) > 4 * self.visitors.most:  # of those who came without a page nobody tells the end
                    self._tokens = {name: token for name, token in self._tokens.items() if token in self.visitors}
                    for kept in (self.recipes, self.opening, self.refused):
                        for name in [name for name in kept if name not in self._tokens]:
                            del kept[name]
                self._tokens[session] = self.visitors.enter(known, self.door.address_of(session))
                visitor = self.visitors.of(self._tokens[session])
                if self.opened is not None and not visitor.watched:
                    visitor.open_trace(self.opened)
                if self.door.has_page(session):
                    self._open_page(session)
            return self._tokens[session]

    def on_page(self, session: str, here: bool) -> None:
        """A page's heartbeat begins, or ends: then what runs for it ends, and its visitor may have gone."""
        with self._door:
            if here:
                self._open_page(session)
                return
            token = self._tokens.pop(session, None)
            if session in self._pages:
                self._pages.remove(session)
                self.visitors.leave(token)
        self.turns.forget(session)
        for kept in (self.recipes, self.opening, self.refused):
            kept.pop(session, None)
        self.answers.forget(session)

    def _open_page(self, session: str) -> None:
        # Heartbeat and arrival come in either order, and at the same time.
        if session in self._tokens and session not in self._pages:
            self._pages.add(session)
            self.visitors.open_page(self._tokens[session])

    def visitor(self, token: str | None, session: str) -> Visitor:
        """The visitor of a page. gr.Error if the page was left alone for too long, or if there is no room."""
        try:
            if session not in self._tokens:
                token = self.arrive(token, session)
            # Before the page has been told its token it can send none, or that of an earlier visit.
            return self.visitors.of(self._tokens.get(session, token))
        except (Gone, Busy) as error:
            raise gr.Error(str(error), print_exception=False) from None

    def meant(self, session: str, number: object, values: Mapping[str, Any]) -> list:
        """What is meant to stand in the sidebar by who presses a button: also what answers set that are on their way.

        values: the sidebar as the page sends it, by field; number: what `Noisescope.last()` gives. Blocks until the
        changes of before have been worked on.
        """
        number, heard = counted(number)
        self.turns.after(session, number)
        return [*self.answers.merged(session, heard, values)[0].values()]

    def stream(self, visitor: Visitor, session: str, tab: str) -> SceneStream:
        """The film on a page's stage. gr.Error if there is none (any more).

        Every page comes with the greeting; whoever wants more of it gets a reel of their own.
        """
        name = f"{tab}/{session}"
        if tab == "denoise" and visitor.trace(name) is None and not self.turns.taken(session, tab):
            visitor.keep(name, self.greeting.stream(self.foreground.each))
        stream = visitor.trace(name)
        if stream is None:
            raise gr.Error("There is no film on this stage any more: make it again first.", print_exception=False)
        return stream


def counted(number: object) -> tuple[int, int]:
    """(which change of its page, the last answer that the page had heard): what a page sends; it can be forged."""
    whole = isinstance(number, list) and len(number) == 2 and all(type(n) is int and n >= 0 for n in number)
    return tuple(number) if whole else (0, 0)


def user_error(error: Exception) -> gr.Error:
    """An exception as what a visitor reads: our own words as they are, anything else without its insides.

    Its `field` is that of an Invalid.
    """
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, PLAIN) or isinstance(error, ValueError) and _in_our_words(error):
        told = gr.Error(str(error), print_exception=False)
        told.field = getattr(error, "field", "")
        return told
    if isinstance(error, NotWritten):
        return gr.Error(f"{error.why[0].upper()}{error.why[1:]}. What you had is still there; try again in a while.",
                        print_exception=False)
    log.error("a request failed", exc_info=error)
    return gr.Error("Something went wrong here, and it is not your fault. What you had is still there; try again.",
                    print_exception=False)


def _in_our_words(error: Exception) -> bool:
    """Whether a `raise` of this project made it, and not an operation that failed, here or in a library."""
    trace = error.__traceback__
    if trace is None:  # an error that was handed over, not raised
        return True
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return code.co_code[trace.tb_lasti] == RAISE and Path(code.co_filename).is_relative_to(ROOT)


def said_with(event: gr.EventData) -> dict:
    """What a page said with an event; nothing, if it is not what a page says."""
    data = getattr(event, "_data", None)
    return data if isinstance(data, dict) else {}


def while_newest(app: AppState, session: str, tab: str, turn: int, films: Iterator) -> Iterator:
    """The films of a run until a newer one begins on the same stage, or its page goes."""
    for film in films:
        if not app.turns.holds(session, tab, turn) or app.door.deserted(session):
            return
        yield film


