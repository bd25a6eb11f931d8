"""Files that are whole or not there at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Why nothing can be written, by the number of the system's error, whoever tells it.
REASONS = {getattr(errno, "EDQUOT", -1): "the share of the disk is used up", errno.ENOSPC: "the disk is full",
           errno.EROFS: "the disk is read-only", errno.EACCES: "the folder may not be written to",
           errno.EPERM: "the folder may not be written to", errno.EMFILE: "too many files are open",
           errno.EFBIG: "the file would be larger than the system allows"}


class NotWritten(OSError):
    """A file could not be written. `why` says it without the path; nothing is lost that stood there before."""

    def __init__(self, number: int, path: str | os.PathLike):
        self.why = f"{REASONS[number]}, so nothing was written"
        super().__init__(number, self.why, str(path))

    def __str__(self) -> str:
        return f"{self.filename}: {self.why}"


def not_written(error: BaseException, path: str | os.PathLike) -> NotWritten | None:
    """An error that means that the disk takes nothing, in words; None for any other.

    Writers in other languages tell the system's number in their text: "No space left on device (os error 28)".
    """
    told = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    return NotWritten(number, path) if number is not None and number in REASONS else None


#: Seconds without a change after which a temporary file is nobody's.
ABANDONED = 3600.0


@contextmanager
def atomic_write(path: str | os.PathLike, suffix: str | None = None) -> Iterator[Path]:
    """A path to write to while the block lasts; what stands there then becomes `path`, at once and as a whole.

        with atomic_write("runs/trex.json") as part:
            part.write_text(card)

    Folders that are missing are made. The temporary file lies beside `path`, hidden and with the same suffix, or the
    one given, by which some encoders choose. If the block raises nothing is left of it, and what was at `path` stays.
    A process that is killed leaves a `.….part.…` behind (see `leftovers`), which goes when the same file is written
    an hour later or more. Raises NotWritten where the disk is full or takes nothing.
    """
    path = Path(path)
    for old in _abandoned(path):
        with suppress(OSError):
            old.unlink()
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix if suffix is None else suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # safetensors lets nobody else read what it wrote, whatever the umask says
        os.replace(part, path)
    except Exception as error:
        told = not_written(error, path) or isinstance(error, OSError) and _takes_nothing(part, path)
        if not told or isinstance(error, NotWritten):
            raise
        raise told from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _takes_nothing(part: Path, path: Path) -> NotWritten | None:
    """Why nothing more can be written, if it cannot: an encoder of its own process tells only that it has ended."""
    try:
        with part.open("ab") as file:
            file.write(bytes(4096))
    except OSError as error:
        return not_written(error, path)
    return None


def leftovers(folder: str | os.PathLike) -> list[Path]:
    """Temporary files in a folder: of `atomic_write`s under way, and of processes that were killed in one."""
    return sorted(Path(folder).glob(".*.????????.part*"))


def _abandoned(path: Path) -> list[Path]:
    """What killed processes left of a file: nobody writes to it for an hour and more."""
    mine = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]{{8}}\.part")
    try:
        return [old for old in leftovers(path.parent)
                if mine.match(old.name) and time.time() - old.lstat().st_mtime > ABANDONED]
    except OSError:  # one that went meanwhile: the next time will do
        return []
