"""Films: what core computed, as scenes to look at. Each builds only the panels that are asked for.

A film can still be growing (a walk under way, a training): `frames` are there, `total` are expected, and
`scene(keys, first, end)` is any part of it.
"""

from core.films.base import Film, Offer
from core.films.compare import CompareFilm
from core.films.forward import ForwardFilm
from core.films.gan import BesideFilm
from core.films.lens import LensFilm
from core.films.memory import MemoryFilm
from core.films.room import RoomFilm
from core.films.trace import TraceFilm
from core.films.training import ClocksFilm, TrainingFilm

__all__ = ["Film", "Offer", "ForwardFilm", "TraceFilm", "LensFilm", "TrainingFilm", "ClocksFilm", "CompareFilm",
           "BesideFilm", "MemoryFilm", "RoomFilm"]
