"""Scene → file: GIF, MP4, animated WebP, a PNG strip or a page, each with the recipe it can be made again from.

    export(scene, "trex.gif", fps=25, pacing="log_snr")
    read_recipe("trex.gif")

| suffix | what it holds                                                       | where the recipe is        |
|--------|---------------------------------------------------------------------|----------------------------|
| .gif   | the frames as they are drawn, one palette of ≤ 256 colours          | comment extension          |
| .webp  | the frames as they are drawn, lossless                              | Exif, ImageDescription     |
| .mp4   | H.264, yuv420p, crf 18: lossy, but small where noise fills the film | the container's comment    |
| .png   | `count` frames side by side with their times                        | tEXt chunk "Comment"       |
| .html  | the stage itself: a playhead to take in hand, chips, charts, numbers | a script of JSON           |
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, PngImagePlugin

from ..doors.jsons import MAX_JSON, parse_json
from ..doors.words import one_line
from ..files import atomic_write
from ..scene import Scene
from .gif import GifWriter, contents
from .renderer import Renderer, strip
from .stage.page import page, recipe_in

PACINGS = ("frame", "t", "log_snr")
MADE_WITH = "noisescope"
_DESCRIPTION = 0x010E  # Exif's ImageDescription

Pacing = Literal["frame", "t", "log_snr"]
Shot = tuple[int, int]  # frame of the scene, for how many ticks of 1/fps it stands


#: What a moving picture lets one choose, and what is said of it before it is made.
MOVING, FILM = ("size", "fps", "every", "pacing"), "{frames:.0f} frames, {seconds:.3g} s"


class Stopped(RuntimeError):
    """The export was asked to stop; nothing of it is left on the disk."""


@dataclass(frozen=True)
class _Job:
    """What the encoders share: the film, its shots, its clock, and the two callbacks."""

    film: Renderer
    shots: list[Shot]
    fps: float
    hold: float
    loop: bool
    recipe: str
    side: int | None
    shown: Sequence[str] = ()
    progress: Callable[[int, int], None] | None = None
    stop: Callable[[], bool] | None = None

    def played(self) -> Iterator[tuple[np.ndarray, int]]:
        """Drawn frames and their ticks; asks `stop` before each and tells `progress` after."""
        total = len(self.shots)
        for done, (frame, (_, ticks)) in enumerate(zip(self.film.frames(k for k, _ in self.shots), self.shots), 1):
            if self.stop is not None and self.stop():
                raise Stopped(f"the export was stopped after {done - 1} of {total} frames")
            yield frame, ticks
            if self.progress is not None:
                self.progress(done, total)

    def durations(self, unit: int) -> list[int]:
        """How long each shot stands, in whole 1/unit seconds, the last one `hold` longer.

        The ends of the shots are rounded, not their lengths, so that a long film does not drift.
        """
        ends = np.cumsum([ticks for _, ticks in self.shots]) * (unit / self.fps)
        ends[-1] += self.hold * unit
        return np.diff(np.rint(ends).astype(int), prepend=0).tolist()


def playlist(scene: Scene, every: int = 1, pacing: Pacing = "frame") -> list[Shot]:
    """The shots of a film: (frame, ticks), in order, the last frame always among them.

    "frame" plays every `every`-th frame for one tick. "t" and "log_snr" keep the number of ticks and choose, at each,
    the frame whose t (log-SNR) is nearest to a clock that runs uniformly from the first value to the last; frames that
    are crowded there are passed over, sparse ones stand longer. An infinite log-SNR counts as the nearest finite one.

    Raises ValueError for `every` below 1, an unknown pacing, and a pacing whose numbers are missing or turn back.
    """
    if every < 1:
        raise ValueError(f"every {every} is out of range; 1 takes every frame, k every k-th")
    if pacing not in PACINGS:
        raise ValueError(f"pacing {pacing!r} is unknown; choose one of {', '.join(PACINGS)}")
    kept = sorted({*range(0, scene.frames, every), scene.frames - 1})
    if pacing == "frame" or len(kept) < 3:
        return [(k, 1) for k in kept]
    if pacing not in scene.numbers:
        raise ValueError(f"pacing {pacing!r} needs the number {pacing!r} of every frame; "
                         f"this scene has {', '.join(scene.numbers)}")  # fmt: skip
    clock = np.asarray(scene.numbers[pacing], np.float64)[kept]
    finite = clock[np.isfinite(clock)]
    if not len(finite):
        raise ValueError(f"pacing {pacing!r} needs finite numbers; this scene has none")
    clock = np.clip(np.nan_to_num(clock, nan=finite[0], posinf=np.inf, neginf=-np.inf), finite.min(), finite.max())
    rising = clock if clock[-1] >= clock[0] else -clock
    if (np.diff(rising) < 0).any():
        raise ValueError(f"pacing {pacing!r} needs numbers that only fall or only rise; here they turn back")
    ticks = np.linspace(rising[0], rising[-1], len(kept))
    nearest = np.searchsorted((rising[1:] + rising[:-1]) / 2, ticks)
    nearest[-1] = len(kept) - 1
    counts = np.bincount(nearest, minlength=len(kept))
    return [(kept[i], int(n)) for i, n in enumerate(counts) if n]


def export(scene: Scene, path: str | Path, format: str | None = None, fps: float = 25, every: int = 1,
           hold: float = 1.5, pacing: Pacing = "frame", size: int | None = None, loop: bool = True, count: int = 8,
           shown: Sequence[str] = (), progress: Callable[[int, int], None] | None = None,
           stop: Callable[[], bool] | None = None, **look) -> Path:  # fmt: skip
    """Write a scene to a file and return its path.

    `format` comes from the suffix unless it is given. `fps` 1..60 frames a second (a GIF holds at most 50), `every`
    k-th frame, the last one held `hold` seconds longer, `pacing` as in `playlist`. `size` is a panel's side in pixels
    (16..2048); `look` holds what else `Renderer` takes: theme, captions, columns, scale.
    `count` is the number of frames in a PNG strip, `shown` are the keys of the panels that are on when an HTML film
    opens (by default the first six). `progress(done, total)` is called after every frame; `stop()` is
    asked before every frame, and where it says True `Stopped` is raised.

    The file appears when it is complete: it is written under a temporary name beside it and then renamed; after a stop
    or an error nothing is left. Raises ValueError for a value out of range, an unknown suffix or an empty scene.
    """
    path = Path(path)
    format = _format(path, format)
    if not path.parent.is_dir():
        raise ValueError(f"the folder {str(path.parent)!r} does not exist; make it first or choose another")
    job = _job(scene, format, fps, every, hold, pacing, size, loop, count, shown, progress, stop, **look)
    with atomic_write(path, f".{format}") as part:
        FORMATS[format].write(job, part)
    return path


def to_bytes(scene: Scene, format: str = "gif", **options) -> bytes:
    """The file that `export` would write, as bytes; options as there."""
    with tempfile.TemporaryDirectory() as folder:
        return export(scene, Path(folder) / f"film.{format}", **options).read_bytes()


def estimate(scene: Scene, format: str = "gif", fps: float = 25, every: int = 1, hold: float = 1.5,
             pacing: Pacing = "frame", size: int | None = None, loop: bool = True, count: int = 8,
             shown: Sequence[str] = (), **look) -> int:  # fmt: skip
    """The expected size in bytes of what `export` would write; options as there.

    4 runs of 6 neighbouring frames from all over the film are encoded, and their 4 first frames alone: the difference
    is what a frame costs after its neighbour. Short films and PNG strips are encoded whole. Raises as `export`.
    """
    format = _format(Path(f"film.{format}"), None)
    job = _job(scene, format, fps, every, hold, pacing, size, loop, count, shown, **look)
    total, runs, length = len(job.shots), 4, 6

    def encoded(chosen: list[int]) -> int:
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / f"sample.{format}"
            FORMATS[format].write(replace(job, shots=[job.shots[i] for i in chosen]), part)
            return part.stat().st_size

    if format in ("png", "html") or total <= runs * length:
        return encoded(list(range(total)))
    heads = np.linspace(0, total - length, runs).astype(int).tolist()
    alone = encoded(heads)
    next_one = (encoded([head + i for head in heads for i in range(length)]) - alone) / (runs * (length - 1))
    return round(alone / runs + next_one * (total - 1))


def check(scene: Scene, format: str, **options) -> None:
    """ValueError for whatever `export` would refuse about this scene and these options, before a frame is drawn."""
    _job(scene, _format(Path(f"film.{format}"), None), **options)


def read_recipe(path: str | Path) -> dict:
    """The recipe (`Scene.about`, with its seed) in a file that `export` wrote, by whatever name; ValueError where there
    is none. No frame is decoded, and no more is read of a comment than a recipe can have."""
    path = Path(path)
    with path.open("rb") as file:
        begins = file.read(12)
    text: str | bytes = b""
    try:
        format = next((f for f in FORMATS.values() if f.begins(begins)), None)
        text = format.comment(path) if format else b""
        found = parse_json(text, "its recipe")
        recipe = found.get("recipe") if isinstance(found, dict) else None
        if isinstance(recipe, dict) and found.get("made with") == MADE_WITH:
            return recipe
        why = "it was made with something else"
    except Exception as error:  # decoders raise all sorts of things on broken bytes
        why = one_line(str(error), 100) if text else "there is none in it"
    raise ValueError(f"{path.name!r} holds no recipe: {why}. Films that {MADE_WITH} exported do")


def _format(path: Path, format: str | None) -> str:
    format = (format or path.suffix).lower().lstrip(".")
    if format not in FORMATS:
        raise ValueError(f"{path.name!r} has the unknown format {format!r}; choose one of "
                         f"{', '.join('.' + f for f in FORMATS)}")  # fmt: skip
    return format


def _job(scene: Scene, format: str, fps: float = 25, every: int = 1, hold: float = 1.5, pacing: Pacing = "frame",
         size: int | None = None, loop: bool = True, count: int = 8, shown: Sequence[str] = (),
         progress=None, stop=None, **look) -> _Job:  # fmt: skip
    """Everything that can be wrong is found here, before the first frame is drawn."""
    if not 1 <= fps <= 60:
        raise ValueError(f"fps {fps} is out of range; choose 1 to 60 frames a second")
    if format == "gif" and fps > 50:
        raise ValueError(f"fps {fps} is too fast for a GIF, whose frames last at least 2/100 s; choose at most 50")
    if not 0 <= hold <= 60:
        raise ValueError(f"hold {hold} is out of range; the last frame is held 0 to 60 seconds longer")
    if count < 1:
        raise ValueError(f"count {count} is out of range; a strip has at least 1 frame")
    if format == "png":
        look = {**look, "columns": 1}
        size = 160 if size is None else size
    film = Renderer(scene, size=size, **look)
    shots = playlist(scene, every, pacing)
    if format == "png":
        ticks = np.repeat([k for k, _ in shots], [n for _, n in shots])
        chosen = ticks[np.linspace(0, len(ticks) - 1, min(count, len(ticks))).round().astype(int)]
        shots = [(int(k), 1) for k in chosen]
    recipe = json.dumps({"made with": MADE_WITH, "recipe": scene.about}, default=_plain)
    return _Job(film, shots, fps, hold, loop, recipe, size, shown, progress, stop)


def _plain(value):
    """What JSON does not know: numpy's numbers and arrays as Python's, the rest as its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _write_gif(job: _Job, path: Path) -> None:
    with open(path, "wb") as file:
        gif = GifWriter(file, job.film.width, job.film.height, job.film.palette, job.recipe.encode(), job.loop)
        for (frame, _), duration in zip(job.played(), job.durations(100)):
            gif.add(frame, duration)
        gif.close()


