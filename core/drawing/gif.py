"""An animated GIF, written frame by frame: one global palette, only what changed, a comment.

Frames arrive as palette indices and leave as LZW codes; nothing is quantised, compared as RGB or kept in memory, which
is where the time of the usual writers goes. The format: GIF89a specification, W3C, 1990.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from struct import pack
from typing import BinaryIO

import numpy as np
from PIL import Image


class GifWriter:
    """Writes to an open binary file. `palette` (n, 3) uint8, 1 ≤ n ≤ 256; `loop` plays for ever, else once.

    `add` takes (height, width) uint8 indices and how long they stay, in hundredths of a second (1..65535). A frame is
    stored as the smallest rectangle that changed. Call `close` after the last frame. Raises ValueError for a duration
    or a frame that the format cannot hold.
    """

    def __init__(self, file: BinaryIO, width: int, height: int, palette: np.ndarray, comment: bytes = b"",
                 loop: bool = True):  # fmt: skip
        self.file, self.shape = file, (height, width)
        self.bits = max(2, (len(palette) - 1).bit_length())
        self.last: np.ndarray | None = None
        table = np.zeros((1 << self.bits, 3), np.uint8)
        table[: len(palette)] = palette
        file.write(b"GIF89a" + pack("<HHBBB", width, height, 0xF0 | (self.bits - 1), 0, 0) + table.tobytes())
        if loop:
            file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
        if comment:
            file.write(b"!\xfe" + _blocks(comment) + b"\0")

    def add(self, frame: np.ndarray, centiseconds: int) -> None:
        if frame.shape != self.shape:
            raise ValueError(f"a frame of shape {frame.shape} does not fit a GIF of {self.shape} (height, width)")
        if not 1 <= centiseconds <= 65535:
            raise ValueError(f"a frame cannot last {centiseconds} hundredths of a second; a GIF holds 1 to 65535")
        top, bottom, left, right = self._changed(frame)
        part = np.ascontiguousarray(frame[top:bottom, left:right])
        image = Image.frombuffer("P", (right - left, bottom - top), part, "raw", "P", 0, 1)
        self.file.write(b"!\xf9\x04\x04" + pack("<H", centiseconds) + b"\0\0")  # disposal 1: leave it in place
        self.file.write(b"," + pack("<HHHHB", left, top, right - left, bottom - top, 0))
        self.file.write(bytes([self.bits]) + image.tobytes("gif", "P", self.bits, 0) + b"\0")
        self.last = frame

    def _changed(self, frame: np.ndarray) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) of what differs from the frame before; one pixel where nothing does."""
        if self.last is None:
            return 0, self.shape[0], 0, self.shape[1]
        changed = frame != self.last
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        if not len(rows):
            return 0, 1, 0, 1
        return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1

    def close(self) -> None:
        self.file.write(b";")


def _blocks(data: bytes) -> bytes:
    """Data as the format's sub-blocks: each at most 255 bytes, its length before it."""
    return b"".join(bytes([len(part)]) + part for part in (data[i : i + 255] for i in range(0, len(data), 255)))


@dataclass(frozen=True)
class Contents:
    """What a GIF holds, as its blocks say: frames, and comments, together."""

    frames: int
    comment: bytes


def contents(file: BinaryIO, most_frames: int, most_comment: int) -> Contents:
    """Walk through the blocks of an open GIF, of which nothing is decoded; none for what is no GIF.

    Ends where there are more frames or bytes of comment than so many, with one more: a decoder would take minutes to
    find out, and as long for each comment as it has bytes, squared.
    """
    head = file.read(13)
    frames, comment = 0, bytearray()
    if head[:6] not in (b"GIF87a", b"GIF89a") or len(head) < 13:
        return Contents(0, b"")
    _pass_over_colours(file, head[10])
    while frames <= most_frames and len(comment) <= most_comment:
        kind = file.read(1)
        if kind == b"!":
            _pass_over_blocks(file, comment if file.read(1) == b"\xfe" else None, most_comment)
        elif kind == b",":
            frames += 1
            place = file.read(9)
            if len(place) < 9:
                break
            _pass_over_colours(file, place[8])
            file.read(1)
            _pass_over_blocks(file)
        else:
            break
    return Contents(frames, bytes(comment[: most_comment + 1]))


def _pass_over_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)


def _pass_over_blocks(file: BinaryIO, kept: bytearray | None = None, most: int = 0) -> None:
    """To the end of a chain of blocks, or until more than `most` bytes of them are kept."""
    while (length := file.read(1)) not in (b"", b"\0"):
        part = file.read(length[0])
        if kept is not None:
            kept += part
            if len(kept) > most:
                return
