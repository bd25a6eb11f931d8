"""The bug museum: real small scripts with one fault each, and sound ones that look odd.

    case = museum()["posterior-swapped"]
    print(case.source)            # a whole script, to read and copy
    run = case.run(seed=1)        # what `watch` sees of it
    run.diagnose()

A case is one of the scripts in `scripts/` with a few lines changed; where it was met, what one sees, and a procedure
that finds it stand beside.
"""

from .case import Case, load_script
from .faults import CASES
from .museum import museum
from .sound import SOUND

__all__ = ["CASES", "SOUND", "Case", "load_script", "museum"]