def _write_webp(job: _Job, path: Path) -> None:
    exif = Image.Exif()
    exif[_DESCRIPTION] = job.recipe
    images = (job.film.image(frame).convert("RGB") for frame, _ in job.played())
    next(images).save(path, save_all=True, append_images=images, duration=job.durations(1000), exif=exif,
                      loop=0 if job.loop else 1, lossless=True, quality=20, method=0)  # fmt: skip


def _write_mp4(job: _Job, path: Path) -> None:
    import imageio_ffmpeg

    height, width = job.film.height + job.film.height % 2, job.film.width + job.film.width % 2
    palette, edge = job.film.palette, job.film.colours.index("panel")
    encoder = imageio_ffmpeg.write_frames(
        str(path), (width, height), pix_fmt_in="rgb24", pix_fmt_out="yuv420p", fps=job.fps, codec="libx264",
        quality=None, macro_block_size=1, ffmpeg_log_level="error",
        output_params=["-crf", "18", "-preset", "fast", "-threads", "1", "-movflags", "+faststart",
                       "-metadata", f"comment={job.recipe}"])  # fmt: skip
    encoder.send(None)
    held = round(job.hold * job.fps)
    try:
        for shown, (frame, ticks) in enumerate(job.played(), 1):
            even = np.pad(frame, ((0, height - frame.shape[0]), (0, width - frame.shape[1])), constant_values=edge)
            rgb = palette[even].tobytes()
            for _ in range(ticks + (held if shown == len(job.shots) else 0)):
                encoder.send(rgb)
    finally:
        encoder.close()


