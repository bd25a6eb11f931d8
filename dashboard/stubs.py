"""Gradio without its stubs.

For every class of components Gradio parses its source, renders what an editor may want to know of its events, and
writes that beside it as .pyi: a third of the time that its import takes, every time, and files among our own.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location

WRITER = "gradio.component_meta"


class _Loader(SourceFileLoader):
    def exec_module(self, module) -> None:
        super().exec_module(module)
        module.create_or_modify_pyi = lambda *_: None


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path) if name == WRITER else None
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(name, found.origin, loader=_Loader(name, found.origin))


def write_none() -> None:
    """From now on no stubs are written. Too late once Gradio has been imported: its own are then there."""
    if WRITER in sys.modules:
        sys.modules[WRITER].create_or_modify_pyi = lambda *_: None
    else:
        sys.meta_path.insert(0, _Finder())
