"""Trainings that outlive the server: a folder that a visitor's training is saved to on its way, and found in again.

A file has the SHA-256 of its visitor's token as its name, so nobody who sees the folder can come as that visitor. It
holds weights, recipe and previews, as safetensors; beside it lie data that the visitor brought, if it learns those.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from core.data.datasets import load_dataset, save_dataset
from core.doors.words import one_line
from core.files import NotWritten, leftovers
from core.recipe.recipe import OWN
from core.runs.trainings import Training
from dashboard.server.visitors import Visitor

log = logging.getLogger(__name__)

FOLDER_NAME = "NOISESCOPE_KEEP"  #: the environment variable that says where; empty for nowhere
MOST_SHARE = 0.1  #: of a training's time that saving it may take


class KeptTrainings:
    """One training of each visitor, the newest, in a folder; with None for it nothing is kept.

    every         seconds of the clock between two savings of one training; longer where saving takes long
    keep_for      seconds since it was last saved after which a training goes
    most, most_bytes   trainings, and bytes of all their files; beyond that the oldest go
    """

    def __init__(self, folder: str | os.PathLike | None, every: float = 5.0, keep_for: float = 86400.0,
                 most: int = 200, most_bytes: int = 2 * 10**9, clock: Callable[[], float] = time.monotonic):
        self.folder = Path(folder) if folder else None
        self.every, self.keep_for, self.most, self.most_bytes, self.clock = every, keep_for, most, most_bytes, clock
        self._data: dict[str, str] = {}  # file → hash of the data that it learns, once these lie beside it

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> KeptTrainings:
        """Where the environment says, by default in the user's cache; nowhere for a user without a home."""
        if FOLDER_NAME in environment:
            return cls(environment[FOLDER_NAME])
        cache = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return cls(Path(cache) / "noisescope" / "trainings" if os.path.isabs(cache) else None)

    def knows(self, token: str) -> bool:
        """Whether a training of that visitor is kept."""
        path = self._path(token)
        try:
            return path is not None and time.time() - path.stat().st_mtime <= self.keep_for
        except OSError:
            return False

    def steps(self, training: Training, visitor: Visitor) -> Iterator[None]:
        """The steps of `training.run()`, saved on the way, and when it ends or is stopped, while it is the visitor's.

        That saving fails breaks nothing: why is logged once and stands in `visitor.not_saved`, and it is tried again.
        """
        steps, due = training.run(), self.clock() + self.every
        try:
            for _ in steps:
                if self.clock() >= due:
                    began = self.clock()
                    self._save(training, visitor)
                    due = self.clock() + max(self.every, (self.clock() - began) / MOST_SHARE)
                yield
        except GeneratorExit:
            steps.close()
            self._save(training, visitor)
            raise
        self._save(training, visitor)

    def load(self, visitor: Visitor) -> Training | None:
        """The training that is kept for a visitor, whose own data come back with it; None if there is none.

        One that cannot go on is not kept any longer: ValueError says why.
        """
        if not self.knows(visitor.token):
            return None
        path = self._path(visitor.token)
        try:
            if visitor.data is None and path.with_suffix(".npz").exists():
                visitor.data = load_dataset(path.with_suffix(".npz"))
            return Training.load(path, visitor)
        except OSError as error:  # it may be read another time
            log.warning("a kept training could not be read: %s", error)
            return None
        except Exception as error:  # of a damaged file, or of another version; whoever comes must come in
            self.forget(visitor.token)
            raise ValueError(one_line(str(error), 200)) from error

    def forget(self, token: str) -> None:
        """What is kept for a visitor goes."""
        if (path := self._path(token)) is not None:
            self._remove(path)

    def sweep(self, now: float | None = None) -> int:
        """Trainings that are old, or more than there is room for, go, and what killed processes left; how many."""
        if self.folder is None or not self.folder.is_dir():
            return 0
        now, kept, bytes_held, gone = time.time() if now is None else now, 0, 0, 0
        for part in leftovers(self.folder):
            if now - _changed(part) > 60:
                part.unlink(missing_ok=True)
        for path in sorted(self.folder.glob("[!.]*.safetensors"), key=_changed, reverse=True):
            size = sum(_size(each) for each in (path, path.with_suffix(".npz")))
            if now - _changed(path) > self.keep_for or kept >= self.most or bytes_held + size > self.most_bytes:
                self._remove(path)
                gone += 1
            else:
                kept, bytes_held = kept + 1, bytes_held + size
        for data in self.folder.glob("[!.]*.npz"):  # of a training that was never saved
            if not data.with_suffix(".safetensors").exists() and now - _changed(data) > 60:
                data.unlink(missing_ok=True)
        return gone

    def _path(self, token: str) -> Path | None:
        """Names come from outside as whatever they are: only their digest becomes part of a path."""
        if self.folder is None:
            return None
        return self.folder / f"{hashlib.sha256(token.encode('utf-8', 'replace')).hexdigest()}.safetensors"

    def _remove(self, path: Path) -> None:
        self._data.pop(path.name, None)
        for each in (path, path.with_suffix(".npz")):
            try:
                each.unlink(missing_ok=True)
            except OSError as error:
                log.warning("a kept training could not be removed: %s", error)

    def _save(self, training: Training, visitor: Visitor) -> None:
        with visitor.lock:  # who lets go of it does so before, or after and then removes the file
            path = self._path(visitor.token)
            if path is None or not training.can_be_saved or not training.trainer.step or visitor.trains is not training:
                return
            try:
                self._write(training, path)
                visitor.not_saved = ""
            except Exception as error:  # a training goes on, whatever is the matter with the disk
                if not visitor.not_saved:
                    log.warning("a training could not be saved: %s", error)
                visitor.not_saved = error.why if isinstance(error, NotWritten) else "it could not be written"

    def _write(self, training: Training, path: Path) -> None:
        data, new = path.with_suffix(".npz"), not path.exists()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._data.get(path.name) != training.whole.hash:
            if training.recipe.data == OWN:
                save_dataset(training.whole, data)
            else:
                data.unlink(missing_ok=True)
            self._data[path.name] = training.whole.hash
        training.save(path)
        if new:
            self.sweep()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