def _write_png(job: _Job, path: Path) -> None:
    image = strip(job.film, [k for k, _ in job.shots], (frame for frame, _ in job.played()))
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", job.recipe)
    image.save(path, pnginfo=info, optimize=True)


def _image_comment(path: Path) -> str | bytes:
    with Image.open(path, formats=["PNG", "WEBP"]) as image:
        if "exif" in image.info:  # a PNG without is decoded whole in search of it, however large it is
            return image.getexif().get(_DESCRIPTION) or ""
        return image.info.get("Comment") or ""


def _mp4_comment(path: Path) -> str:
    import imageio_ffmpeg

    # Only ever read as what its first bytes say, from this very file, and not for long.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-protocol_whitelist", "file,pipe", "-f", "mp4",
               "-i", f"file:{path}", "-f", "ffmetadata", "-"]
    out = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=5).stdout
    found = re.search(r"^comment=((?:[^\\\n]|\\.)*)$", out[: 2 * MAX_JSON], re.MULTILINE)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else ""


def _write_html(job: _Job, path: Path) -> None:
    def drawn(done: int, total: int) -> None:
        if job.stop is not None and job.stop():
            raise Stopped(f"the export was stopped after {done} of {total} frames")
        if job.progress is not None:
            job.progress(done, total)

    path.write_text(page(job.film.scene, job.recipe, job.shots, shown=job.shown, fps=job.fps, hold=job.hold,
                         loop=job.loop, side=job.side, dark=job.film.theme.name == "dark", drawn=drawn),
                    "utf-8")  # fmt: skip


