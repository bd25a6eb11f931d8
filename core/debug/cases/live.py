"""A case that is run while others use the process too: in turns, which may stand between any two calls of its networks.

The scripts of the museum are programs as people write them. They run from top to bottom and draw from torch's global
generator. Here a script has a thread and a stream of random numbers of its own, and stands still between two turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ...training.presets import GLOBAL_GENERATOR
from ..hooks import Hook
from ..record import Run
from ..watching import watch
from .case import Case, configured


@dataclass(frozen=True)
class At:
    """How far a case is: what it does, and how many calls of its networks it has made for that."""

    doing: str
    calls: int
    run: Run | None = None  #: when it is over


class Ended(BaseException):
    """The script is not wanted any more. No script catches it."""


class Turns:
    """work(pause) on a thread of its own; an iterator whose next() lets it go on until it calls pause(what) again.

    What work raises, next() raises. `close` ends it at its pause.
    """

    def __init__(self, work: Callable[[Callable[[Any], None]], Any]):
        self._work, self._go, self._stands = work, threading.Semaphore(0), threading.Semaphore(0)
        self._said: Any = None
        self._error: BaseException | None = None
        self._over = self._unwanted = False
        self._numbers: torch.Tensor | None = None  # where its random numbers stand
        self._thread = threading.Thread(target=self._run, name="case", daemon=True)

    def __iter__(self) -> Turns:
        return self

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        with GLOBAL_GENERATOR:
            others = torch.get_rng_state()
            if self._numbers is not None:
                torch.set_rng_state(self._numbers)
            if not self._thread.is_alive():
                self._thread.start()
            self._go.release()
            self._stands.acquire()
            self._numbers = torch.get_rng_state()
            torch.set_rng_state(others)
        if self._error is not None:
            raise self._error
        if self._over:
            raise StopIteration
        return self._said

    def close(self) -> None:
        """End the work where it stands; returns when its thread has ended."""
        self._unwanted = True
        while self._thread.is_alive():
            self._go.release()
            self._thread.join(0.1)
        self._over = True

    def _pause(self, what: Any) -> None:
        self._said = what
        self._stands.release()
        self._go.acquire()
        if self._unwanted:
            raise Ended

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._work(self._pause)
        except Ended:
            pass
        except BaseException as error:  # it belongs to whoever waits for the next turn
            self._error = error
        self._over = True
        self._stands.release()


def turns(case: Case, **settings: int) -> Iterator[At]:
    """Run a case in turns: where it stands after each, and at last with its run, examined by the networks themselves.

    settings replace its constants, as in `Case.run`. Raises whatever the script does.
    """

    def work(pause: Callable[[At], None]) -> None:
        names: dict[str, Any] = {"__name__": case.name}
        exec(compile(configured(case.source, settings), f"<{case.name}>", "exec"), names)  # noqa: S102 - our own text
        doing, calls = "trains", 0

        def called(*_) -> None:
            nonlocal calls
            if threading.current_thread() is thread:
                calls += 1
                pause(At(doing, calls))

        thread, hook = threading.current_thread(), Hook(called)
        handles = [network.register_forward_pre_hook(hook) for network in names["networks"]]
        try:
            with watch(*names["networks"]) as run:
                names["train"]()
                doing, calls = "samples", 0
                names["samples"] = names["sample"]()
        finally:
            for handle in handles:
                handle.remove()
        pause(At("is read", 0))
        run._probe()
        pause(At("is over", 0, run))

    running = Turns(work)
    try:
        yield from running
    finally:
        running.close()
