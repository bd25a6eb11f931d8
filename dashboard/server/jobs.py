"""Long work for many visitors: fair turns for everyone who trains, snapshots for everyone who watches.

A job is an iterator whose next() is one small step. One or two worker threads take turns with all jobs in slices of
about 20 ms. A job's overdraft is taken off its next turns (deficit round robin, Shreedhar & Varghese 1996), so that
steps of 300 ms take no more than half of the time from a neighbour with steps of 1 ms.

    with Pool() as pool:
        job = pool.submit(lambda: train(...), snapshot=lambda job: job.last.loss, total=2000)
        async for loss in watch(job): ...
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import math
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from dashboard.server.foreground import Foreground

WAITING, RUNNING, PAUSED = "waiting", "running", "paused"
STOPPED, FINISHED, FAILED = "stopped", "finished", "failed"
ENDED = (STOPPED, FINISHED, FAILED)

MOST_DEBT = 0.5  #: seconds; what a job overdraws beyond that, as a first step that builds its network, is forgiven

log = logging.getLogger(__name__)


class Full(RuntimeError):
    """The pool takes no more jobs at present; the text says so to a visitor."""


class Job:
    """One piece of long work. Made by `Pool.submit`; every thread may ask and steer it.

    state       waiting for its first turn, running, paused, stopped, finished or failed
    steps_done  steps taken so far, of `total` where that is known
    seconds     time spent in its steps, without what others took meanwhile
    last        what the last step yielded; None after the end
    newest      the newest snapshot; it stays after the end
    owner       whose it is; "" if nobody's in particular
    error       why it failed or was stopped, in words for a visitor; `exception` is the cause, if there was one
    """

    def __init__(self, pool: Pool, make: Callable[[], Iterable], snapshot: Callable[[Job], Any] | None,
                 total: int | None, cap_seconds: float, owner: str = ""):
        self.total, self.cap_seconds, self.owner = total, cap_seconds, owner
        self.state = WAITING
        self.steps_done = self.turns = self.version = 0
        self.seconds = 0.0
        self.last: Any = None
        self.newest: Any = None
        self.error = ""
        self.exception: BaseException | None = None
        self.over = False  #: ended, with its memory freed and its last snapshot made
        self._pool, self._make, self._snapshot = pool, make, snapshot
        self._iterator: Iterator | None = None
        self._queued = False  # stands in the queue or is in a worker's hands
        self._settled = True  # False from a pause until the worker has made the snapshot that goes with it
        self._credit = 0.0  # seconds of its turns that it has left, or has overdrawn
        self._ran, self._since = 0.0, None  # wall-clock time of running, and when the present stretch of it began
        self._marks: deque[tuple[float, int]] = deque(maxlen=64)  # (time, steps_done), for the rate
        self._show_at = 0.0
        self._bells: set[Callable[[], None]] = set()
        self._wishes: deque[tuple[Callable[[], Any], Future]] = deque()  # what `between` was given

    @property
    def rate(self) -> float:
        """Steps per second of the clock on the wall, over the last few seconds; 0 while nothing runs."""
        with self._pool._lock:
            if self.state != RUNNING or len(self._marks) < 2:
                return 0.0
            (begin, first), (end, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end - begin) if end > begin else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds until it is finished, at the present rate; None where that cannot be said."""
        rate = self.rate
        return (self.total - self.steps_done) / rate if self.total is not None and rate else None

    @property
    def watched(self) -> bool:
        return bool(self._bells)

    def pause(self) -> None:
        """Take no further step; the one under way is finished. No effect on a job that is not on its way."""
        with self._pool._lock:
            if self.state in (WAITING, RUNNING):
                self.state, self._settled = PAUSED, False
                self._stand_still()
                self._pool._queue(self)

    def resume(self) -> None:
        """Go on after a pause."""
        with self._pool._lock:
            if self.state == PAUSED:
                self.state = RUNNING if self._iterator is not None else WAITING
                self._pool._queue(self)

    def stop(self, why: str = "") -> None:
        """End it and free what it holds; the step under way is finished. It cannot go on afterwards."""
        with self._pool._lock:
            if self.state not in ENDED:
                self.state, self.error = STOPPED, why
                self._stand_still()
                self._pool._queue(self)

    def between(self, change: Callable[[], Any]) -> Future:
        """Call `change` between two of its steps, on the thread that takes them: what it gives, or raises, is the
        future's, and does nothing to the job. At once for one that is paused; cancelled for one that ends before.
        """
        future: Future = Future()
        with self._pool._lock:
            if self.state in ENDED:
                future.cancel()
            else:
                self._wishes.append((change, future))
                self._pool._queue(self)
        return future

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the job is over, at most so many seconds; whether it is. Not for a page: that has `watch`."""
        with self._pool._lock:
            return self._pool._lock.wait_for(lambda: self.over, timeout)

    def _stand_still(self) -> None:
        if self._since is not None:
            self._ran += self._pool._clock() - self._since
        self._since = None
        self._marks.clear()

    def _has_work(self) -> bool:
        if self.state in ENDED:
            return not self.over
        return self.state in (WAITING, RUNNING) or not self._settled or bool(self._wishes)


class Pool:
    """Worker threads that take turns with the jobs. Make one for an app, and shut it down with it.

    workers        threads; by default one less than the machine has cores, 1 or 2. With 0, whoever calls `turn` works
    slice_seconds  how long a job runs before the next has its turn
    show_seconds   the pause between two snapshots of a watched job. After one that took long it is longer, so that
                   snapshots take at most a quarter of a job's time; and where many are watched, so that all together
                   make no more of them than two do
    most           jobs at the same time, paused ones among them, since they hold memory too
    most_each      of them, those of one owner
    yields_to      what is waited for: while it is busy the jobs keep a small share of the time
    """

    def __init__(self, workers: int | None = None, slice_seconds: float = 0.02, show_seconds: float = 0.16,
                 most: int = 24, most_each: int = 16, yields_to: Foreground | None = None,
                 clock: Callable[[], float] = time.monotonic):
        if workers is None:
            workers = min(2, max(1, (os.cpu_count() or 1) - 1))
        self.slice_seconds, self.show_seconds, self.most, self.most_each = slice_seconds, show_seconds, most, most_each
        self._yields_to, self._clock = yields_to or Foreground(), clock
        self._lock = threading.Condition()
        self._ready: deque[Job] = deque()
        self._jobs: set[Job] = set()
        self._closing = False
        self._workers = [threading.Thread(target=self._work, name=f"worker-{i}", daemon=True) for i in range(workers)]
        for thread in self._workers:
            thread.start()
        # A thread inside torch's backward when the interpreter exits aborts the process: it has to be joined before.
        atexit.register(self.shutdown)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()

    def __len__(self) -> int:
        """Jobs that have not ended."""
        return len(self._jobs)

    def submit(self, make: Callable[[], Iterable], snapshot: Callable[[Job], Any] | None = None,
               total: int | None = None, cap_seconds: float = 900.0, owner: str = "",
               most_each: int | None = None, paused_at: tuple[int, float] | None = None) -> Job:
        """Queue a job. `make` builds its iterator, and `snapshot` what watchers get; both run on a worker thread.

        paused_at: (steps done, seconds) of one that was begun before. It waits to be resumed; its first snapshot is
        made at once.

        A job is stopped after cap_seconds of running by the clock on the wall. Raises Full if the pool is, or if the
        owner has their share of it, `most_each` or that of the pool; for nobody in particular, "", it is the whole.
        """
        with self._lock:
            if self._closing:
                raise Full("the server is shutting down and starts nothing new")
            theirs = [job for job in self._jobs if owner and job.owner == owner and job.state not in ENDED]
            if len(theirs) >= (most_each or self.most_each):
                raise Full(f"{len(theirs)} trainings are under way from your address, its share of this server: try "
                           f"again when one of them ends, {self._at_the_latest(theirs)}")
            if len(self._jobs) >= self.most:
                raise Full(f"{len(self._jobs)} trainings are under way, as many as this server runs at a time; try "
                           f"again when one of them ends, {self._at_the_latest(self._jobs)}, or look at a pretrained "
                           "model meanwhile")
            job = Job(self, make, snapshot, total, cap_seconds, owner)
            self._jobs.add(job)
            if paused_at is None:
                self._queue(job)
            else:
                job.state, (job.steps_done, job.seconds) = PAUSED, paused_at
                job.newest, job.version = snapshot and snapshot(job), 1
        return job

    def _at_the_latest(self, jobs: Iterable[Job]) -> str:
        """When one of the jobs has to end: those that are paused may stand for ever."""
        now = self._clock()
        left = [job.cap_seconds - job._ran - (now - job._since if job._since is not None else 0.0)
                for job in jobs if job.state in (WAITING, RUNNING)]
        return f"in {max(1, math.ceil(min(left) / 60))} minutes at the latest" if left else "or goes on and then ends"

    @property
    def lives(self) -> bool:
        """Whether all of its workers do."""
        return all(thread.is_alive() for thread in self._workers)

    def halt(self) -> None:
        """No job takes a further step, and none is begun."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()

    def shutdown(self) -> None:
        """Stop all jobs and join all threads; takes as long as the steps under way. May be called again."""
        self.halt()
        for thread in self._workers:
            thread.join()
        for job in list(self._jobs):
            job.stop("the server was shut down")
            self._end(job)
        atexit.unregister(self.shutdown)

    def turn(self, block: bool = False) -> bool:
        """Give the next job in the queue its turn, on this thread; whether there was one."""
        with self._lock:
            if block:
                self._lock.wait_for(lambda: self._ready or self._closing)
            while block and not self._closing and (pause := self._yields_to.background_waits()):
                self._lock.wait(min(pause, 0.02))
            if self._closing:
                return False
            if not self._ready:
                return block  # another worker was quicker
            job = self._ready.popleft()
        began = self._clock()
        self._serve(job)
        self._yields_to.background_had(self._clock() - began)
        with self._lock:
            job._queued = False
            if job._has_work():
                self._queue(job)
        return True

    def _work(self) -> None:
        while self.turn(block=True):
            time.sleep(0)  # lets go of the interpreter, so that the threads that answer the page come in between

    def _queue(self, job: Job) -> None:
        if not job._queued:
            job._queued = True
            self._ready.append(job)
            self._lock.notify_all()

    def _serve(self, job: Job) -> None:
        try:
            changed = self._grant(job)
            if job.state in (WAITING, RUNNING):
                self._run_slice(job)
            state = job.state
            if (job._iterator is not None or changed) and self._is_due(job, state):
                self._show(job)
            if state == PAUSED:
                job._settled = True
        except BaseException as error:  # whatever a job does ends that job alone: the thread is everybody's
            self._fail(job, error)
        if job.state in ENDED:
            self._end(job)

    def _grant(self, job: Job) -> bool:
        """Do what is wished between two steps; whether there was anything."""
        granted = False
        while job._wishes and job.state not in ENDED:
            change, future = job._wishes.popleft()
            if future.set_running_or_notify_cancel():
                granted = True
                try:
                    future.set_result(change())
                except Exception as error:
                    future.set_exception(error)
        return granted

    def _run_slice(self, job: Job) -> None:
        if job._iterator is None:
            job._iterator, job._make = iter(job._make()), None
        now = self._clock()
        with self._lock:
            if job.state == WAITING:
                job.state = RUNNING
            if job._since is None and job.state == RUNNING:
                job._since = now
                job._marks.append((now, job.steps_done))
        job.turns += 1
        job._credit = min(max(job._credit, -MOST_DEBT) + self.slice_seconds, self.slice_seconds)
        while job._credit > 0 and job.state == RUNNING and not self._closing:
            self._grant(job)
            try:
                job.last = next(job._iterator)
            except StopIteration:
                with self._lock:
                    if job.state != STOPPED:
                        job.state = FINISHED
                return
            began, now = now, self._clock()
            job.steps_done += 1
            job.seconds += now - began
            job._credit -= now - began
            if self._yields_to.busy:  # at once: a slice would be felt
                break
        with self._lock:
            if job.state != RUNNING:
                return
            if not job._marks or now - job._marks[-1][0] >= 0.05:
                job._marks.append((now, job.steps_done))
            if job._ran + now - job._since >= job.cap_seconds:
                job.stop(f"stopped after {job.cap_seconds / 60:g} minutes, the longest that one job may run here; "
                         "what it has learned until then is kept")

    def _is_due(self, job: Job, state: str) -> bool:
        if job._snapshot is None or self._closing:
            return False
        if state == RUNNING:
            return job.watched and job.steps_done > 0 and self._clock() >= job._show_at
        # Where it comes to a halt, what is seen is to be its last state; but nobody wants that of one thrown away.
        return state in (PAUSED, FINISHED) or job.watched or job._ran >= job.cap_seconds

    def _show(self, job: Job) -> None:
        began = self._clock()
        newest = job._snapshot(job)
        took = self._clock() - began
        job._credit -= took  # a snapshot is work for this job, and its neighbours should not pay for it
        with self._lock:
            watched = sum(other.watched for other in self._jobs)
            job._show_at = began + took + max(self.show_seconds * max(1, watched / 2), 3 * took)
            job.newest, job.version = newest, job.version + 1
        self._ring(job)

    def _fail(self, job: Job, error: BaseException) -> None:
        log.warning("a job failed after %d steps\n%s", job.steps_done, "".join(traceback.format_exception(error)))
        # A traceback holds the frames, and they hold the model: the log has it as text, the job keeps the error alone.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        with self._lock:
            if job.state != STOPPED:
                job._stand_still()
                job.state, job.exception = FAILED, error
                job.error = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

    def _end(self, job: Job) -> None:
        """Free what the job holds and tell everyone who waits."""
        try:
            if hasattr(job._iterator, "close"):
                job._iterator.close()
        except BaseException as error:
            log.warning("a job failed while it was being closed: %r", error)
        job._iterator = job._make = job._snapshot = job.last = None
        with self._lock:
            while job._wishes:
                job._wishes.popleft()[1].cancel()
            job._stand_still()
            job.over = True
            self._jobs.discard(job)
            self._lock.notify_all()
        self._ring(job)

    def _ring(self, job: Job) -> None:
        with self._lock:
            bells = list(job._bells)
        for bell in bells:
            try:
                bell()
            except RuntimeError:  # the watcher's event loop is closed: it is gone without a word
                with self._lock:
                    job._bells.discard(bell)


async def watch(job: Job) -> AsyncIterator[Any]:
    """Yield the newest snapshot of a job whenever there is a newer one, until the job is over.

    Who is slow gets fewer of them, never old ones. Any number can watch. While nobody does, no snapshots are made.
    """
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def bell() -> None:
        loop.call_soon_threadsafe(changed.set)

    with job._pool._lock:
        job._bells.add(bell)
    seen = 0
    try:
        while True:
            changed.clear()  # before looking: what comes after the look rings again
            with job._pool._lock:
                newest, version, over = job.newest, job.version, job.over
            if version != seen:
                seen = version
                yield newest
            elif over:
                return
            else:
                await changed.wait()
    finally:
        with job._pool._lock:
            job._bells.discard(bell)
