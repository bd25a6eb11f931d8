"""Who is here, and what is theirs: a registry by visitor token.

The page keeps a token and nothing else; models, data, traces and the training live here, bounded, and are freed when
the visitor leaves. Two visitors can reach the same thing only if they share a token, which is 256 random bits.

    visitors = Visitors()
    visitors.start()                       # the reaper
    token = visitors.enter(token_of_page)  # whoever comes; `open_page` and `leave` for every page that opens and closes
    visitors.of(token).keep("denoise", trace)
"""

from __future__ import annotations

import math
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

from core.runs.brought import Brought
from dashboard.server.door import in_words
from dashboard.server.heap import release
from dashboard.server.jobs import RUNNING, WAITING, Job

MB = 1_000_000
WATCHED = ("watched", "watched before")  #: under these names a visitor's opened traces are kept


class Busy(RuntimeError):
    """There is no room for a newcomer; the text says so to them."""


class Gone(LookupError):
    """Nobody with that token is here (any more); the text says what to do."""


def size_of(thing: Any) -> int:
    """Bytes of the arrays and tensors in a trace, a network, a data set, a film or a container of them."""
    if hasattr(thing, "nbytes"):
        return int(thing.nbytes)
    if hasattr(thing, "state_dict"):
        return size_of(thing.state_dict())
    if isinstance(thing, weakref.ref):
        return size_of(thing())  # what data have worked out of themselves, for as long as somebody uses it
    if isinstance(thing, bytes | bytearray):
        return len(thing)
    if isinstance(thing, dict):
        return sum(map(size_of, thing.values()))
    if isinstance(thing, list | tuple):
        return sum(map(size_of, thing))
    if is_dataclass(thing):
        return sum(map(size_of, vars(thing).values()))  # with what it has worked out of its fields and kept
    return 0


class Visitor(Brought):
    """One visitor's things. Hold `lock` to change several of them together; the registry itself never takes it.

    denoiser, card  the model that they trained, and what is to be known about it
    data            the data set that they brought
    job, trains     their training as it runs, and what it trains; `take_job` changes them
    not_saved       why it could not be saved, the last time
    pages, last_seen, left_at   open pages, when one of them was last heard of, and since when there is none
    address                     where they came from
    """

    def __init__(self, registry: Visitors, token: str, address: str = ""):
        super().__init__()
        self.token, self.address, self.lock = token, address, threading.RLock()
        self.job: Job | None = None
        self.trains: Any = None
        self.not_saved = ""
        self.pages, self.expected = 0, True  # expected: to open their first page
        self.last_seen = registry.clock()
        self.left_at: float | None = self.last_seen
        self.gone = False
        self._registry = registry
        self._traces: dict[str, Any] = {}  # the oldest first
        self._inside = threading.Lock()  # held for moments only, and never while anything else is asked for

    @property
    def nbytes(self) -> int:
        """Bytes held by model, data and traces."""
        with self._inside:
            things = [self.denoiser, self.data, *self._traces.values()]
        return sum(map(size_of, things))

    def keep(self, name: str, trace: Any) -> None:
        """Keep a trace under a name, in place of the one that had it; the oldest go where bytes run out.

        ValueError if the trace alone is larger than what a visitor may hold.
        """
        most, size = self._registry.bytes_each, size_of(trace)
        if size > most:
            raise ValueError(f"this trace takes {size / MB:,.0f} MB and a visitor may keep {most / MB:,.0f} MB; "
                             "take fewer samples or fewer steps")
        with self._inside:
            if self.gone:
                raise Gone(GONE)
            self._traces.pop(name, None)
            self._traces[name] = trace
            self._registry._made = True
            while sum(map(size_of, self._traces.values())) > most:
                del self._traces[next(iter(self._traces))]
        self._registry.make_room(self)

    def trace(self, name: str) -> Any:
        """The trace of that name, or None: it was never made, or it had to go."""
        with self._inside:
            return self._traces.get(name)

    @property
    def traces(self) -> tuple[str, ...]:
        """The names of the traces that are kept, the oldest first."""
        with self._inside:
            return tuple(self._traces)

    def drop_oldest(self) -> bool:
        """Let the oldest trace go, but never the last one; whether there was one to let go."""
        with self._inside:
            if len(self._traces) < 2:
                return False
            del self._traces[next(iter(self._traces))]
            return True

    @property
    def training(self) -> Any:
        """Their training, under way or over, as long as it is kept."""
        return self.trace("training")

    @property
    def watched(self) -> tuple[Any, ...]:
        """The traces that they opened, the newest first."""
        return tuple(run for run in map(self.trace, WATCHED) if run is not None)

    def open_trace(self, run: Any) -> None:
        """Keep a trace; the one that was open before stays beside it."""
        before = self.trace(WATCHED[0])
        if before is not None:
            self.keep(WATCHED[1], before)
        self.keep(WATCHED[0], run)

    @property
    def wants_training(self) -> bool:
        """Not once they have let go of its job."""
        return self.job is not None

    def learned(self, denoiser: Any, card: dict[str, Any]) -> None:
        """Take a model that was trained for them."""
        with self.lock:
            super().learned(denoiser, card)

    def take_job(self, job: Job | None, trains: Any = None) -> None:
        """Make this the visitor's job and stop the one before, which is told why; stops the new one if the visitor is
        gone by now."""
        with self._inside:
            gone, before = self.gone, self.job
            self.job, self.trains = (None, None) if gone else (job, trains)
        for unwanted in (before, job if gone else None):
            if unwanted is not None and unwanted is not self.job:
                unwanted.stop(REPLACED if job is not None and not gone else "")
        if gone:
            raise Gone(GONE)

    @property
    def is_working(self) -> bool:
        """Whether a job of theirs is on its way."""
        job = self.job
        return job is not None and job.state in (WAITING, RUNNING)

    def free(self) -> None:
        """Stop the job and let go of everything. The registry does this when the visitor leaves."""
        with self._inside:
            self.gone, job = True, self.job
            self.denoiser = self.card = self.data = self.job = self.trains = None
            self._traces = {}
        if job is not None:
            job.stop()


