"""Files that are whole or not there at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike, suffix: str | None = None) -> Iterator[Path]:
    """A path to write to while the block lasts; what stands there then becomes `path`, at once and as a whole.

        with atomic_write("runs/trex.json") as part:
            part.write_text(card)

    Folders that are missing are made. The temporary file lies beside `path`, hidden and with the same suffix, or the
    one given, by which some encoders choose. If the block raises nothing is left of it, and what was at `path` stays.
    A process that is killed leaves a `.….part.…` behind: see `leftovers`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix if suffix is None else suffix}")
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # safetensors lets nobody else read what it wrote, whatever the umask says
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def leftovers(folder: str | os.PathLike) -> list[Path]:
    """Temporary files in a folder: of `atomic_write`s under way, and of processes that were killed in one."""
    return sorted(Path(folder).glob(".*.????????.part*"))
