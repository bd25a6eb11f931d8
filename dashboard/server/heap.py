"""Memory that nobody holds any more goes back to the system: of itself the C library keeps it for whoever asks next."""

from __future__ import annotations

import ctypes
import gc
from functools import cache
from typing import Any


@cache
def _trim() -> Any:
    """glibc's malloc_trim(3), which gives back the free pages of all heaps; None where there is no such thing."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; or Windows, where a library needs a name
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


def release() -> bool:
    """Give free memory back, after something large was let go; whether this system lets one ask for it.

    Takes milliseconds, during which nobody else gets memory: for a thread that nobody waits for.
    """
    gc.collect()  # films know their panels and those know the film: what was let go may still be there
    trim = _trim()
    if trim is not None:
        trim(0)
    return trim is not None


def settle() -> None:
    """What there is by now stays as long as the process: the collector need not look through it again, time and again.

    For a program that has started, and may have kept the collector off till now; what starting left behind is given
    back. Of some 400,000 objects 300,000 are libraries and page, and a look through them holds up every thread for a
    tenth of a second.
    """
    release()
    gc.freeze()
    gc.enable()
