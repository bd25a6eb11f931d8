"""Debug anyone's diffusion code: watch it, read what it really does, name the line.

from core.debug import watch

with watch(net) as run:
    train(net)
    samples = sample(net)
run.diagnose()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .doctor import diagnose
from .places import Place
from .record import Run
from .report import Cause, Report

__all__ = ["Cause", "Place", "Report", "Run", "diagnose", "watch"]


if TYPE_CHECKING:
    from .watching import watch
else:

    def __getattr__(name: str) -> Any:
        if name == "watch":  # the only part that needs torch
            from .watching import watch

            return watch
        raise AttributeError(f"{__name__} has no {name!r}; it has {', '.join(__all__)}")
