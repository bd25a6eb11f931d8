"""Hooks that a copy of a module keeps and a pickle of it does not."""

from __future__ import annotations


class Hook:
    """A hook that survives its module being copied or pickled: a copy is watched too, a pickle knows nothing of it."""

    def __init__(self, do):
        self.do, self.copied = do, False

    def __call__(self, *args, **kwargs):
        return self.do(*args, **kwargs)

    def __deepcopy__(self, memo):
        self.copied = True
        return self

    def __reduce__(self):
        return _nothing, ()


def _nothing():
    return _do_nothing


def _do_nothing(*args, **kwargs):
    return None
