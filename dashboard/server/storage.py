"""What a server writes: one folder of its own, bounded while it runs, gone when it ends, swept at the next start."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: there what a killed server left behind stays
    fcntl = None

log = logging.getLogger(__name__)

PREFIX, LOCK = "noisescope-", "in-use"


#: Those of this process.
_open: set[Storage] = set()


class Storage:
    """A folder for frames, exports and uploads, which Gradio's own cache is too while the block lasts.

    root        where the folder is made: what GRADIO_TEMP_DIR says, or the system's temporary folder
    keep_for    seconds after which a file may go that nobody keeps
    most_bytes  of all files together; beyond that the oldest go sooner, but none of the last minute

    Folders there of servers that were killed go at once: a lock says whose server lives. OSError if none can be made.
    """

    def __init__(self, root: str | os.PathLike | None = None, keep_for: float = 3600.0, most_bytes: int = 2 * 10**9):
        self.root = Path(root or os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
        self.keep_for, self.most_bytes = keep_for, most_bytes
        self.kept: set[Path] = set()  #: files that every page needs
        self._sweeps: list[Callable[[], int]] = [self.sweep]
        self._ended = threading.Event()
        self._before = os.environ.get("GRADIO_TEMP_DIR")

    def __enter__(self) -> Storage:
        self.root.mkdir(parents=True, exist_ok=True)
        sweep_orphans(self.root)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self.root))
        self._lock = (self.folder / LOCK).open("w")
        if fcntl is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.environ["GRADIO_TEMP_DIR"] = str(self.folder)
        self._sweeper = threading.Thread(target=self._look_after, name="sweeper", daemon=True)
        self._sweeper.start()
        _open.add(self)
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._sweeper.join()
        if self._before is None:
            os.environ.pop("GRADIO_TEMP_DIR", None)
        else:
            os.environ["GRADIO_TEMP_DIR"] = self._before
        self.remove()

    def remove(self) -> None:
        """The folder goes, with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()
        _open.discard(self)

    def keep(self, files: Iterable[str | os.PathLike]) -> None:
        """These files stay for as long as the server runs."""
        self.kept |= {Path(file) for file in files}

    def sweep_too(self, sweep: Callable[[], int]) -> None:
        """Sweep what lies elsewhere as well, now and as often."""
        self._sweeps.append(sweep)
        self._sweep_all()

    def sweep(self, now: float | None = None) -> int:
        """Files that are old, or more than there is room for, go; how many."""
        now, gone, files = time.time() if now is None else now, 0, []
        for path in self.folder.rglob("*"):
            try:
                if path.is_file() and path.name != LOCK and path not in self.kept:
                    files.append((path.stat().st_mtime, path.stat().st_size, path))
            except OSError:  # gone meanwhile
                continue
        held = sum(size for _, size, _ in files)
        for changed, size, path in sorted(files):
            age = now - changed
            if age <= self.keep_for and (held <= self.most_bytes or age <= 60):
                continue
            path.unlink(missing_ok=True)
            held, gone = held - size, gone + 1
        for folder in sorted((path for path in self.folder.rglob("*") if path.is_dir()), reverse=True):
            try:
                if now - folder.stat().st_mtime > 60:
                    folder.rmdir()
            except OSError:  # not empty
                continue
        return gone

    def _look_after(self) -> None:
        while not self._ended.wait(60):
            self._sweep_all()

    def _sweep_all(self) -> None:
        for sweep in self._sweeps:
            try:
                sweep()
            except OSError as error:
                log.warning("files could not be swept: %s", error)


def abandon() -> None:
    """The folders of this process go, whoever is still at work in them."""
    for storage in [*_open]:
        storage.remove()


def sweep_orphans(root: Path) -> None:
    """Folders of servers that are no more go."""
    for folder in root.glob(f"{PREFIX}*"):
        try:
            with (folder / LOCK).open("r+") as lock:
                if fcntl is None:
                    continue
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # a server lives in it, or it is none of ours
            continue
