"""Memory beside the C library's heap, so that it stays whole: for what is large and short-lived, and for what is kept.

A large tensor that lives for a moment leaves a hole where it was. If something small that is kept comes to lie in it,
the next large one does not fit any more and the heap grows: of a walk that keeps 40 KB a step and works with 16 MB,
each step can cost 16 MB. So neither comes from the heap. What is large and passes is lent,

    with scratch(64, 2000) as weights:
        torch.mm(x, rows.T, out=weights)

and the same pages are lent again; what is kept lies on pages of its own, which the system has back as soon as the
last tensor on them is gone.
"""

from __future__ import annotations

import math
import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

LEAST = 1 << 18  #: bytes that are not worth pages of their own: the heap's small blocks do it no harm
KEPT = 1 << 25  #: bytes that wait, all together, to be lent again
BLOCK = 1 << 20  #: bytes that a shelf takes at a time
AT_ONCE = 1_000_000  #: numbers worked on at a time: few enough for a cache, enough for a matrix product
ALIGNED = 64  #: bytes: where a tensor may begin, as torch's own do


def own_pages(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor of zeros on the CPU, on pages that no other tensor uses. What is never written costs nothing."""
    count = math.prod(shape)
    if not count:
        return torch.empty(shape, dtype=dtype)
    # Python's own default are shared pages, whose first use takes twice as long; Windows knows neither word.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    pages = mmap.mmap(-1, count * dtype.itemsize, **private)
    return torch.frombuffer(pages, dtype=dtype).reshape(shape)


class Shelf:
    """Keeps copies of tensors beside one another on pages of their own: `put` gives the copy.

    They are taken BLOCK bytes at a time, and a block is gone when the last copy on it is.
    """

    def __init__(self):
        self._free = torch.empty(0, dtype=torch.uint8)

    def put(self, x: Tensor) -> Tensor:
        if len(self._free) < x.nbytes:
            self._free = own_pages((max(x.nbytes, BLOCK),), torch.uint8)
        place, self._free = self._free[: x.nbytes], self._free[-(-x.nbytes // ALIGNED) * ALIGNED :]
        return place.view(x.dtype).view(x.shape).copy_(x.detach()) if x.nbytes else x


class _Lent:
    """Pages that wait to be lent again; any thread may ask."""

    def __init__(self):
        self._waiting: list[Tensor] = []  # of bytes, the smallest first
        self._lock = threading.Lock()

    def take(self, size: int) -> Tensor:
        with self._lock:
            for i, pages in enumerate(self._waiting):
                if len(pages) >= size:
                    return self._waiting.pop(i)
        return own_pages((1 << (size - 1).bit_length(),), torch.uint8)  # powers of two: more of them fit the next

    def give_back(self, pages: Tensor) -> None:
        with self._lock:
            self._waiting = sorted([*self._waiting, pages], key=len)
            while sum(map(len, self._waiting)) > KEPT:
                self._waiting.pop()


_lent = _Lent()


@contextmanager
def shapes_alone() -> Iterator[None]:
    """What is made meanwhile, such as a network, has a shape and no memory: torch's device "meta".

    Nothing is drawn for its weights, because torch loads its compiler for that: seconds, and 75 MB for good.
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def slices(count: int, width: int) -> Iterator[slice]:
    """`count` rows cut into parts that hold AT_ONCE numbers at most, if each row holds `width`; a row at least."""
    rows = max(1, AT_ONCE // max(1, width))
    return (slice(i, min(i + rows, count)) for i in range(0, count, rows))


@contextmanager
def scratch(*shape: int, dtype: torch.dtype = torch.float64, device: torch.device | None = None) -> Iterator[Tensor]:
    """A tensor to work in while the block lasts; it holds anything at first, and must not be kept or differentiated.

    device: the CPU if None. Elsewhere torch itself uses memory again, and it is a plain empty tensor.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LEAST or device is not None and device.type != "cpu":
        yield torch.empty(shape, dtype=dtype, device=device)
        return
    pages = _lent.take(size)
    try:
        yield pages[:size].view(dtype).view(shape)
    finally:
        _lent.give_back(pages)
