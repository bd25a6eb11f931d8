"""What every page shows first, made beforehand: the pictures of the data sets, and the film that greets.

Made at each start they cost a quarter of the time until the server answered, and the data sets 80 MB. Whoever changes
what they show makes them again, by `python -m dashboard.ready.make`; tests/test_ready.py says when that is due.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
PICTURES, FILM, FRAMES = HERE / "pictures.json", HERE / "film.json", HERE / "film.deflate"


@cache
def pictures() -> tuple[dict[str, str], ...]:
    """The shipped data sets as the picker shows them: name, title, kind, and image, a PNG as a data URI."""
    return tuple(json.loads(PICTURES.read_text("utf-8")))
