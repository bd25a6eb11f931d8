"""Noisescope inside other projects: `import noisescope`, and none of their own names taken.

    from noisescope import Trace, ddim, load_pretrained, start_noise, walk
    from noisescope import watch

Core's public names can be had from here, each loaded when it is asked for; all else of core is noisescope.core. An
installed package holds core/, dashboard/ and pretrained/; those of a checkout lie at its root.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if not (Path(__file__).parent / "core").is_dir():
    __path__.append(str(Path(__file__).parents[2]))

from .core import __all__ as _CORE

__all__ = [*_CORE, "watch"]

if TYPE_CHECKING:
    from .core import *  # noqa: F403
    from .core.debug import watch
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"{__name__} has no {name!r}; it has {', '.join(__all__)}")
        return getattr(import_module(f"{__name__}.core.debug" if name == "watch" else f"{__name__}.core"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
