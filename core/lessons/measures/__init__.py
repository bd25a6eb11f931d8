"""What can be measured of a run: functions with a docstring, by name, each in any file of this folder.

    @measure
    def spread(of: Walk | Dataset, t: float = 0.0) -> float:
        \"\"\"Root mean variance of the coordinates …\"\"\"

The annotations say what it takes and what it gives (float, bool, str, tuple: a place, list: a curve); an expression
that asks for anything else is refused when its lesson is read. The first paragraph of the docstring is what a writer
of lessons is told.
"""

from ...registry import discover
from .known import MEASURES, measure

discover(__name__)

__all__ = ["MEASURES", "measure"]
