"""Zips that somebody else packed: bounded before anything is unpacked, and names with the letters they were given."""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..doors.words import one_line

MAX_BYTES = 200_000_000  #: of a zip, packed and unpacked
MAX_ENTRIES = 20_000  #: files in it
#: How names can be coded where the zip does not say: (codec, what it is called, the letters by which it is known, most
#: of a word). Words of Europe have a few letters beyond ASCII, those of other scripts no others.
CODINGS = (
    ("utf-8", "UTF-8", ".", False), ("cp932", "Shift-JIS", "[ぁ-ゖァ-ー一-鿿]", True),
    ("gb2312", "GB 2312", "[一-鿿]", True), ("cp866", "code page 866", "[ЁА-яё]", True),
    ("big5", "Big5", "[一-鿿]", True), ("cp437", "code page 437", "[À-ÖØ-öø-ÿ]", False),
    ("cp1252", "Windows-1252", "[À-ÖØ-öø-ÿ]", False),
)  # fmt: skip


@contextmanager
def opened_zip(path: Path) -> Iterator[tuple[list[tuple[PurePosixPath, Callable[[], io.BytesIO]]], str]]:
    """The files in a zip, (name, what reads it into memory), and how names were coded, "" where the zip says it.

    ValueError if it is no zip, encrypted, or too large, packed or unpacked; a reader raises for what is broken, packed
    in another way than deflate, or longer than it said.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are allowed")
        with path.open("rb") as file:  # before zipfile makes an object of each of them
            entries = sum(chunk.count(b"PK\x01\x02") for chunk in iter(lambda: file.read(1 << 20), b""))
        if entries > MAX_ENTRIES:
            raise ValueError(f"it holds {entries:,} files; at most {MAX_ENTRIES:,} are allowed")
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(f"cannot use {path.name!r}: {one_line(str(error), 100)}; give a .zip of pictures") from error
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        unpacked = sum(member.file_size for member in members)
        if unpacked > MAX_BYTES:
            raise ValueError(f"{path.name!r} unpacks to {unpacked:,} bytes; at most {MAX_BYTES:,} are allowed, "
                             "so give fewer or smaller files")
        locked = sum(bool(member.flag_bits & 1) for member in members)
        if locked:
            raise ValueError(f"{path.name!r} is encrypted, {locked} of its {len(members)} files; unpack it and pack it "
                             "again without a password")

        def reader(member: zipfile.ZipInfo) -> Callable[[], io.BytesIO]:
            def read() -> io.BytesIO:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError("packed in another way than deflate")  # only this can be unpacked within bounds
                with archive.open(member) as file:
                    return io.BytesIO(file.read(member.file_size + 1))

            return read

        names, coding = _names(members)
        yield [(name, reader(member)) for name, member in zip(names, members)], coding


def _names(members: list[zipfile.ZipInfo]) -> tuple[list[PurePosixPath], str]:
    """What the files are called, and how that was coded if the zip leaves it open."""
    silent = {member.filename for member in members if not member.flag_bits & 0x800 and not member.filename.isascii()}
    codec, title = _coding(b"\n".join(name.encode("cp437") for name in silent)) if silent else ("", "")
    names = (member.filename.encode("cp437").decode(codec) if member.filename in silent else member.filename
             for member in members)
    return [PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/"))) for name in names], title


def _coding(raw: bytes) -> tuple[str, str]:
    """How names were coded, told by all of them: (codec, what it is called)."""
    for codec, title, letters, most in CODINGS:
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            continue
        words = "".join(word for word in re.findall(r"\w+", text) if not word.isascii())
        foreign = [sign for sign in text if not sign.isascii()]
        if all(re.match(letters, sign) and _is_common(sign, codec) for sign in foreign):
            if not most or 2 * len(foreign) > sum(map(str.isalpha, words)):
                return codec, title
    return "cp437", "code page 437, as the format has it"


def _is_common(sign: str, codec: str) -> bool:
    """Whether a sign of Chinese or Japanese is one of level 1: what any bytes look like are the rare ones."""
    code, last = int.from_bytes(sign.encode(codec), "big"), {"cp932": 0x9872, "gb2312": 0xD7F9, "big5": 0xC67E}
    return code <= last.get(codec, code)