GONE = "this page was left alone for so long that what it had made was let go; reload it to go on"
REPLACED = "Another page of yours has begun a training: it took the place of this one"


class Visitors:
    """Everyone who is here. Make one for an app, `start` its reaper and `stop` it with the app.

    most          visitors at the same time; most_each: of them, from one address
    most_bytes    bytes that all of them hold together; bytes_each: the traces of one
    grace         seconds from a visitor's last page closing until their things go: a reload comes back in time, on a
                  slow phone as well
    arrival       seconds from coming for which nobody is sent away to make room: their page is about to open
    silent_after  seconds without a word after which a visitor is taken for gone, pages open or not
    idle_after    seconds without a word after which one without a running job may be sent away if room is needed
    clock         seconds that only grow
    knows         whether something is kept elsewhere for a token, whose visitor then comes back under it
    """

    def __init__(self, most: int = 64, most_bytes: int = 4000 * MB, bytes_each: int = 256 * MB, grace: float = 40.0,
                 silent_after: float = 1200.0, idle_after: float = 120.0, most_each: int = 40,
                 arrival: float = 3.0, clock: Callable[[], float] = time.monotonic,
                 knows: Callable[[str], bool] = lambda token: False):
        self.knows = knows
        self.most, self.most_each, self.most_bytes, self.bytes_each = most, most_each, most_bytes, bytes_each
        self.grace, self.silent_after, self.idle_after, self.clock = grace, silent_after, idle_after, clock
        self.arrival = arrival
        self._here: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._reaper: threading.Thread | None = None
        self._let_go = self._made = False  # whether anybody's things were, since the reaper last gave memory back

    def __len__(self) -> int:
        return len(self._here)

    def __contains__(self, token: Any) -> bool:
        return token in self._here

    @property
    def nbytes(self) -> int:
        """Bytes that everybody holds together."""
        return sum(visitor.nbytes for visitor in self._everybody())

    def enter(self, token: Any = None, address: str = "") -> str:
        """Somebody comes. Their token: the one given if it is known here, else a new one.

        What a browser kept may be old or made up; it is only ever looked up, here and in what is kept (`knows`). Until
        a page of theirs is known to be open (`open_page`) they have what one has who left: a time of grace, and their
        place as soon as it is needed. Raises Busy if there is no room.
        """
        with self._lock:
            visitor = self._here.get(token) if isinstance(token, str) else None
            if visitor is not None:
                return self._heard_of(visitor).token
        again = token if isinstance(token, str) and self.knows(token) else None
        if not self.make_room():
            raise Busy(f"the {self.most_bytes / MB:,.0f} MB for visitors are in use and everybody is at work; try "
                       f"again {self._when_idle()}")
        while True:
            with self._lock:
                theirs = [visitor for visitor in self._here.values() if address and visitor.address == address]
                if len(self._here) < self.most and len(theirs) < self.most_each:
                    if again in self._here:  # another page of theirs was quicker
                        return self._heard_of(self._here[again]).token
                    visitor = Visitor(self, again or secrets.token_urlsafe(32), address)
                    self._here[visitor.token] = visitor
                    return visitor.token
            crowd = len(theirs) >= self.most_each
            if not self._send_one_away(of=theirs if crowd else None):
                raise Busy((f"{len(theirs)} visitors are here from your address, its share of the {self.most} places"
                            if crowd else f"all {self.most} places are taken")
                           + f" and everybody is at work; try again {self._when_idle(theirs if crowd else None)}")

    def open_page(self, token: Any) -> None:
        """A page of theirs is open, until `leave`."""
        with self._lock:
            visitor = self._here.get(token) if isinstance(token, str) else None
            if visitor is not None:
                visitor.pages += 1
                visitor.left_at, visitor.expected = None, False
                self._heard_of(visitor)

    def of(self, token: Any) -> Visitor:
        """The visitor of that token, who has thereby been heard of. Raises Gone if there is none."""
        with self._lock:
            visitor = self._here.get(token) if isinstance(token, str) else None
            if visitor is None:
                raise Gone(GONE)
            visitor.last_seen = self.clock()
            return visitor

    def leave(self, token: Any) -> None:
        """A page has closed. After the last one, and a time of grace, the reaper frees what the visitor had."""
        with self._lock:
            visitor = self._here.get(token) if isinstance(token, str) else None
            if visitor is not None and visitor.pages:
                visitor.pages -= 1
                if not visitor.pages:
                    visitor.left_at = self.clock()

    def reap(self, older_than: float | None = None) -> list[str]:
        """Free those whose grace is over and those silent for more than older_than (silent_after) seconds.

        Returns their tokens.
        """
        now, silent = self.clock(), self.silent_after if older_than is None else older_than
        with self._lock:
            over = [
                visitor for visitor in self._here.values()
                if now - visitor.last_seen > silent
                or visitor.left_at is not None and now - visitor.left_at > self.grace
            ]  # fmt: skip
            for visitor in over:
                del self._here[visitor.token]
        for visitor in over:
            visitor.free()
        self._let_go = self._let_go or bool(over)
        return [visitor.token for visitor in over]

    def make_room(self, keeper: Visitor | None = None) -> bool:
        """Bring what everybody holds below most_bytes; whether that worked.

        Idle visitors go first, then older traces of the one who has something new to keep.
        """
        while True:
            with self._lock:  # one look for both: what is held too much, and who could go, change all the time
                if sum(visitor.nbytes for visitor in self._here.values()) <= self.most_bytes:
                    return True
                idlest = self._take_idlest(but=keeper, holding=True)
            if idlest is not None:
                self._let_go_of(idlest)
            elif not (keeper and keeper.drop_oldest()):
                return False

    def start(self, every: float = 2.0, tidy_every: float = 10.0) -> None:
        """Let a reaper thread look after those who left, every so many seconds, until `stop`.

        It gives the memory that is free then back to the system, and once more tidy_every seconds later: a training
        ends with its step under way, and an event of a page that closed ends when it is heard of next. While films are
        made, which leave much behind that only the garbage collector sees, it does so every tidy_every seconds.
        """
        def look_after():
            tidied = self.clock()
            while not self._stopping.wait(every):
                self.reap()
                if self._let_go or self._made and self.clock() - tidied >= tidy_every:
                    self._made, self._let_go = self._let_go, False
                    release()
                    tidied = self.clock()

        self._reaper = threading.Thread(target=look_after, name="reaper", daemon=True)
        self._reaper.start()

    def stop(self) -> None:
        """Join the reaper and free what everybody has."""
        self._stopping.set()
        if self._reaper is not None:
            self._reaper.join()
        with self._lock:
            everybody, self._here = list(self._here.values()), {}
        for visitor in everybody:
            visitor.free()

    def _heard_of(self, visitor: Visitor) -> Visitor:
        visitor.last_seen = self.clock()
        if not visitor.pages:
            visitor.left_at = visitor.last_seen
        return visitor

    def _when_idle(self, among: list[Visitor] | None = None) -> str:
        """When the next of them may be sent away, if they do nothing more."""
        with self._lock:
            now = self.clock()
            soonest = min((self._idle_in(visitor, now) for visitor in (among or self._here.values())), default=1.0)
        return f"in {in_words(max(1.0, soonest))}" if soonest < math.inf else "when one of their trainings has ended"

    def _idle_in(self, visitor: Visitor, now: float) -> float:
        """Seconds until a visitor may be sent away, if nothing more is heard of them; never while they work."""
        if not visitor.pages:
            return self.arrival - (now - visitor.left_at) if visitor.expected else 0.0
        return math.inf if visitor.is_working else self.idle_after - (now - visitor.last_seen)

    def _everybody(self) -> list[Visitor]:
        with self._lock:
            return list(self._here.values())

    def _send_one_away(self, of: list[Visitor] | None = None) -> bool:
        """Free whoever is idle for longest; whether there was one. With `of`, only one of those."""
        with self._lock:
            idlest = self._take_idlest(of=of)
        if idlest is not None:
            self._let_go_of(idlest)
        return idlest is not None

    def _take_idlest(self, but: Visitor | None = None, holding: bool = False,
                     of: list[Visitor] | None = None) -> Visitor | None:
        """Take whoever is idle for longest off the list: no page open, or silent without a running job.

        With `holding`, only someone who holds something; with `of`, only one of those. Called with the lock held.
        """
        now = self.clock()
        idle = [
            visitor for visitor in self._here.values()
            if visitor is not but and (visitor.nbytes or not holding) and (of is None or visitor in of)
            and self._idle_in(visitor, now) <= 0
        ]  # fmt: skip
        if not idle:
            return None
        # A page that closed while its job runs may be a reload: it goes last.
        return self._here.pop(min(idle, key=lambda visitor: (visitor.is_working, visitor.last_seen)).token)

    def _let_go_of(self, visitor: Visitor) -> None:
        visitor.free()
        self._let_go = True
