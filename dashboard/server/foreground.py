"""What somebody waits for goes first: short work before long work, and both before trainings.

A film is half a second of work and a training is minutes. So films and their like run in a few slots, and whoever has
had least so far goes first; how long a piece of work will be nobody needs to know (multi-level feedback, Corbató 1962).
While anybody works or waits here, trainings (`Pool(yields_to=…)`) keep a small share of the time.

    foreground = Foreground()
    for film in foreground.each(growing): ...   # every step of it in a slot, with none between two steps
    with foreground.work() as work: ...         # one stretch; work.breathe() lets others pass
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

#: Seconds of work after which a piece goes behind those that have had less, and behind those again.
LEVELS = (0.75, 4.0, 20.0)
#: Seconds of waiting that take a level off: long work waits longer, and not for ever.
PROMOTED = 8.0
#: What trainings keep of the time while the first in line is of that level.
BACKGROUND = (1 / 12, 1 / 6, 1 / 2, 1 / 2)


class Ended(RuntimeError):
    """No work begins any more; the text says so to whoever waited for it."""


class Work:
    """One piece of work, from its first stretch to its last. Made by `Foreground`; a thread at a time may be in it."""

    def __init__(self, foreground: Foreground, number: int):
        self._foreground, self._number = foreground, number
        self.spent = 0.0  #: seconds of processor time in its slots so far: a busy machine makes no piece of work longer
        self._since = self._worked = 0.0  # when the stretch began: by the clock, and by its thread's processor time
        self._waits = 0.0  # since when

    @property
    def level(self) -> int:
        """0 for what has only begun, up to len(LEVELS) for what takes long."""
        return sum(self.spent >= bound for bound in LEVELS)

    def rank(self, now: float) -> tuple[int, int]:
        """Who is smaller goes first: by level, of which waiting takes off one now and then; within one as they came."""
        return self.level - int((now - self._waits) / PROMOTED), self._number

    def __enter__(self) -> Work:
        self._foreground._take(self)
        return self

    def __exit__(self, *_) -> None:
        self._foreground._leave(self)

    def breathe(self) -> None:
        """Inside a stretch: whoever goes before this has the slot first. Raises Ended."""
        if self._foreground._waiting or self._foreground._ended:
            self._foreground._leave(self)
            self._foreground._take(self)

    def each(self, steps: Iterable[T]) -> Iterator[T]:
        """The items of an iterator, each of them made in a slot."""
        steps, end = iter(steps), object()
        try:
            while True:
                with self:
                    item = next(steps, end)
                if item is end:
                    return
                yield item
        finally:
            if hasattr(steps, "close"):
                steps.close()


class Foreground:
    """The slots, and who waits for one. One for an app.

    slots    stretches at the same time; by default one less than the machine has cores, 1 to 4
    overdue  seconds after which a stretch does not count any more: one that cannot be broken up holds up nobody longer
    clock    seconds that only grow; worked: those of processor time that the calling thread has had
    """

    def __init__(self, slots: int | None = None, overdue: float = 1.0, clock: Callable[[], float] = time.monotonic,
                 worked: Callable[[], float] = time.thread_time):
        self.slots = slots or min(4, max(1, (os.cpu_count() or 1) - 1))
        self.overdue, self.clock, self.worked = overdue, clock, worked
        self._changed = threading.Condition()
        self._running: list[Work] = []
        self._waiting: list[Work] = []
        self._count = 0
        self._ended = False
        self._background_from = 0.0  # when trainings may have their next slice while somebody works here

    @property
    def busy(self) -> bool:
        """Whether anybody works or waits here."""
        return bool(self._running or self._waiting)

    def work(self) -> Work:
        """A piece of work to come."""
        with self._changed:
            self._count += 1
            return Work(self, self._count)

    def each(self, steps: Iterable[T]) -> Iterator[T]:
        """The items of an iterator as one piece of work."""
        return self.work().each(steps)

    def run(self, function: Callable[..., T], *given) -> T:
        """What a function gives, called in a slot."""
        with self.work():
            return function(*given)

    def end(self) -> None:
        """No stretch begins any more: who waits for one or asks for one gets `Ended`. Returns when the last is over; a
        thread that is still in the midst of a library's code when the interpreter ends would abort the process."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running)

    def background_waits(self) -> float:
        """Seconds until trainings may have their next slice; 0 for now."""
        if not self.busy:
            return 0.0
        return max(0.0, self._background_from - self.clock())

    def background_had(self, seconds: float) -> None:
        """A training has had so much of the time: while somebody works here the next slice is the later for it."""
        with self._changed:
            level = min((work.level for work in (*self._running, *self._waiting)), default=None)
            if level is not None:
                share = BACKGROUND[level]
                self._background_from = self.clock() + seconds * (1 - share) / share

    def _take(self, work: Work) -> None:
        with self._changed:
            self._waiting.append(work)
            work._waits = self.clock()
            while not (self._ended or self._may_go(work)):
                began = [running._since for running in self._running]
                overdue_in = min(began, default=self.clock()) + self.overdue - self.clock()
                self._changed.wait(overdue_in if overdue_in > 0 else self.overdue)
            self._waiting.remove(work)
            if self._ended:
                raise Ended("The server is ending. Try again when it is back.")
            work._since, work._worked = self.clock(), self.worked()
            self._running.append(work)
            self._changed.notify_all()  # there may be a slot more

    def _leave(self, work: Work) -> None:
        with self._changed:
            if work not in self._running:
                return  # it has ended where it would have let others pass
            self._running.remove(work)
            work.spent += self.worked() - work._worked
            self._changed.notify_all()

    def _may_go(self, work: Work) -> bool:
        now = self.clock()
        held = sum(now - running._since < self.overdue for running in self._running)
        return held < self.slots and min(self._waiting, key=lambda waiting: waiting.rank(now)) is work
