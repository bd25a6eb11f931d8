"""The checks of the Doctor, a file for some lines of the algorithms each."""

from .sampling import sampling_checks
from .training import training_checks

__all__ = ["sampling_checks", "training_checks"]
