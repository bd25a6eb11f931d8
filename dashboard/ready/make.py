"""Make the files in this folder again: python -m dashboard.ready.make

They are of this checkout's data sets, networks and words, and under the same licences: core/data/LICENSES.md has those
of the data sets that pictures.json shows.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from core.data.datasets import load, names
from core.files import atomic_write
from dashboard.ready import FILM, FRAMES, PICTURES
from dashboard.ready.film import walked
from dashboard.server.storage import Storage
from dashboard.sidebar.picker import KINDS, picture_of
from dashboard.stage.stream import SceneStream


def made_pictures() -> list[dict[str, str]]:
    """What `pictures` reads, from the data sets themselves."""
    return [{"name": name, "title": data.title, "kind": KINDS[data.kind], "image": picture_of(data)}
            for name, data in zip(names(), map(load, names()))]


def made_film() -> tuple[dict, bytes]:
    """The value of a stage with the film that greets, without its files, and the frames, deflated."""
    *_, film = walked()
    with TemporaryDirectory() as folder, Storage(folder):
        value = SceneStream(film, squeezed=True).value(done=True)
        (chunk,) = value.pop("chunks")
        frames = Path(chunk["path"]).read_bytes()
    return {**value, "film": hashlib.sha256(frames).hexdigest()[:16]}, frames


def text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    torch.set_num_threads(1)
    value, frames = made_film()
    for path, content in ((PICTURES, text(made_pictures()).encode()), (FILM, text(value).encode()), (FRAMES, frames)):
        with atomic_write(path) as part:
            part.write_bytes(content)
        print(f"{path.name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