def _html_comment(path: Path) -> str:
    return recipe_in(path, MAX_JSON)


def _gif_comment(path: Path) -> bytes:
    with path.open("rb") as file:
        return contents(file, 0, MAX_JSON).comment


@dataclass(frozen=True)
class Format:
    """A kind of file that a scene becomes: all that the command line, the page and the API say of it.

    label     its name in a menu
    write     (job, path): draws and writes it
    begins    whether a file that begins with these 12 bytes is one
    comment   the recipe in such a file, as text; nothing is decoded for it
    settings  which of size, fps, every, pacing and content (the panels that are on, or all) mean something for it
    expects   a template of what will come, of {frames}, {seconds} and, where `estimate` is quick, {megabytes}
    """

    label: str
    write: Callable[[_Job, Path], None]
    begins: Callable[[bytes], bool]
    comment: Callable[[Path], str | bytes]
    settings: tuple[str, ...] = MOVING
    expects: str = FILM


#: By their suffix, the usual one first.
FORMATS: dict[str, Format] = {
    "gif": Format("GIF", _write_gif, lambda first: first[:3] == b"GIF", _gif_comment),
    "mp4": Format("MP4", _write_mp4, lambda first: first[4:8] == b"ftyp", _mp4_comment),
    "webp": Format("WebP", _write_webp, lambda first: first[8:12] == b"WEBP", _image_comment),
    "png": Format("PNG strip", _write_png, lambda first: first[:4] == b"\x89PNG", _image_comment,
                  expects="up to 8 pictures"),
    "html": Format("HTML", _write_html, lambda first: first[:9].lower() == b"<!doctype", _html_comment,
                   (*MOVING, "content"), expects="{frames:.0f} frames, {megabytes:.2g} MB"),
}


def suffixes(last: str = "or") -> str:
    """The formats in words: ".gif, .mp4, .webp or .png"."""
    *most, one = (f".{suffix}" for suffix in FORMATS)
    return f"{', '.join(most)} {last} {one}"
